"""Changes: change points of a series of values, by E-divisive as implemented in Apache Otava (Matteson and James, 2014, JASA 109,
334-345).

    values in time order ─▶ change_points ─▶ the index at which each new level begins, with its p-value

The series is split where both parts differ most in energy distance. A split is kept if at most 5 % of shuffled series have one at least
as clear; then each part is searched again. No distribution of the values is assumed, only that they are independent: a lab whose level
drifts slowly is reported as many changes. Otava has many dependencies, so it is an optional extra and is imported only here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 8  # values, below which even the clearest split is too often one by chance
LEVEL = 0.05  # of a series that does not change: the chance that a change is seen in it
SHUFFLES = 499
INSTALL_IT = "install enaxp with its extra `trend`, as in pip install '.[trend]'"


@dataclass(frozen=True, kw_only=True)
class ChangePoint:
    """A new level of the series. at: the index of its first value, from 0."""

    at: int
    p_value: float


def is_installed() -> bool:
    """Whether Otava is installed."""
    return importlib.util.find_spec("otava") is not None


def change_points(values: Sequence[float]) -> list[ChangePoint]:
    """The change points of a series, in time order; none with fewer than eight values. Raises ImportError without Otava."""
    import numpy as np
    from otava.change_point_divisive.calculator import PairDistanceCalculator
    from otava.change_point_divisive.detector import ChangePointDetector
    from otava.change_point_divisive.significance_test import PermutationsSignificanceTester

    if len(values) < FEWEST or min(values) == max(values):
        return []
    series = np.array(values, dtype=np.float64)
    seed = series.view(
        np.uint32
    ).tolist()  # of the values themselves: the same runs have the same changes, and no others the same shuffles
    # Its p-value is the share of the shuffles alone, without the series itself among them.
    own = 1 / (SHUFFLES + 1)
    tester = PermutationsSignificanceTester(
        max_pvalue=LEVEL - own, permutations=SHUFFLES, calculator=PairDistanceCalculator, seed=seed
    )
    detector = ChangePointDetector(significance_tester=tester, calculator=PairDistanceCalculator)
    found = detector.get_change_points(series=series)
    return [
        ChangePoint(at=int(one.index), p_value=float(one.stats.pvalue) + own)
        for one in sorted(found, key=lambda one: int(one.index))
    ]
