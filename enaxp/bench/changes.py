"""Changes: where a series of values changed, by E-divisive as Apache Otava has it (Matteson and James, 2014, JASA 109, 334-345).

    values in the order of time ─▶ change_points ─▶ where each new level begins, with its p-value

The series is split where both parts differ most in energy distance; a split stays where at most 5 % of the shuffled series have one that
is as clear, and each part is looked at again. No shape of the values is assumed, but that they do not depend on each other: a lab that
wanders changes all the time, and is told so. Otava needs a large part of the Python world, so that it is an extra, and imported here alone.
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
    """A new level. at: the place of the first value of it, from 0."""

    at: int
    p_value: float


def is_installed() -> bool:
    """Whether Otava is there."""
    return importlib.util.find_spec("otava") is not None


def change_points(values: Sequence[float]) -> list[ChangePoint]:
    """The changes of a series, in the order of time; none of fewer than eight values. Raises ImportError without Otava."""
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
