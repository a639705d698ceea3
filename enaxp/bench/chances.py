"""Chances: what a bench would say, before it is run. Pure.

    effect, spread of one iteration, iterations ─▶ chances ─▶ Chances of each word
    spread seen in a pilot ─▶ spread_range ─▶ the range in which the true spread lies ─▶ needed_iterations, smallest_found_pct

The spread of the iterations is itself measured from few of them: so chances are told for both ends of its 80 % range, and as long as
later iterations vary like those. In a bench Holm's procedure finds a little more than this, which judges each primary at 1 − α/m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from enaxp.bench.inference import ALPHA, Margin, student_t

MOST_ITERATIONS = 10_000
WANTED = 0.8  # the chance of a firm word, or of finding an effect
POINTS = 200  # at which the distribution of the measured spread is averaged
FEW = 5  # iterations of a pilot, below which its spread is told as a range alone
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Chances:
    """The chance of each word on one primary, 0 to 1, for a latency (faster: lower). Together they are 1."""

    faster: float
    slower: float
    same: float
    slightly: float
    inconclusive: float

    @property
    def firm(self) -> float:
        """Of any firm word."""
        return self.faster + self.slower + self.same


@dataclass(frozen=True, kw_only=True)
class Needed:
    """How many iterations give a firm word four times in five, at the low and at the high end of the spread; None: never, or beyond
    10 000."""

    at_least: int | None
    at_most: int | None


def chances(effect: float, *, spread: float, iterations: int, planned: int, margin: Margin) -> Chances:
    """The chances of the words where the true effect is this log ratio and one iteration has this standard deviation.

    The measured spread s has s²ν/σ² ~ χ²(ν): its distribution is averaged over; the mean given s is normal.
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
        """The chance that the mean lies below it."""
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
    """The 80 % range of the true standard deviation, from one that was measured with so many degrees of freedom."""
    from scipy.special import gammaincinv

    low, high = (math.sqrt(degrees / (2 * float(gammaincinv(degrees / 2, p)))) for p in (0.9, 0.1))
    return spread * low, spread * high


def needed_iterations(effect: float, *, spread: float, degrees: float, planned: int, margin: Margin) -> Needed:
    """How many iterations give a firm word four times in five if the effect is this log ratio, for the range of the spread."""
    low, high = spread_range(spread, degrees=degrees)
    return Needed(
        at_least=_fewest(effect, spread=low, planned=planned, margin=margin),
        at_most=_fewest(effect, spread=high, planned=planned, margin=margin),
    )


def _fewest(effect: float, *, spread: float, planned: int, margin: Margin) -> int | None:
    """The fewest iterations with that chance of a firm word; None where no number has it (the effect lies on the margin)."""

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
    """The smallest effect in per cent whose interval excludes 0 four times in five; None with fewer than two iterations."""
    if iterations < 2:
        return None
    degrees = iterations - 1
    reach = student_t(1 - ALPHA / planned / 2, degrees) + student_t(WANTED, degrees)
    return 100 * math.expm1(min(reach * spread / math.sqrt(iterations), 700.0))
