"""SRD proof: for each direction between the hosts, the number of packets over SRD and the expected number, by each host's counters. Pure.

    SrdDelta + sockperf's and the servers' counts + what the interfaces carried ─▶ ways ─▶ Way (its counts: enough, too few, unknown)

Where each message is one packet, packets are compared with messages. TCP merges and splits messages, and bulk flows are counted together
with the probe: in these cases a sender's packets are compared with the eligible ones, and a receiver's with the sender's.
"""

from __future__ import annotations

from dataclasses import dataclass

from enaxp.bench.run_folder.records import Interfaces, SrdDelta
from enaxp.hosts.sockperf import WARM_UP_S, SockperfOutput
from enaxp.traffic import SRD_MTU, Protocol, Scenario

# Of the messages of the ENA Express arm, each way, the share that must go over SRD. The counters run from before the warm-up on, the
# messages are those after it: so what is sent while SRD is set up for a flow is none of them.
SRD_SHARE_NEEDED = 0.97
HEADERS = {"udp": 28, "tcp": 52}  # of a packet, in bytes: IP, and UDP or TCP with its time stamps


@dataclass(frozen=True, kw_only=True)
class Count:
    """One host's counts for one direction: packets over SRD, and the expected number; None if not reported."""

    what: str
    by_srd: int | None
    of: float | None

    @property
    def is_told(self) -> bool:
        return self.by_srd is not None and self.of is not None

    @property
    def is_too_small(self) -> bool:
        """Whether the count is known and shows that SRD did not carry the packets."""
        if self.by_srd is None or self.of is None:
            return False
        return not self.of or self.by_srd < SRD_SHARE_NEEDED * self.of

    @property
    def words(self) -> str:
        """The count in words, to follow "of the"."""
        if not self.of or self.by_srd is None:
            return f"{self.what} of the ENA Express arm none was eligible for SRD"
        return f"{self.what} of the ENA Express arm only {self.by_srd / self.of:.2%} went over SRD"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One direction between the hosts. `name`: of its traffic. `counts`: of the sender and of the receiver."""

    name: str
    counts: tuple[Count, ...]

    @property
    def is_judged(self) -> bool:
        """Whether at least one host reports its counts."""
        return any(count.is_told for count in self.counts)


@dataclass(frozen=True, kw_only=True)
class TrialCounts:
    """The counts of a trial of the ENA Express arm; None if not available. received: messages that the servers counted."""

    srd: SrdDelta
    sockperf: SockperfOutput | None
    received: int | None
    interfaces: Interfaces | None


def ways(scenario: Scenario, counts: TrialCounts) -> tuple[Way, ...]:
    """Every direction of the scenario's traffic. UDP throughput has no answers; everything else has both directions."""
    if _is_counted_in_packets(scenario, counts.interfaces):
        there, back = _packets(scenario, counts)
    else:
        there, back = _messages(scenario, counts)
    to_server = Way(name="what was sent", counts=there)
    return (to_server,) if is_one_way(scenario) else (to_server, Way(name="what came back", counts=back))


def protocols(scenario: Scenario) -> tuple[Protocol, ...]:
    """The protocols of all flows of a scenario."""
    bulk = () if scenario.background is None else (scenario.background.protocol,)
    return tuple(dict.fromkeys((scenario.protocol, *bulk)))


def fragmented_bytes(scenario: Scenario, interfaces: Interfaces | None) -> int | None:
    """The size of a datagram of the scenario that is larger than a packet by SRD, in bytes; None when there is none.

    Such a datagram is fragmented, and fragments go by plain ENA.
    """
    sizes = [(scenario.protocol, scenario.message_size)]
    if scenario.background is not None:
        sizes.append((scenario.background.protocol, scenario.background.message_size))
    most = _largest_packet(interfaces)
    return next((size for protocol, size in sizes if protocol == "udp" and size + HEADERS["udp"] > most), None)


