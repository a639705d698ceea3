"""Inference: from one log ratio per iteration to an interval and a conclusion. Pure.

    log ratios of each primary of a run ─▶ Sample ─▶ decide (all primaries at once) ─▶ Decision (conclusion, interval, level, p-value)
    log ratios of one exploratory figure ─▶ Sample ─▶ explore ─────────────────────────────────┘

A log ratio is d_i = ln(ENA Express / ENA) of iteration i. It is +∞ where only ENA Express's quantile is beyond measurement (it falls
among the lost messages), −∞ where only ENA's is, and None (unknown) where both are. If all ratios are finite, the interval is Student's
t. Otherwise it is an interval of order statistics, for the median iteration: a lost message is later than every other, by an unknown
amount.

In a run that was crossed over half way, the first half measures the effect plus that of the interface, the second half the effect minus
it. So the estimate is the mean of the two halves' means, and the standard deviation is taken within the halves: both are free of the
interface's own difference.

The conclusions of a run are decided together: with m primary metrics, the probability of any wrong one in a run is at most 5 %.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

LogRatio = float | None
Zone = Literal["below", "within", "above"]  # of the margin, as log ratios
Finding = Literal["below", "slightly-below", "within", "slightly-above", "above", "undecided"]

ALPHA = 0.05  # the chance of any wrong word in a run
EXPLORATORY_CONFIDENCE = 0.95  # of exploratory figures: each at its own level, so some will be wrong
FEW_ITERATIONS = 5  # up to here a direction needs the randomisation test, too


@dataclass(frozen=True, kw_only=True)
class Margin:
    """The smallest difference of practical interest, as log ratios: from ln(1 − M/100) to ln(1 + M/100)."""

    low: float
    high: float

    @classmethod
    def of(cls, margin_pct: float) -> Margin:
        return cls(low=math.log1p(-margin_pct / 100), high=math.log1p(margin_pct / 100))

    def zone(self, ratio: float) -> Zone:
        """The zone of a log ratio: below, within or above the margin."""
        return "below" if ratio < self.low else "above" if ratio > self.high else "within"


@dataclass(frozen=True, kw_only=True)
class RatioSample:
    """The log ratios of one figure, one per iteration.

    crossed: for each iteration, whether the interfaces had swapped arms; empty if they never did. thin: too few observations lie beyond
    the quantile for any conclusion. randomisation_p: the p-value of the randomisation test, None if not computed. widening: the factor on
    the standard error, and so on the interval and on the distance that a word needs; it does not concern ranks.
    """

    ratios: tuple[LogRatio, ...]
    crossed: tuple[bool, ...] = ()
    thin: bool = False
    randomisation_p: float | None = None
    widening: float = 1.0

    @property
    def is_finite(self) -> bool:
        return all(ratio is not None and math.isfinite(ratio) for ratio in self.ratios)

    @property
    def finite(self) -> list[float]:
        return [ratio for ratio in self.ratios if ratio is not None and math.isfinite(ratio)]

    @property
    def halves(self) -> tuple[list[float], list[float]] | None:
        """The finite ratios before and after the interfaces swapped arms; None if one of the two is empty."""
        if not self.crossed:
            return None
        told = [(ratio, crossed) for ratio, crossed in zip(self.ratios, self.crossed, strict=True) if ratio is not None]
        first = [ratio for ratio, crossed in told if not crossed and math.isfinite(ratio)]
        second = [ratio for ratio, crossed in told if crossed and math.isfinite(ratio)]
        return (first, second) if first and second else None

    @property
    def needs_randomisation(self) -> bool:
        """Whether a direction (faster, slower) also needs the randomisation test: with few iterations, a state that only some are in may
        be missed."""
        return len(self.ratios) <= FEW_ITERATIONS

    def may_have_direction(self, *, level: float) -> bool:
        """Whether a direction may be claimed at this level: the randomisation test passes, is not needed, or was not computed."""
        return _gate(self) <= level


@dataclass(frozen=True, kw_only=True)
class Location:
    """The location of values, one per iteration (usually log ratios): mean, standard error of the mean, degrees of freedom. spread: the
    standard deviation of one iteration."""

    mean: float
    error: float
    degrees: float
    spread: float

    def interval(self, *, confidence: float) -> tuple[float, float]:
        """Student's t-interval of the mean."""
        half = student_t((1 + confidence) / 2, self.degrees) * self.error
        return self.mean - half, self.mean + half

    def at(self, mean: float) -> Location:
        """The same standard error and degrees of freedom around another mean."""
        return replace(self, mean=mean)

    def widened(self, by: float) -> Location:
        """The same with a standard error that is multiplied."""
        return replace(self, error=by * self.error)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The conclusion about one figure. `low` and `high`: the interval as log ratios at `confidence`, ±∞ where unbounded, None where there
    is none. `p`: the smallest level at which the interval gives a firm conclusion (None where it is not decided by an interval)."""

    finding: Finding
    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    p: float | None = None


def decide(samples: Sequence[RatioSample], *, margin: Margin, planned: int, alpha: float = ALPHA) -> list[Decision]:
    """The decisions on a run's primary metrics, in the order given. `planned`: the number m of primary metrics in the plan.

    Firm conclusions (below, within, above) by Holm's procedure (S. Holm, 1979, Scand. J. Statist. 6, 65-70): sorted by p, the r-th is firm
    while p ≤ α/(m − r + 1). `within` is two one-sided tests (D. J. Schuirmann, 1987). All others are judged at the level 1 − α/m, where
    an interval that excludes 0 gives `slightly`. Each interval is reported at the level at which its conclusion was reached.
    """
    if planned < len(samples):
        raise ValueError(f"{len(samples)} primaries, but only {planned} planned")
    tested = [_firm(sample, margin) for sample in samples]
    decisions: dict[int, Decision] = {}
    for rank, index in enumerate(sorted(range(len(samples)), key=lambda i: tested[i][0])):
        p, zone = tested[index]
        level = alpha / (planned - rank)
        if p > level or zone is None:
            break
        decisions[index] = _decision(samples[index], zone, confidence=1 - level, p=p)
    for index, sample in enumerate(samples):
        if index not in decisions:
            decisions[index] = _undecided(sample, confidence=1 - alpha / planned, p=tested[index][0])
    return [decisions[index] for index in range(len(samples))]


def explore(sample: RatioSample, *, margin: Margin, confidence: float = EXPLORATORY_CONFIDENCE) -> Decision:
    """The decision on one exploratory figure by itself, at its own level."""
    p, zone = _firm(sample, margin)
    if zone is not None and p <= 1 - confidence:
        return _decision(sample, zone, confidence=confidence, p=p)
    return _undecided(sample, confidence=confidence, p=p)


def estimate(sample: RatioSample) -> float | None:
    """The mean of the log ratios, or their median if one is not finite; None if the median is not finite either."""
    if not sample.ratios:
        return None
    if sample.is_finite:
        halves = sample.halves
        return statistics.fmean(map(statistics.fmean, halves)) if halves else statistics.fmean(sample.finite)
    low, high = (sorted(_with_unknown(sample, value)) for value in (-math.inf, math.inf))
    middles = {_median(low), _median(high)}
    [middle] = middles if len(middles) == 1 else [math.inf]
    return middle if math.isfinite(middle) else None


def interval(sample: RatioSample, *, confidence: float) -> tuple[float, float] | None:
    """The interval of the log ratios; None where there are too few iterations for one.

    All finite: the t-interval of the mean, or of the mean of both halves. Otherwise [d_(k), d_(I+1−k)], with k the largest for which
    2·P(Bin(I, ½) ≤ k − 1) ≤ 1 − confidence: it covers the median iteration at least that often, for any distribution. An unknown ratio
    counts as −∞ for the lower end and as +∞ for the upper end.
    """
    count = len(sample.ratios)
    if sample.is_finite:
        where = location(sample)
        return where.interval(confidence=confidence) if where else None
    k = _rank(count, confidence)
    if k == 0:
        return None
    return sorted(_with_unknown(sample, -math.inf))[k - 1], sorted(_with_unknown(sample, math.inf))[count - k]


def location_of(values: Sequence[float]) -> Location | None:
    """The location of independent values; None with fewer than two."""
    if len(values) < 2:
        return None
    spread = statistics.stdev(values)
    return Location(
        mean=statistics.fmean(values), error=spread / math.sqrt(len(values)), degrees=len(values) - 1, spread=spread
    )


def welch(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The standard error of the difference of two means and its degrees of freedom; needs at least two values in each group.

    The variances may differ (B. L. Welch, 1947, Biometrika 34, 28-35; the degrees are Satterthwaite's).
    """
    parts = [statistics.variance(values) / len(values) for values in (one, other)]
    total = sum(parts)
    if total == 0:
        return 0.0, float(len(one) + len(other) - 2)
    shares = [part / total for part in parts]  # squared, the parts themselves might be too small for a float
    degrees = 1 / sum(share**2 / (len(values) - 1) for share, values in zip(shares, (one, other), strict=True))
    return math.sqrt(total), degrees


