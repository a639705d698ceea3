"""The study: that its truths are true, and a short one of everything it does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from selfcheck.simulation import SHAPES, Size, coverage
from selfcheck.study import KINDS, Bench, Kind, holds, main, read_benches, said, summary, true_pct

needs_sockperf = pytest.mark.skipif(shutil.which("sockperf") is None, reason="sockperf is not installed")


@pytest.mark.thorough
@pytest.mark.parametrize("shape", SHAPES[1:], ids=lambda shape: shape.name)
def test_the_interval_holds_the_truth_as_often_as_it_says(shape: object) -> None:
    """From the latencies of each trial on, by what a bench itself uses. Seeded; the study does the same with more benches."""
    held = coverage(shape, seed=1, size=Size(benches=600, observations=200))  # type: ignore[arg-type]

    assert held == {"p50": pytest.approx(0.95, abs=0.02), "p99": pytest.approx(0.95, abs=0.02)}


def test_the_truth_is_the_share_of_what_was_added_in_each_iteration() -> None:
    """By hand: 20 µs onto 40 and onto 80 are ×1.5 and ×1.25; their geometric mean is the square root of 1.875."""
    quick_and_slow = {"ena": {(1, 1): 40e3, (1, 2): 80e3}, "ena_express": {(1, 1): 60e3, (1, 2): 100e3}}

    slower = true_pct(quick_and_slow, {(1, 1): 20e3, (1, 2): 20e3})
    faster = true_pct(
        {"ena": quick_and_slow["ena_express"], "ena_express": quick_and_slow["ena"]},
        {(1, 1): -20e3, (1, 2): -20e3},
    )

    assert slower == pytest.approx(100 * (1.875**0.5 - 1))
    assert faster == pytest.approx(100 * (1.875**-0.5 - 1))


def test_only_the_arm_that_is_held_back_is_and_both_pass_a_relay() -> None:
    held_back = {kind: [hold.us for hold in holds(kind, us=40).values()] for kind in KINDS}

    assert held_back == {
        "same": [], "slower": [0, 40], "faster": [40, 0], "interface": [0, 40], "together": [0, 40], "toggled": [0, 40],
        "mixed": [0, 40],
        "ena-loses": [0, 0], "express-loses": [0, 0],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "p50", "p99", "worth"),
    [
        ("slower", "slower", "slower", "right"),
        ("slower", "slower", "inconclusive", "undecided"),
        ("slower", "same", "inconclusive", "wrong"),
        ("same", "slightly-faster", "same", "wrong"),
        ("mixed", "slower", "faster", "right"),
        ("interface", "same", "inconclusive", "undecided"),
        ("interface", "slightly-slower", "same", "wrong"),
        ("toggled", "same", "slightly-slower", "wrong"),
        ("together", "slower", "slower", "right"),
        ("ena-loses", "same", "faster", "right"),
        ("ena-loses", "same", "slower", "wrong"),
        ("express-loses", "inconclusive", "slower", "undecided"),
    ],
)
def test_a_bench_is_wrong_as_soon_as_one_of_its_words_is(kind: Kind, p50: str, p99: str, worth: str) -> None:
    assert said(kind, {"p50": p50, "p99": p99}) == worth


def test_a_summary_counts_words_and_truths_by_kind() -> None:
    def bench(kind: Kind, code: str, worth: Any, *, held: bool | None) -> Bench:
        figures = dict.fromkeys(("mean", "p50", "p99"), 0.0)
        return Bench(
            kind=kind,
            code=code,
            said=worth,
            headline="",
            estimate_pct=figures,
            low_pct=figures,
            high_pct=figures,
            true_pct=figures,
            held=dict.fromkeys(figures, held),
            seconds=1,
        )

    found = summary(
        [
            bench("same", "same", "right", held=True),
            bench("same", "slightly-faster", "wrong", held=False),
            bench("same", "inconclusive", "undecided", held=True),
            bench("mixed", "mixed", "right", held=None),
        ]
    )

    assert found == {
        "same": {
            "benches": 3,
            "right": 1,
            "undecided": 1,
            "wrong": 1,
            "codes": ["inconclusive", "same", "slightly-faster"],
            "held": {"mean": 2, "p50": 2, "p99": 2},
        },
        "mixed": {
            "benches": 1,
            "right": 1,
            "undecided": 0,
            "wrong": 0,
            "codes": ["mixed"],
            "held": {"mean": None, "p50": None, "p99": None},
        },
    }


@pytest.mark.e2e
@pytest.mark.namespaces
@needs_sockperf
def test_a_short_study_never_takes_an_arm_that_is_held_back_for_the_faster_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "study.jsonl"
    small = "--iterations 2 --repeats 1 --duration 1 --delay 1000 --minutes 0 --simulated 0 --kinds slower"

    main([*small.split(), "--to", str(to)])

    [bench] = read_benches(to)
    # Two iterations beside other work may leave it undecided, but never make the held-back arm the faster one.
    assert bench.said != "wrong"
    assert bench.code in {"slower", "partial", "inconclusive"}
    assert (bench.estimate_pct["p50"] or 0) > 100
    assert (bench.true_pct["p50"] or 0) > 100
    assert "slower  1 benches, word right in" in capsys.readouterr().out
