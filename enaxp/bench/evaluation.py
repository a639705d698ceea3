"""Evaluation: a run's records worked out into its Result. Pure but for reading histograms through the function it is given.

    Manifest ─┐
    records  ─┼─▶ Evidence ─▶ counted trials (both of a pair valid) ─▶ figures per arm, effects over iterations, treatment, verdict
    histograms┘                                                      └─▶ Result

Figures that were not measured are None, never 0. Latencies are in µs.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from enaxp.bench.blocks import counted
from enaxp.bench.effect import Effect, improvement_pct, measure_effect
from enaxp.bench.evidence import Evidence, ReadHistogram, weigh
from enaxp.bench.gates import srd_gate
from enaxp.bench.histogram import Distribution, Histogram, merge_equal_weight
from enaxp.bench.records import Manifest, TrialRecord
from enaxp.bench.result import ArmFigures, Control, Latencies, PlanSummary, Result, ScenarioResult
from enaxp.bench.schedule import BenchPlan
from enaxp.bench.stability import control_warnings, host_warnings, warnings
from enaxp.bench.verdict import Treatment, Verdict, verdict
from enaxp.traffic import ARMS, QUANTILES, THROUGHPUT, Arm, Metric, Scenario

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
) -> Result:
    """The result. A trial whose histogram cannot be read, or is another's, does not count, and is among the warnings.

    `read_planned` reads a trial's latencies from the planned send time.
    """
    return result_from(
        manifest, weigh(manifest.plan, records, read_histogram=read_histogram, read_planned=read_planned)
    )


def result_from(manifest: Manifest, evidence: Evidence) -> Result:
    """The result, from evidence that has been weighed already."""
    return Result(
        run_id=manifest.run_id,
        lab=manifest.lab,
        target=manifest.target,
        isolation=manifest.isolation,
        plan=PlanSummary.of(manifest.plan),
        scenarios={scenario.name: _scenario(manifest, scenario, evidence) for scenario in manifest.plan.scenarios},
    )


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


def _scenario(manifest: Manifest, scenario: Scenario, evidence: Evidence) -> ScenarioResult:
    attempted = _attempted(scenario, evidence)
    trials = _counted_trials(attempted, evidence)
    by_arm = _by_arm(trials)
    control = _control(scenario, evidence, manifest.plan)
    noise: Mapping[Metric, float] = control.noise_pct if control else {}
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
    return ScenarioResult(
        arms=arms,
        effects=_as_judged(effects, judged),
        treatment=treatment,
        verdict=judged,
        warnings=(
            *evidence.faults.get(scenario.name, ()),
            *warnings([trial.record for trial in trials]),
            *control_warnings(control.effects if control else {}),
            *host_warnings(manifest.environment.get("before", {}), manifest.environment.get("after", {})),
        ),
        control=control,
        from_planned=_from_planned(scenario, trials, evidence),
    )


def _by_arm(trials: Sequence[CountedTrial]) -> ByArm:
    return {arm: [trial for trial in trials if trial.record.arm == arm] for arm in ARMS}


def _control(scenario: Scenario, evidence: Evidence, plan: BenchPlan) -> Control | None:
    """What ENA against ENA differed by, and the noise, below which no effect is to be believed."""
    attempted = _attempted(scenario, evidence, control=True)
    trials = _counted_trials(attempted, evidence)
    if not trials:
        return None
    blocks = _blocks(_by_arm(trials))
    effects = _effects(scenario, blocks, None, margin_pct=plan.margin_pct, noise_pct={})
    return Control(
        trials=len(attempted),
        valid_trials=len(trials),
        effects=effects,
        noise_pct={metric: noise_pct(pairs) for metric in effects if (pairs := _values_of_both(blocks, metric))},
    )


def noise_pct(iterations: Sequence[tuple[float, float]]) -> float:
    """How far apart the same thing measured twice is: the root mean square of the iterations' log ratios, in per cent.

    Unlike an interval it does not shrink with more iterations, nor grow out of all proportion with few.
    """
    squares = [math.log(other / one) ** 2 for one, other in iterations if one > 0 and other > 0]
    return 100 * math.expm1(math.sqrt(sum(squares) / len(squares))) if squares else 0.0


def _from_planned(
    scenario: Scenario, trials: Sequence[CountedTrial], evidence: Evidence
) -> Mapping[Arm, Latencies] | None:
    """Latencies from the planned send time per arm, for a scenario that has one."""
    if not scenario.is_paced:
        return None
    planned = _by_arm([CountedTrial(trial.record, evidence.planned(trial.record)) for trial in trials])
    return {arm: Latencies.of(_merge(planned[arm])[0]) for arm in ARMS}


def _arm(trials: Sequence[CountedTrial], *, attempted: int, scenario: Scenario) -> ArmFigures:
    """The figures of one arm over all its counted trials."""
    outputs = [trial.record.sockperf for trial in trials if trial.record.sockperf is not None]
    merged, observations = _merge(trials)
    sent = _sum(output.sent for output in outputs)
    if scenario.is_rate:
        return _rate_arm(trials, attempted=attempted, sent=sent)
    dropped = _sum(output.dropped for output in outputs)
    out_of_order = _sum(output.out_of_order for output in outputs)
    wanted = None if None in (dropped, observations) else (dropped or 0) + (observations or 0) + (out_of_order or 0)
    return ArmFigures(
        trials=attempted,
        valid_trials=len(trials),
        observations=observations,
        latencies=Latencies.of(merged),
        sent=sent,
        received=_sum(output.received for output in outputs),
        dropped=dropped,
        loss_rate=(dropped or 0) / wanted if wanted else None,
        throughput_gbps=None,
        background_gbps=_background(trials) if scenario.background else None,
        has_background=scenario.background is not None,
    )


def _rate_arm(trials: Sequence[CountedTrial], *, attempted: int, sent: int | None) -> ArmFigures:
    """The figures of one arm of a throughput scenario: what was sent, and what of it the servers received."""
    received = _sum(trial.record.server_received for trial in trials)
    dropped = max(0, sent - received) if sent is not None and received is not None else None
    return ArmFigures(
        trials=attempted,
        valid_trials=len(trials),
        observations=None,
        latencies=Latencies.of(None),
        sent=sent,
        received=received,
        dropped=dropped,
        loss_rate=dropped / sent if dropped is not None and sent else None,
        throughput_gbps=_throughput(trials),
    )


def _background(trials: Sequence[CountedTrial]) -> float | None:
    """The mean of what arrived of the bulk flows beside the probe, in 10⁹ bit/s."""
    rates = [trial.record.background_gbps for trial in trials if trial.record.background_gbps is not None]
    return sum(rates) / len(rates) if rates else None


def _effects(
    scenario: Scenario,
    blocks: Blocks,
    arms: Mapping[Arm, ArmFigures] | None,
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
            improvement_pct=improvement_pct(metric, **{arm: arms[arm].figure(metric) for arm in ARMS})
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


def _sum(figures: Iterable[int | None]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
