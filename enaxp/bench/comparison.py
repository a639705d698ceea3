"""Comparison: runs against each other — did an arm become faster or slower, did the effect of ENA Express change? Pure.

    MeasuredRun (manifest, result, values by iteration) ×2 ─▶ compare ─┬─▶ Change per scenario, arm and metric, with Welch's interval
                                                                       ├─▶ Change of the effect of ENA Express itself
                                                                       └─▶ what was not compared, and why; warnings; differences

The iterations of two runs are not paired, so the interval is the unpaired one, over the logarithms of each run's iterations. It covers
what differs between iterations. What differs between two pairs of hosts, or two days, comes on top, and an interval of two runs cannot
hold it: where the runs differ in more than what was meant to be changed, the warnings say so.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from enaxp.bench.blocks import At, blocks_of
from enaxp.bench.effect import (
    Code,
    Effect,
    Grounds,
    interval_between,
    log_ratio,
    per_cent,
    word_for,
)
from enaxp.bench.environment import FactDifference, differences_of_runs
from enaxp.bench.evaluation import MeasuredScenario, judge_run, measure_scenario
from enaxp.bench.evidence import Evidence
from enaxp.bench.inference import EXPLORATORY_CONFIDENCE
from enaxp.bench.records import Manifest
from enaxp.bench.result import Result
from enaxp.bench.verdict import VerdictCode, combine, describe
from enaxp.traffic import ARM_NAMES, ARMS, Arm, Metric, Scenario

PRIMARY_CONFIDENCE = 0.975  # of a change between two runs: two primaries share the 5 % of being wrong

Values = Mapping[Metric, Mapping[Arm, Mapping[At, float]]]
# What two runs may differ in without being of different traffic; said, since it is in the difference.
_SETTINGS = {"order": "order", "duration_s": "duration in s", "repeats": "repeats", "crossover": "crossover"}


@dataclass(frozen=True, kw_only=True)
class MeasuredRun:
    """One run as it is compared.

    `name` is what people call it; `values` are, by scenario, ns of merged trials or 10⁹ bit/s.
    """

    name: str
    manifest: Manifest
    result: Result
    values: Mapping[str, Values]

    @property
    def scenarios(self) -> Mapping[str, Scenario]:
        return {scenario.name: scenario for scenario in self.manifest.plan.scenarios}


def measured_run(name: str, manifest: Manifest, evidence: Evidence) -> MeasuredRun:
    """A run ready to be compared. Its trials are merged once, for its result and for its values."""
    scenarios: dict[str, MeasuredScenario] = {}
    values: dict[str, Values] = {}
    for scenario in manifest.plan.scenarios:
        blocks = blocks_of(scenario, evidence)
        scenarios[scenario.name] = measure_scenario(manifest, evidence, blocks)
        values[scenario.name] = {metric: blocks.values(metric) for metric in scenario.metrics}
    return MeasuredRun(name=name, manifest=manifest, result=judge_run(manifest, scenarios), values=values)


@dataclass(frozen=True, kw_only=True)
class FigureChange:
    """How one metric changed from the first run to the other. `base` and `run` are its figures: in µs or 10⁹ bit/s, of all trials
    merged; of an effect of ENA Express, in per cent.
    """

    effect: Effect
    base: float | None
    run: float | None
    base_iterations: int
    run_iterations: int


@dataclass(frozen=True, kw_only=True)
class ScenarioComparison:
    """One scenario of two runs: the changes by arm and metric, and the changes of the effect of ENA Express by metric."""

    scenario: Scenario
    arms: Mapping[Arm, Mapping[Metric, FigureChange]]
    effects: Mapping[Metric, FigureChange]

    def code(self, arm: Arm) -> VerdictCode:
        """The verdict code of an arm, from its primaries."""
        return combine([change.effect.code for change in self.arms[arm].values() if change.effect.primary])

    def words(self, arm: Arm) -> str:
        """The sentence on an arm, with a clause for each primary."""
        primaries = {metric: change.effect for metric, change in self.arms[arm].items() if change.effect.primary}
        return f"{ARM_NAMES[arm]} " + "; ".join(describe(metric, effect) for metric, effect in primaries.items())


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One run against the first. `not_compared` gives the reason by scenario."""

    base: MeasuredRun
    run: MeasuredRun
    scenarios: tuple[ScenarioComparison, ...]
    not_compared: Mapping[str, str]
    differences: tuple[FactDifference, ...]
    warnings: tuple[str, ...]


def compare(base: MeasuredRun, run: MeasuredRun, *, arms: Sequence[Arm] = ARMS) -> Comparison:
    """Compares the run with the first one: every scenario that both measured with the same traffic, for these arms."""
    not_compared: dict[str, str] = {}
    compared = []
    for name in {**base.scenarios, **run.scenarios}:
        reason = _why_not(base, run, name)
        if reason is None:
            compared.append(_scenario(base, run, base.scenarios[name], arms))
        else:
            not_compared[name] = reason
    return Comparison(
        base=base,
        run=run,
        scenarios=tuple(compared),
        not_compared=not_compared,
        differences=differences_of_runs(base.manifest, run.manifest),
        warnings=tuple(_warnings(base, run)),
    )


