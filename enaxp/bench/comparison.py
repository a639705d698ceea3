"""Comparison: runs against each other — did an arm become faster or slower, did the effect of ENA Express change? Pure.

    MeasuredRun (manifest, result, values by iteration) ×2 ─▶ compare ─┬─▶ Change per scenario, arm and metric, with Welch's interval
                                                                       ├─▶ Change of the effect of ENA Express itself
                                                                       └─▶ what was not compared, and why; warnings; differences

The iterations of two runs belong to no pairs, so that the interval is the unpaired one, over the logarithms of each run's iterations.
It covers what differs between iterations. What differs between two pairs of hosts, or two days, comes on top and is in no interval
of two runs: where the runs differ in more than what was meant to be changed, the warnings say so.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from enaxp.bench.blocks import At, blocks_of
from enaxp.bench.effect import (
    EXPLORATORY_CONFIDENCE,
    PRIMARY_CONFIDENCE,
    Effect,
    interval_between,
    needed_for,
    per_cent,
    word_for,
)
from enaxp.bench.environment import FactDifference, differences_of_runs
from enaxp.bench.evaluation import result_of_scenarios, scenario_result
from enaxp.bench.evidence import Evidence
from enaxp.bench.records import Manifest
from enaxp.bench.result import Result, ScenarioResult
from enaxp.bench.verdict import VerdictCode, combine, describe
from enaxp.traffic import ARM_NAMES, ARMS, Arm, Metric, Scenario

Values = Mapping[Metric, Mapping[Arm, Mapping[At, float]]]
SCHEMA = 1
# What two runs may differ in without being of different traffic; said, since it is in the difference.
_SETTINGS = {"order": "order", "duration_s": "duration in s", "repeats": "repeats", "crossover": "crossover"}


@dataclass(frozen=True, kw_only=True)
class MeasuredRun:
    """One run as it is compared. `name` is what people call it; `values` are, by scenario, ns of merged trials or 10⁹ bit/s."""

    name: str
    manifest: Manifest
    result: Result
    values: Mapping[str, Values]

    @property
    def scenarios(self) -> Mapping[str, Scenario]:
        return {scenario.name: scenario for scenario in self.manifest.plan.scenarios}


def measured_run(name: str, manifest: Manifest, evidence: Evidence) -> MeasuredRun:
    """A run made ready to be compared, its trials merged once for its result and its values."""
    scenarios: dict[str, ScenarioResult] = {}
    values: dict[str, Values] = {}
    for scenario in manifest.plan.scenarios:
        blocks = blocks_of(scenario, evidence)
        scenarios[scenario.name] = scenario_result(manifest, evidence, blocks)
        values[scenario.name] = {metric: blocks.values(metric) for metric in scenario.metrics}
    return MeasuredRun(name=name, manifest=manifest, result=result_of_scenarios(manifest, scenarios), values=values)


@dataclass(frozen=True, kw_only=True)
class FigureChange:
    """What became of one metric from the first run to the other. `base` and `run` are in µs or 10⁹ bit/s, of all trials merged;
    of an effect they are in per cent. The counts are of iterations.
    """

    effect: Effect
    base: float | None
    run: float | None
    base_iterations: int
    run_iterations: int

    def to_json(self) -> dict[str, Any]:
        own = {name: value for name, value in asdict(self).items() if name != "effect"}
        effect = {name: value for name, value in self.effect.to_json().items() if name != "improvement_pct"}
        return {**own, **effect}


@dataclass(frozen=True, kw_only=True)
class ScenarioComparison:
    """One scenario of two runs: by arm and metric, and by metric of the effect of ENA Express."""

    scenario: Scenario
    arms: Mapping[Arm, Mapping[Metric, FigureChange]]
    effects: Mapping[Metric, FigureChange]

    def code(self, arm: Arm) -> VerdictCode:
        """What the primaries of an arm come to."""
        return combine([change.effect.code for change in self.arms[arm].values() if change.effect.primary])

    def words(self, arm: Arm) -> str:
        """What its primaries allow to be said of an arm."""
        primaries = {metric: change.effect for metric, change in self.arms[arm].items() if change.effect.primary}
        return f"{ARM_NAMES[arm]} " + "; ".join(describe(metric, effect) for metric, effect in primaries.items())

    def to_json(self) -> dict[str, Any]:
        return {
            "arms": {
                arm: {
                    "code": self.code(arm),
                    "words": self.words(arm),
                    "changes": {metric: change.to_json() for metric, change in changes.items()},
                }
                for arm, changes in self.arms.items()
            },
            "effects": {metric: change.to_json() for metric, change in self.effects.items()},
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One run against the first. `not_compared` says, by scenario, why."""

    base: MeasuredRun
    run: MeasuredRun
    scenarios: tuple[ScenarioComparison, ...]
    not_compared: Mapping[str, str]
    differences: tuple[FactDifference, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "base": self.base.name,
            "run": self.run.name,
            "scenarios": {one.scenario.name: one.to_json() for one in self.scenarios},
            "not_compared": dict(self.not_compared),
            "differences": [asdict(difference) for difference in self.differences],
            "warnings": list(self.warnings),
        }