def location(sample: RatioSample) -> Location | None:
    """The location of the finite ratios, its error times the sample's widening; None with fewer than two, or in a crossed-over run fewer
    than two in a half.

    Crossed over: mean of the half means (m₁ + m₂)/2, with the pooled standard deviation s_p and I − 2 degrees,
    SE = (s_p/2)·√(1/n₁ + 1/n₂): least squares with an indicator of the half. If the halves' sizes differ by more than one iteration,
    Welch's standard error and degrees of freedom are used, because the variances may differ.
    """
    halves = sample.halves
    where = location_of(sample.finite) if halves is None else _location_of_halves(*halves)
    return where.widened(sample.widening) if where else None


def interface_location(sample: RatioSample) -> Location | None:
    """The effect of the interface itself, or a drift between the halves: half of their difference, (m₁ − m₂)/2, with the standard error
    of the mean.

    None if the run was not crossed over, a half has too few iterations, or a ratio is not finite.
    """
    halves, where = sample.halves, location(sample)
    if halves is None or where is None or not sample.is_finite:
        return None
    first, second = map(statistics.fmean, halves)
    return where.at((first - second) / 2)


def fewest_for_ranks(confidence: float) -> int:
    """The smallest number of iterations for which an order-statistics interval exists at this level."""
    return next(count for count in range(2, 1000) if _rank(count, confidence) > 0)


