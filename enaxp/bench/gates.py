"""Gates: the checks a trial must pass to count. Pure; the same answer from a live trial and from its record.

    SockperfOutput + counters before and after ─▶ judge ─▶ GateReport (valid or why not) ─▶ TrialRecord

A gate passes, fails, or is unknown (None) where the counters it reads are absent. Unknown never makes a trial invalid, and never
counts as a proof either. Invalid pairs are run again by the runner and stay listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enaxp.bench.records import InterfaceDelta, Interfaces, SrdDelta
from enaxp.bench.srd_proof import TrialCounts, Way, fragmented_bytes, is_one_way, protocols, ways
from enaxp.hosts.sockperf import SockperfOutput, has_stalled, measured_share
from enaxp.traffic import Arm, Scenario

# Packets over SRD on the ENA arm, as a share of the messages sent, from which on it is no longer plain ENA.
SRD_SHARE_STRAY = 0.01
# A rate asked for that is missed by more than this is another scenario than the one that was asked for.
RATE_SHARE_NEEDED = 0.99
# Of the bytes sent as messages, the share that the arm's own interface must have carried; headers come on top.
CARRIED_SHARE_NEEDED = 0.9
# A ping-pong that fell silent counts, if it measured this share of its time at least.
MEASURED_SHARE_NEEDED = 0.5
# On the way to the server packets may be lost, which is a result; none to speak of arriving is a fault of the lab.
ARRIVED_SHARE_NEEDED = 0.01
# The names of all gates, in the order in which a report has them.
GATES = ("host", "sockperf", "log", "rate", "bulk", "interface", "srd", "allowances", "network")


@dataclass(frozen=True)
class Gate:
    """One check: passed True, False, or None for unknown; `words` say what was seen."""

    name: str
    passed: bool | None
    words: str = ""


@dataclass(frozen=True)
class GateReport:
    """All checks of one trial."""

    gates: tuple[Gate, ...]

    @property
    def valid(self) -> bool:
        """Whether the trial counts: no gate failed."""
        return all(gate.passed is not False for gate in self.gates)

    @property
    def reason(self) -> str | None:
        """Why the trial does not count, in words; None when it does."""
        return "; ".join(gate.words for gate in self.gates if gate.passed is False) or None


def judge(
    *,
    scenario: Scenario,
    arm: Arm,
    sockperf: SockperfOutput,
    logged: int | None,
    srd: SrdDelta | None,
    interfaces: Interfaces | None,
    allowances: Mapping[str, Mapping[str, int]] | None,
    network: Sequence[str] | None = None,
    received: int | None = None,
    trouble: str | None = None,
) -> GateReport:
    """Every gate of one trial. Absent counters are None, which is unknown.

    `logged` is the number of observations in its histogram, `received` the number of messages the servers of its bulk flows counted,
    `trouble` what is known to have gone wrong around sockperf, `network` what became of the hosts' network during the trial.
    """
    if trouble is not None:
        return GateReport((Gate("host", False, trouble), network_gate(network)))
    own = sockperf_gate(scenario, sockperf)
    if not own.passed:  # the other gates compare with figures that such a run does not have
        return GateReport((own, network_gate(network)))
    return GateReport(
        (
            own,
            log_gate(scenario, sockperf, logged),
            rate_gate(scenario, sockperf),
            bulk_gate(scenario, sockperf, received),
            interface_gate(scenario, arm, sockperf, interfaces),
            srd_gate(scenario, arm, srd=srd, sockperf=sockperf, received=received, interfaces=interfaces),
            allowance_gate(scenario, allowances),
            network_gate(network),
        )
    )


def sockperf_gate(scenario: Scenario, sockperf: SockperfOutput) -> Gate:
    """Whether sockperf measured what it was asked to. A ping-pong falls silent over one lost message; it counts with what it measured
    until then, since leaving it out would leave out just the trials in which a message was lost.
    """
    if sockperf.ok:
        return Gate("sockperf", True)
    if scenario.facts.waits_for_reply and has_stalled(sockperf):
        share = measured_share(sockperf)
        return Gate("sockperf", share >= MEASURED_SHARE_NEEDED, f"it fell silent after {share:.0%} of its time")
    return Gate("sockperf", False, sockperf.reason or "sockperf failed")


def log_gate(scenario: Scenario, sockperf: SockperfOutput, logged: int | None) -> Gate:
    """Whether the full log holds every observation of sockperf's summary. A throughput run has none."""
    if scenario.is_rate:
        return Gate("log", True)
    if logged is None:
        return Gate("log", False, "the full log could not be read")
    if logged != sockperf.observations:
        return Gate("log", False, f"the full log holds {logged} of {sockperf.observations} observations")
    return Gate("log", True)


