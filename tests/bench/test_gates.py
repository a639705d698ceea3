"""Gates: what makes a trial count, what fails it, and what stays unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from making import GOOD, SRD_OFF, SRD_ON, TCP_RATE, UDP

from enaxp.bench.gates import delivered_gbps, judge
from enaxp.bench.records import InterfaceDelta
from enaxp.bench.schedule import Background
from enaxp.hosts.sockperf import parse

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
    "SRD carried too little": (EXPRESS, {"srd": replace(SRD_ON, tx=980)}, "only 98.00%"),
    "SRD carried nothing": (EXPRESS, {"srd": replace(SRD_ON, tx=0)}, "only 0.00%"),
    "nothing was eligible": (EXPRESS, {"srd": replace(SRD_ON, tx=0, eligible=0)}, "no packet"),
    "SRD is off on the client": (EXPRESS, {"srd": replace(SRD_ON, mode=0)}, "off for UDP on the client"),
    "SRD is on, but not for UDP": (EXPRESS, {"srd": replace(SRD_ON, peer_mode=1)}, "off for UDP on the server"),
    "the server saw no SRD": (EXPRESS, {"srd": replace(SRD_ON, peer_rx=2)}, "next to nothing over SRD"),
    "SRD carried the ENA arm": (ENA, {"srd": replace(SRD_ON, tx=10)}, "10 packets of the ENA arm went over SRD"),
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
    "99 % are enough": (EXPRESS, {"srd": replace(SRD_ON, tx=990)}),
    "a stray packet is not a treatment": (ENA, {"srd": replace(SRD_ON, tx=9)}),
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
    report = judge(**{**EXPRESS, "srd": None, "interfaces": None, "allowances": None})

    assert report.valid
    assert {gate.name for gate in report.gates if gate.passed is None} == {"srd", "interface", "allowances"}


RATE = replace(GOOD, mode="throughput", measures="rate", bandwidth_mbps=9500.0, sent=1000, valid_runtime_s=None)
HALF_LOST = {
    "client": {"ena": InterfaceDelta(rx_packets=0, tx_packets=1000, rx_bytes=0, tx_bytes=1_600_000)},
    "server": {"ena": InterfaceDelta(rx_packets=500, tx_packets=0, rx_bytes=800_000, tx_bytes=0)},
}
UDP_RATE = replace(TCP_RATE, protocol="udp")


@pytest.mark.parametrize(
    ("scenario", "interfaces", "expected"),
    [
        (TCP_RATE, None, 9.5),
        (TCP_RATE, HALF_LOST, 9.5),
        (UDP_RATE, HALF_LOST, 4.75),
        (UDP_RATE, None, None),  # sockperf would print full bandwidth with nobody there
        (UDP, HALF_LOST, None),
    ],
)
def test_throughput_is_what_arrived(scenario: Any, interfaces: Any, expected: float | None) -> None:
    delivered = delivered_gbps(scenario=scenario, arm="ena", sockperf=RATE, interfaces=interfaces)

    assert delivered == expected


def test_a_throughput_trial_needs_no_full_log() -> None:
    trial = {**EXPRESS, "scenario": TCP_RATE, "sockperf": RATE, "logged": None, "interfaces": None}

    assert judge(**trial).valid
