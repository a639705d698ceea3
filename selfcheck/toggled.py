"""Toggled: the same hosts measured in three orders, by simulation. One interface is slower by itself, and the level wanders. Seeded.

    OrderCell (interface, drift, wandering) ─▶ the bench's own schedule ─▶ trials' levels ─▶ iterations ─▶ the bench's own intervals

    python -m selfcheck.toggled [--benches 2000]

A trial's level is that of the machine at its time, of the interface that carries it, and of its arm, and noise of its own.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from enaxp.bench.planning.schedule import BenchPlan, Trial, schedule
from enaxp.bench.statistics.inference import RatioSample
from selfcheck.crossover import EFFECT, SEED, interval_of, tell_cells
from selfcheck.made_run import UDP

OWN_SD = 0.02  # of one trial
SHARING = 40  # benches of one seed of the order
Way = Literal["interleaved", "crossed over", "toggled"]
WAYS: tuple[Way, ...] = ("interleaved", "crossed over", "toggled")


@dataclass(frozen=True, kw_only=True)
class OrderCell:
    """Ten iterations of four pairs, with an effect of 5 %. interface_pct: what the second interface makes; drift_pct: how far the level
    goes from the first trial to the last; wanders_pct: the standard deviation of a level that is forgotten after so many `trials`."""

    interface_pct: float = 0.0
    drift_pct: float = 0.0
    wanders_pct: float = 0.0
    trials: float = 1.0

    @property
    def name(self) -> str:
        parts = [f"interface {self.interface_pct:+g} %"]
        parts += [f"drift {self.drift_pct:+g} %"] if self.drift_pct else []
        parts += [f"level wanders by {self.wanders_pct:g} % over {self.trials:g} trials"] if self.wanders_pct else []
        return ", ".join(parts)


CELLS = (
    *(OrderCell(interface_pct=pct) for pct in (0.0, 3.0, -3.0)),
    OrderCell(interface_pct=3.0, drift_pct=10.0),
    *(OrderCell(interface_pct=3.0, wanders_pct=3.0, trials=trials) for trials in (1.0, 5.0, 20.0, 200.0)),
)


@dataclass(frozen=True, kw_only=True)
class Held:
    """The share of the runs whose interval holds the effect of SRD, and the median half width in per cent."""

    share: float
    half_width_pct: float


def simulate(cell: OrderCell, *, benches: int, seed: int = SEED) -> Mapping[Way, Held]:
    rng = np.random.default_rng([seed, *cell.name.encode()])
    return {way: _held(cell, way, rng, benches=benches) for way in WAYS}


def _held(cell: OrderCell, way: Way, rng: np.random.Generator, *, benches: int) -> Held:
    held, widths = 0, []
    for start in range(0, benches, SHARING):
        trials = schedule(_plan(way, seed=start))
        levels = _levels(cell, trials, rng, benches=SHARING)
        for one in levels:
            low, high = interval_of(_sample(trials, one, crossed=way == "crossed over"))
            held += low <= EFFECT <= high
            widths.append(50 * (high - low))
    return Held(share=held / len(widths), half_width_pct=statistics.median(widths))


def _plan(way: Way, *, seed: int) -> BenchPlan:
    return BenchPlan(
        iterations=10,
        repeats=4,
        duration_s=1,
        order="toggled" if way == "toggled" else "interleaved",
        crossover=way == "crossed over",
        seed=seed,
        margin_pct=2,
        scenarios=(UDP,),
    )


def _levels(
    cell: OrderCell, trials: Sequence[Trial], rng: np.random.Generator, *, benches: int
) -> npt.NDArray[np.float64]:
    """The logarithm of each trial's figure, a row for each bench."""
    count = len(trials)
    keeps = math.exp(-1 / cell.trials)
    wander = rng.normal(size=benches)
    wandering = np.empty((benches, count))
    for place in range(count):
        wandering[:, place] = wander
        wander = keeps * wander + math.sqrt(1 - keeps**2) * rng.normal(size=benches)
    own = [
        math.log1p(cell.drift_pct / 100) * place / count
        + (math.log1p(cell.interface_pct / 100) if trial.home == "ena_express" else 0.0)
        + (EFFECT if trial.arm == "ena_express" else 0.0)
        for place, trial in enumerate(trials)
    ]
    return np.array(own) + cell.wanders_pct / 100 * wandering + OWN_SD * rng.normal(size=(benches, count))


def _sample(trials: Sequence[Trial], levels: npt.NDArray[np.float64], *, crossed: bool) -> RatioSample:
    """The log ratio of each iteration, of the trials that are not discarded."""
    values: dict[tuple[int, str], list[float]] = {}
    for trial, level in zip(trials, levels, strict=True):
        if not trial.discarded:
            values.setdefault((trial.iteration, trial.arm), []).append(float(level))
    iterations = sorted({iteration for iteration, _ in values})
    swapped = {trial.iteration for trial in trials if trial.crossed}
    return RatioSample(
        ratios=tuple(
            statistics.fmean(values[one, "ena_express"]) - statistics.fmean(values[one, "ena"]) for one in iterations
        ),
        crossed=tuple(one in swapped for one in iterations) if crossed else (),
    )


def told(cell: OrderCell, benches: int) -> str:
    """What the intervals of each order hold, on one line."""
    found = simulate(cell, benches=benches)
    return "; ".join(f"{way} {one.share:6.1%} [{one.half_width_pct:.2f}]" for way, one in found.items())


def main(arguments: Sequence[str]) -> None:
    tell_cells(
        {cell.name: partial(told, cell) for cell in CELLS},
        arguments,
        program="selfcheck.toggled",
        about="What the intervals of three orders hold: the share that holds the effect of SRD.",
        benches=2000,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