def rate_gate(scenario: Scenario, sockperf: SockperfOutput) -> Gate:
    """Whether the rate that was asked for was reached. sockperf itself warns only when it was behind all the time."""
    window = sockperf.valid_runtime_s or sockperf.total_runtime_s
    if not isinstance(scenario.rate, int):
        return Gate("rate", True)
    if not window or sockperf.sent is None:
        return Gate("rate", None, "the rate reached is unknown")
    reached, wanted = sockperf.sent / window, scenario.rate * scenario.flows
    words = f"{reached:.0f} of {wanted} messages a second were reached"
    return Gate("rate", reached >= RATE_SHARE_NEEDED * wanted, words)


def bulk_gate(scenario: Scenario, sockperf: SockperfOutput, received: int | None) -> Gate:
    """Whether the bulk flows ran: those that are measured, or those beside the probe.

    sockperf reports full bandwidth even without a receiver.
    """
    if not scenario.is_rate and scenario.background is None:
        return Gate("bulk", True)
    if received is None:
        return Gate("bulk", None, "what the servers of the bulk flows received is unknown")
    if not scenario.is_rate:
        return Gate("bulk", received > 0, "the bulk flows beside the probe did not run: nothing of them arrived")
    needed = ARRIVED_SHARE_NEEDED * (sockperf.sent or 0)
    return Gate(
        "bulk", received > 0 and received >= needed, f"{received} of {sockperf.sent} messages arrived at the server"
    )


def interface_gate(scenario: Scenario, arm: Arm, sockperf: SockperfOutput, interfaces: Interfaces | None) -> Gate:
    """Whether the arm's own interfaces carried the messages on both hosts.

    In bytes, since segments join many small messages.
    """
    client, server = _own(interfaces, "client", arm), _own(interfaces, "server", arm)
    if client is None or sockperf.sent is None:
        return Gate("interface", None, "what each interface carried is unknown")
    messages = sockperf.sent * scenario.message_size
    if client.tx_bytes < CARRIED_SHARE_NEEDED * messages:
        return Gate("interface", False, f"the client's {arm} interface did not carry this trial's messages")
    if server is not None and server.rx_bytes < ARRIVED_SHARE_NEEDED * messages:
        return Gate("interface", False, f"this trial's messages did not reach the server's {arm} interface")
    return Gate("interface", True)


def srd_gate(
    scenario: Scenario,
    arm: Arm,
    *,
    srd: SrdDelta | None,
    sockperf: SockperfOutput | None,
    received: int | None,
    interfaces: Interfaces | None,
) -> Gate:
    """Whether the treatment was given: SRD carried the ENA Express arm's traffic, each way, and next to none of the ENA arm's.

    Of each way at least one host's counters must tell it, and no host's may deny it. `received` counts messages of a throughput trial.
    """
    if srd is None:
        return _unknown("no counters")
    if arm == "ena":
        return _srd_is_on(srd) or _no_srd(scenario, srd, sockperf)
    not_given = _srd_is_off(scenario, srd)
    if not_given:
        return not_given
    size = fragmented_bytes(scenario, interfaces)
    if size is not None:
        return _unknown(f"a datagram of {size:,} bytes goes in fragments, and those by plain ENA")
    if srd.share is None:
        return Gate("srd", False, "no packet of the ENA Express arm was eligible for SRD")
    counts = TrialCounts(srd=srd, sockperf=sockperf, received=received, interfaces=interfaces)
    return _each_way_by_srd(ways(scenario, counts), share=srd.share)


