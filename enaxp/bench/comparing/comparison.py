"""Comparison: runs compared with each other — did an arm become faster or slower, did the effect of ENA Express change? Pure.

    MeasuredRun, … a side ─▶ compare_sides ─┬─▶ FigureChange per scenario, arm and metric, and of the effect of ENA Express itself
    earlier runs of the lab ────────────────┤
                                            └─▶ what was not compared, and why; warnings; differences

The unit is the run (units.py): two runs of the same setup differ by more than the variation of their iterations shows. With one run on
each side, the run-to-run standard deviation is taken from earlier runs of the same lab; with too few of these, a change has no interval
and no conclusion.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from enaxp.bench.comparing.earlier import SHAPE, has_same_shape, is_candidate, traffic_differences
from enaxp.bench.judging.blocks import At, blocks_of
from enaxp.bench.judging.effect import Code, Effect, Grounds, log_ratio, per_cent, word_for
from enaxp.bench.judging.evaluation import MeasuredScenario, judge_run, measure_scenario
from enaxp.bench.judging.result import Result
from enaxp.bench.judging.verdict import VerdictCode, combine, describe
from enaxp.bench.run_folder.environment import FactDifference, differences_of_runs
from enaxp.bench.run_folder.evidence import Evidence
from enaxp.bench.run_folder.records import Manifest
from enaxp.bench.statistics.inference import EXPLORATORY_CONFIDENCE, RatioSample
from enaxp.bench.statistics.units import FEWEST, Basis, Difference, RunMean, basis_of, copies, difference
from enaxp.text import change_plain, counted, listed
from enaxp.traffic import ARM_NAMES, ARMS, Arm, Metric, Scenario, metric_text

PRIMARY_CONFIDENCE = 0.975  # of a change between runs: two primaries share the 5 % of being wrong

Values = Mapping[Metric, Mapping[Arm, Mapping[At, float]]]
# What two runs may differ in without being of different traffic; said, since it is in the difference.
_SETTINGS = {
    "order": "order",
    "duration_s": "duration in s",
    "repeats": "repeats",
    "crossover": "crossover",
    "cpus": "cpus",
}
assert set(_SETTINGS) == set(SHAPE)


@dataclass(frozen=True, kw_only=True)
class MeasuredRun:
    """One run, prepared for a comparison.

    `name`: the run's name for people. `values`: by scenario, in ns of the merged trials or 10⁹ bit/s. `crossed`: the iterations in which
    the interfaces had swapped arms.
    """

    name: str
    manifest: Manifest
    result: Result
    values: Mapping[str, Values]
    crossed: Mapping[str, frozenset[At]] = field(default_factory=dict)

    @property
    def scenarios(self) -> Mapping[str, Scenario]:
        return {scenario.name: scenario for scenario in self.manifest.plan.scenarios}

    def level(self, scenario: str, metric: Metric, arm: Arm) -> RatioSample:
        """The logarithms of an arm's figure, one for each iteration."""
        of = self.values[scenario][metric][arm]
        return self._sample(scenario, {at: math.log(value) for at, value in of.items() if value > 0})

    def effect(self, scenario: str, metric: Metric) -> RatioSample:
        """The log ratio of ENA Express to ENA in each iteration that has both arms."""
        of = self.values[scenario][metric]
        both = {at: (ena, of["ena_express"][at]) for at, ena in of["ena"].items() if at in of["ena_express"]}
        return self._sample(scenario, {at: log_ratio(*pair) for at, pair in both.items() if min(pair) > 0})

    def _sample(self, scenario: str, ratios: Mapping[At, float | None]) -> RatioSample:
        crossed = self.crossed.get(scenario, frozenset())
        return RatioSample(
            ratios=tuple(ratios.values()), crossed=tuple(at in crossed for at in ratios) if crossed else ()
        )


def measured_run(name: str, manifest: Manifest, evidence: Evidence) -> MeasuredRun:
    """The run, prepared for a comparison. Its trials are merged once, for both its result and its values."""
    scenarios: dict[str, MeasuredScenario] = {}
    values: dict[str, Values] = {}
    crossed: dict[str, frozenset[At]] = {}
    for scenario in manifest.plan.scenarios:
        blocks = blocks_of(scenario, evidence)
        scenarios[scenario.name] = measure_scenario(manifest, evidence, blocks)
        values[scenario.name] = {metric: blocks.values(metric) for metric in scenario.metrics}
        crossed[scenario.name] = frozenset(
            (record.pair, record.iteration) for record in blocks.trials if record.crossed
        )
    return MeasuredRun(
        name=name, manifest=manifest, result=judge_run(manifest, scenarios), values=values, crossed=crossed
    )


