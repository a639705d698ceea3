"""Gates: the checks a trial must pass to count. Pure; the same answer from a live trial and from its record.

    TrialRecord (sockperf's output, counters before and after) ─▶ judge ─▶ GateReport: valid, or why not

To add a gate: one function that is given a `JudgedTrial`, and its name in `_CHECKS`. New evidence is a field of `TrialRecord`.

A gate passes, fails, or is unknown (None) where the counters it reads are absent. Unknown never makes a trial invalid, and is never a
proof. The runner repeats invalid pairs; they stay in the records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from enaxp.bench.judging.srd_proof import TrialCounts, Way, fragmented_bytes, is_one_way, protocols, ways
from enaxp.bench.run_folder.records import InterfaceDelta, Interfaces, SrdDelta, TrialRecord
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
HOST = "host"  # the gate for whatever failed around sockperf


@dataclass(frozen=True)
class Gate:
    """The result of one check: passed True, False, or None for unknown; `words`: the observation."""

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


@dataclass(frozen=True, kw_only=True)
class JudgedTrial:
    """The input of the gates: a trial that ran. logged: the number of observations in its histogram; None if it could not be read."""

    scenario: Scenario
    record: TrialRecord
    sockperf: SockperfOutput
    logged: int | None

    @property
    def bulk_received(self) -> int | None:
        """How many messages the servers of its bulk flows received; for background flows 1 stands for any number."""
        if self.scenario.is_rate:
            return self.record.server_received
        return None if self.record.background_gbps is None else int(self.record.background_gbps > 0)


class Seen(NamedTuple):
    """The observation of a gate: passed True, False, or None for unknown."""

    passed: bool | None
    words: str = ""


def judge(scenario: Scenario, record: TrialRecord, *, logged: int | None, trouble: str | None = None) -> GateReport:
    """The report of every gate of one trial, from its record; the record's `valid` and `reason` follow from it.

    logged: as in `JudgedTrial`.  trouble: a known failure around sockperf.
    """
    if record.sockperf is None:
        return GateReport((Gate(HOST, False, trouble or record.reason or ""),))
    trial = JudgedTrial(scenario=scenario, record=record, sockperf=record.sockperf, logged=logged)
    if trouble is not None:
        return GateReport((Gate(HOST, False, trouble), _gate("network", trial)))
    own = _gate("sockperf", trial)
    if not own.passed:  # the other gates compare with figures that such a run does not have
        return GateReport((own, _gate("network", trial)))
    return GateReport(tuple(_gate(name, trial) for name in _CHECKS))


def srd_gate(scenario: Scenario, record: TrialRecord) -> Gate:
    """The SRD gate alone, also for a trial without sockperf output: see `_srd`."""
    return Gate("srd", *_srd(scenario, record))


def _gate(name: str, trial: JudgedTrial) -> Gate:
    return Gate(name, *_CHECKS[name](trial))


def _sockperf(trial: JudgedTrial) -> Seen:
    """Whether sockperf measured as requested. A ping-pong stalls after one lost message; it counts with what it measured until then,
    because leaving it out would leave out exactly the trials in which a message was lost.
    """
    sockperf = trial.sockperf
    if sockperf.ok:
        return Seen(True)
    if trial.scenario.facts.waits_for_reply and has_stalled(sockperf):
        share = measured_share(sockperf)
        return Seen(share >= MEASURED_SHARE_NEEDED, f"it fell silent after {share:.0%} of its time")
    return Seen(False, sockperf.reason or "sockperf failed")


def _log(trial: JudgedTrial) -> Seen:
    """Whether the full log has every observation of sockperf's summary. A throughput run has no log."""
    logged, observations = trial.logged, trial.sockperf.observations
    if trial.scenario.is_rate:
        return Seen(True)
    if logged is None:
        return Seen(False, "the full log could not be read")
    if logged != observations:
        return Seen(False, f"the full log holds {logged} of {observations} observations")
    return Seen(True)


