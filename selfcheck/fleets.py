"""Fleets: how often the intervals over pairs of hosts hold the truth, by simulation. Seeded, so the same each time.

    Cell (shape of the pairs, spread between them) × pairs ─▶ made pairs ─▶ `over_pairs` ─▶ coverage of the mean and of the next pair

    python -m selfcheck.fleets [--fleets 4000] [--to fleets.jsonl] [--tables]

Each pair has an effect of its own and 10 iterations around it; SE is the standard error of a pair's mean by its iterations, and the spread
between pairs is told in it. The next pair is drawn as the others are, and measured as they are. Beside each share stands that of the
fleets in which no pair stands out: what would be left if an interval were withheld wherever one does. The claim is that both intervals
hold the truth at least as often as they say less two points; cells that are beyond the claim are measured all the same, and marked.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from enaxp.bench.fleet.over_pairs import NEXT_PAIR_CONFIDENCE, OverPairs, over_pairs
from enaxp.bench.statistics.units import RunMean

SEED = 20261130
PAIRS = (3, 5, 8, 16)
ITERATIONS = 10
ERROR = 0.01  # of a pair's mean
TOLERATED = 0.02  # below the nominal coverage
SHARED = (0.975, 0.9875)  # at which the mean is told where two or four primaries share the 5 % of being wrong
OFF_BY = 5  # times what pairs differ by, of the one that does not fit

Draw = Callable[[np.random.Generator, int], np.ndarray[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """How the pairs of a fleet are drawn: their true effects have mean 0 and a standard deviation of `spread` × SE.

    is_beyond: whether the claim does not cover it."""

    name: str
    spread: float
    draw: Draw
    has_outlier: bool = False
    is_beyond: bool = False


def normal(rng: np.random.Generator, count: int) -> np.ndarray[Any, Any]:
    return rng.normal(0, 1, count)


def skewed(rng: np.random.Generator, count: int) -> np.ndarray[Any, Any]:
    """Lognormal, as far to one side as latencies are; mean 0 and standard deviation 1."""
    return np.asarray((rng.lognormal(0, 1, count) - math.exp(0.5)) / math.sqrt((math.e - 1) * math.e))


def _two_states(rng: np.random.Generator, count: int) -> np.ndarray[Any, Any]:
    """One pair of five is elsewhere; mean 0 and standard deviation 1."""
    return np.asarray((rng.random(count) < 0.2) / 0.4 - 0.5)


CELLS = (
    *(Cell(name="normal pairs", spread=spread, draw=normal) for spread in (0, 1, 3)),
    *(Cell(name="skewed pairs", spread=spread, draw=skewed, is_beyond=spread > 3) for spread in (1, 2, 3, 5)),
    *(
        Cell(name="one pair of five is elsewhere", spread=spread, draw=_two_states, is_beyond=spread > 1)
        for spread in (1, 3)
    ),
    *(Cell(name="one pair does not fit", spread=spread, draw=normal, has_outlier=True) for spread in (0, 1, 3)),
)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Shares of the fleets: in which the interval holds the truth, and in which some pair stands out; the same of those without one.

    mean_shared: of the mean's interval at the levels SHARED. Where one pair does not fit, the truth is that of the others. found: how
    often that one is named.
    """

    fleets: int
    mean: float
    mean_shared: tuple[float, ...]
    next_pair: float
    named: float
    mean_if_none: float | None
    next_if_none: float | None
    found: float | None = None


def simulate(cell: Cell, *, pairs: int, fleets: int) -> Coverage:
    """How often both intervals hold the truth in fleets of so many pairs."""
    rng = np.random.default_rng([SEED, pairs, CELLS.index(cell)])
    levels = (NEXT_PAIR_CONFIDENCE, *SHARED)
    held = np.zeros((fleets, len(levels) + 1), dtype=bool)  # the mean at each level, the next pair
    named = np.zeros(fleets, dtype=bool)
    found = 0
    for at in range(fleets):
        over, coming = _made(cell, pairs, rng)
        next_pair = over.next_pair()
        assert over.where is not None
        assert next_pair is not None
        means = [over.where.interval(confidence=level) for level in levels]
        held[at] = [low <= 0 <= high for low, high in means] + [next_pair[0] <= coming <= next_pair[1]]
        named[at] = bool(over.standing_out)
        found += "0" in over.standing_out
    quiet, shares = held[~named], held.mean(axis=0).tolist()
    return Coverage(
        fleets=fleets,
        mean=shares[0],
        mean_shared=tuple(shares[1:-1]),
        next_pair=shares[-1],
        named=float(named.mean()),
        mean_if_none=float(quiet[:, 0].mean()) if len(quiet) else None,
        next_if_none=float(quiet[:, -1].mean()) if len(quiet) else None,
        found=found / fleets if cell.has_outlier else None,
    )


