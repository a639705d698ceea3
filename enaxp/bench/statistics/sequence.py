"""Sequence: an anytime-valid interval (a confidence sequence): it may be watched during a run, and the run may be stopped because of it.
Pure.

    log ratios so far ─▶ watched_interval ─▶ (low, high) as log ratios, None while it is open

A t-interval that is checked after each iteration excludes 0 at some point in a fifth to a third of the runs without any difference. This
one covers the true value at all checks simultaneously, with its stated probability: it inverts the t-test's Bayes factor with an effect
of N(0, τ²σ²) and dσ/σ, a test martingale of the scale-free data (T. L. Lai, 1976, Ann. Statist. 4, 265-280; H. Wang and A. Ramdas, 2023).
With n values of mean m and standard deviation s, r = 1/(1 + nτ²), ν = n − 1 and K = ((1 + nτ²)/a²)^(1/(ν + 1)), it is m ± (s/√n)·√(ν(K −
1)/(1 − rK)), and unbounded while rK ≥ 1.
"""

from __future__ import annotations

import math

from enaxp.bench.statistics.inference import RatioSample, location

TAU_SQUARED = 10.0  # nearly the narrowest that there is at four to seven looks


def watched_interval(sample: RatioSample, *, level: float) -> tuple[float, float] | None:
    """The anytime-valid interval of the finite log ratios: the probability that it is ever wrong is at most `level`. None while it is
    unbounded.

    Crossed over, n is 4/(1/n₁ + 1/n₂), with the pooled standard deviation and n₁ + n₂ − 2 degrees of freedom, even while the halves are
    unequal.
    """
    where, halves = location(sample), sample.halves
    if where is None:
        return None
    count = 4 / (1 / len(halves[0]) + 1 / len(halves[1])) if halves else float(len(sample.finite))
    degrees = len(sample.finite) - (2 if halves else 1)
    factor = half_width_factor(count, degrees=degrees, level=level)
    if factor is None:
        return None
    half = factor * where.spread
    return where.mean - half, where.mean + half


def half_width_factor(count: float, *, degrees: float, level: float) -> float | None:
    """The half width for a standard deviation of 1; None while the interval is unbounded."""
    r = 1 / (1 + count * TAU_SQUARED)
    k = ((1 + count * TAU_SQUARED) / level**2) ** (1 / (degrees + 1))
    return None if r * k >= 1 else math.sqrt(degrees * (k - 1) / (1 - r * k) / count)
