"""Randomisation: did SRD do anything in this run? Answered by the order of the trials alone, whatever the noise is like. Pure.

    pairs of trials (which arm ran first, ln of the second trial's quantile against the first's) ─▶ randomisation_p ─▶ p-value

Which arm goes first in a pair is drawn by the scheduler. If SRD changed nothing, another drawing would have given the same figures
with other signs: so the p-value is the share of drawings that give a mean at least as far from 0 as the one that was drawn. It is
exact by design, also where the machine drifts or a second trial is always slower. It says nothing about another run.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from enaxp.bench.schedule import first_arms

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
    """The p-value of no effect at all, two-sided, from 1999 other drawings of the order.

    None where there are too few orders for a p-value below `level`: not more than 2 / level of them.
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
    """In how many ways the scheduler can order the pairs of one iteration."""
    return math.comb(repeats, repeats // 2)


def _signed(pairs: Sequence[PairOutcome]) -> npt.NDArray[np.float64]:
    """The log ratios; where one is not finite, the midranks of their sizes with their signs (0 where both trials are beyond)."""
    ratios = np.array([0.0 if pair.log_ratio is None else pair.log_ratio for pair in pairs])
    if np.all(np.isfinite(ratios)) and all(pair.log_ratio is not None for pair in pairs):
        return ratios
    _, place, counts = np.unique(np.abs(ratios), return_inverse=True, return_counts=True)
    midranks = np.cumsum(counts) - (counts - 1) / 2
    ranked: npt.NDArray[np.float64] = np.sign(ratios) * midranks[place]
    return ranked


@functools.lru_cache(maxsize=8)
def _drawings(repeats: int, iterations: int) -> npt.NDArray[np.float64]:
    """1999 drawings by the scheduler: +1 where ENA goes first, a row each, the pairs of the iterations one after the other."""
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