def _rate(trial: JudgedTrial) -> Seen:
    """Whether the requested rate was reached. sockperf itself warns only if it was behind all the time."""
    scenario, sockperf = trial.scenario, trial.sockperf
    window = sockperf.valid_runtime_s or sockperf.total_runtime_s
    if not isinstance(scenario.rate, int):
        return Seen(True)
    if not window or sockperf.sent is None:
        return Seen(None, "the rate reached is unknown")
    reached, wanted = sockperf.sent / window, scenario.rate * scenario.flows
    words = f"{reached:.0f} of {wanted} messages a second were reached"
    return Seen(reached >= RATE_SHARE_NEEDED * wanted, words)


def _bulk(trial: JudgedTrial) -> Seen:
    """Whether the bulk flows ran, measured or background.

    sockperf reports full bandwidth even without a receiver.
    """
    scenario, sockperf, received = trial.scenario, trial.sockperf, trial.bulk_received
    if not scenario.is_rate and scenario.background is None:
        return Seen(True)
    if received is None:
        return Seen(None, "what the servers of the bulk flows received is unknown")
    if not scenario.is_rate:
        return Seen(received > 0, "the bulk flows beside the probe did not run: nothing of them arrived")
    needed = ARRIVED_SHARE_NEEDED * (sockperf.sent or 0)
    return Seen(received > 0 and received >= needed, f"{received} of {sockperf.sent} messages arrived at the server")


def _interface(trial: JudgedTrial) -> Seen:
    """Whether the arm's own interfaces carried the messages on both hosts.

    Compared in bytes, because one segment can contain many small messages.
    """
    sockperf, arm, interfaces = trial.sockperf, trial.record.treated_as, trial.record.interfaces
    client, server = _own(interfaces, "client", arm), _own(interfaces, "server", arm)
    if client is None or sockperf.sent is None:
        return Seen(None, "what each interface carried is unknown")
    messages = sockperf.sent * trial.scenario.message_size
    if client.tx_bytes < CARRIED_SHARE_NEEDED * messages:
        return Seen(False, f"the client's {arm} interface did not carry this trial's messages")
    if server is not None and server.rx_bytes < ARRIVED_SHARE_NEEDED * messages:
        return Seen(False, f"this trial's messages did not reach the server's {arm} interface")
    return Seen(True)


def _srd(scenario: Scenario, record: TrialRecord) -> Seen:
    """Whether SRD carried the ENA Express arm's traffic in each direction, and almost none of the ENA arm's.

    In each direction at least one host's counters must show it, and no host's may contradict it.
    """
    srd, sockperf, interfaces = record.srd, record.sockperf, record.interfaces
    if srd is None:
        return _unknown("no counters")
    if record.treated_as == "ena":
        return _srd_is_on(srd) or _no_srd(scenario, srd, sockperf)
    not_given = _srd_is_off(scenario, srd)
    if not_given:
        return not_given
    size = fragmented_bytes(scenario, interfaces)
    if size is not None:
        return _unknown(f"a datagram of {size:,} bytes goes in fragments, and those by plain ENA")
    if srd.share is None:
        return Seen(False, "no packet of the ENA Express arm was eligible for SRD")
    counts = TrialCounts(srd=srd, sockperf=sockperf, received=record.server_received, interfaces=interfaces)
    return _each_way_by_srd(ways(scenario, counts), share=srd.share)


def _each_way_by_srd(told: Sequence[Way], *, share: float) -> Seen:
    for way in told:
        for count in way.counts:
            if count.is_too_small:
                return Seen(False, f"of the {count.words}")
    for way in told:
        if not way.is_judged:
            return _unknown(f"no counter tells it of {way.name}")
    return Seen(True, f"{share:.2%} of the eligible packets went over SRD")


def _unknown(why: str) -> Seen:
    return Seen(None, why)


