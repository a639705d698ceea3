"""What a reader is warned of, and that quiet runs are left in peace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.bench.records import TrialRecord
from enaxp.bench.stability import warnings
from enaxp.hosts.sockperf import parse

OUTPUT = parse((Path(__file__).parents[1] / "hosts/fixtures/sockperf/3.10/ping-pong-udp.txt").read_text())


def trials(
    medians: list[float],
    *,
    arm: str = "ena",
    out_of_order: int = 0,
    allowances: dict[str, dict[str, int]] | None = None,
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
            sockperf=replace(OUTPUT, percentiles_us={"50": median}, dropped=0, out_of_order=out_of_order),
        )
        for number, median in enumerate(medians, start=1)
    ]


def test_a_quiet_run_is_left_in_peace() -> None:
    assert warnings(trials([30.0, 30.1, 29.9, 30.05, 30.0, 29.95, 30.1, 30.0])) == []


@pytest.mark.parametrize(
    ("medians", "says"),
    [
        ([30.0, 30.1, 29.9, 30.05, 30.0, 45.0], "trials 6 lie far"),
        ([30.0, 36.0, 25.0, 33.0, 27.0, 31.0], "scatter by"),
        ([30.0 + n / 10 for n in range(12)], "rise with time"),
        ([30.0 - n / 10 for n in range(12)], "fall with time"),
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
