"""Result: everything a run measured, worked out from its records alone. Pure but for reading histograms through the function it is given.

    Manifest ─┐
    records  ─┼─▶ Evidence ─▶ counted trials (both of a pair valid) ─▶ figures per arm, effects over iterations, treatment, verdict
    histograms┘                                                      └─▶ result.json

Figures that were not measured are None (null), never 0. Latencies are in µs.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from enaxp.bench.effect import Effect, improvement_pct, measure_effect
from enaxp.bench.evidence import Evidence, ReadHistogram, weigh
from enaxp.bench.gates import srd_gate
from enaxp.bench.histogram import Distribution, Histogram, merge_equal_weight
from enaxp.bench.records import Manifest, TrialRecord
from enaxp.bench.schedule import BenchPlan
from enaxp.bench.stability import control_warnings, host_warnings, warnings
from enaxp.bench.verdict import Treatment, Verdict, verdict
from enaxp.traffic import (
    ARMS,
    QUANTILES,
    THROUGHPUT,
    Arm,
    Metric,
    Scenario,
    figure_name,
)

SCHEMA = 1
TrialPlace = tuple[str, int, int, int]
ByArm = Mapping[Arm, Sequence["CountedTrial"]]
Blocks = Mapping[Arm, Mapping[tuple[int, int], tuple[Sequence["CountedTrial"], Distribution | None]]]


@dataclass(frozen=True, eq=False)
class CountedTrial:
    """A trial that counts, with its histogram."""

    record: TrialRecord
    histogram: Histogram | None


def build_result(
    manifest: Manifest,
    records: Sequence[TrialRecord],
    *,
    read_histogram: ReadHistogram,
    read_planned: ReadHistogram | None = None,
) -> dict[str, Any]:
    """The content of `result.json`. A trial whose histogram cannot be read, or is another's, does not count, and is among the warnings.

    `read_planned` reads a trial's latencies from the planned send time. Scenarios with those, and runs with a control or a crossover,
    have keys that others do not have.
    """
    return result_from(
        manifest, weigh(manifest.plan, records, read_histogram=read_histogram, read_planned=read_planned)
    )


def result_from(manifest: Manifest, evidence: Evidence) -> dict[str, Any]:
    """The content of `result.json`, from evidence that has been weighed already."""
    return {
        "schema": SCHEMA,
        "run_id": manifest.run_id,
        "lab": manifest.lab,
        "target": manifest.target,
        "isolation": manifest.isolation,
        "plan": _plan(manifest.plan),
        "scenarios": {scenario.name: _scenario(manifest, scenario, evidence) for scenario in manifest.plan.scenarios},
    }


def has_valid_result(result: Mapping[str, Any]) -> bool:
    """Whether any scenario of a result came to a verdict that is not invalid."""
    return any(scenario["verdict"]["code"] != "invalid" for scenario in result["scenarios"].values())


def is_narrow(result: Mapping[str, Any], *, to_pct: float) -> bool:
    """Whether the intervals of all primaries of all scenarios reach no further than that many per cent to either side."""
    primaries = [
        effect
        for scenario in result["scenarios"].values()
        for effect in scenario["effects"].values()
        if effect["primary"]
    ]
    return all(e["low_pct"] is not None and e["high_pct"] - e["low_pct"] <= 2 * to_pct for e in primaries)


def counted(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials that count: not discarded, valid, and with a valid partner in the same attempt. Of each pair one attempt counts."""
    attempts: dict[tuple[TrialPlace, int], dict[Arm, TrialRecord]] = defaultdict(dict)
    for record in records:
        if record.valid and not record.discarded:
            place = (record.scenario, record.pair, record.iteration, record.repeat)
            attempts[place, record.attempt][record.arm] = record
    chosen: dict[TrialPlace, dict[Arm, TrialRecord]] = {}
    for (place, _), both in attempts.items():
        if len(both) == len(ARMS):
            chosen.setdefault(place, both)
    return [both[arm] for both in chosen.values() for arm in ARMS]


