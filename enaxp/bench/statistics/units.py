"""Units: comparison of runs with the run as the unit, because two runs differ by more than their iterations do. Pure.

    means of the runs of both sides, means of earlier runs ─▶ difference ─▶ Difference: estimate, location, source of the spread

A run's mean is one value, however many iterations it has: more iterations do not make the next run more predictable. With B runs on each
side: Student's t with pooled variance, 2B − 2 degrees of freedom. With unequal numbers, at least three on each side: Welch. With fewer:
the run-to-run standard deviation s_K is that of K ≥ 3 other runs, and the half width is t(K − 1)·s_K·√(1/n + 1/m). Without such runs
there is no interval.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from enaxp.bench.statistics.inference import Location, RatioSample, estimate, location, welch

# Whose spread it is; copies: both sides are the same measurements, which do not differ.
Basis = Literal["these runs", "earlier runs", "copies", "unknown"]
FEWEST = 3  # runs, below which they do not tell how much runs differ


@dataclass(frozen=True, kw_only=True)
class RunMean:
    """One run's mean of a figure as a logarithm, the standard error from its iterations (None if unknown), and their number."""

    mean: float
    error: float | None
    iterations: int

    @classmethod
    def of(cls, sample: RatioSample) -> RunMean | None:
        """The mean of a run's iterations; None if there are none, or one is beyond measurement."""
        if not sample.ratios or not sample.is_finite:
            return None
        mean, where = estimate(sample), location(sample)
        if mean is None:
            return None
        return cls(mean=mean, error=where.error if where else None, iterations=len(sample.ratios))

    @property
    def of_one_iteration(self) -> float | None:
        """The variance of a single iteration; None where it is unknown."""
        return None if self.error is None else self.error**2 * self.iterations


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference of the other side from the base, as log ratios.

    where: None if the run-to-run standard deviation is unknown. spread: that standard deviation, estimated from `told_by` runs.
    """

    estimate: float
    where: Location | None
    basis: Basis
    told_by: int = 0

    @property
    def spread(self) -> float | None:
        return self.where.spread if self.where else None

    def interval(self, *, confidence: float) -> tuple[float, float] | None:
        """Student's t-interval; None where there is none."""
        return self.where.interval(confidence=confidence) if self.where else None


def basis_of(base: int, run: int, *, earlier: int) -> Basis:
    """The basis of the interval for this many runs on each side and this many earlier runs."""
    if base == run >= 2 or max(base, run) >= FEWEST:
        return "these runs"
    return "earlier runs" if earlier >= FEWEST else "unknown"


def difference(base: Sequence[RunMean], run: Sequence[RunMean], *, earlier: Sequence[RunMean] = ()) -> Difference:
    """The difference of two sides with at least one run each. `earlier`: other runs of the same lab, none of which is compared."""
    size = statistics.fmean(one.mean for one in run) - statistics.fmean(one.mean for one in base)
    basis = basis_of(len(base), len(run), earlier=len(earlier))
    if basis == "unknown":
        return Difference(estimate=size, where=None, basis=basis)
    if basis == "earlier runs":
        return _difference(size, _by_others(size, base, run, earlier), basis, len(earlier))
    if len(base) == len(run):
        return _difference(size, _pooled(size, base, run), basis, len(base) + len(run))
    if min(len(base), len(run)) >= FEWEST:
        return _difference(size, _welch(size, base, run), basis, len(base) + len(run))
    larger = max(base, run, key=len)
    return _difference(size, _by_others(size, base, run, larger), basis, len(larger))


def copies() -> Difference:
    """The difference of two sides that are the same measurements."""
    return Difference(estimate=0.0, where=Location(mean=0.0, error=0.0, degrees=1.0, spread=0.0), basis="copies")


def _difference(size: float, where: Location, basis: Basis, told_by: int) -> Difference:
    return Difference(estimate=size, where=where, basis=basis, told_by=told_by)


def _pooled(size: float, base: Sequence[RunMean], run: Sequence[RunMean]) -> Location:
    """Student's t of two samples of equal size."""
    variance = statistics.fmean(statistics.variance(one.mean for one in side) for side in (base, run))
    return Location(
        mean=size,
        error=math.sqrt(2 * variance / len(base)),
        degrees=2 * len(base) - 2,
        spread=math.sqrt(variance),
    )


def _welch(size: float, base: Sequence[RunMean], run: Sequence[RunMean]) -> Location:
    sides = [[one.mean for one in side] for side in (base, run)]
    error, degrees = welch(*sides)
    squares = sum(statistics.variance(side) * (len(side) - 1) for side in sides)
    return Location(mean=size, error=error, degrees=degrees, spread=math.sqrt(squares / (len(base) + len(run) - 2)))


def _by_others(size: float, base: Sequence[RunMean], run: Sequence[RunMean], others: Sequence[RunMean]) -> Location:
    """The difference with the standard deviation of other runs. If the compared runs have fewer iterations, the additional variance is
    added."""
    variance = statistics.variance(one.mean for one in others)
    iterations = statistics.harmonic_mean([one.iterations for one in others])
    more = sum(_added(one, iterations, others) / len(side) ** 2 for side in (base, run) for one in side)
    return Location(
        mean=size,
        error=math.sqrt(variance * (1 / len(base) + 1 / len(run)) + max(0.0, more)),
        degrees=len(others) - 1,
        spread=math.sqrt(variance),
    )


def _added(one: RunMean, iterations: float, others: Sequence[RunMean]) -> float:
    """How much larger the variance of a run's mean is than it would be with this many iterations."""
    known = [variance for other in others if (variance := other.of_one_iteration) is not None]
    variance = one.of_one_iteration
    if variance is None:
        variance = statistics.fmean(known) if known else 0.0
    return variance * (1 / one.iterations - 1 / iterations)