def _each_way_by_srd(told: Sequence[Way], *, share: float) -> Gate:
    for way in told:
        for count in way.counts:
            if count.is_too_small:
                return Gate("srd", False, f"of the {count.words}")
    for way in told:
        if not way.is_judged:
            return _unknown(f"no counter tells it of {way.name}")
    return Gate("srd", True, f"{share:.2%} of the eligible packets went over SRD")


def _unknown(why: str) -> Gate:
    return Gate("srd", None, why)


def _srd_is_off(scenario: Scenario, srd: SrdDelta) -> Gate | None:
    """That a device of the ENA Express arm shows SRD as switched off for a protocol of the scenario; None where none does."""
    for protocol in protocols(scenario):
        needed = 0b11 if protocol == "udp" else 0b01
        for where, mode in (("client", srd.mode), ("server", srd.peer_mode)):
            if mode is not None and mode & needed != needed:
                off = f"ENA Express is off for {protocol.upper()} on the {where} (ena_srd_mode {mode})"
                return Gate("srd", False, off)
    return None


def _srd_is_on(srd: SrdDelta) -> Gate | None:
    """That a device of the ENA arm shows SRD as switched on; None where none does. Its flag for UDP alone has no effect."""
    for where, mode in (("client", srd.mode), ("server", srd.peer_mode)):
        if mode is not None and mode & 0b01:
            return Gate(
                "srd", False, f"ENA Express is on on the {where}, in a trial of the ENA arm (ena_srd_mode {mode})"
            )
    return None


def _no_srd(scenario: Scenario, srd: SrdDelta, sockperf: SockperfOutput | None) -> Gate:
    """Whether next to none of the ENA arm's packets went over SRD: as the sender of each way counts them, or the receiver."""
    sent = sockperf.sent if sockperf else None
    if sent is None:
        return _unknown("how many messages were sent is not told")
    stray = max(srd.tx, srd.rx or 0, srd.peer_tx or 0, srd.peer_rx or 0)
    if stray >= SRD_SHARE_STRAY * max(sent, 1):
        return Gate("srd", False, f"{stray} packets of the ENA arm went over SRD")
    if not is_one_way(scenario) and srd.rx is None and srd.peer_tx is None:
        return _unknown("no counter tells it of what came back")
    return Gate("srd", True, f"{stray} packets of the ENA arm went over SRD")


def allowance_gate(scenario: Scenario, allowances: Mapping[str, Mapping[str, int]] | None) -> Gate:
    """Whether the instances stayed inside their allowances. Under load exceeding them is part of what is measured."""
    if allowances is None:
        return Gate("allowances", None, "the allowance counters are absent")
    moved = [
        f"{name} on the {role}"
        for role, counters in allowances.items()
        for name, by in counters.items()
        if by and name.endswith("_exceeded")  # *_available is headroom, and moves all the time
    ]
    if not moved:
        return Gate("allowances", True)
    return Gate("allowances", not scenario.is_idle, f"moved: {', '.join(moved)}")


def network_gate(changes: Sequence[str] | None) -> Gate:
    """Whether MTU, routes and links of both hosts stayed as they were when the bench began. `changes`: what did not, in words."""
    if changes is None:
        return Gate("network", None, "whether the hosts' network stayed as it was is unknown")
    return Gate("network", not changes, "; ".join(changes))


def delivered_gbps(*, scenario: Scenario, sockperf: SockperfOutput, received: int | None) -> float | None:
    """What the servers received in 10⁹ bit/s of messages; None where that is unknown.

    sockperf measures at the sender only, and prints full bandwidth for UDP that nobody receives: so the servers' own count is taken.
    """
    if not scenario.is_rate or not sockperf.ok or received is None or not sockperf.total_runtime_s:
        return None
    return received * scenario.message_size * 8 / sockperf.total_runtime_s / 1e9


def _own(interfaces: Interfaces | None, role: str, arm: Arm) -> InterfaceDelta | None:
    return interfaces.get(role, {}).get(arm) if interfaces else None