_ONLY_WHEN_USED = ("crossover", "control", "until_pct", "max_iterations")


def _plan(plan: BenchPlan) -> dict[str, Any]:
    fields = plan.to_json() | {"scenarios": [scenario.name for scenario in plan.scenarios]}
    return {name: value for name, value in fields.items() if name not in _ONLY_WHEN_USED or value}


def values_by_iteration(
    scenario: Scenario, evidence: Evidence
) -> dict[Metric, dict[Arm, dict[tuple[int, int], float]]]:
    """Each metric that the scenario measures, by arm and (pair of hosts, iteration): ns of the merged trials, or 10⁹ bit/s."""
    blocks = _blocks(_by_arm(_counted_trials(_attempted(scenario, evidence), evidence)))
    return {
        metric: {
            arm: {at: value for at, block in of.items() if (value := _value(metric, *block)) is not None}
            for arm, of in blocks.items()
        }
        for metric in scenario.metrics
    }


def _attempted(scenario: Scenario, evidence: Evidence, *, control: bool = False) -> list[TrialRecord]:
    own = [record for record in evidence.records if record.scenario == scenario.name and not record.discarded]
    return [record for record in own if record.control == control]


def _counted_trials(attempted: Iterable[TrialRecord], evidence: Evidence) -> list[CountedTrial]:
    return [CountedTrial(record, evidence.histogram(record)) for record in counted(attempted)]


def _scenario(manifest: Manifest, scenario: Scenario, evidence: Evidence) -> dict[str, Any]:
    attempted = _attempted(scenario, evidence)
    trials = _counted_trials(attempted, evidence)
    by_arm = _by_arm(trials)
    control = _control(scenario, evidence, manifest.plan)
    noise: Mapping[Metric, float] = control["noise_pct"] if control else {}
    arms = {
        arm: _arm(by_arm[arm], attempted=sum(record.arm == arm for record in attempted), scenario=scenario)
        for arm in ARMS
    }
    treatment = _treatment([trial.record for trial in trials] or attempted, scenario)
    effects = _effects(scenario, _blocks(by_arm), arms, margin_pct=manifest.plan.margin_pct, noise_pct=noise)
    judged = verdict(
        {metric: effect for metric, effect in effects.items() if effect.primary},
        treatment=treatment,
        local=manifest.target == "local",
        fault=None if trials else _why_none_counts(attempted),
    )
    return {
        "arms": arms,
        "effects": {metric: effect.to_json() for metric, effect in _as_judged(effects, judged).items()},
        "treatment": asdict(treatment),
        "verdict": asdict(judged),
        "warnings": [
            *evidence.faults.get(scenario.name, ()),
            *warnings([trial.record for trial in trials]),
            *control_warnings(control["effects"] if control else {}),
            *host_warnings(manifest.environment.get("before", {}), manifest.environment.get("after", {})),
        ],
        **({"control": control} if control else {}),
        **_from_planned(scenario, trials, evidence),
    }


def _by_arm(trials: Sequence[CountedTrial]) -> ByArm:
    return {arm: [trial for trial in trials if trial.record.arm == arm] for arm in ARMS}


def _control(scenario: Scenario, evidence: Evidence, plan: BenchPlan) -> dict[str, Any] | None:
    """What ENA against ENA differed by, and the noise, below which no effect is to be believed."""
    attempted = _attempted(scenario, evidence, control=True)
    trials = _counted_trials(attempted, evidence)
    if not trials:
        return None
    blocks = _blocks(_by_arm(trials))
    effects = _effects(scenario, blocks, None, margin_pct=plan.margin_pct, noise_pct={})
    return {
        "trials": len(attempted),
        "valid_trials": len(trials),
        "effects": {metric: effect.to_json() for metric, effect in effects.items()},
        "noise_pct": {metric: noise_pct(pairs) for metric in effects if (pairs := _values_of_both(blocks, metric))},
    }