def _srd_is_off(scenario: Scenario, srd: SrdDelta) -> Seen | None:
    """The failure that a device of the ENA Express arm reports SRD as off for a protocol of the scenario; None if none does."""
    for protocol in protocols(scenario):
        needed = 0b11 if protocol == "udp" else 0b01
        for where, mode in (("client", srd.mode), ("server", srd.peer_mode)):
            if mode is not None and mode & needed != needed:
                off = f"ENA Express is off for {protocol.upper()} on the {where} (ena_srd_mode {mode})"
                return Seen(False, off)
    return None


def _srd_is_on(srd: SrdDelta) -> Seen | None:
    """The failure that a device of the ENA arm reports SRD as on; None if none does. (The UDP flag alone has no effect.)"""
    for where, mode in (("client", srd.mode), ("server", srd.peer_mode)):
        if mode is not None and mode & 0b01:
            return Seen(False, f"ENA Express is on on the {where}, in a trial of the ENA arm (ena_srd_mode {mode})")
    return None


def _no_srd(scenario: Scenario, srd: SrdDelta, sockperf: SockperfOutput | None) -> Seen:
    """Whether almost none of the ENA arm's packets went over SRD, by the counters of the sender or the receiver of each direction."""
    sent = sockperf.sent if sockperf else None
    if sent is None:
        return _unknown("how many messages were sent is not told")
    stray = max(srd.tx, srd.rx or 0, srd.peer_tx or 0, srd.peer_rx or 0)
    if stray >= SRD_SHARE_STRAY * max(sent, 1):
        return Seen(False, f"{stray} packets of the ENA arm went over SRD")
    if not is_one_way(scenario) and srd.rx is None and srd.peer_tx is None:
        return _unknown("no counter tells it of what came back")
    return Seen(True, f"{stray} packets of the ENA arm went over SRD")


def _allowances(trial: JudgedTrial) -> Seen:
    """Whether the instances stayed within their allowances. In load scenarios exceeding them is part of the measurement."""
    allowances = trial.record.allowances
    if allowances is None:
        return Seen(None, "the allowance counters are absent")
    moved = [
        f"{name} on the {role}"
        for role, counters in allowances.items()
        for name, by in counters.items()
        if by and name.endswith("_exceeded")  # *_available is headroom, and moves all the time
    ]
    if not moved:
        return Seen(True)
    return Seen(not trial.scenario.is_idle, f"moved: {', '.join(moved)}")


def _network(trial: JudgedTrial) -> Seen:
    """Whether MTU, routes and links of both hosts are unchanged since the bench began."""
    changes = trial.record.network_changes
    if changes is None:
        return Seen(None, "whether the hosts' network stayed as it was is unknown")
    return Seen(not changes, "; ".join(changes))


# Every gate, in the order of a report, but for the first (`HOST`).
_CHECKS: Mapping[str, Callable[[JudgedTrial], Seen]] = {
    "sockperf": _sockperf,
    "log": _log,
    "rate": _rate,
    "bulk": _bulk,
    "interface": _interface,
    "srd": lambda trial: _srd(trial.scenario, trial.record),
    "allowances": _allowances,
    "network": _network,
}
GATES = (HOST, *_CHECKS)


def delivered_gbps(*, scenario: Scenario, sockperf: SockperfOutput, received: int | None) -> float | None:
    """The bandwidth that the servers received, in 10⁹ bit/s of messages; None if unknown.

    sockperf measures only at the sender, and prints full bandwidth even for UDP that nobody receives: so the servers' own count is used.
    """
    if not scenario.is_rate or not sockperf.ok or received is None or not sockperf.total_runtime_s:
        return None
    return received * scenario.message_size * 8 / sockperf.total_runtime_s / 1e9


def _own(interfaces: Interfaces | None, role: str, arm: Arm) -> InterfaceDelta | None:
    return interfaces.get(role, {}).get(arm) if interfaces else None
