"""Crossover: how often the interval of a run that was crossed over holds the truth, and how wide it is, by simulation. Seeded.

    CrossoverCell (iterations of each half, what the interface makes, drift) ─▶ simulated runs ─▶ the bench's own intervals ─▶ Coverage

    python -m selfcheck.crossover [--benches 4000]

Beside the analysis in two halves stands the one that takes all iterations for alike: then the interface's own difference enters the
spread, and, where the halves are unequal, the estimate.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from enaxp.bench.statistics.inference import RatioSample, interface_location, location

SEED = 20261130
CONFIDENCE = 0.975
EFFECT = math.log1p(0.05)


@dataclass(frozen=True, kw_only=True)
class CrossoverCell:
    """A run with an effect of 5 %. interface_pct: what the interface makes; second_sd: the spread of the second half, of the first's;
    interaction_pct: by how much more SRD does on the second pair of interfaces (the effect is then that of both on average)."""

    first: int
    second: int
    interface_pct: float = 0.0
    sd_pct: float = 1.0
    second_sd: float = 1.0
    interaction_pct: float = 0.0

    @property
    def name(self) -> str:
        parts = [f"{self.first} + {self.second}", f"interface {self.interface_pct:+g} %", f"SD {self.sd_pct:g} %"]
        parts += [f"second half {self.second_sd:g} ×"] if self.second_sd != 1 else []
        parts += [f"interaction {self.interaction_pct:g} %"] if self.interaction_pct else []
        return ", ".join(parts)

    def run(self, rng: np.random.Generator) -> RatioSample:
        """The log ratios of one run."""
        interface, more = (math.log1p(pct / 100) for pct in (self.interface_pct, self.interaction_pct))
        crossed = np.array([False] * self.first + [True] * self.second)
        mean = EFFECT + np.where(crossed, -interface + more / 2, interface - more / 2)
        noise = self.sd_pct / 100 * np.where(crossed, self.second_sd, 1.0) * rng.normal(size=len(crossed))
        return RatioSample(ratios=tuple(mean + noise), crossed=tuple(crossed.tolist()))


CELLS = (
    *(CrossoverCell(first=n, second=n, interface_pct=pct) for n in (2, 3, 4, 5, 10) for pct in (0.0, 3.0, -3.0)),
    CrossoverCell(first=3, second=2, interface_pct=3.0),
    CrossoverCell(first=7, second=3, interface_pct=3.0),
    CrossoverCell(first=7, second=3, interface_pct=3.0, second_sd=3.0),
    CrossoverCell(first=5, second=5, interface_pct=3.0, second_sd=3.0),
    CrossoverCell(first=5, second=5, interface_pct=3.0, interaction_pct=4.0),
)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Shares of the runs whose 97.5 % interval holds the truth, and the median half width in per cent: in two halves, and all alike.

    interface: likewise of what the interface makes (where SRD does more on one pair of interfaces, half of that is in it).
    """

    effect: float
    half_width_pct: float
    alike: float
    alike_half_width_pct: float
    interface: float


def simulate(cell: CrossoverCell, *, benches: int, seed: int = SEED) -> Coverage:
    rng = np.random.default_rng([seed, *cell.name.encode()])
    true_interface = math.log1p(cell.interface_pct / 100) - math.log1p(cell.interaction_pct / 100) / 2
    held = alike_held = interface_held = 0
    widths: list[float] = []
    alike_widths: list[float] = []
    for _ in range(benches):
        sample = cell.run(rng)
        low, high = interval_of(sample)
        alike_low, alike_high = interval_of(replace(sample, crossed=()))
        interface = interface_location(sample)
        assert interface is not None
        interface_low, interface_high = interface.interval(confidence=CONFIDENCE)
        held += low <= EFFECT <= high
        alike_held += alike_low <= EFFECT <= alike_high
        interface_held += interface_low <= true_interface <= interface_high
        widths.append(50 * (high - low))
        alike_widths.append(50 * (alike_high - alike_low))
    return Coverage(
        effect=held / benches,
        half_width_pct=statistics.median(widths),
        alike=alike_held / benches,
        alike_half_width_pct=statistics.median(alike_widths),
        interface=interface_held / benches,
    )


def interval_of(sample: RatioSample) -> tuple[float, float]:
    """The bench's own interval of what SRD makes, as log ratios."""
    where = location(sample)
    assert where is not None
    return where.interval(confidence=CONFIDENCE)


def told(cell: CrossoverCell, benches: int) -> str:
    """What the intervals hold, on one line."""
    found = simulate(cell, benches=benches)
    return (
        f"in halves {found.effect:6.1%} [{found.half_width_pct:.2f}], interface {found.interface:6.1%};"
        f" all alike {found.alike:6.1%} [{found.alike_half_width_pct:.2f}]"
    )


def tell_cells(
    cells: Mapping[str, Callable[[int], str]], arguments: Sequence[str], *, program: str, about: str, benches: int
) -> None:
    """Prints a line for each cell of a study, as soon as it is known. cells: what works out the line, of how many runs, by the cell's name;
    benches: how many runs, where nobody says.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    parser.add_argument("--benches", type=int, default=benches, help="simulated runs of each cell")
    asked = parser.parse_args(arguments)
    print(f"{CONFIDENCE:.1%} intervals [median half width in %]. {about}")
    for name, line in cells.items():
        print(f"  {name:<60} {line(asked.benches)}", flush=True)


def main(arguments: Sequence[str]) -> None:
    tell_cells(
        {cell.name: partial(told, cell) for cell in CELLS},
        arguments,
        program="selfcheck.crossover",
        about="What a crossover's intervals hold: the share that holds the truth.",
        benches=4000,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
