"""Simulation: how often the interval holds the truth, with data of which the truth is known. Seeded, so the same each time.

    Shape ─▶ latencies of every trial ─▶ Histogram ─▶ merged per iteration ─▶ quantiles of both arms ─▶ interval: holds it, or not

Everything from the histogram on is the code that a bench uses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from enaxp.bench.judging.effect import interval
from enaxp.bench.run_folder.histogram import Distribution, Histogram, merge_equal_weight

TRUE_PCT = 5.0
BASE_NS = 30_000
QUANTILES = {"p50": 0.5, "p99": 0.99}
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the latencies are like. Shifts are standard deviations of logarithms.

    heavy: the share of messages that is late, by a Pareto-distributed factor. trial: shift of one trial, with heavy tails of its own.
    iteration: shift of the effect from one iteration to the next. together: shift of an iteration that both arms share.
    """

    name: str
    heavy: float = 0.0
    trial: float = 0.0
    iteration: float = 0.0
    together: float = 0.0


SHAPES = (
    Shape(name="calm", trial=0.01),
    Shape(name="heavy tails", heavy=0.03, trial=0.03),
    Shape(name="iterations shift", trial=0.03, iteration=0.02, together=0.1),
    Shape(name="heavy tails and shifts", heavy=0.03, trial=0.03, iteration=0.04, together=0.1),
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of each bench, and how many of them."""

    benches: int = 1500
    iterations: int = 10
    repeats: int = 4
    observations: int = 400


def coverage(shape: Shape, *, seed: int, size: Size = Size(), confidence: float = 0.95) -> dict[str, float]:
    """The share of benches whose interval holds the true effect, per quantile."""
    rng = np.random.default_rng(seed)
    held = dict.fromkeys(QUANTILES, 0)
    for _ in range(size.benches):
        ratios: dict[str, list[float]] = {name: [] for name in QUANTILES}
        for ena, express in _iterations(shape, size, rng):
            for name, p in QUANTILES.items():
                ratios[name].append(math.log(express.quantile(p) / ena.quantile(p)))
        for name, of_bench in ratios.items():
            low, high = interval(of_bench, confidence=confidence)
            held[name] += low is not None and high is not None and low <= TRUE_PCT <= high
    return {name: count / size.benches for name, count in held.items()}


def _iterations(shape: Shape, size: Size, rng: np.random.Generator) -> Iterator[list[Distribution]]:
    """The merged distributions of both arms, iteration by iteration."""
    for _ in range(size.iterations):
        level = math.exp(rng.normal(0, shape.together)) * BASE_NS if shape.together else float(BASE_NS)
        effect = math.log1p(TRUE_PCT / 100) + (rng.normal(0, shape.iteration) if shape.iteration else 0.0)
        yield [_merged(shape, size, rng, level=level * math.exp(shift)) for shift in (0.0, effect)]


def _merged(shape: Shape, size: Size, rng: np.random.Generator, *, level: float) -> Distribution:
    # Student's t with 3 degrees of freedom has heavy tails and the standard deviation sqrt 3.
    trials = np.exp(shape.trial * rng.standard_t(3, size=size.repeats) / math.sqrt(3))
    return merge_equal_weight([Histogram.of(_latencies(shape, size, rng, level=level * trial)) for trial in trials])


def _latencies(shape: Shape, size: Size, rng: np.random.Generator, *, level: float) -> npt.NDArray[np.int64]:
    latencies: _Floats = level * rng.lognormal(0, 0.1, size=size.observations)
    if shape.heavy:
        late = rng.random(size.observations) < shape.heavy
        latencies[late] *= 1 + rng.pareto(1.5, size=int(late.sum()))
    return latencies.astype(np.int64)
