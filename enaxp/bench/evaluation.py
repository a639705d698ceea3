"""Evaluation: a run's evidence worked out into its Result. Pure but for reading histograms through the evidence.

Manifest + Evidence ─▶ blocks_of each scenario ─▶ figures per arm, effects over iterations, treatment, verdict ─▶ Result
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from enaxp.bench.blocks import ScenarioBlocks, blocks_of, from_planned
from enaxp.bench.effect import Effect, improvement_pct, measure_effect
from enaxp.bench.evidence import Evidence
from enaxp.bench.gates import srd_gate
from enaxp.bench.records import Manifest, TrialRecord
from enaxp.bench.result import ArmFigures, Control, Latencies, PlanSummary, Result, ScenarioResult
from enaxp.bench.schedule import BenchPlan
from enaxp.bench.stability import control_warnings, host_warnings, warnings
from enaxp.bench.verdict import Treatment, Verdict, verdict
from enaxp.figures import mean_of_known, sum_of_known
from enaxp.traffic import ARMS, Arm, Metric, Scenario


def result_from(manifest: Manifest, evidence: Evidence) -> Result:
    """The result of a run.

    A trial that its own files contradict does not count, and is among the warnings of its scenario.
    """
    return result_of_scenarios(
        manifest,
        {
            scenario.name: scenario_result(manifest, evidence, blocks_of(scenario, evidence))
            for scenario in manifest.plan.scenarios
        },
    )


def result_of_scenarios(manifest: Manifest, scenarios: Mapping[str, ScenarioResult]) -> Result:
    """The result of a run whose scenarios are worked out already."""
    return Result(
        run_id=manifest.run_id,
        lab=manifest.lab,
        target=manifest.target,
        isolation=manifest.isolation,
        plan=PlanSummary.of(manifest.plan),
        scenarios=scenarios,
    )


def scenario_result(manifest: Manifest, evidence: Evidence, blocks: ScenarioBlocks) -> ScenarioResult:
    """What one scenario came to, from its merged trials."""
    scenario, plan = blocks.scenario, manifest.plan
    control = _control(scenario, evidence, plan)
    arms = {arm: _rate_arm(blocks, arm) if scenario.is_rate else _latency_arm(blocks, arm) for arm in ARMS}
    treatment = _treatment(blocks.trials or blocks.attempted, scenario)
    effects = _effects(blocks, arms, margin_pct=plan.margin_pct, noise_pct=control.noise_pct if control else {})
    judged = verdict(
        {metric: effect for metric, effect in effects.items() if effect.primary},
        treatment=treatment,
        local=manifest.target == "local",
        fault=None if blocks.trials else _why_none_counts(blocks.attempted),
    )
    return ScenarioResult(
        arms=arms,
        effects=_as_judged(effects, judged),
        treatment=treatment,
        verdict=judged,
        warnings=(
            *evidence.faults.get(scenario.name, ()),
            *warnings(blocks.trials),
            *control_warnings(control.effects if control else {}),
            *host_warnings(manifest.environment.before, manifest.environment.after or {}),
        ),
        control=control,
        from_planned=_from_planned(blocks, evidence),
    )


def _control(scenario: Scenario, evidence: Evidence, plan: BenchPlan) -> Control | None:
    """What ENA against ENA differed by; None when no control was measured."""
    blocks = blocks_of(scenario, evidence, control=True)
    if not blocks.trials:
        return None
    effects = _effects(blocks, None, margin_pct=plan.margin_pct, noise_pct={})
    return Control(
        trials=len(blocks.attempted),
        valid_trials=len(blocks.trials),
        effects=effects,
        noise_pct={metric: noise_pct(pairs) for metric in effects if (pairs := blocks.values_of_both(metric))},
    )


def noise_pct(iterations: Sequence[tuple[float, float]]) -> float:
    """How far apart the same thing measured twice is: the root mean square of the iterations' log ratios, in per cent.

    Unlike an interval it does not shrink with more iterations, nor grow out of all proportion with few.
    """
    squares = [math.log(other / one) ** 2 for one, other in iterations if one > 0 and other > 0]
    return 100 * math.expm1(math.sqrt(sum(squares) / len(squares))) if squares else 0.0


def _from_planned(blocks: ScenarioBlocks, evidence: Evidence) -> Mapping[Arm, Latencies] | None:
    """Latencies from the planned send time per arm, for a scenario that has one."""
    if not blocks.scenario.is_paced:
        return None
    planned = from_planned(blocks, evidence)
    return {arm: Latencies.of(planned.whole[arm].latencies) for arm in ARMS}


def _latency_arm(blocks: ScenarioBlocks, arm: Arm) -> ArmFigures:
    """The figures of one arm of a latency scenario, over all its counted trials."""
    trials, merged = blocks.trials_of(arm), blocks.whole[arm]
    outputs = [record.sockperf for record in trials if record.sockperf is not None]
    dropped = sum_of_known(output.dropped for output in outputs)
    out_of_order = sum_of_known(output.out_of_order for output in outputs)
    observations = merged.observations
    wanted = None if None in (dropped, observations) else (dropped or 0) + (observations or 0) + (out_of_order or 0)
    return ArmFigures(
        trials=_attempts(blocks, arm),
        valid_trials=len(trials),
        observations=observations,
        latencies=Latencies.of(merged.latencies),
        sent=sum_of_known(output.sent for output in outputs),
        received=sum_of_known(output.received for output in outputs),
        dropped=dropped,
        loss_rate=(dropped or 0) / wanted if wanted else None,
        throughput_gbps=None,
        background_gbps=_background(trials) if blocks.scenario.background else None,
        has_background=blocks.scenario.background is not None,
    )


def _rate_arm(blocks: ScenarioBlocks, arm: Arm) -> ArmFigures:
    """The figures of one arm of a throughput scenario: what was sent, and what of it the servers received."""
    trials = blocks.trials_of(arm)
    sent = sum_of_known(record.sockperf.sent for record in trials if record.sockperf is not None)
    received = sum_of_known(record.server_received for record in trials)
    dropped = max(0, sent - received) if sent is not None and received is not None else None
    return ArmFigures(
        trials=_attempts(blocks, arm),
        valid_trials=len(trials),
        observations=None,
        latencies=Latencies.of(None),
        sent=sent,
        received=received,
        dropped=dropped,
        loss_rate=dropped / sent if dropped is not None and sent else None,
        throughput_gbps=blocks.whole[arm].throughput_gbps,
    )


def _attempts(blocks: ScenarioBlocks, arm: Arm) -> int:
    return sum(record.arm == arm for record in blocks.attempted)


def _background(trials: Sequence[TrialRecord]) -> float | None:
    """The mean of what arrived of the bulk flows beside the probe, in 10⁹ bit/s."""
    return mean_of_known(record.background_gbps for record in trials)


def _effects(
    blocks: ScenarioBlocks,
    arms: Mapping[Arm, ArmFigures] | None,
    *,
    margin_pct: float,
    noise_pct: Mapping[Metric, float],
) -> dict[Metric, Effect]:
    """The effect on each metric the scenario measures, over iterations: trials are merged within one, never across them.

    The margin is the plan's, or the noise where a control has shown more of it. `arms` holds the merged figures for the guide's formula.
    """
    return {
        metric: measure_effect(
            metric,
            blocks.values_of_both(metric),
            margin_pct=max(margin_pct, noise_pct.get(metric, 0.0)),
            primary=metric in blocks.scenario.primaries,
            improvement_pct=improvement_pct(metric, **{arm: arms[arm].figure(metric) for arm in ARMS})
            if arms
            else None,
        )
        for metric in blocks.scenario.metrics
    }


def _treatment(records: Sequence[TrialRecord], scenario: Scenario) -> Treatment:
    """Whether the counters of each trial prove that SRD was on or off as its arm says."""
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
    """The effects; those of an invalid scenario all have the code `invalid`."""
    if judged.code != "invalid":
        return effects
    return {metric: replace(effect, code="invalid") for metric, effect in effects.items()}