def _location_of_halves(first: Sequence[float], second: Sequence[float]) -> Location | None:
    """The mean of both halves' means; None where one has fewer than two ratios."""
    if min(len(first), len(second)) < 2:
        return None
    halves = (first, second)
    mean = statistics.fmean(map(statistics.fmean, halves))
    squares = [statistics.variance(half) * (len(half) - 1) for half in halves]
    degrees = len(first) + len(second) - 2
    spread = math.sqrt(sum(squares) / degrees)
    if abs(len(first) - len(second)) <= 1:
        error = spread / 2 * math.sqrt(1 / len(first) + 1 / len(second))
        return Location(mean=mean, error=error, degrees=degrees, spread=spread)
    error, welch_degrees = welch(first, second)
    return Location(mean=mean, error=error / 2, degrees=welch_degrees, spread=spread)


def _firm(sample: RatioSample, margin: Margin) -> tuple[float, Zone | None]:
    """The smallest level at which the sample's interval gives a firm conclusion, and its zone; (1, None) if there is none."""
    if sample.thin or len(sample.ratios) < 2:
        return 1.0, None
    where = location(sample) if sample.is_finite else None
    if where is None and sample.is_finite:
        return 1.0, None
    p, zone = _firm_by_t(where, margin) if where else _firm_by_ranks(sample, margin)
    if zone != "within":
        p = max(p, _gate(sample))
    return p, zone