def noise_pct(iterations: Sequence[tuple[float, float]]) -> float:
    """How far apart the same thing measured twice is: the root mean square of the iterations' log ratios, in per cent.

    Unlike an interval it does not shrink with more iterations, nor grow out of all proportion with few.
    """
    squares = [math.log(other / one) ** 2 for one, other in iterations if one > 0 and other > 0]
    return 100 * math.expm1(math.sqrt(sum(squares) / len(squares))) if squares else 0.0


def _from_planned(scenario: Scenario, trials: Sequence[CountedTrial], evidence: Evidence) -> dict[str, Any]:
    """Latencies from the planned send time per arm, for a scenario that has one; nothing for others."""
    if not scenario.is_paced:
        return {}
    planned = _by_arm([CountedTrial(trial.record, evidence.planned(trial.record)) for trial in trials])
    return {"from_planned": {arm: _latencies(_merge(planned[arm])[0]) for arm in ARMS}}


def _arm(trials: Sequence[CountedTrial], *, attempted: int, scenario: Scenario) -> dict[str, Any]:
    """The figures of one arm over all its counted trials."""
    outputs = [trial.record.sockperf for trial in trials if trial.record.sockperf is not None]
    merged, observations = _merge(trials)
    sent = _sum(output.sent for output in outputs)
    if scenario.is_rate:
        return _rate_arm(trials, attempted=attempted, sent=sent)
    dropped = _sum(output.dropped for output in outputs)
    out_of_order = _sum(output.out_of_order for output in outputs)
    wanted = None if None in (dropped, observations) else (dropped or 0) + (observations or 0) + (out_of_order or 0)
    return {
        "trials": attempted,
        "valid_trials": len(trials),
        "observations": observations,
        **_latencies(merged),
        "sent": sent,
        "received": _sum(output.received for output in outputs),
        "dropped": dropped,
        "loss_rate": (dropped or 0) / wanted if wanted else None,
        "throughput_gbps": None,
        **({"background_gbps": _background(trials)} if scenario.background else {}),
    }


def _rate_arm(trials: Sequence[CountedTrial], *, attempted: int, sent: int | None) -> dict[str, Any]:
    """The figures of one arm of a throughput scenario: what was sent, and what of it the servers received."""
    received = _sum(trial.record.server_received for trial in trials)
    dropped = max(0, sent - received) if sent is not None and received is not None else None
    return {
        "trials": attempted,
        "valid_trials": len(trials),
        "observations": None,
        **_latencies(None),
        "sent": sent,
        "received": received,
        "dropped": dropped,
        "loss_rate": dropped / sent if dropped is not None and sent else None,
        "throughput_gbps": _throughput(trials),
    }


def _latencies(merged: Distribution | None) -> dict[str, float | None]:
    return {
        "mean_us": _us(merged.mean) if merged else None,
        **{f"{name}_us": _us(merged.quantile(p)) if merged else None for name, p in QUANTILES.items()},
        "max_us": _us(merged.max) if merged else None,
    }


def _background(trials: Sequence[CountedTrial]) -> float | None:
    """The mean of what arrived of the bulk flows beside the probe, in 10⁹ bit/s."""
    rates = [trial.record.background_gbps for trial in trials if trial.record.background_gbps is not None]
    return sum(rates) / len(rates) if rates else None


def _effects(
    scenario: Scenario,
    blocks: Blocks,
    arms: Mapping[Arm, Mapping[str, Any]] | None,
    *,
    margin_pct: float,
    noise_pct: Mapping[Metric, float],
) -> dict[Metric, Effect]:
    """The effect on each metric the scenario measures, over iterations: trials are merged within one, never across them.

    The margin is the plan's, or the noise where a control has shown more of it. `arms` holds the merged figures for the guide's formula.
    """
    primaries = scenario.primaries
    return {
        metric: measure_effect(
            metric,
            _values_of_both(blocks, metric),
            margin_pct=max(margin_pct, noise_pct.get(metric, 0.0)),
            primary=metric in primaries,
            improvement_pct=improvement_pct(metric, **{arm: arms[arm][figure_name(metric)] for arm in ARMS})
            if arms
            else None,
        )
        for metric in scenario.metrics
    }


