"""Over pairs: statistics with the host pair as the unit, because pairs differ by more than the iterations within one do. Pure.

    mean log ratio of each pair (units.RunMean) ─▶ over_pairs ─▶ OverPairs: mean effect, prediction for the next pair, heterogeneity
    the same of two variants ─▶ between_variants ─▶ Location of their difference

With y_p the mean of pair p, P pairs, S their standard deviation: the mean effect is known to ± a·t(P − 1)·S/√P, and what the next pair
would measure in such a bench to ± b·t(P − 1)·S·√(1 + 1/P). Each pair counts once, however many iterations it has. Both are intervals of
Student's t, widened by what pairs that differ to one side need (a and b, skew.py); that of the mean needs no model of how pairs and
iterations vary, since S holds both. Fewer than three pairs tell too little of S: they have no interval.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enaxp.bench.fleet.skew import allowance_of_mean, allowance_of_next_pair
from enaxp.bench.statistics.inference import Location, RatioSample, location, student_t, welch
from enaxp.bench.statistics.units import RunMean

FEWEST_PAIRS = 3  # for an interval over pairs
FEWEST_TO_STAND_OUT = 4
NEXT_PAIR_CONFIDENCE = 0.95
STANDS_OUT = 0.05  # how often some pair is named, where all are alike and normal
MOST_UNEVEN = 4  # how many times the iterations of one pair may be another's before it is said
MOST_UNEQUAL = 4  # how many times the pairs of one variant may be another's for an interval of their difference


@dataclass(frozen=True, kw_only=True)
class OverPairs:
    """One figure over the pairs of a variant, as log ratios.

    where: the mean effect, its error widened; None with fewer than FEWEST_PAIRS pairs. between: the standard deviation of the pairs' true
    effects, as far as it can be told: what is left of S when the pairs' own standard errors are taken off. i2: the share of S² that it
    is, 0 to 1. Both None where a pair's own error is not known. standing_out: the pairs that do not fit to the others, by name.
    """

    pairs: Mapping[str, RunMean]
    where: Location | None
    between: float | None
    i2: float | None
    standing_out: tuple[str, ...]

    @property
    def sample(self) -> RatioSample:
        """One ratio of each pair, to be decided over."""
        return _sample([pair.mean for pair in self.pairs.values()])

    @property
    def mean(self) -> float | None:
        """The mean of the pairs, each with equal weight; None without pairs."""
        return statistics.fmean(pair.mean for pair in self.pairs.values()) if self.pairs else None

    def mean_without(self, name: str) -> float:
        """The mean of all pairs except this one."""
        return statistics.fmean(_others(self.pairs, name))

    @property
    def is_uneven(self) -> bool:
        """Whether one pair has more than MOST_UNEVEN times the iterations of another; all have equal weight nevertheless."""
        counts = [pair.iterations for pair in self.pairs.values()]
        return bool(counts) and max(counts) > MOST_UNEVEN * min(counts)

    def next_pair(self, *, confidence: float = NEXT_PAIR_CONFIDENCE) -> tuple[float, float] | None:
        """The prediction interval for one more pair in such a bench; None if there is none."""
        if self.where is None:
            return None
        half = student_t((1 + confidence) / 2, self.where.degrees) * self.where.spread
        half *= math.sqrt(1 + 1 / len(self.pairs)) * allowance_of_next_pair(len(self.pairs))
        return self.where.mean - half, self.where.mean + half


def over_pairs(pairs: Mapping[str, RunMean]) -> OverPairs:
    """What the pairs of one variant say together of one figure. Pairs without a mean are not among them."""
    means = [pair.mean for pair in pairs.values()]
    where = location(_sample(means)) if len(means) >= FEWEST_PAIRS else None
    between, i2 = _heterogeneity(pairs, where)
    return OverPairs(pairs=pairs, where=where, between=between, i2=i2, standing_out=standing_out(pairs))


def standing_out(pairs: Mapping[str, RunMean]) -> tuple[str, ...]:
    """The pairs outside the others' prediction interval, at level 1 − 5 %/P each; the farthest first.

    t_p = (y_p − mean of the others)/(S of the others·√(1 + 1/(P − 1))) against t(1 − .025/P, P − 2). In 5 % of fleets of normal pairs one
    is named though all are alike, and far more often where pairs are skewed: a reason to look at a pair, none to leave it out.
    """
    count = len(pairs)
    if count < FEWEST_TO_STAND_OUT:
        return ()
    limit = student_t(1 - STANDS_OUT / 2 / count, count - 2)
    distances = {name: _distance(pairs, name) for name in pairs}
    return tuple(name for name in sorted(pairs, key=lambda one: -distances[one]) if distances[name] > limit)


def between_variants(one: Sequence[float], other: Sequence[float]) -> Location | None:
    """How far the pairs of the other variant lie from those of the first, by Welch's t; None with fewer than FEWEST_PAIRS of either, or
    over MOST_UNEQUAL times as many of one as of the other.

    Not widened: what makes pairs of both differ to one side is in both means, and leaves their difference. With very unequal numbers it
    does not, and no widening is enough: then there is no interval.
    """
    fewer, more = sorted((len(one), len(other)))
    if fewer < FEWEST_PAIRS or more > MOST_UNEQUAL * fewer:
        return None
    difference = statistics.fmean(other) - statistics.fmean(one)
    if statistics.variance(one) == statistics.variance(other) == 0:
        return Location(mean=difference, error=0.0, degrees=len(one) + len(other) - 2, spread=0.0)
    error, degrees = welch(one, other)
    spread = math.sqrt(statistics.fmean([statistics.variance(one), statistics.variance(other)]))
    return Location(mean=difference, error=error, degrees=degrees, spread=spread)


def _sample(means: Sequence[float]) -> RatioSample:
    return RatioSample(ratios=tuple(means), widening=allowance_of_mean(len(means)))


def _distance(pairs: Mapping[str, RunMean], name: str) -> float:
    """The distance of a pair from the others, in standard errors of their prediction."""
    others = _others(pairs, name)
    away = abs(pairs[name].mean - statistics.fmean(others))
    spread = statistics.stdev(others) * math.sqrt(1 + 1 / len(others))
    return away / spread if spread > 0 else math.inf if away > 1e-12 else 0.0


def _others(pairs: Mapping[str, RunMean], name: str) -> list[float]:
    return [pair.mean for other, pair in pairs.items() if other != name]


def _heterogeneity(pairs: Mapping[str, RunMean], where: Location | None) -> tuple[float | None, float | None]:
    """√max(0, S² − mean of SE_p²), and that squared as a share of S²."""
    errors = [pair.error for pair in pairs.values() if pair.error is not None]
    if where is None or len(errors) < len(pairs):
        return None, None
    between = max(0.0, where.spread**2 - statistics.fmean(error**2 for error in errors))
    return math.sqrt(between), between / where.spread**2 if between > 0 else 0.0
