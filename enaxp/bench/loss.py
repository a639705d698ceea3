"""Loss: how many messages were lost, with an interval over iterations. Pure.

    per iteration: mean over the trials of dropped / wanted ─┬─▶ loss_of (one arm)
                                                            └─▶ loss_difference (ENA Express less ENA)

Losses come in bursts, so that messages are no independent tries: the unit is the iteration, as everywhere. The interval of one arm is
rough all the same (it covers 94 % where loss is steady, down to half of that where it comes in rare bursts).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from enaxp.bench.inference import EXPLORATORY_CONFIDENCE, student_t


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
    if len(rates) < 2:
        return Loss(rate=rate, low=None, high=None)
    middle, half = _mean_and_half(rates)
    return Loss(rate=rate, low=max(0.0, middle - half), high=min(1.0, middle + half))


def loss_difference(iterations: Sequence[tuple[float, float]]) -> LossDifference | None:
    """The difference between the arms from one (ENA, ENA Express) pair of rates per iteration; None with fewer than two."""
    if len(iterations) < 2:
        return None
    middle, half = _mean_and_half([express - ena for ena, express in iterations])
    return LossDifference(difference=middle, low=middle - half, high=middle + half)


def _mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the half width of its 95 % t-interval."""
    count = len(values)
    error = statistics.stdev(values) / math.sqrt(count)
    return statistics.fmean(values), student_t((1 + EXPLORATORY_CONFIDENCE) / 2, count - 1) * error
