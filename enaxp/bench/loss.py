"""Loss: how many messages were lost, with an interval over iterations. Pure.

    per iteration: mean over the trials of dropped / wanted ─┬─▶ loss_of (one arm)
                                                            └─▶ loss_difference (ENA Express less ENA)

Losses come in bursts, so that messages are no independent tries: the unit is the iteration, as everywhere. The interval of one arm is
rough all the same (it covers 94 % where loss is steady, down to half of that where it comes in rare bursts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from enaxp.bench.inference import EXPLORATORY_CONFIDENCE, location_of


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A rate of loss, 0 to 1, with its 95 % interval; None where there are too few iterations for one."""

    rate: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class LossDifference:
    """By how much more ENA Express lost than ENA, as a rate (below 0: less), with its 95 % interval. Exploratory."""

    difference: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def loss_of(rates: Sequence[float], *, lost: int, wanted: int) -> Loss | None:
    """The loss of one arm from its rate in each iteration. `lost` of `wanted` messages in all; None where nothing was wanted.

    The t-interval is cut off at 0. Where nothing was lost at all it would be a point: then it is [0, 3/n], the rule of three.
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
