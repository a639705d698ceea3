"""Effect: the change ENA Express makes to one metric, with its interval and the word for it. Pure.

    per iteration (ENA, ENA Express) ─▶ log ratios ─▶ mean ± t·s/√I ─▶ per cent ─▶ code, by a margin fixed beforehand

The statistic is over iterations, because the trials within one are not independent: an interval over all trials as if they were would
be far too narrow. Ratios are taken as logarithms, so that twice and half weigh the same.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from enaxp.traffic import THROUGHPUT, Metric

Code = Literal[
    "faster", "slower", "same", "slightly-faster", "slightly-slower", "inconclusive", "invalid"
]  # faster is better, for latency and for throughput

# Two primaries share the 5 % of being wrong; the rest is exploratory and shares nothing.
PRIMARY_CONFIDENCE = 0.975
EXPLORATORY_CONFIDENCE = 0.95
POWER = 0.8
MOST_ITERATIONS = 10_000
MOST_LOG_RATIO = 700.0  # e to that is about the largest float


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The change of one metric in per cent, as a rule from ENA to ENA Express. Below 0 the figure is lower, whatever that means for it.

    low_pct and high_pct are None with fewer than two iterations. improvement_pct is the guide's figure, of the merged arms and with its
    own sign: above 0 is better. iterations_needed, None where unknown, is for the words only.
    """

    estimate_pct: float | None
    low_pct: float | None
    high_pct: float | None
    margin_pct: float
    improvement_pct: float | None
    primary: bool
    code: Code
    iterations: int = 0
    iterations_needed: int | None = None


def measure_effect(
    metric: Metric,
    iterations: Iterable[tuple[float, float]],
    *,
    margin_pct: float,
    primary: bool,
    improvement_pct: float | None = None,
) -> Effect:
    """The effect in one (ENA, ENA Express) pair of values per iteration; values that are not above 0 have no ratio and
    are left out.
    """
    ratios = [math.log(express / ena) for ena, express in iterations if ena > 0 and express > 0]
    confidence = PRIMARY_CONFIDENCE if primary else EXPLORATORY_CONFIDENCE
    low, high = interval(ratios, confidence=confidence)
    return Effect(
        estimate_pct=per_cent(statistics.fmean(ratios)) if ratios else None,
        low_pct=low,
        high_pct=high,
        margin_pct=margin_pct,
        improvement_pct=improvement_pct,
        primary=primary,
        code=word_for(metric, low, high, margin_pct) if ratios else "invalid",
        iterations=len(ratios),
        iterations_needed=iterations_needed(ratios, margin_pct=margin_pct, confidence=confidence),
    )


def interval(ratios: Sequence[float], *, confidence: float) -> tuple[float, float] | tuple[None, None]:
    """The t-interval of the mean of log ratios, in per cent; (None, None) with fewer than two."""
    if len(ratios) < 2:
        return None, None
    middle = statistics.fmean(ratios)
    half = student_t((1 + confidence) / 2, len(ratios) - 1) * statistics.stdev(ratios) / math.sqrt(len(ratios))
    return per_cent(middle - half), per_cent(middle + half)


def interval_between(
    one: Sequence[float], other: Sequence[float], *, confidence: float
) -> tuple[float, float] | tuple[None, None]:
    """Welch's t-interval of the mean of `other` less that of `one`, in per cent; (None, None) with fewer than two values in either.

    The values are logarithms. They belong to no pairs, and their spread need not be the same (B. L. Welch, 1947, Biometrika 34, 28-35).
    """
    if len(one) < 2 or len(other) < 2:
        return None, None
    difference = statistics.fmean(other) - statistics.fmean(one)
    parts = [statistics.variance(values) / len(values) for values in (one, other)]
    total = sum(parts)
    if total == 0:
        return per_cent(difference), per_cent(difference)
    shares = [part / total for part in parts]
    degrees = 1 / sum(share**2 / (len(values) - 1) for share, values in zip(shares, (one, other), strict=True))
    half = student_t((1 + confidence) / 2, degrees) * math.sqrt(total)
    return per_cent(difference - half), per_cent(difference + half)


def minimum_detectable_pct(ratios: Sequence[float], *, confidence: float) -> float | None:
    """The smallest effect in per cent that so many iterations of this spread find four times in five; None with fewer
    than two.
    """
    if len(ratios) < 2:
        return None
    return per_cent(_detectable(statistics.stdev(ratios), len(ratios), confidence))


def iterations_needed(ratios: Sequence[float], *, margin_pct: float, confidence: float) -> int | None:
    """The fewest iterations that would find an effect of the margin's size, at this spread; None when unknown or beyond
    10 000.
    """
    return (
        needed_for(statistics.stdev(ratios), margin_pct=margin_pct, confidence=confidence) if len(ratios) > 1 else None
    )


def needed_for(spread: float, *, margin_pct: float, confidence: float) -> int | None:
    """As iterations_needed, from the standard deviation of the log ratios."""
    margin = math.log1p(margin_pct / 100)
    low, high = 2, MOST_ITERATIONS
    if _detectable(spread, high, confidence) > margin:
        return None
    while low < high:
        middle = (low + high) // 2
        if _detectable(spread, middle, confidence) <= margin:
            high = middle
        else:
            low = middle + 1
    return low


def improvement_pct(metric: Metric, *, ena: float | None, ena_express: float | None) -> float | None:
    """The guide's improvement in per cent: (ENA − Express) / ENA for a latency, (Express − ENA) / ENA for throughput."""
    if ena is None or ena_express is None or ena == 0:
        return None
    gain = ena_express - ena if metric == THROUGHPUT else ena - ena_express
    return gain / ena * 100


def word_for(metric: Metric, low: float | None, high: float | None, margin_pct: float) -> Code:
    """The code of an interval, by whether it lies beyond the margin, within it, or neither."""
    if low is None or high is None:
        return "inconclusive"
    if metric != THROUGHPUT:  # lower latency is faster
        low, high = -high, -low
    if low > margin_pct:
        return "faster"
    if high < -margin_pct:
        return "slower"
    if -margin_pct <= low and high <= margin_pct:
        return "same"
    if low > 0:
        return "slightly-faster"
    if high < 0:
        return "slightly-slower"
    return "inconclusive"


def _detectable(spread: float, count: int, confidence: float) -> float:
    """The effect, as a log ratio, found with 80 % power by that many iterations of this standard deviation."""
    return (student_t((1 + confidence) / 2, count - 1) + student_t(POWER, count - 1)) * spread / math.sqrt(count)


@functools.cache
def student_t(p: float, degrees: float) -> float:
    """The p-quantile of Student's t."""
    from scipy.special import stdtrit  # scipy.stats has the same, but takes far longer to import

    return float(stdtrit(degrees, p))


def per_cent(log_ratio: float) -> float:
    """A log ratio as a change in per cent. Beyond what a float can hold it is the largest that it can."""
    return 100 * math.expm1(min(log_ratio, MOST_LOG_RATIO))
