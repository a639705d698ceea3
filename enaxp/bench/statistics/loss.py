"""Loss: the rate of lost messages, with an interval over iterations. Pure.

    per iteration: mean over the trials of dropped / wanted ─┬─▶ loss_of (one arm)
                                                            └─▶ loss_difference (ENA Express less ENA)

Losses come in bursts, so messages are not independent: the unit is the iteration, as everywhere. The interval of one arm is still
approximate (its coverage is 94 % for steady loss, and down to half of that for rare bursts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from enaxp.bench.statistics.inference import EXPLORATORY_CONFIDENCE, location_of


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss rate, 0 to 1, with its 95 % interval; the interval is None with too few iterations."""

    rate: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class LossDifference:
    """The difference of loss rates, ENA Express minus ENA (negative: ENA Express lost less), with its 95 % interval. Exploratory."""

    difference: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def loss_of(rates: Sequence[float], *, lost: int, wanted: int) -> Loss | None:
    """The loss of one arm from its rate in each iteration. In total `lost` of `wanted` messages were lost; None if no reply was expected.

    The t-interval is truncated at 0. If nothing was lost it would be a point; then it is [0, 3/n] (rule of three).
    """
    if not wanted or not rates:
        return None
    rate = lost / wanted
    if lost == 0:
        return Loss(rate=0.0, low=0.0, high=min(1.0, 3 / wanted))
    where = location_of(rates)
    if where is None:
        return Loss(rate=rate, low=None, high=None)
    low, high = where.interval(confidence=EXPLORATORY_CONFIDENCE)
    return Loss(rate=rate, low=max(0.0, low), high=min(1.0, high))


def loss_difference(iterations: Sequence[tuple[float, float]]) -> LossDifference | None:
    """The difference between the arms from one (ENA, ENA Express) pair of rates per iteration; None with fewer than two."""
    where = location_of([express - ena for ena, express in iterations])
    if where is None:
        return None
    low, high = where.interval(confidence=EXPLORATORY_CONFIDENCE)
    return LossDifference(difference=where.mean, low=low, high=high)