def measure_change(
    metric: Metric,
    base: Sequence[float],
    run: Sequence[float],
    *,
    margin_pct: float,
    primary: bool,
    same_data: bool = False,
) -> Effect:
    """The change between two runs, from the logarithms of their iterations' values.

    Where one is beyond measurement (+∞, −∞) there is no such figure, and the change is undecided. With `same_data` the change is exactly
    0 and its interval has no width: a run and a copy of it are not two samples.
    """
    if not base or not run:
        return _unmeasured("invalid", margin_pct, primary)
    if not all(map(math.isfinite, (*base, *run))):
        return _unmeasured("inconclusive", margin_pct, primary)
    confidence = PRIMARY_CONFIDENCE if primary else EXPLORATORY_CONFIDENCE
    low, high = (0.0, 0.0) if same_data else interval_between(base, run, confidence=confidence)
    return Effect(
        estimate_pct=per_cent(statistics.fmean(run) - statistics.fmean(base)),
        low_pct=low,
        high_pct=high,
        margin_pct=margin_pct,
        improvement_pct=None,
        primary=primary,
        code=word_for(metric, low, high, margin_pct),
        confidence_pct=100 * confidence,
        grounds=Grounds(iterations=min(len(base), len(run))),
    )


def _scenario(base: MeasuredRun, run: MeasuredRun, scenario: Scenario, arms: Sequence[Arm]) -> ScenarioComparison:
    metrics = base.values[scenario.name]
    return ScenarioComparison(
        scenario=scenario,
        arms={arm: {metric: _figure_change(base, run, scenario, metric, arm) for metric in metrics} for arm in arms},
        effects={metric: _effect_change(base, run, scenario, metric) for metric in metrics}
        if set(arms) == set(ARMS)
        else {},
    )


def _figure_change(base: MeasuredRun, run: MeasuredRun, scenario: Scenario, metric: Metric, arm: Arm) -> FigureChange:
    """The change of one arm's figure."""
    before, after = (_logs(measured.values[scenario.name][metric][arm]) for measured in (base, run))
    was, now = (measured.result.scenarios[scenario.name].arms[arm].figure(metric) for measured in (base, run))
    return _change(base, run, scenario, metric, logs=(before, after), figures=(was, now))


def _effect_change(base: MeasuredRun, run: MeasuredRun, scenario: Scenario, metric: Metric) -> FigureChange:
    """The change of the effect of ENA Express."""
    before, after = (_log_ratios(measured.values[scenario.name][metric]) for measured in (base, run))
    was, now = (measured.result.scenarios[scenario.name].effects[metric].estimate_pct for measured in (base, run))
    return _change(base, run, scenario, metric, logs=(before, after), figures=(was, now))


def _change(
    base: MeasuredRun,
    run: MeasuredRun,
    scenario: Scenario,
    metric: Metric,
    *,
    logs: tuple[list[float], list[float]],
    figures: tuple[float | None, float | None],
) -> FigureChange:
    effect = measure_change(
        metric,
        *logs,
        margin_pct=_margin_pct(base, run),
        primary=metric in scenario.primaries,
        same_data=base.values[scenario.name] == run.values[scenario.name],
    )
    return FigureChange(
        effect=effect,
        base=figures[0],
        run=figures[1],
        base_iterations=len(logs[0]),
        run_iterations=len(logs[1]),
    )


def _logs(values: Mapping[At, float]) -> list[float]:
    return [math.log(value) for value in values.values() if value > 0]


def _log_ratios(values: Mapping[Arm, Mapping[At, float]]) -> list[float]:
    """The log ratio of ENA Express to ENA in each iteration that has both arms."""
    express = values["ena_express"]
    both = [(ena, express[at]) for at, ena in values["ena"].items() if at in express]
    ratios = [log_ratio(one, other) for one, other in both if one > 0 and other > 0]
    return [math.inf if ratio is None else ratio for ratio in ratios]


def _margin_pct(base: MeasuredRun, run: MeasuredRun) -> float:
    """The larger of both runs' margins."""
    return max(measured.manifest.plan.margin_pct for measured in (base, run))


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
    one, other = (asdict(measured.scenarios[name].as_asked) for measured in (base, run))
    changed = [f"{key} {one[key]} and {other[key]}" for key in one if key != "csv_name" and one[key] != other[key]]
    if changed:
        return f"it is not the same traffic: {', '.join(changed)}"
    for measured in (base, run):
        if not any(arms[arm] for arms in measured.values[name].values() for arm in ARMS):
            return f"no trial of it counts in {measured.name}"
    return None


def _warnings(base: MeasuredRun, run: MeasuredRun) -> Iterator[str]:
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
    for measured in (base, run):
        if measured.manifest.ended_at is None:
            yield f"{measured.name} has not ended: it runs, or was cut off"
        for wrong in measured.manifest.forced:
            yield f"{measured.name} was measured in spite of this: {wrong}"
        for name, scenario in measured.result.scenarios.items():
            if scenario.treatment.proven is None:
                yield f"{measured.name}: whether SRD carried {name} is unknown (no counters)"
            lacking = min(arm.valid_trials for arm in scenario.arms.values())
            planned = measured.manifest.plan.iterations * measured.manifest.plan.repeats
            if lacking < planned:
                yield f"{measured.name}: of {name} {lacking} of {planned} pairs count"


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
