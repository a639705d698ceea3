"""Skew: how much wider than Student's t intervals over skewed pairs have to be, and whether a difference between variants needs it, too.

    number of pairs ─▶ made pairs ─▶ what t's half width must be multiplied by ─▶ beside it what bench/fleet/skew.py gives
    two numbers of pairs ─▶ made variants ─▶ `between_variants` ─▶ how often their difference holds the truth

    python -m selfcheck.skew [--fleets 200000] [--differences 4000]

Lognormal pairs, whose true effects spread by 3 standard errors of a pair's mean (2 and 5 for comparison). Seeded.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.stats import t

from enaxp.bench.fleet.over_pairs import between_variants
from enaxp.bench.fleet.skew import allowance_of_mean, allowance_of_next_pair
from selfcheck.fleets import SEED, SHARED, TOLERATED, Draw, normal, skewed

PAIRS = (3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64)
SPREADS = (2, 3, 5)
CLAIMED = 3  # the spread that the allowance is made for
CONFIDENCE = 0.95
SPARE = 0.005  # by so much more often than what is claimed the truth is to be held
VARIANTS = ((3, 3), (5, 5), (8, 8), (16, 16), (3, 12), (5, 20), (16, 64), (3, 16), (4, 64))
AT_ONCE = 20_000  # fleets in memory

Values = np.ndarray[Any, np.dtype[np.float64]]


def needed(pairs: int, *, spread: float, fleets: int, spare: float = 0.0) -> tuple[float, float]:
    """What t's half width has to be multiplied by to hold the truth in the nominal share of fleets less two points, and the spare above
    that: of the mean, of the next pair. `fleets` in whole AT_ONCE.
    """
    rng = np.random.default_rng([SEED, pairs, int(spread)])
    parts = [_distances(rng, pairs, spread) for _ in range(max(1, fleets // AT_ONCE))]
    quantile = t.ppf((1 + CONFIDENCE) / 2, pairs - 1)
    mean, coming = (np.concatenate(one) / quantile for one in zip(*parts, strict=True))
    share = CONFIDENCE - TOLERATED + spare
    return float(np.quantile(mean, share)), float(np.quantile(coming, share))


def _distances(rng: np.random.Generator, pairs: int, spread: float) -> tuple[Values, Values]:
    """How far the truth lies from the mean, and what the next pair measures, in their own errors."""
    measured = spread * skewed(rng, AT_ONCE * (pairs + 1)).reshape(AT_ONCE, pairs + 1)
    measured += rng.normal(0, 1, measured.shape)
    own, coming = measured[:, :pairs], measured[:, pairs]
    mean, deviation = own.mean(axis=1), own.std(axis=1, ddof=1)
    return np.abs(mean) * math.sqrt(pairs) / deviation, np.abs(coming - mean) / deviation / math.sqrt(1 + 1 / pairs)


def allowances(fleets: int) -> Iterator[str]:
    """What is needed and what is given, as Markdown."""
    each_head = f"needed at spread {', '.join(map(str, SPREADS))} | with a spare at {CLAIMED}"
    yield f"| pairs | mean effect: given | {each_head} | next pair: given | {each_head} |"
    yield "|---|---|---|---|---|---|---|"
    for pairs in PAIRS:
        each = [needed(pairs, spread=spread, fleets=fleets) for spread in SPREADS]
        spare = needed(pairs, spread=CLAIMED, fleets=fleets, spare=SPARE)
        mean, coming = (", ".join(f"{max(1.0, one[side]):.2f}" for one in each) for side in (0, 1))
        yield (
            f"| {pairs} | {allowance_of_mean(pairs):.3f} | {mean} | {max(1.0, spare[0]):.3f} "
            f"| {allowance_of_next_pair(pairs):.3f} | {coming} | {max(1.0, spare[1]):.3f} |"
        )


def covers(one: int, other: int, *, draws: tuple[Draw, Draw], spreads: tuple[float, float], fleets: int) -> list[float]:
    """How often the interval of the difference of two variants without one holds 0, at 95 % and at the levels that are shared; empty
    where there is no interval.
    """
    rng = np.random.default_rng([SEED, one, other, *map(int, spreads)])
    levels = (CONFIDENCE, *SHARED)
    held = np.zeros((fleets, len(levels)), dtype=bool)
    for at in range(fleets):
        both = [
            spread * draw(rng, count) + rng.normal(0, 1, count)
            for draw, spread, count in zip(draws, spreads, (one, other), strict=True)
        ]
        where = between_variants(both[0].tolist(), both[1].tolist())
        if where is None:
            return []
        ends = [where.interval(confidence=level) for level in levels]
        held[at] = [low <= 0 <= high for low, high in ends]
    return [float(share) for share in held.mean(axis=0)]


def differences(fleets: int) -> Iterator[str]:
    """How often differences hold the truth, as Markdown."""
    levels = " | ".join(f"at {100 * level:g} %" for level in (CONFIDENCE, *SHARED))
    yield f"| variants | pairs | {levels} |"
    yield f"|---|---|{'---|' * (1 + len(SHARED))}"
    kinds: dict[str, tuple[tuple[Draw, Draw], tuple[float, float]]] = {
        "both skewed, 3 × SE": ((skewed, skewed), (3, 3)),
        "both skewed, 5 × SE": ((skewed, skewed), (5, 5)),
        "the first skewed, 3 × SE, the other normal, 1 × SE": ((skewed, normal), (3, 1)),
    }
    for name, (draws, spreads) in kinds.items():
        for one, other in VARIANTS:
            found = covers(one, other, draws=draws, spreads=spreads, fleets=fleets)
            told = " | ".join(f"{100 * share:.1f}" for share in found) or "no interval" + " |" * len(SHARED)
            yield f"| {name} | {one} and {other} | {told} |"


def main(arguments: Sequence[str]) -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(prog="python -m selfcheck.skew", description="What skewed pairs need.")
    parser.add_argument("--fleets", type=int, default=200_000, help="simulated fleets for each allowance")
    parser.add_argument("--differences", type=int, default=4000, help="simulated fleets for each pair of variants")
    asked = parser.parse_args(arguments)
    for line in (*allowances(asked.fleets), "", *differences(asked.differences)):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
