"""What a reader is warned of, and that quiet runs are left in peace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.bench.judging.stability import dependence_warnings, host_warnings, warnings
from enaxp.bench.run_folder.records import SrdDelta, TrialRecord
from enaxp.bench.statistics.dependence import Dependence
from enaxp.hosts.sockperf import parse

OUTPUT = parse((Path(__file__).parents[2] / "hosts/fixtures/sockperf/3.10/ping-pong-udp.txt").read_text())


def trials(
    medians: list[float],
    *,
    arm: str = "ena",
    out_of_order: int = 0,
    allowances: dict[str, dict[str, int]] | None = None,
    late_sends: int | None = None,
) -> list[TrialRecord]:
    return [
        TrialRecord(
            number=number,
            scenario="udp-latency",
            arm=arm,
            iteration=1,
            repeat=number,
            attempt=1,
            discarded=False,
            command="",
            client_port=1,
            started_at=f"2026-01-01T00:{number:02d}:00",
            wall_s=3.2,
            valid=True,
            reason=None,
            allowances=allowances,
            late_sends=late_sends,
            sockperf=replace(OUTPUT, percentiles_us={"50": median}, dropped=0, out_of_order=out_of_order),
        )
        for number, median in enumerate(medians, start=1)
    ]


def test_a_client_that_falls_behind_its_rate_is_reported() -> None:
    sent = OUTPUT.observations or 0
    assert warnings(trials([30.0] * 3, late_sends=sent // 101)) == []

    [line] = warnings(trials([30.0] * 3, late_sends=sent // 50))

    assert line.startswith("ENA: in 3 of 3 trials the client fell behind its rate: more than 1% of the messages")


def test_a_quiet_run_is_left_in_peace() -> None:
    assert warnings(trials([30.0, 30.1, 29.9, 30.05, 30.0, 29.95, 30.1, 30.0])) == []


@pytest.mark.parametrize(
    ("medians", "says"),
    [
        ([30.0, 30.1, 29.9, 30.05, 30.0, 45.0], "trials 6 lie far"),
        ([30.0, 36.0, 25.0, 33.0, 27.0, 31.0], "scatter by"),
    ],
)
def test_what_is_odd_is_said(medians: list[float], says: str) -> None:
    assert any(says in line for line in warnings(trials(medians)))


def test_disorder_and_allowances_are_said() -> None:
    lines = warnings(
        trials([30.0] * 6, arm="ena_express", out_of_order=2, allowances={"client": {"pps_allowance_exceeded": 3}})
    )

    assert [line.partition(":")[0] for line in lines] == ["ENA Express", "ENA Express"]
    assert "6 trials" in lines[0]
    assert "pps_allowance_exceeded" in lines[1]


def test_of_few_trials_no_scatter_is_said() -> None:
    assert warnings(trials([30.0, 60.0])) == []


def test_a_trial_is_far_off_beyond_ten_standard_deviations() -> None:
    """A median absolute deviation is two thirds of a standard deviation; here it is 0.1."""
    near, far = ([29.9, 30.1, 29.9, 30.1, 30.0, 30.0, 30.0 + 0.1 * times] for times in (14, 15))

    assert not any("lie far" in line for line in warnings(trials(near)))
    assert any("trials 7 lie far" in line for line in warnings(trials(far)))


def test_trials_that_rise_with_time_alone_are_not_warned_of_since_trials_are_no_independent_tries() -> None:
    assert warnings(trials([30.0, 30.0, 30.1, 30.1, 30.2, 30.2, 30.3, 30.3])) == []


FOUND = Dependence(first=0.0, last=0.1, trend_p=0.001, lag_1=0.52, lag_1_p=0.001)


def test_an_effect_that_moves_and_iterations_that_resemble_each_other_are_told_at_the_level_of_a_whole_run() -> None:
    [alike, moved] = dependence_warnings({"p99": FOUND, "p50": None}, planned=2)

    assert alike.startswith(
        "neighbouring iterations resemble each other at p99 (r = 0.52): the interval is too narrow, perhaps by 1.8"
    )
    assert moved == "the effect at p99 moved from 0.00% to +10.5% (fitted): the figure is the average".replace(
        "0.00%", "+0.00%", 1
    )
    assert dependence_warnings({"p99": FOUND}, planned=30) == []  # 0.001 is more than 5 % / 60


def test_throughput_scatters_too() -> None:
    rates = [replace(trial, throughput_gbps=9.0 + 3 * (trial.number % 2)) for trial in trials([30.0] * 6)]

    assert any("scatter by" in line for line in warnings(rates))


def test_srd_near_the_end_of_its_memory_is_said() -> None:
    full = [
        replace(trial, srd=SrdDelta(tx=9, eligible=9, resources_pct=93)) for trial in trials([30.0], arm="ena_express")
    ]

    assert warnings(full) == [
        "ENA Express: 93% of the memory for SRD connections was in use; near 100% packets go by plain ENA"
    ]


def test_what_happened_to_the_hosts_is_said_by_host_and_fact() -> None:
    before = {
        "server": {"kernel": "6.1", "load": "0.1", "cpu_times": "cpu  100 0 50 1000 0 0 0 0 0 0"},
        "client": {"ena.counters": "  tx_timeout: 0\n  total_resets: 1", "cpu_times": "cpu  1 0 1 1 0 0 0 0 0 0"},
    }
    after = {
        "server": {"kernel": "6.2", "load": "2.0", "cpu_times": "cpu  500 0 250 2000 0 0 0 20 0 0"},
        "client": {"ena.counters": "  tx_timeout: 0\n  total_resets: 3", "cpu_times": "cpu  9 0 9 9 0 0 0 0 0 0"},
    }

    assert host_warnings(before, after) == [
        "the server lost 1.2% of its CPU time to others on the same machine (steal)",
        "the client's devices had troubles: ena total_resets +2",
        "the hosts are not what they were before the run: server: kernel changed",
    ]
    assert host_warnings(before, before) == host_warnings(before, {}) == host_warnings({}, {}) == []
