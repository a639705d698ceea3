"""Chances: those of tables that were worked out elsewhere, and of runs that are simulated here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from enaxp.bench.statistics.chances import Chances, chances, needed_iterations, smallest_found_pct, spread_range
from enaxp.bench.statistics.inference import Margin, RatioSample, decide

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "chance_cases.yaml").read_text())
MARGIN = Margin.of(2.0)


def per_cent(found: Chances) -> list[float]:
    return [100 * part for part in (found.slower, found.slightly, found.same, found.inconclusive)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"SD {case['sd_pct']} %, I = {case['iterations']}")
def test_the_chances_are_those_of_the_table(case: dict[str, Any]) -> None:
    for part, expected in zip((0, 0.5, 1, 2), case["words"], strict=True):
        found = chances(
            part * MARGIN.high,
            spread=case["sd_pct"] / 100,
            iterations=case["iterations"],
            planned=2,
            margin=MARGIN,
        )

        # "slightly" of no effect comes as often one way as the other; the table rounds to whole per cents
        assert per_cent(found) == pytest.approx(expected, abs=1.6)
        assert sum(per_cent(found)) + 100 * found.faster == pytest.approx(100)


def test_the_chances_are_those_of_simulated_runs() -> None:
    rng, effect = np.random.default_rng(1), math.log1p(0.05)
    findings = [
        decide([RatioSample(ratios=tuple(row))], margin=MARGIN, planned=2)[0].finding
        for row in rng.normal(effect, 0.04, size=(2000, 8)).tolist()
    ]

    found = chances(effect, spread=0.04, iterations=8, planned=2, margin=MARGIN)

    assert found.slower == pytest.approx(findings.count("above") / 2000, abs=0.035)
    assert found.inconclusive == pytest.approx(findings.count("undecided") / 2000, abs=0.035)


@pytest.mark.parametrize(
    ("pilot", "low", "high"), [(3, 0.66, 3.08), (4, 0.69, 2.27), (5, 0.72, 1.94), (8, 0.76, 1.57), (20, 0.84, 1.28)]
)
def test_what_a_pilot_does_not_know_of_its_spread_is_that_of_the_table(pilot: int, low: float, high: float) -> None:
    assert spread_range(1.0, degrees=pilot - 1) == pytest.approx((low, high), abs=0.006)


@pytest.mark.parametrize(
    ("sd_pct", "part", "needed"),
    [(2, 0, 16), (2, 0.5, 42), (2, 1, None), (2, 2, 13), (2, 4, 4), (5, 0, 81), (5, 2, 64)],
)
def test_the_iterations_for_a_firm_word_are_those_of_the_table_and_none_on_the_margin(
    sd_pct: float, part: float, needed: int | None
) -> None:
    sure = 1e7  # degrees of freedom: the spread is known
    found = needed_iterations(part * MARGIN.high, spread=sd_pct / 100, degrees=sure, planned=2, margin=MARGIN)

    assert found.at_least == (None if needed is None else pytest.approx(needed, abs=1))
    assert found.at_most == (None if needed is None else pytest.approx(needed, abs=1))


def test_a_pilot_of_few_iterations_gives_a_wide_range() -> None:
    found = needed_iterations(0.0, spread=0.02, degrees=2, planned=2, margin=MARGIN)

    assert found.at_least is not None
    assert found.at_most is not None
    assert found.at_most > 5 * found.at_least


def test_the_smallest_effect_that_is_found_shrinks_with_the_root_of_the_iterations() -> None:
    few, many = (smallest_found_pct(spread=0.02, iterations=count, planned=2) for count in (100, 400))

    assert few is not None
    assert many is not None
    assert few / many == pytest.approx(2, rel=0.03)
    assert smallest_found_pct(spread=0.02, iterations=1, planned=2) is None
