"""Gates: what makes a trial count, what fails it, and what stays unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from enaxp.bench.judging.gates import GATES, Gate, GateReport, delivered_gbps, judge
from enaxp.bench.run_folder.records import InterfaceDelta
from enaxp.hosts.sockperf import parse
from enaxp.traffic import Arm, Background, Scenario
from tests.support.factories import GOOD, SRD_OFF, SRD_ON, TCP_RATE, UDP, a_record

BUSY = InterfaceDelta(rx_packets=1100, tx_packets=1100, rx_bytes=116_600, tx_bytes=116_600, mtu=8900)
QUIET = InterfaceDelta(rx_packets=3, tx_packets=3, rx_bytes=300, tx_bytes=300)
LOADED = replace(UDP, background=Background(protocol="tcp", flows=4, message_size=1472))
LOADED_BY_UDP = replace(UDP, background=Background(protocol="udp", flows=4, message_size=1472))


def carried_by(arm: str) -> dict[str, Any]:
    other = "ena" if arm == "ena_express" else "ena_express"
    return {"client": {arm: BUSY, other: QUIET}, "server": {arm: BUSY, other: QUIET}}


def with_mtu(mtu: int) -> dict[str, Any]:
    carries = {"ena_express": replace(BUSY, rx_bytes=2_000_000, tx_bytes=2_000_000, mtu=mtu)}
    return {"client": carries, "server": carries}


def judged(
    *,
    scenario: Scenario,
    arm: Arm,
    logged: int | None,
    received: int | None = None,
    trouble: str | None = None,
    **held: Any,
) -> GateReport:
    """The gates of a trial whose record holds this. received: what the servers of its bulk flows received."""
    beside = None if received is None or scenario.is_rate else float(received)
    record = replace(
        a_record(arm),
        network_changes=held.pop("network"),
        server_received=received if scenario.is_rate else None,
        background_gbps=beside,
        **held,
    )
    return judge(scenario, record, logged=logged, trouble=trouble)


def srd_of(report: GateReport) -> Gate:
    return next(gate for gate in report.gates if gate.name == "srd")


EXPRESS: dict[str, Any] = {
    "scenario": UDP,
    "arm": "ena_express",
    "sockperf": GOOD,
    "logged": 1000,
    "srd": SRD_ON,
    "interfaces": carried_by("ena_express"),
    "allowances": {"client": {"pps_allowance_exceeded": 0, "conntrack_allowance_available": -4}, "server": {}},
    "network": (),
}
ENA: dict[str, Any] = {**EXPRESS, "arm": "ena", "srd": SRD_OFF, "interfaces": carried_by("ena")}


@pytest.mark.parametrize("trial", [EXPRESS, ENA], ids=["ena_express", "ena"])
def test_a_trial_that_did_what_it_should_is_valid(trial: dict[str, Any]) -> None:
    report = judged(**trial)

    assert report.valid
    assert report.reason is None
    assert all(gate.passed for gate in report.gates)
    assert ("host", *(gate.name for gate in report.gates)) == GATES


RATE = replace(
    GOOD,
    mode="throughput",
    measures="rate",
    bandwidth_mbps=9500.0,
    sent=1000,
    valid_runtime_s=None,
    total_runtime_s=1.0,
)
STREAM: dict[str, Any] = {**EXPRESS, "scenario": TCP_RATE, "sockperf": RATE, "interfaces": None, "received": 1000}
DATAGRAMS: dict[str, Any] = {
    **STREAM,
    "scenario": replace(TCP_RATE, protocol="udp"),
    "srd": replace(SRD_ON, rx=0, peer_tx=0, peer_eligible=0),
}


FAILING: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "sockperf's own words": (EXPRESS, {"sockperf": parse("")}, "sockperf printed nothing"),
    "no full log": (EXPRESS, {"logged": None}, "the full log could not be read"),
    "a full log of another run": (EXPRESS, {"logged": 999}, "999 of 1000 observations"),
    "a rate that was not reached": (EXPRESS, {"scenario": replace(UDP, rate=200)}, "105 of 200 messages a second"),
    "the other interface carried the packets": (ENA, {"interfaces": carried_by("ena_express")}, "did not carry"),
    "nothing reached the server": (
        EXPRESS,
        {"interfaces": {"client": {"ena_express": BUSY}, "server": {"ena_express": QUIET}}},
        "did not reach the server",
    ),
    "SRD carried too little": (
        EXPRESS,
        {"srd": replace(SRD_ON, tx=960)},
        "of the requests of the ENA Express arm only 96.00%",
    ),
    "SRD carried nothing": (EXPRESS, {"srd": replace(SRD_ON, tx=0)}, "only 0.00%"),
    "few were eligible, and all of those went": (EXPRESS, {"srd": replace(SRD_ON, tx=50, eligible=50)}, "only 5.00%"),
    "the replies went by plain ENA": (
        EXPRESS,
        {"srd": replace(SRD_ON, peer_tx=0)},
        "of the replies of the ENA Express arm",
    ),
    "the client received no SRD": (EXPRESS, {"srd": replace(SRD_ON, rx=0)}, "of the replies that the client received"),
    "bulk beside the probe went by plain ENA": (
        {**EXPRESS, "scenario": LOADED, "received": 9},
        {"srd": replace(SRD_ON, tx=9000, eligible=10_000)},
        "of the packets sent of the ENA Express arm",
    ),
    "bulk beside the probe did not arrive over SRD": (
        {**EXPRESS, "scenario": LOADED, "received": 9},
        {"srd": replace(SRD_ON, tx=9000, eligible=9000, peer_rx=0)},
        "of the packets that the server received of the ENA Express arm only 0.00%",
    ),
    "a stream arrived by plain ENA": (STREAM, {"srd": replace(SRD_ON, peer_rx=20)}, "only 2.00%"),
    "a stream's answers arrived by plain ENA": (
        STREAM,
        {"srd": replace(SRD_ON, rx=0)},
        "of the packets that the client received",
    ),
    "a stream's answers were not eligible": (
        STREAM,
        {"srd": replace(SRD_ON, rx=0, peer_tx=0, peer_eligible=0)},
        "of the packets sent back of the ENA Express arm none was eligible",
    ),
    "datagrams without answers arrived by plain ENA": (
        DATAGRAMS,
        {"srd": replace(SRD_ON, peer_rx=20)},
        "of the messages that the server received of the ENA Express arm only 3.33%",
    ),
    "UDP beside a TCP probe has no SRD": (
        {**EXPRESS, "scenario": replace(LOADED_BY_UDP, protocol="tcp"), "received": 9},
        {"srd": replace(SRD_ON, mode=1)},
        "off for UDP on the client",
    ),
    "SRD carried what the ENA arm's server received": (
        ENA,
        {"srd": replace(SRD_OFF, peer_rx=10)},
        "10 packets of the ENA arm went over SRD",
    ),
    "nothing was eligible": (EXPRESS, {"srd": replace(SRD_ON, tx=0, eligible=0)}, "no packet"),
    "SRD is off on the client": (EXPRESS, {"srd": replace(SRD_ON, mode=0)}, "off for UDP on the client"),
    "SRD is on, but not for UDP": (EXPRESS, {"srd": replace(SRD_ON, peer_mode=1)}, "off for UDP on the server"),
    "the server saw no SRD": (EXPRESS, {"srd": replace(SRD_ON, peer_rx=2)}, "of the requests that the server received"),
    "SRD carried the ENA arm": (ENA, {"srd": replace(SRD_OFF, tx=10)}, "10 packets of the ENA arm went over SRD"),
    "SRD carried the ENA arm's replies": (
        ENA,
        {"srd": replace(SRD_OFF, peer_tx=10)},
        "10 packets of the ENA arm went over SRD",
    ),
    "the MTU was changed": (
        EXPRESS,
        {"network": ("the MTU of the client's ens6 is 9001, it was 8900", "the server restarted")},
        "the MTU of the client's ens6 is 9001, it was 8900; the server restarted",
    ),
    "sockperf did not come to its end when the interface was configured anew": (
        ENA,
        {
            "sockperf": replace(GOOD, ok=False, mean_us=None, reason="no end"),
            "network": ("links of the client were changed",),
        },
        "no end; links of the client were changed",
    ),
    "an allowance was exceeded at rest": (
        EXPRESS,
        {"allowances": {"server": {"pps_allowance_exceeded": 3}}},
        "pps_allowance_exceeded on the server",
    ),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_trial_that_did_not_is_invalid_and_says_why(case: str) -> None:
    trial, changes, words = FAILING[case]

    report = judged(**{**trial, **changes})

    assert not report.valid
    assert words in str(report.reason)


PASSING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "SRD for TCP needs no UDP flag": (
        EXPRESS,
        {"srd": replace(SRD_ON, mode=1, peer_mode=1), "scenario": replace(UDP, protocol="tcp")},
    ),
    "the bypass bit does not matter": (EXPRESS, {"srd": replace(SRD_ON, mode=7)}),
    "97 % are enough": (EXPRESS, {"srd": replace(SRD_ON, tx=970)}),
    "packets of the set-up of a flow": (EXPRESS, {"srd": replace(SRD_ON, tx=1000, eligible=1080)}),
    "an older record does not know of the server's packets": (
        EXPRESS,
        {"srd": replace(SRD_ON, peer_tx=None, peer_eligible=None)},
    ),
    "a stray packet is not a treatment": (ENA, {"srd": replace(SRD_OFF, tx=9)}),
    "an allowance may be exceeded under load": (
        EXPRESS,
        {"scenario": LOADED, "allowances": {"server": {"bw_out_allowance_exceeded": 3}}},
    ),
    "a rate that was reached": (EXPRESS, {"scenario": replace(UDP, rate=105)}),
}


@pytest.mark.parametrize("case", PASSING)
def test_what_is_allowed_passes(case: str) -> None:
    trial, changes = PASSING[case]

    assert judged(**{**trial, **changes}).reason is None


def test_absent_counters_are_unknown_which_fails_nothing_and_proves_nothing() -> None:
    report = judged(**{**EXPRESS, "srd": None, "interfaces": None, "allowances": None, "network": None})

    assert report.valid
    assert {gate.name for gate in report.gates if gate.passed is None} == {
        "srd",
        "interface",
        "allowances",
        "network",
    }


@pytest.mark.parametrize(
    ("scenario", "received", "expected"),
    [
        (TCP_RATE, 1000, 1000 * 1472 * 8 / 1e9),
        (TCP_RATE, 500, 500 * 1472 * 8 / 1e9),
        (TCP_RATE, None, None),  # sockperf would print full bandwidth with nobody there
        (UDP, 1000, None),
    ],
)
def test_throughput_is_what_the_servers_received(scenario: Any, received: int | None, expected: float | None) -> None:
    assert delivered_gbps(scenario=scenario, sockperf=RATE, received=received) == expected


@pytest.mark.parametrize(
    ("scenario", "received", "reason"),
    [
        (TCP_RATE, 0, "0 of 1000 messages arrived"),
        (TCP_RATE, 9, "9 of 1000 messages arrived"),
        (TCP_RATE, 10, None),
        (TCP_RATE, None, None),
        (LOADED, 0, "did not run"),
        (LOADED, 1, None),
        (UDP, None, None),
    ],
)
def test_bulk_flows_must_have_arrived(scenario: Any, received: int | None, reason: str | None) -> None:
    sockperf = RATE if scenario is TCP_RATE else GOOD
    said = judged(
        **{**EXPRESS, "scenario": scenario, "sockperf": sockperf, "interfaces": None, "received": received}
    ).reason

    assert said is None if reason is None else reason in str(said)


def test_trouble_around_sockperf_is_the_reason_whatever_sockperf_says() -> None:
    assert judged(**{**EXPRESS, "trouble": "it hung"}).reason == "it hung"


def test_a_throughput_trial_needs_no_full_log() -> None:
    trial = {**EXPRESS, "scenario": TCP_RATE, "sockperf": RATE, "logged": None, "interfaces": None}

    assert judged(**trial).valid


STALLED = "replies stopped early: 6.000 s of 10.000 s are valid"
SILENT = replace(GOOD, ok=False, reason=STALLED, valid_runtime_s=6.0)


def test_a_ping_pong_that_fell_silent_counts_when_it_measured_half_of_its_time() -> None:
    counts = judged(**{**EXPRESS, "sockperf": SILENT})
    too_short = judged(**{**EXPRESS, "sockperf": replace(SILENT, valid_runtime_s=4.7)})

    assert counts.valid
    assert (too_short.valid, too_short.reason) == (False, "it fell silent after 49% of its time")


def test_traffic_that_waits_for_no_answer_does_not_fall_silent_over_a_lost_message_and_so_fails() -> None:
    under_load = replace(UDP, mode="under-load", rate=100)

    report = judged(**{**EXPRESS, "scenario": under_load, "sockperf": SILENT})

    assert (report.valid, report.reason) == (False, STALLED)


PROVEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a stream": (STREAM, {}),
    "a stream whose counters tell it of one host for each way": (
        STREAM,
        {"srd": replace(SRD_ON, peer_rx=None, rx=None)},
    ),
    "a stream of which a part was lost on its way": (
        {**STREAM, "interfaces": carried_by("ena_express"), "scenario": replace(TCP_RATE, message_size=64)},
        {"srd": replace(SRD_ON, tx=1500, eligible=1500, peer_rx=1090)},
    ),
    "datagrams without answers": (DATAGRAMS, {}),
    "datagrams of which the server received a few": (DATAGRAMS, {"srd": replace(SRD_ON, peer_rx=300), "received": 300}),
    "messages of which every tenth is answered": (
        EXPRESS,
        {
            "scenario": replace(UDP, mode="under-load", rate=100, reply_every=10),
            "sockperf": replace(GOOD, mode="under-load", received=100, observations=100),
            "logged": 100,
            "srd": replace(SRD_ON, rx=100, peer_tx=100, peer_eligible=100),
        },
    ),
    "TCP's messages, which it parts itself": (
        EXPRESS,
        {"scenario": replace(UDP, protocol="tcp", message_size=20_000), "interfaces": None},
    ),
    "a datagram that just fits": (EXPRESS, {"scenario": replace(UDP, message_size=8872), "interfaces": None}),
}


@pytest.mark.parametrize("case", PROVEN)
def test_srd_is_proven_where_a_counter_shows_it_for_each_way(case: str) -> None:
    trial, changes = PROVEN[case]

    report = judged(**{**trial, **changes})

    assert (report.reason, srd_of(report).passed) == (None, True)


UNKNOWN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a datagram larger than a packet": (
        EXPRESS,
        {"scenario": replace(UDP, message_size=8873), "interfaces": None},
        "8,873 bytes goes in fragments, and those by plain ENA",
    ),
    "a datagram larger than a packet, of which fragments show as SRD": (
        EXPRESS,
        {"scenario": replace(UDP, message_size=20_000), "srd": replace(SRD_ON, tx=10), "interfaces": None},
        "fragments",
    ),
    "a datagram of which no fragment was eligible": (
        EXPRESS,
        {
            "scenario": replace(UDP, message_size=20_000),
            "srd": replace(SRD_ON, tx=0, eligible=0),
            "interfaces": None,
        },
        "fragments",
    ),
    "a datagram larger than the interface takes": (
        EXPRESS,
        {"scenario": replace(UDP, message_size=1473), "interfaces": with_mtu(1500)},
        "fragments",
    ),
    "datagrams of a throughput larger than a packet": (
        DATAGRAMS,
        {"scenario": replace(TCP_RATE, protocol="udp", message_size=16_384)},
        "fragments",
    ),
    "bulk datagrams larger than a packet": (
        {**EXPRESS, "received": 9, "interfaces": None},
        {"scenario": replace(UDP, background=Background(protocol="udp", flows=4, message_size=16_384))},
        "16,384 bytes goes in fragments",
    ),
    "the way back of a stream, by an older record": (
        STREAM,
        {"srd": replace(SRD_ON, peer_tx=None, peer_eligible=None)},
        "no counter tells it of what came back",
    ),
    "the way back of messages": (
        EXPRESS,
        {"srd": replace(SRD_ON, peer_tx=None, peer_eligible=None, rx=None)},
        "no counter tells it of what came back",
    ),
    "the way back of the ENA arm": (
        ENA,
        {"srd": replace(SRD_OFF, rx=None)},
        "no counter tells it of what came back",
    ),
    "datagrams of which nobody counted any": (
        DATAGRAMS,
        {"sockperf": replace(RATE, sent=None), "received": None},
        "no counter tells it of what was sent",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_cannot_be_judged_is_unknown_and_says_why(case: str) -> None:
    trial, changes, words = UNKNOWN[case]

    report = judged(**{**trial, **changes})

    assert srd_of(report).passed is None
    assert words in srd_of(report).words
    assert report.valid
