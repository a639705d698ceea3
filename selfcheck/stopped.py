"""Stopped: how often a run in which nothing differs is stopped for a word that is wrong, by simulation. Seeded, so the same each time.

    log ratios of P50 and P99, drawn ─▶ a look after each iteration ─▶ stopped at the first direction that either is said to have

    python -m selfcheck.stopped [--runs 1000]

Whoever looks after each iteration and stops as soon as the words please him meets here the interval that may be watched, and beside it
the one of a run that is carried out, which is not made for that.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np

from enaxp.bench.judging.effect import Code, FigurePairs, judge_figures, watched_effect
from enaxp.traffic import LATENCY_PRIMARIES

SEED = 20261130
MARGIN_PCT = 2.0
SIZES = (10, 20, 30)
SPREADS_PCT = (2.0, 5.0)
DIRECTIONS: frozenset[Code] = frozenset({"faster", "slightly-faster", "slightly-slower", "slower"})


def stopped_wrongly(*, iterations: int, sd_pct: float, runs: int, watched: bool) -> float:
    """In what share of the runs a direction is said at some look, of two figures without an effect."""
    rng = np.random.default_rng([SEED, iterations, round(10 * sd_pct)])
    wrong = 0
    for _ in range(runs):
        ratios = rng.normal(0, sd_pct / 100, (len(LATENCY_PRIMARIES), iterations)).tolist()
        wrong += any(_has_direction(ratios, count, watched=watched) for count in range(2, iterations + 1))
    return wrong / runs


def _has_direction(ratios: Sequence[Sequence[float]], count: int, *, watched: bool) -> bool:
    figures = [
        FigurePairs(metric=metric, iterations=[(1.0, math.exp(ratio)) for ratio in of[:count]], primary=True)
        for metric, of in zip(LATENCY_PRIMARIES, ratios, strict=True)
    ]
    planned = len(figures)
    effects = (
        [watched_effect(figure, margin_pct=MARGIN_PCT, planned=planned) for figure in figures]
        if watched
        else judge_figures(figures, margin_pct=MARGIN_PCT, planned=planned)
    )
    return any(effect.code in DIRECTIONS for effect in effects)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints, for each spread and number of iterations, how many runs are stopped for a wrong direction with either interval."""
    parser = argparse.ArgumentParser(description="How often a run is stopped for a word that is wrong.")
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args(arguments).runs
    print(
        f"{runs} runs without any effect, looked at after each iteration: a direction is said at some look, in % (goal: at most 5)"
    )
    print(f"  {'':<24}{'may be watched':>16}{'of a whole run':>16}")
    for sd in SPREADS_PCT:
        for size in SIZES:
            shares = (
                stopped_wrongly(iterations=size, sd_pct=sd, runs=runs, watched=watched) for watched in (True, False)
            )
            told = "".join(f"{100 * share:>16.1f}" for share in shares)
            print(f"  SD {sd:g} %, {f'up to {size} iterations':<16}{told}", flush=True)


if __name__ == "__main__":
    main()