def _firm_by_t(where: Location, margin: Margin) -> tuple[float, Zone]:
    distance = min(abs(where.mean - margin.low), abs(where.mean - margin.high))
    if where.error == 0:
        return (0.0 if distance > 0 else 1.0), margin.zone(where.mean)
    return 2 * _beyond(distance / where.error, where.degrees), margin.zone(where.mean)


def _firm_by_ranks(sample: RatioSample, margin: Margin) -> tuple[float, Zone]:
    """As `_firm`, by a sign test for each zone on the number of iterations that do not support it. An unknown ratio supports none."""
    known = [ratio for ratio in sample.ratios if ratio is not None]
    unknown = len(sample.ratios) - len(known)
    against: dict[Zone, int] = {
        "below": sum(ratio >= margin.low for ratio in known) + unknown,
        "above": sum(ratio <= margin.high for ratio in known) + unknown,
        "within": max(sum(ratio > margin.high for ratio in known), sum(ratio < margin.low for ratio in known))
        + unknown,
    }
    zone = min(against, key=lambda one: against[one])
    return _sign_test(against[zone], len(sample.ratios)), zone


def _undecided(sample: RatioSample, *, confidence: float, p: float) -> Decision:
    """The decision without a firm conclusion: `slightly` if the interval excludes 0."""
    ends = interval(sample, confidence=confidence)
    finding: Finding = "undecided"
    if ends is not None and not sample.thin and sample.may_have_direction(level=1 - confidence):
        finding = "slightly-below" if ends[1] < 0 else "slightly-above" if ends[0] > 0 else "undecided"
    return _decision(sample, finding, confidence=confidence, p=p)


def _decision(sample: RatioSample, finding: Finding, *, confidence: float, p: float) -> Decision:
    low, high = interval(sample, confidence=confidence) or (None, None)
    return Decision(finding=finding, estimate=estimate(sample), low=low, high=high, confidence=confidence, p=p)


def _gate(sample: RatioSample) -> float:
    """The p-value that a direction must pass in addition to its interval's: that of the randomisation test if it is needed and was
    computed."""
    return sample.randomisation_p if sample.needs_randomisation and sample.randomisation_p is not None else 0.0


def _with_unknown(sample: RatioSample, value: float) -> list[float]:
    return [value if ratio is None else ratio for ratio in sample.ratios]


def _median(ordered: Sequence[float]) -> float:
    count = len(ordered)
    low, high = ordered[(count - 1) // 2], ordered[count // 2]
    return low if low == high else (low + high) / 2 if math.isfinite(low) and math.isfinite(high) else math.inf


@functools.cache
def _rank(count: int, confidence: float) -> int:
    """The largest k with 2·P(Bin(count, ½) ≤ k − 1) ≤ 1 − confidence; 0 where there is none."""
    k = 0
    while k < (count + 1) // 2 and _sign_test(k, count) <= 1 - confidence + 1e-12:
        k += 1
    return k


@functools.cache
def _sign_test(against: int, count: int) -> float:
    """min(1, 2·P(Bin(count, ½) ≤ against))."""
    return min(1.0, float(2 * sum(math.comb(count, k) for k in range(against + 1))) / 2.0**count)


@functools.cache
def student_t(p: float, degrees: float) -> float:
    """The p-quantile of Student's t."""
    from scipy.special import stdtrit  # scipy.stats has the same, but takes far longer to import

    return float(stdtrit(degrees, p))


def _beyond(t: float, degrees: float) -> float:
    """The probability that Student's t exceeds this value."""
    from scipy.special import stdtr

    return float(stdtr(degrees, -t))
