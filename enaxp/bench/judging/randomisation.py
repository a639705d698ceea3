"""Randomisation: did SRD have any effect in this run? A randomisation test on the order of the trials; it assumes nothing about the
noise. Pure.

    pairs of trials (which arm ran first, ln of the second trial's quantile against the first's) ─▶ randomisation_p ─▶ p-value

The scheduler draws at random which arm goes first in a pair. If SRD had no effect, another draw would have given the same figures with
other signs: so the p-value is the share of draws whose mean is at least as far from 0 as that of the actual draw. It is exact by design,
even if the machine drifts or the second trial of a pair is always slower. It says nothing about other runs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from enaxp.bench.planning.schedule import first_arms

DRAWINGS = 1999
SEEDS_FROM = 1  # fixed: a result that is worked out again is the same


@dataclass(frozen=True, kw_only=True)
class PairOutcome:
    """One counted pair of trials. `log_ratio`: ln(second trial / first) of a quantile; ±∞ where one lies among the lost messages,
    None where both do."""

    iteration: int
    repeat: int
    ena_first: bool
    log_ratio: float | None


def randomisation_p(pairs: Sequence[PairOutcome], *, repeats: int, iterations: int, level: float) -> float | None:
    """The two-sided p-value of the hypothesis of no effect at all, from 1999 other draws of the order.

    None if there are too few possible orders for a p-value below `level`: at most 2 / level.
    """
    if not pairs or possible_orders(repeats) ** iterations <= 2 / level:
        return None
    effects = _signed(pairs)
    signs = np.array([1.0 if pair.ena_first else -1.0 for pair in pairs])
    seen = abs(float(signs @ effects))
    places = [(pair.iteration - 1) * repeats + pair.repeat - 1 for pair in pairs]
    others = np.abs(_drawings(repeats, iterations)[:, places] @ effects)
    return (1 + int(np.count_nonzero(others >= seen * (1 - 1e-12)))) / (DRAWINGS + 1)


def possible_orders(repeats: int) -> int:
    """The number of ways in which the scheduler can order the pairs of one iteration."""
    return math.comb(repeats, repeats // 2)


def _signed(pairs: Sequence[PairOutcome]) -> npt.NDArray[np.float64]:
    """The log ratios; if one is not finite, the signed midranks of their absolute values (0 where both trials are beyond measurement)."""
    ratios = np.array([0.0 if pair.log_ratio is None else pair.log_ratio for pair in pairs])
    if np.all(np.isfinite(ratios)) and all(pair.log_ratio is not None for pair in pairs):
        return ratios
    _, place, counts = np.unique(np.abs(ratios), return_inverse=True, return_counts=True)
    midranks = np.cumsum(counts) - (counts - 1) / 2
    ranked: npt.NDArray[np.float64] = np.sign(ratios) * midranks[place]
    return ranked


@functools.lru_cache(maxsize=8)
def _drawings(repeats: int, iterations: int) -> npt.NDArray[np.float64]:
    """1999 draws of the scheduler, one per row, over the pairs of all iterations: +1 where ENA goes first, else −1."""
    return np.array(
        [
            [
                1.0 if first == "ena" else -1.0
                for iteration in range(1, iterations + 1)
                for first in first_arms(seed=seed, iteration=iteration, repeats=repeats, scenario="")[1:]
            ]
            for seed in range(SEEDS_FROM, SEEDS_FROM + DRAWINGS)
        ]
    )