def _made(cell: Cell, pairs: int, rng: np.random.Generator) -> tuple[OverPairs, float]:
    """One fleet's pairs as they are judged, and what the next pair measures."""
    effects = ERROR * cell.spread * cell.draw(rng, pairs + 1)
    if cell.has_outlier:
        effects[0] += OFF_BY * ERROR * max(cell.spread, 1)
    measured = effects[:, None] + rng.normal(0, ERROR * math.sqrt(ITERATIONS), (pairs + 1, ITERATIONS))
    means, errors = measured.mean(axis=1), measured.std(axis=1, ddof=1) / math.sqrt(ITERATIONS)
    told = {
        str(pair): RunMean(mean=float(means[pair]), error=float(errors[pair]), iterations=ITERATIONS)
        for pair in range(pairs)
    }
    return over_pairs(told), float(means[pairs])


def holds(share: float, *, confidence: float = NEXT_PAIR_CONFIDENCE) -> bool:
    """Whether a coverage is at least the nominal one less two points."""
    return share >= confidence - TOLERATED


def name_of(cell: Cell, pairs: int) -> str:
    return f"{cell.name}, spread {cell.spread:g} × SE, {pairs}"


def tables(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The study as Markdown, in per cent; below the nominal coverage less two points in bold."""
    known = {line["cell"]: line for line in lines}
    heads = ("cell, pairs", "fleets", "mean effect: covers", *(f"at {100 * level:g} %" for level in SHARED))
    yield f"| {' | '.join(heads)} | next pair: covers | some pair named | covers where none is: mean / next |"
    yield f"|---|---|---|{'---|' * len(SHARED)}---|---|---|"
    for cell in CELLS:
        for pairs in PAIRS:
            name = f"{name_of(cell, pairs)}{' †' if cell.is_beyond else ''}"
            line = known.get(name_of(cell, pairs))
            if line is None:
                yield f"| {name} | not measured yet | | {'| ' * len(SHARED)}| | |"
                continue
            found = "" if line["found"] is None else f" (the right one {100 * line['found']:.0f})"
            at_shared = [
                _told(share, confidence=level) for share, level in zip(line["mean_shared"], SHARED, strict=True)
            ]
            yield (
                f"| {name} | {line['fleets']:,} | {_told(line['mean'])} | {' | '.join(at_shared)} | {_told(line['next_pair'])} "
                f"| {100 * line['named']:.0f}{found} | {_told(line['mean_if_none'])} / {_told(line['next_if_none'])} |"
            )
    yield "\n† beyond the claim"


def _told(share: float | None, *, confidence: float = NEXT_PAIR_CONFIDENCE) -> str:
    if share is None:
        return "–"
    return f"{100 * share:.1f}" if holds(share, confidence=confidence) else f"**{100 * share:.1f}**"


def main(arguments: Sequence[str]) -> None:
    """Prints how often both intervals hold the truth, cell by cell."""
    parser = argparse.ArgumentParser(
        prog="python -m selfcheck.fleets", description="How often intervals over pairs hold."
    )
    parser.add_argument("--fleets", type=int, default=4000, help="simulated fleets of each cell and size")
    parser.add_argument("--to", type=Path, help="a file of JSON lines to which each finished cell is added")
    parser.add_argument("--tables", action="store_true", help="print what is in the file, and run nothing")
    asked = parser.parse_args(arguments)
    texts = asked.to.read_text().splitlines() if asked.to is not None and asked.to.exists() else []
    lines = [json.loads(line) for line in texts]
    done = {line["cell"] for line in lines if line["fleets"] == asked.fleets}
    for cell, pairs in () if asked.tables else [(cell, pairs) for cell in CELLS for pairs in PAIRS]:
        if name_of(cell, pairs) in done:
            continue
        line = {"cell": name_of(cell, pairs), **asdict(simulate(cell, pairs=pairs, fleets=asked.fleets))}
        lines.append(line)
        print(f"{line['cell']}: mean {_told(line['mean'])}, next pair {_told(line['next_pair'])}", flush=True)
        if asked.to is not None:
            with asked.to.open("a") as file:
                file.write(json.dumps(line) + "\n")
    print("\n".join(tables(lines)))


if __name__ == "__main__":
    main(sys.argv[1:])
