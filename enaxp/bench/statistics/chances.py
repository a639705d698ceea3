"""Chances: the probability of each conclusion of a bench, before it is run (a power analysis). Pure.

    effect, spread of one iteration, iterations ─▶ chances ─▶ Chances of each conclusion
    spread in a pilot run ─▶ spread_range ─▶ 80 % range of the true spread ─▶ needed_iterations, smallest_found_pct

The standard deviation of the iterations is itself estimated from few of them, so probabilities are given for both ends of its 80 % range.
They hold if later iterations vary like the earlier ones. They are slightly low: each primary metric is judged at 1 − α/m here, while a
bench uses Holm's procedure, which has a little more power.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from enaxp.bench.statistics.inference import ALPHA, Margin, student_t

MOST_ITERATIONS = 10_000
WANTED = 0.8  # the chance of a firm word, or of finding an effect
POINTS = 200  # at which the distribution of the measured spread is averaged
FEW = 5  # with fewer iterations in a pilot, its spread is given only as a range
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Chances:
    """The probability of each conclusion for one primary latency metric, 0 to 1 (faster means lower). They add up to 1."""

    faster: float
    slower: float
    same: float
    slightly: float
    inconclusive: float

    @property
    def firm(self) -> float:
        """The probability of any firm conclusion: faster, slower or same."""
        return self.faster + self.slower + self.same


@dataclass(frozen=True, kw_only=True)
class Needed:
    """The number of iterations that reach a firm conclusion with probability 0.8, for the low and for the high end of the spread; None if
    that takes more than 10 000, or no number is enough."""

    at_least: int | None
    at_most: int | None


def chances(effect: float, *, spread: float, iterations: int, planned: int, margin: Margin) -> Chances:
    """The probability of each conclusion, given the true effect as a log ratio and the standard deviation of one iteration.

    The measured spread s has s²ν/σ² ~ χ²(ν): the probabilities are averaged over that distribution; given s, the mean is normal.
    """
    from scipy.special import gammaincinv, ndtr

    degrees = iterations - 1
    if degrees < 1:
        return Chances(faster=0, slower=0, same=0, slightly=0, inconclusive=1)
    if spread == 0:
        zone = margin.zone(effect)
        return Chances(
            faster=float(zone == "below"), slower=float(zone == "above"), same=float(zone == "within"), slightly=0, inconclusive=0
        )  # fmt: skip
    middles = (np.arange(POINTS) + 0.5) / POINTS
    seen = spread * np.sqrt(2 * gammaincinv(degrees / 2, middles) / degrees)
    half = student_t(1 - ALPHA / planned / 2, degrees) * seen / math.sqrt(iterations)

    def below(bound: _Floats) -> _Floats:
        """The probability that the mean lies below this value."""
        found: _Floats = ndtr((bound - effect) * math.sqrt(iterations) / spread)
        return found

    slower = 1 - below(margin.high + half)
    faster = below(margin.low - half)
    same = np.maximum(0, below(margin.high - half) - below(margin.low + half))
    excludes_none = (1 - below(half)) + below(-half)
    above = np.maximum(0, below(margin.high - half) - below(np.maximum(half, margin.low + half)))
    under = np.maximum(0, below(np.minimum(-half, margin.high - half)) - below(margin.low + half))
    slightly = np.maximum(0, excludes_none - slower - faster - above - under)
    each = [float(part.mean()) for part in (faster, slower, same, slightly)]
    return Chances(faster=each[0], slower=each[1], same=each[2], slightly=each[3], inconclusive=max(0.0, 1 - sum(each)))


def spread_range(spread: float, *, degrees: float) -> tuple[float, float]:
    """The 80 % interval of the true standard deviation, given an estimate and its degrees of freedom."""
    from scipy.special import gammaincinv

    low, high = (math.sqrt(degrees / (2 * float(gammaincinv(degrees / 2, p)))) for p in (0.9, 0.1))
    return spread * low, spread * high


def needed_iterations(effect: float, *, spread: float, degrees: float, planned: int, margin: Margin) -> Needed:
    """The number of iterations that reach a firm conclusion with probability 0.8 if the effect is this log ratio, for both ends of the
    spread's range."""
    low, high = spread_range(spread, degrees=degrees)
    return Needed(
        at_least=_fewest(effect, spread=low, planned=planned, margin=margin),
        at_most=_fewest(effect, spread=high, planned=planned, margin=margin),
    )


def _fewest(effect: float, *, spread: float, planned: int, margin: Margin) -> int | None:
    """The smallest number of iterations with that probability of a firm conclusion; None where no number reaches it (the effect lies on
    the margin)."""

    def is_enough(iterations: int) -> bool:
        return chances(effect, spread=spread, iterations=iterations, planned=planned, margin=margin).firm >= WANTED

    low, high = 1, 2
    while not is_enough(high):
        low, high = high, 2 * high
        if high > MOST_ITERATIONS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def smallest_found_pct(*, spread: float, iterations: int, planned: int) -> float | None:
    """The smallest effect in per cent whose interval excludes 0 with probability 0.8; None with fewer than two iterations."""
    if iterations < 2:
        return None
    degrees = iterations - 1
    reach = student_t(1 - ALPHA / planned / 2, degrees) + student_t(WANTED, degrees)
    return 100 * math.expm1(min(reach * spread / math.sqrt(iterations), 700.0))
