"""Runs: how often two sides of the same thing are told apart, by simulation. Seeded, so the same each time.

    Sides (runs a side, earlier runs, spread from run to run) ─▶ made runs ─▶ `compare` and its conditions ─▶ how often each is shown

    python -m selfcheck.runs [--comparisons 200]

A run's level and its effect each differ from run to run by the spread; its 10 iterations lie closer together. From the values of the
iterations on everything is what `enaxp compare --fail-if` does. What the old rule would have said is beside it: Welch's interval over the
iterations of two runs.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from enaxp.bench.comparing.comparison import Comparison, MeasuredRun, compare_sides, measured_run
from enaxp.bench.comparing.conditions import judge, read_condition
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.records import ArmAddresses, Manifest
from enaxp.bench.statistics.inference import student_t, welch
from enaxp.traffic import ARMS, Metric
from selfcheck.made_run import UDP

SEED = 20261130
ITERATIONS = 10
ITERATION_SD = 0.01
CONDITIONS = ("p99 slower 0%", "p99 different 0%", "p99 slower 5%", "effect p99 different 0%", "effect p99 slower 5%")
SPREADS_PCT = (2.0, 5.0)
_PLAN = BenchPlan(
    iterations=ITERATIONS, repeats=2, duration_s=10, order="interleaved", seed=1, margin_pct=2, scenarios=(UDP,)
)


@dataclass(frozen=True, kw_only=True)
class Sides:
    """How many runs there are: of the base, of the other side, and earlier ones of the lab."""

    base: int
    run: int
    earlier: int = 0

    @property
    def name(self) -> str:
        return f"{self.base} against {self.run}" + (f", {self.earlier} earlier" if self.base == self.run == 1 else "")


SIDES = (
    *(Sides(base=1, run=1, earlier=earlier) for earlier in (0, 3, 5, 10)),
    *(Sides(base=count, run=count) for count in (2, 3, 5)),
    Sides(base=3, run=6),
    Sides(base=4, run=1),
)


@dataclass(frozen=True, kw_only=True)
class FireRates:
    """How often each condition was shown, as a share of the comparisons; by_iterations: how often Welch's 97.5 % interval over the
    iterations of one run a side left 0 out for an arm."""

    comparisons: int
    shown: dict[str, float]
    by_iterations: float


def simulate(sides: Sides, *, spread_pct: float, comparisons: int, change_pct: float = 0.0) -> FireRates:
    """How often the conditions are shown where the runs of both sides are of the same thing, or ENA Express's figures differ by so much."""
    rng = np.random.default_rng([SEED, sides.base, sides.run, sides.earlier, round(1000 * spread_pct)])
    template = _template()
    shown: Counter[str] = Counter()
    by_iterations = 0
    for _ in range(comparisons):
        earlier, base, run = (
            list(_runs(template, rng, count, spread_pct=spread_pct, change_pct=change, side=side))
            for side, (count, change) in enumerate(((sides.earlier, 0.0), (sides.base, 0.0), (sides.run, change_pct)))
        )
        comparison = compare_sides(base, run, earlier=earlier)
        shown.update(condition for condition in CONDITIONS if _is_shown(condition, comparison))
        by_iterations += _differ_by_iterations(base[0], run[0])
    return FireRates(
        comparisons=comparisons,
        shown={condition: shown[condition] / comparisons for condition in CONDITIONS},
        by_iterations=by_iterations / comparisons,
    )


def _is_shown(condition: str, comparison: Comparison) -> bool:
    return any(finding.outcome == "shown" for finding in judge(read_condition(condition), [comparison]))


def _differ_by_iterations(base: MeasuredRun, run: MeasuredRun) -> bool:
    """Whether the former rule finds a change in either arm."""
    for arm in ARMS:
        one, other = (measured.level(UDP.name, "p99", arm).finite for measured in (base, run))
        error, degrees = welch(one, other)
        if abs(np.mean(other) - np.mean(one)) > student_t(0.9875, degrees) * error:
            return True
    return False


def _template() -> MeasuredRun:
    """A run without trials: its values are put in."""
    manifest = Manifest(
        run_id="made", lab="made", target="aws", isolation=None, plan=_PLAN,
        connections={arm: ArmAddresses(source_ip="192.168.3.20", destination_ip="192.168.3.10") for arm in ARMS},
        argv=(), versions={}, started_at="2026-01-01T00:00:00+00:00", ended_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    return measured_run("made", manifest, weigh(_PLAN, [], read_histogram=lambda record: None))


def _runs(
    template: MeasuredRun, rng: np.random.Generator, count: int, *, spread_pct: float, change_pct: float, side: int
) -> Iterator[MeasuredRun]:
    """Runs of one thing. The levels of both arms move together, the effect besides."""
    for number in range(count):
        level, effect = rng.normal(0, spread_pct / 100, 2)
        shifts = {"ena": level, "ena_express": level + effect + math.log1p(change_pct / 100)}
        metrics: tuple[Metric, ...] = ("p50", "p99")
        values = {
            metric: {
                arm: {
                    (1, at + 1): 30_000 * math.exp(shifts[arm] + noise)
                    for at, noise in enumerate(rng.normal(0, ITERATION_SD, ITERATIONS))
                }
                for arm in ARMS
            }
            for metric in metrics
        }
        name = f"{side}-{number}"
        manifest = replace(template.manifest, run_id=name, started_at=f"2026-01-0{side + 1}T00:{number:02d}:00+00:00")
        yield replace(template, name=name, manifest=manifest, values={UDP.name: values})


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints, for each spread and each number of runs, how often each condition is shown of runs of the same thing."""
    parser = argparse.ArgumentParser(description="How often runs of the same thing are told apart.")
    parser.add_argument("--comparisons", type=int, default=200)
    comparisons = parser.parse_args(arguments).comparisons
    for change in (0.0, 30.0):
        for spread in SPREADS_PCT:
            what = f"ENA Express {change:g} % slower" if change else "the same on both sides"
            print(f"{what}, spread from run to run {spread:g} %, {comparisons} comparisons: shown in % of them")
            print(f"  {'runs':<22}{''.join(f'{one:>26}' for one in CONDITIONS)}{'old rule, any arm':>26}")
            for sides in SIDES:
                rates = simulate(sides, spread_pct=spread, comparisons=comparisons, change_pct=change)
                told = [*rates.shown.values(), rates.by_iterations]
                print(f"  {sides.name:<22}{''.join(f'{100 * one:>26.1f}' for one in told)}")


if __name__ == "__main__":
    main()
