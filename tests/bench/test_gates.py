"""Gates: what makes a trial count, what fails it, and what stays unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from enaxp.bench.gates import delivered_gbps, judge
from enaxp.bench.records import InterfaceDelta
from enaxp.hosts.sockperf import parse
from enaxp.traffic import Background
from tests.support.factories import GOOD, SRD_OFF, SRD_ON, TCP_RATE, UDP

BUSY = InterfaceDelta(rx_packets=1100, tx_packets=1100, rx_bytes=116_600, tx_bytes=116_600)
QUIET = InterfaceDelta(rx_packets=3, tx_packets=3, rx_bytes=300, tx_bytes=300)
LOADED = replace(UDP, background=Background(protocol="tcp", flows=4, message_size=1472))


def carried_by(arm: str) -> dict[str, Any]:
    other = "ena" if arm == "ena_express" else "ena_express"
    return {"client": {arm: BUSY, other: QUIET}, "server": {arm: BUSY, other: QUIET}}


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
    report = judge(**trial)

    assert report.valid
    assert report.reason is None
    assert all(gate.passed for gate in report.gates)


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

    report = judge(**{**trial, **changes})

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
    "what does not fit into a packet is not looked at": (
        EXPRESS,
        {
            "scenario": replace(UDP, message_size=20_000),
            "srd": replace(SRD_ON, tx=10),
            "interfaces": None,
        },
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

    assert judge(**{**trial, **changes}).reason is None


def test_absent_counters_are_unknown_which_fails_nothing_and_proves_nothing() -> None:
    report = judge(**{**EXPRESS, "srd": None, "interfaces": None, "allowances": None, "network": None})

    assert report.valid
    assert {gate.name for gate in report.gates if gate.passed is None} == {
        "srd",
        "interface",
        "allowances",
        "network",
    }


RATE = replace(
    GOOD,
    mode="throughput",
    measures="rate",
    bandwidth_mbps=9500.0,
    sent=1000,
    valid_runtime_s=None,
    total_runtime_s=1.0,
)


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
    said = judge(
        **{**EXPRESS, "scenario": scenario, "sockperf": sockperf, "interfaces": None, "received": received}
    ).reason

    assert said is None if reason is None else reason in str(said)


def test_trouble_around_sockperf_is_the_reason_whatever_sockperf_says() -> None:
    assert judge(**{**EXPRESS, "trouble": "it hung"}).reason == "it hung"


def test_a_throughput_trial_needs_no_full_log() -> None:
    trial = {**EXPRESS, "scenario": TCP_RATE, "sockperf": RATE, "logged": None, "interfaces": None}

    assert judge(**trial).valid


STALLED = "replies stopped early: 6.000 s of 10.000 s are valid"
SILENT = replace(GOOD, ok=False, reason=STALLED, valid_runtime_s=6.0)


def test_a_ping_pong_that_fell_silent_counts_when_it_measured_half_of_its_time() -> None:
    counts = judge(**{**EXPRESS, "sockperf": SILENT})
    too_short = judge(**{**EXPRESS, "sockperf": replace(SILENT, valid_runtime_s=4.7)})

    assert counts.valid
    assert (too_short.valid, too_short.reason) == (False, "it fell silent after 49% of its time")


def test_traffic_that_waits_for_no_answer_does_not_fall_silent_over_a_lost_message_and_so_fails() -> None:
    under_load = replace(UDP, mode="under-load", rate=100)

    report = judge(**{**EXPRESS, "scenario": under_load, "sockperf": SILENT})

    assert (report.valid, report.reason) == (False, STALLED)
