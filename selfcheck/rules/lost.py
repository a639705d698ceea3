"""Lost: quantiles over all messages that wanted a reply. Pure.

A message that was lost, or whose reply came out of order, has no latency: it is later than every other. Otherwise an interface that
loses its slow messages would look like the faster one. A quantile that falls among those is +∞, *beyond measurement*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from enaxp.bench.histogram import Distribution, Histogram, merge_equal_weight

BEYOND_NS = 2**60  # stands for +∞: 36 years


def merge_with_lost(trials: Sequence[Histogram], *, lost: Sequence[int]) -> Distribution:
    """The trials merged with equal weight, each with its lost messages as the latest ones. Needs one trial at least."""
    return merge_equal_weight([_with_lost(trial, n) for trial, n in zip(trials, lost, strict=True)])


def quantile(merged: Distribution, p: float) -> float:
    """The nearest-rank quantile in ns; +∞ where it lies among the lost."""
    value = merged.quantile(p)
    return math.inf if value == BEYOND_NS else float(value)


def _with_lost(trial: Histogram, lost: int) -> Histogram:
    if not lost:
        return trial
    return Histogram(np.append(trial.values, BEYOND_NS), np.append(trial.counts, lost))