def _blocks(by_arm: ByArm) -> Blocks:
    """The trials of each arm by iteration (of each pair of hosts), with their merged distribution."""
    blocks: dict[Arm, dict[tuple[int, int], list[CountedTrial]]] = {arm: defaultdict(list) for arm in ARMS}
    for arm, trials in by_arm.items():
        for trial in trials:
            blocks[arm][trial.record.pair, trial.record.iteration].append(trial)
    return {arm: {at: (trials, _merge(trials)[0]) for at, trials in of.items()} for arm, of in blocks.items()}


def _values_of_both(blocks: Blocks, metric: Metric) -> list[tuple[float, float]]:
    """One (ENA, ENA Express) pair of a metric's values for each iteration in which both arms have one."""
    values = {arm: {at: _value(metric, *block) for at, block in of.items()} for arm, of in blocks.items()}
    both = [(value, values["ena_express"].get(at)) for at, value in values["ena"].items()]
    return [(ena, express) for ena, express in both if ena is not None and express is not None]


def _value(metric: Metric, trials: Sequence[CountedTrial], merged: Distribution | None) -> float | None:
    if metric == THROUGHPUT:
        return _throughput(trials)
    if merged is None:
        return None
    return merged.mean if metric == "mean" else merged.quantile(QUANTILES[metric])


def _merge(trials: Sequence[CountedTrial]) -> tuple[Distribution | None, int | None]:
    """The trials' merged distribution and their number of observations; (None, None) when there is no histogram."""
    histograms = [trial.histogram for trial in trials if trial.histogram is not None]
    if not histograms:
        return None, None
    return merge_equal_weight(histograms), sum(histogram.count for histogram in histograms)


def _throughput(trials: Sequence[CountedTrial]) -> float | None:
    """The mean of the trials' throughput in 10⁹ bit/s."""
    rates = [trial.record.throughput_gbps for trial in trials if trial.record.throughput_gbps is not None]
    return sum(rates) / len(rates) if rates else None


def _treatment(records: Sequence[TrialRecord], scenario: Scenario) -> Treatment:
    """Whether each of these trials was, by its own counters, what its arm says."""
    gates = [
        srd_gate(
            record.arm,
            record.srd,
            sent=record.sockperf.sent if record.sockperf else None,
            protocol=scenario.protocol,
        ).passed
        for record in records
    ]
    seen = [record.srd for record in records if record.srd is not None]
    express = [record.srd for record in records if record.srd is not None and record.arm == "ena_express"]
    eligible = sum(srd.eligible for srd in express)
    return Treatment(
        proven=False if False in gates else None if not gates or None in gates else True,
        srd_share=sum(srd.tx for srd in express) / eligible if eligible else None,
        source=seen[0].source if seen else "none",
    )


def _why_none_counts(attempted: Sequence[TrialRecord]) -> str:
    reasons = Counter(record.reason for record in attempted if record.reason)
    if not reasons:
        return "no pair of trials was completed"
    reason, times = reasons.most_common(1)[0]
    return f"no pair of trials was valid; {times} of {len(attempted)} trials: {reason}"


def _as_judged(effects: Mapping[Metric, Effect], judged: Verdict) -> Mapping[Metric, Effect]:
    """The effects; of an invalid scenario none keeps a word of its own."""
    if judged.code != "invalid":
        return effects
    return {metric: replace(effect, code="invalid") for metric, effect in effects.items()}


def _us(ns: float) -> float:
    return round(ns / 1000, 6)


def _sum(figures: Iterable[int | None]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