def compare(base: MeasuredRun, run: MeasuredRun, *, arms: Sequence[Arm] = ARMS) -> Comparison:
    """The run against the first one: every scenario that both have measured alike, for these arms."""
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


def document(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """What `enaxp compare --json` prints of them, without conditions."""
    runs = [comparisons[0].base, *(comparison.run for comparison in comparisons)]
    return {
        "schema": SCHEMA,
        "runs": [
            {
                "name": run.name,
                "run_id": run.manifest.run_id,
                "lab": run.manifest.lab,
                "target": run.manifest.target,
                "isolation": run.manifest.isolation,
                "started_at": run.manifest.started_at,
                "place": dict(run.manifest.place),
                "verdicts": {name: asdict(scenario.verdict) for name, scenario in run.result.scenarios.items()},
            }
            for run in runs
        ],
        "comparisons": [comparison.to_json() for comparison in comparisons],
    }


def measure_change(
    metric: Metric,
    base: Sequence[float],
    run: Sequence[float],
    *,
    margin_pct: float,
    primary: bool,
    same_data: bool = False,
) -> Effect:
    """The change between two runs' iterations, whose logarithms are given, as an effect is measured within one.

    The same data twice are not two samples: between those there is no difference, and nothing to be unsure of.
    """
    if not base or not run:
        return _unmeasured(margin_pct, primary)
    confidence = PRIMARY_CONFIDENCE if primary else EXPLORATORY_CONFIDENCE
    low, high = (0.0, 0.0) if same_data else interval_between(base, run, confidence=confidence)
    spread = (
        math.hypot(*(statistics.stdev(values) for values in (base, run))) if low is not None and not same_data else None
    )
    return Effect(
        estimate_pct=per_cent(statistics.fmean(run) - statistics.fmean(base)),
        low_pct=low,
        high_pct=high,
        margin_pct=margin_pct,
        improvement_pct=None,
        primary=primary,
        code=word_for(metric, low, high, margin_pct),
        iterations=min(len(base), len(run)),
        iterations_needed=None if spread is None else needed_for(spread, margin_pct=margin_pct, confidence=confidence),
    )


def _scenario(base: MeasuredRun, run: MeasuredRun, scenario: Scenario, arms: Sequence[Arm]) -> ScenarioComparison:
    one, other = base.values[scenario.name], run.values[scenario.name]
    same_data = one == other
    primaries = scenario.primaries
    both = [measured.result.scenarios[scenario.name] for measured in (base, run)]

    def change(
        metric: Metric, before: list[float], after: list[float], figures: Sequence[float | None]
    ) -> FigureChange:
        effect = measure_change(
            metric,
            before,
            after,
            margin_pct=_margin_pct(base, run, scenario, metric),
            primary=metric in primaries,
            same_data=same_data,
        )
        return FigureChange(
            effect=effect, base=figures[0], run=figures[1], base_iterations=len(before), run_iterations=len(after)
        )

    return ScenarioComparison(
        scenario=scenario,
        arms={
            arm: {
                metric: change(
                    metric,
                    _logs(one[metric][arm]),
                    _logs(other[metric][arm]),
                    [measured.arms[arm].figure(metric) for measured in both],
                )
                for metric in one
            }
            for arm in arms
        },
        effects={
            metric: change(
                metric,
                _log_ratios(one[metric]),
                _log_ratios(other[metric]),
                [measured.effects[metric].estimate_pct for measured in both],
            )
            for metric in one
        }
        if set(arms) == set(ARMS)
        else {},
    )


def _logs(values: Mapping[At, float]) -> list[float]:
    return [math.log(value) for value in values.values() if value > 0]


def _log_ratios(values: Mapping[Arm, Mapping[At, float]]) -> list[float]:
    """The effect in each iteration that has both arms."""
    express = values["ena_express"]
    both = [(ena, express[at]) for at, ena in values["ena"].items() if at in express]
    return [math.log(other / one) for one, other in both if one > 0 and other > 0]


def _margin_pct(base: MeasuredRun, run: MeasuredRun, scenario: Scenario, metric: Metric) -> float:
    """The larger of both runs' margins, or the noise where a control of either has shown more of it."""
    margins = [measured.manifest.plan.margin_pct for measured in (base, run)]
    for measured in (base, run):
        if control := measured.result.scenarios[scenario.name].control:
            margins.append(control.noise_pct.get(metric, 0.0))
    return max(margins)


def _unmeasured(margin_pct: float, primary: bool) -> Effect:
    return Effect(
        estimate_pct=None,
        low_pct=None,
        high_pct=None,
        margin_pct=margin_pct,
        improvement_pct=None,
        primary=primary,
        code="invalid",
    )


def _why_not(base: MeasuredRun, run: MeasuredRun, name: str) -> str | None:
    """Why a scenario of two runs cannot be compared; None when it can."""
    for measured in (base, run):
        if name not in measured.scenarios:
            return f"{measured.name} did not measure it"
    one, other = (asdict(measured.scenarios[name]) for measured in (base, run))
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