@dataclass(frozen=True)
class Side:
    """The runs of one side of a comparison, at least one."""

    runs: tuple[MeasuredRun, ...]

    @property
    def name(self) -> str:
        """The side's name in tables."""
        first, *others = [run.name for run in self.runs]
        return f"{first} and {len(others)} more" if others else first

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(run.name for run in self.runs)


@dataclass(frozen=True, kw_only=True)
class FigureChange:
    """The change of one metric from the base to the other side. `base` and `run`: the figure of each side over all merged trials, in µs
    or 10⁹ bit/s (of several runs the geometric mean); for an effect of ENA Express, in per cent. `difference`: None where there is no
    figure.
    """

    effect: Effect
    base: float | None
    run: float | None
    base_iterations: int
    run_iterations: int
    difference: Difference | None = None

    def interval_pct(self, *, confidence: float) -> tuple[float, float] | tuple[None, None]:
        """The interval of the change in per cent; (None, None) where there is none."""
        ends = self.difference.interval(confidence=confidence) if self.difference else None
        return (None, None) if ends is None else (per_cent(ends[0]), per_cent(ends[1]))

    @property
    def is_unknowable(self) -> bool:
        """Whether the change has a size but no interval, because the run-to-run standard deviation is unknown."""
        return self.difference is not None and self.difference.where is None


@dataclass(frozen=True, kw_only=True)
class Units:
    """The runs whose run-to-run standard deviation a scenario's intervals use: as a code, and in words."""

    basis: Basis
    runs: tuple[str, ...]
    words: str