def _largest_packet(interfaces: Interfaces | None) -> int:
    """The size of the largest packet that SRD carries between the hosts' interfaces of the ENA Express arm, in bytes."""
    carried = [of_host["ena_express"] for of_host in (interfaces or {}).values() if "ena_express" in of_host]
    return min([SRD_MTU, *(interface.mtu for interface in carried if interface.mtu)])


def is_one_way(scenario: Scenario) -> bool:
    """Whether there is no return traffic: UDP throughput has no answers."""
    return scenario.is_rate and protocols(scenario) == ("udp",)


def _is_counted_in_packets(scenario: Scenario, interfaces: Interfaces | None) -> bool:
    """Whether the number of packets does not follow from the number of messages."""
    if scenario.background is not None:
        return True
    is_parted = scenario.message_size + HEADERS["tcp"] > _largest_packet(interfaces)
    return scenario.protocol == "tcp" and (is_parted or not scenario.facts.waits_for_reply)


def _packets(scenario: Scenario, counts: TrialCounts) -> tuple[tuple[Count, ...], tuple[Count, ...]]:
    """The expected packets: for a sender the eligible ones, minus those during SRD's set-up for the flows; for a receiver those that were
    sent."""
    srd, after_set_up = counts.srd, _share_after_set_up(counts.sockperf)
    peer = None if srd.peer_eligible is None else srd.peer_eligible * after_set_up
    return (
        (
            Count(what="packets sent", by_srd=srd.tx, of=srd.eligible * after_set_up),
            Count(what="packets that the server received", by_srd=srd.peer_rx, of=_arrived(counts, "server", srd.tx)),
        ),
        (
            Count(what="packets sent back", by_srd=srd.peer_tx, of=peer),
            Count(what="packets that the client received", by_srd=srd.rx, of=_arrived(counts, "client", srd.peer_tx)),
        ),
    )


def _arrived(counts: TrialCounts, role: str, sent: int | None) -> float | None:
    """How many packets a host must have received over SRD of those that were sent to it: not more than its interface received at all,
    for some are lost on their way. None where it is not told what was sent; there is nothing to compare where that was none.
    """
    carried = (counts.interfaces or {}).get(role, {}).get("ena_express")
    if not sent:
        return None
    return sent if carried is None else min(sent, max(1, carried.rx_packets))


def _messages(scenario: Scenario, counts: TrialCounts) -> tuple[tuple[Count, ...], tuple[Count, ...]]:
    """The counts if each message is one packet, as each host sent and received them."""
    srd, sockperf = counts.srd, counts.sockperf
    sent, arrived = _sent_and_arrived(scenario, counts)
    replies = (sockperf.received or None) if sockperf else None
    one = "messages" if scenario.is_rate else "requests"
    return (
        (
            Count(what=one, by_srd=srd.tx, of=sent),
            Count(what=f"{one} that the server received", by_srd=srd.peer_rx, of=arrived),
        ),
        (
            Count(what="replies", by_srd=srd.peer_tx, of=replies),
            Count(what="replies that the client received", by_srd=srd.rx, of=replies),
        ),
    )


def _sent_and_arrived(scenario: Scenario, counts: TrialCounts) -> tuple[float | None, float | None]:
    """How many messages the client sent after the warm-up, and how many of them the server received at least; None where not told."""
    sockperf = counts.sockperf
    if sockperf is None or not sockperf.sent:
        return None, None
    if scenario.is_rate:  # a throughput run has no window: what it counts is all of it, the warm-up included
        after_set_up = _share_after_set_up(sockperf)
        return sockperf.sent * after_set_up, counts.received * after_set_up if counts.received else None
    answered = (sockperf.received or 0) * (scenario.reply_every or 1)
    return sockperf.sent, min(sockperf.sent, answered) or None


def _share_after_set_up(sockperf: SockperfOutput | None) -> float:
    """The share of a run's time after its warm-up."""
    total = sockperf.total_runtime_s if sockperf else None
    return 1 - min(1.0, WARM_UP_S / total) if total else 1.0