@dataclass(frozen=True, kw_only=True)
class ScenarioComparison:
    """The comparison of one scenario: the changes by arm and metric, and the changes of ENA Express's effect by metric."""

    scenario: Scenario
    arms: Mapping[Arm, Mapping[Metric, FigureChange]]
    effects: Mapping[Metric, FigureChange]
    units: Units

    def code(self, arm: Arm) -> VerdictCode:
        """The verdict code of an arm, from its primaries."""
        return combine([change.effect.code for change in self.arms[arm].values() if change.effect.primary])

    def words(self, arm: Arm) -> str:
        """The sentence on an arm, with a clause for each primary."""
        primaries = {metric: change for metric, change in self.arms[arm].items() if change.effect.primary}
        return f"{ARM_NAMES[arm]} " + "; ".join(_described(metric, change) for metric, change in primaries.items())


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One side compared with the base. `not_compared`: for each scenario that could not be compared, the reason."""

    base: Side
    run: Side
    scenarios: tuple[ScenarioComparison, ...]
    not_compared: Mapping[str, str]
    differences: tuple[FactDifference, ...]
    warnings: tuple[str, ...]


def compare(
    base: MeasuredRun, run: MeasuredRun, *, earlier: Sequence[MeasuredRun] = (), arms: Sequence[Arm] = ARMS
) -> Comparison:
    """The comparison of one run with another."""
    return compare_sides((base,), (run,), earlier=earlier, arms=arms)


def compare_sides(
    base: Sequence[MeasuredRun],
    run: Sequence[MeasuredRun],
    *,
    earlier: Sequence[MeasuredRun] = (),
    arms: Sequence[Arm] = ARMS,
) -> Comparison:
    """The comparison of two sides: every scenario that all runs measured with the same traffic, for these arms.

    `earlier`: other runs of the lab. Where the sides have too few runs, the run-to-run standard deviation is estimated from those of them
    that are comparable.
    """
    sides = Side(tuple(base)), Side(tuple(run))
    first, *others = [*base, *run]
    not_compared: dict[str, str] = {}
    compared = []
    for name in dict.fromkeys(name for one in (first, *others) for name in one.scenarios):
        reason = next(filter(None, (_why_not(first, other, name) for other in others)), None)
        if reason is None:
            compared.append(_scenario(*sides, first.scenarios[name], earlier=earlier, arms=arms))
        else:
            not_compared[name] = reason
    differences = (one for other in others for one in differences_of_runs(first.manifest, other.manifest))
    return Comparison(
        base=sides[0],
        run=sides[1],
        scenarios=tuple(compared),
        not_compared=not_compared,
        differences=tuple(dict.fromkeys(differences)),
        warnings=tuple(dict.fromkeys(_warnings(first, others))),
    )


def measure_change(metric: Metric, change: Difference | None, *, margin_pct: float, primary: bool) -> Effect:
    """The change between two sides as an effect. It is inconclusive where it has no interval, and where `change` is None because a run
    lacks the figure."""
    if change is None:
        return _unmeasured("inconclusive", margin_pct, primary)
    confidence = PRIMARY_CONFIDENCE if primary else EXPLORATORY_CONFIDENCE
    ends = change.interval(confidence=confidence)
    low, high = (None, None) if ends is None else (per_cent(ends[0]), per_cent(ends[1]))
    return Effect(
        estimate_pct=per_cent(change.estimate),
        low_pct=low,
        high_pct=high,
        margin_pct=margin_pct,
        improvement_pct=None,
        primary=primary,
        code=word_for(metric, low, high, margin_pct),
        confidence_pct=100 * confidence,
        grounds=Grounds(iterations=change.told_by),
    )


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """The inputs of one scenario's comparison. earlier: the runs from which the run-to-run standard deviation is estimated. same_data:
    both sides are the same measurement."""

    base: Side
    run: Side
    scenario: Scenario
    earlier: Sequence[MeasuredRun]
    same_data: bool
    margin_pct: float


def _scenario(
    base: Side, run: Side, scenario: Scenario, *, earlier: Sequence[MeasuredRun], arms: Sequence[Arm]
) -> ScenarioComparison:
    runs = (*base.runs, *run.runs)
    sides = _Sides(
        base=base,
        run=run,
        scenario=scenario,
        earlier=_those_that_tell(earlier, runs, scenario.name),
        same_data=len(runs) == 2 and runs[0].values[scenario.name] == runs[1].values[scenario.name],
        margin_pct=max(one.manifest.plan.margin_pct for one in runs),
    )
    metrics = base.runs[0].values[scenario.name]
    return ScenarioComparison(
        scenario=scenario,
        arms={arm: {metric: _figure_change(sides, metric, arm) for metric in metrics} for arm in arms},
        effects={metric: _effect_change(sides, metric) for metric in metrics} if set(arms) == set(ARMS) else {},
        units=_units(sides),
    )


def _those_that_tell(
    earlier: Iterable[MeasuredRun], runs: Sequence[MeasuredRun], scenario: str
) -> tuple[MeasuredRun, ...]:
    """The earlier runs that are comparable with the compared ones. A copy of a run is not counted again."""
    manifests = [one.manifest for one in runs]
    seen = [one.values[scenario] for one in runs]
    found = []
    for one in earlier:
        fits = is_candidate(one.manifest, manifests) and all(
            has_same_shape(one.manifest, manifest, scenario) for manifest in manifests
        )
        if fits and one.values[scenario] not in seen:
            seen.append(one.values[scenario])
            found.append(one)
    return tuple(found)


def _units(sides: _Sides) -> Units:
    base, run, earlier = sides.base, sides.run, sides.earlier
    sizes = f"{counted(len(base.runs), 'run')} against {len(run.runs)}"
    names = tuple(one.name for one in earlier)
    basis = "copies" if sides.same_data else basis_of(len(base.runs), len(run.runs), earlier=len(earlier))
    labs = sorted({one.manifest.lab for one in (*base.runs, *run.runs)})
    match basis:
        case "copies":
            return Units(basis=basis, runs=(), words="both are the same measurements")
        case "these runs":
            words = f"{sizes}: their own spread from run to run is in every interval"
            return Units(basis=basis, runs=(*base.names, *run.names), words=words)
        case "earlier runs":
            words = (
                f"{sizes}: the spread from run to run is that of {len(earlier)} earlier runs of lab {labs[0]} "
                f"({listed(names)})"
            )
            return Units(basis=basis, runs=names, words=words)
        case "unknown":
            lacking = (
                f"they are of different labs ({listed(labs)})"
                if len(labs) > 1
                else f"lab {labs[0]} has {counted(len(earlier), 'earlier run')} like these, and {FEWEST} are needed"
            )
            words = (
                f"how much runs differ cannot be known from {sizes}: {lacking}; measure each side several times and "
                "name the runs with --base and --run"
            )
            return Units(basis=basis, runs=names, words=words)


def _figure_change(sides: _Sides, metric: Metric, arm: Arm) -> FigureChange:
    """The change of one figure of an arm."""
    name = sides.scenario.name
    return _change(
        sides,
        metric,
        samples={one.name: one.level(name, metric, arm) for one in _all_of(sides)},
        figures={one.name: one.result.scenarios[name].arms[arm].figure(metric) for one in _compared(sides)},
    )


def _effect_change(sides: _Sides, metric: Metric) -> FigureChange:
    """The change of the effect of ENA Express."""
    name = sides.scenario.name
    effects = {one.name: one.result.scenarios[name].effects[metric].estimate_pct for one in _compared(sides)}
    change = _change(
        sides,
        metric,
        samples={one.name: one.effect(name, metric) for one in _all_of(sides)},
        figures={run: None if pct is None else 1 + pct / 100 for run, pct in effects.items()},
    )
    return replace(change, base=_ratio_pct(change.base), run=_ratio_pct(change.run))


def _change(
    sides: _Sides, metric: Metric, *, samples: Mapping[str, RatioSample], figures: Mapping[str, float | None]
) -> FigureChange:
    means = {name: RunMean.of(sample) for name, sample in samples.items()}
    base, run = ([mean for name in side.names if (mean := means[name])] for side in (sides.base, sides.run))
    is_whole = len(base) == len(sides.base.runs) and len(run) == len(sides.run.runs)
    has_any = all(any(samples[name].ratios for name in side.names) for side in (sides.base, sides.run))
    found = None
    if is_whole:
        others = [mean for one in sides.earlier if (mean := means[one.name])]
        found = copies() if sides.same_data else difference(base, run, earlier=others)
    margin_pct, primary = sides.margin_pct, metric in sides.scenario.primaries
    return FigureChange(
        effect=measure_change(metric, found, margin_pct=margin_pct, primary=primary)
        if has_any
        else _unmeasured("invalid", margin_pct, primary),
        base=_geometric_mean([figures[name] for name in sides.base.names]),
        run=_geometric_mean([figures[name] for name in sides.run.names]),
        base_iterations=sum(len(samples[name].ratios) for name in sides.base.names),
        run_iterations=sum(len(samples[name].ratios) for name in sides.run.names),
        difference=found,
    )


def _compared(sides: _Sides) -> tuple[MeasuredRun, ...]:
    return (*sides.base.runs, *sides.run.runs)


def _all_of(sides: _Sides) -> tuple[MeasuredRun, ...]:
    return (*_compared(sides), *sides.earlier)


def _geometric_mean(figures: Sequence[float | None]) -> float | None:
    """The geometric mean of the runs of a side; None where one of them has no figure."""
    known = [figure for figure in figures if figure is not None]
    if len(known) < len(figures):
        return None
    if len(known) == 1:
        return known[0]
    return math.exp(statistics.fmean(map(math.log, known))) if min(known) > 0 else None


def _ratio_pct(ratio: float | None) -> float | None:
    return None if ratio is None else 100 * (ratio - 1)


def _described(metric: Metric, change: FigureChange) -> str:
    """A clause on a change, to follow the arm's name."""
    if change.is_unknowable:
        at = f"in {metric_text(metric)}" if metric == "throughput" else f"at {metric_text(metric)}"
        return f"changed by {change_plain(change.effect.estimate_pct)} {at}, which may be what any two runs differ by"
    return describe(metric, change.effect)


def _unmeasured(code: Code, margin_pct: float, primary: bool) -> Effect:
    return Effect(
        estimate_pct=None,
        low_pct=None,
        high_pct=None,
        margin_pct=margin_pct,
        improvement_pct=None,
        primary=primary,
        code=code,
    )


def _why_not(base: MeasuredRun, run: MeasuredRun, name: str) -> str | None:
    """Why a scenario of two runs cannot be compared; None when it can."""
    for measured in (base, run):
        if name not in measured.scenarios:
            return f"{measured.name} did not measure it"
    if changed := traffic_differences(base.scenarios[name], run.scenarios[name]):
        return f"it is not the same traffic: {', '.join(changed)}"
    for measured in (base, run):
        if not any(arms[arm] for arms in measured.values[name].values() for arm in ARMS):
            return f"no trial of it counts in {measured.name}"
    return None


def _warnings(first: MeasuredRun, others: Sequence[MeasuredRun]) -> Iterator[str]:
    for other in others:
        yield from _warnings_of_two(first, other)
    for measured in (first, *others):
        yield from _warnings_of_one(measured)


def _warnings_of_two(base: MeasuredRun, run: MeasuredRun) -> Iterator[str]:
    one, other = base.manifest, run.manifest
    if all(base.values[name] == run.values.get(name) for name in base.values):
        yield f"{base.name} and {run.name} hold the same measurements"
    if one.target != other.target:
        yield "one run was made on AWS and one on this machine: their difference says nothing about ENA"
    elif one.isolation != other.isolation:
        yield f"the hosts were of different kinds: {one.isolation} and {other.isolation}"
    for key, label in _SETTINGS.items():
        was, now = (getattr(manifest.plan, key) for manifest in (one, other))
        if was != now:
            yield f"other settings: {label} {_setting(was)} and {_setting(now)}"


def _warnings_of_one(measured: MeasuredRun) -> Iterator[str]:
    if measured.manifest.ended_at is None:
        yield f"{measured.name} has not ended: it runs, or was cut off"
    for wrong in measured.manifest.forced:
        yield f"{measured.name} was measured in spite of this: {wrong}"
    for name, scenario in measured.result.scenarios.items():
        if scenario.treatment.proven is None:
            yield f"{measured.name}: whether SRD carried {name} is unknown ({scenario.treatment.why_unknown})"
        lacking = min(arm.valid_trials for arm in scenario.arms.values())
        planned = measured.manifest.plan.iterations * measured.manifest.plan.repeats
        if lacking < planned:
            yield f"{measured.name}: of {name} {lacking} of {planned} pairs count"


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
