"""Evaluation: computes a run's Result from its evidence. Pure except that histograms are read through the evidence.

    Manifest + Evidence ─▶ measure_scenario, one after the other ─▶ MeasuredScenario (small) ─▶ judge_run (all at once) ─▶ Result

The scenarios are judged together, because all conclusions of a run share one error rate of 5 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from enaxp.bench.judging.blocks import ScenarioBlocks, blocks_of, from_send
from enaxp.bench.judging.circumstances import background_gbps, circumstances, failed_attempts, limits, loss_by_arm
from enaxp.bench.judging.effect import Effect, FigurePairs, improvement_pct, judge_figures, log_ratio, watched_effect
from enaxp.bench.judging.gates import srd_gate
from enaxp.bench.judging.randomisation import PairOutcome, randomisation_p
from enaxp.bench.judging.result import ArmFigures, Control, Latencies, PlanSummary, Result, ScenarioResult
from enaxp.bench.judging.stability import (
    control_warnings,
    dependence_warnings,
    host_warnings,
    tuning_warnings,
    warnings,
)
from enaxp.bench.judging.verdict import Circumstances, Treatment, verdict
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.evidence import Evidence
from enaxp.bench.run_folder.histogram import tail_is_thin
from enaxp.bench.run_folder.records import Manifest, TrialRecord
from enaxp.bench.statistics.dependence import dependence_of
from enaxp.bench.statistics.inference import ALPHA, FEW_ITERATIONS
from enaxp.bench.statistics.loss import Loss
from enaxp.figures import sum_of_known
from enaxp.text import bounds_plain, change_plain, counted
from enaxp.traffic import ARMS, MEAN, QUANTILES, Arm, Metric, Scenario, metric_label


@dataclass(frozen=True, kw_only=True)
class MeasuredScenario:
    """The measurements of one scenario, not judged yet. `fault`: why no trial counts; None if some do. `control`: ENA against ENA.

    stopped_after: how many iterations had begun when somebody stopped the run before this scenario was complete; None if it is complete.
    """

    arms: Mapping[Arm, ArmFigures]
    figures: tuple[FigurePairs, ...]
    treatment: Treatment
    fault: str | None
    circumstances: Circumstances
    warnings: tuple[str, ...]
    control: MeasuredControl | None
    stopped_after: int | None = None


@dataclass(frozen=True, kw_only=True)
class MeasuredControl:
    """The measurements of a control (ENA against ENA). `proven`: as in the result's Control."""

    trials: int
    valid_trials: int
    figures: tuple[FigurePairs, ...]
    proven: bool | None


def result_from(manifest: Manifest, evidence: Evidence) -> Result:
    """The result of a run.

    A trial whose record and histogram contradict each other does not count; the scenario's warnings name it.
    """
    return judge_run(
        manifest,
        {
            scenario.name: measure_scenario(manifest, evidence, blocks_of(scenario, evidence))
            for scenario in manifest.plan.scenarios
        },
    )


def measure_scenario(manifest: Manifest, evidence: Evidence, blocks: ScenarioBlocks) -> MeasuredScenario:
    """The measurements of one scenario, from its merged trials."""
    scenario, plan = blocks.scenario, manifest.plan
    lost = loss_by_arm(blocks)
    service = from_send(blocks, evidence) if blocks.measured_from == "planned" else None
    arms = {
        arm: _rate_arm(blocks, arm, lost[arm]) if scenario.is_rate else _latency_arm(blocks, arm, lost[arm], service)
        for arm in ARMS
    }
    treatment = _treatment(blocks.trials or blocks.attempted, scenario)
    fault = None if blocks.trials else _why_none_counts(blocks.attempted)
    withheld = fault is not None or treatment.proven is False
    return MeasuredScenario(
        arms=arms,
        figures=tuple(_figures(blocks, plan, arms=arms, withheld=withheld)),
        treatment=treatment,
        fault=fault,
        circumstances=circumstances(blocks),
        warnings=(
            *evidence.faults.get(scenario.name, ()),
            *warnings(blocks.trials),
            *host_warnings(manifest.environment.before, manifest.environment.after or {}),
            *tuning_warnings(manifest.untuned),
        ),
        control=_control(scenario, evidence, plan),
        stopped_after=_stopped_after(manifest, blocks),
    )


def _stopped_after(manifest: Manifest, blocks: ScenarioBlocks) -> int | None:
    """How many iterations of a scenario had begun when somebody stopped the run; None if the scenario is complete or the run was not
    stopped."""
    begun = {(record.pair, record.iteration, record.repeat) for record in blocks.attempted}
    pairs_of_hosts = len({pair for pair, _, _ in begun})
    if not manifest.stopped or len(begun) >= pairs_of_hosts * manifest.plan.most_iterations * manifest.plan.repeats:
        return None
    return len({iteration for _, iteration, _ in begun})


def judge_run(manifest: Manifest, measured: Mapping[str, MeasuredScenario]) -> Result:
    """The result of a run: the effects of all its scenarios are judged together."""
    plan = manifest.plan
    planned = sum(len(scenario.primaries) for scenario in plan.scenarios)
    of = _effects(measured, margin_pct=plan.margin_pct, planned=planned)
    return Result(
        run_id=manifest.run_id,
        lab=manifest.lab,
        target=manifest.target,
        isolation=manifest.isolation,
        emulated=manifest.emulated,
        pair_name=manifest.pair_name,
        variant=manifest.variant,
        plan=PlanSummary.of(plan),
        scenarios={name: _judged(manifest, one, of[name], planned=planned) for name, one in measured.items()},
    )


def _effects(
    measured: Mapping[str, MeasuredScenario], *, margin_pct: float, planned: int
) -> dict[str, dict[Metric, Effect]]:
    """The effects by scenario. Complete scenarios are judged together. Stopped ones get anytime-valid intervals (sequence.py), each at
    its own share of the 5 %, so that the run's error rate holds in both cases."""
    whole = [(name, figure) for name, one in measured.items() if one.stopped_after is None for figure in one.figures]
    effects = judge_figures([figure for _, figure in whole], margin_pct=margin_pct, planned=planned)
    of: dict[str, dict[Metric, Effect]] = {name: {} for name in measured}
    for (name, figure), effect in zip(whole, effects, strict=True):
        of[name][figure.metric] = effect
    for name, one in measured.items():
        if one.stopped_after is not None:
            of[name] = {
                figure.metric: watched_effect(figure, margin_pct=margin_pct, planned=planned) for figure in one.figures
            }
    return of


def _judged(
    manifest: Manifest, measured: MeasuredScenario, effects: Mapping[Metric, Effect], *, planned: int
) -> ScenarioResult:
    if any(arm.limits for arm in measured.arms.values()):
        effects = {metric: _undecided_if_same(effect) for metric, effect in effects.items()}
    if any(arm.beyond_measurement for arm in measured.arms.values()) and MEAN in effects:
        # A mean of what arrived says nothing of what was lost.
        effects = {**effects, MEAN: replace(effects[MEAN], code="inconclusive")}
    control = _judged_control(measured.control, manifest.plan, planned=planned)
    primaries = {metric: effect for metric, effect in effects.items() if effect.primary}
    stopped = _stopped(measured, manifest.plan)
    judged = verdict(
        primaries,
        treatment=measured.treatment,
        not_ena=manifest.not_ena,
        fault=measured.fault,
        circumstances=Circumstances(
            words=(
                *stopped,
                *(_of_the_interface(primaries, manifest.plan) if measured.fault is None else ()),
                *measured.circumstances.words,
                *_what_may_be_missed(primaries),
            ),
            headline=(*stopped, *measured.circumstances.headline),
        ),
    )
    interfaces = [effect.grounds.interface for effect in primaries.values()]
    return ScenarioResult(
        arms=measured.arms,
        effects=effects,
        treatment=measured.treatment,
        verdict=judged,
        warnings=(
            *measured.warnings,
            *dependence_warnings(
                {figure.metric: dependence_of(figure.sample) for figure in measured.figures if figure.primary},
                planned=planned,
            ),
            *(control_warnings(control) if control else ()),
        ),
        control=control,
        interface=interfaces[0] if interfaces else None,
    )


def _stopped(measured: MeasuredScenario, plan: BenchPlan) -> list[str]:
    """The warning that somebody stopped the scenario before its plan was complete."""
    if measured.stopped_after is None:
        return []
    return [f"stopped after {measured.stopped_after} of {counted(plan.most_iterations, 'iteration')}"]


def _of_the_interface(primaries: Mapping[Metric, Effect], plan: BenchPlan) -> list[str]:
    """A warning about the interface's own effect, or that it cannot be known."""
    if plan.is_toggled:
        return ["nothing but SRD differs between the arms: both used the same interfaces"]
    if not plan.crossover:
        because = f", {plan.not_crossed_because}" if plan.not_crossed_because else ""
        return [f"this is SRD together with the interface: the run was not crossed over{because}"]
    clauses = []
    for metric, effect in primaries.items():
        interface, halves = effect.grounds.interface, effect.grounds.halves_pct
        if interface is None or halves is None:
            clauses.append(f"at {metric_label(metric)} SRD together with the interface: too few iterations in a half")
        elif interface.is_clear:
            bounds = bounds_plain(interface.low_pct, interface.high_pct)
            makes = f"{change_plain(interface.estimate_pct)} {bounds} at {metric_label(metric)}"
            said = f"the interface, or a drift between the halves, makes {makes}"
            if abs(interface.estimate_pct) >= abs(effect.estimate_pct or 0):
                said += (
                    f" (first half {change_plain(halves[0])}, second half {change_plain(halves[1])}: "
                    "interface or time matter more than SRD here)"
                )
            clauses.append(said)
    return clauses


def _undecided_if_same(effect: Effect) -> Effect:
    """The effect of a scenario with another bottleneck than the network: `same` becomes inconclusive, because the bottleneck limits both
    arms alike."""
    return replace(effect, code="inconclusive") if effect.code == "same" else effect


def _what_may_be_missed(primaries: Mapping[Metric, Effect]) -> list[str]:
    """A warning about what so few iterations can miss: a state that holds with probability s is missed by all I iterations with
    probability (1 − s)^I."""
    decided = [effect for effect in primaries.values() if effect.code not in ("inconclusive", "invalid")]
    count = min((effect.grounds.iterations for effect in decided), default=0)
    if not 0 < count <= FEW_ITERATIONS:
        return []
    share = 1 - 0.05 ** (1 / count)
    return [
        f"{count} iterations: a state that {share:.0%} of iterations are in could have been missed with a chance of 1 in 20"
    ]


def _figures(
    blocks: ScenarioBlocks, plan: BenchPlan, *, arms: Mapping[Arm, ArmFigures] | None, withheld: bool = False
) -> list[FigurePairs]:
    """Each metric that the scenario measures, over iterations: trials are merged within one, never across them.

    `arms`: the merged figures, for the guide's improvement formula.
    """
    scenario, fewest = blocks.scenario, blocks.fewest
    pairs = {metric: blocks.values_of_both(metric) for metric in scenario.metrics}
    p_values = _randomisation_p(blocks, plan) if max(map(len, pairs.values()), default=0) <= FEW_ITERATIONS else {}
    return [
        FigurePairs(
            metric=metric,
            iterations=pairs[metric],
            primary=metric in scenario.primaries,
            crossed=blocks.crossed(metric),
            thin=metric in QUANTILES and fewest is not None and tail_is_thin(QUANTILES[metric], fewest=fewest),
            withheld=withheld,
            improvement_pct=improvement_pct(metric, **{arm: arms[arm].figure(metric) for arm in ARMS})
            if arms
            else None,
            randomisation_p=p_values.get(metric),
        )
        for metric in scenario.metrics
    ]


def _randomisation_p(blocks: ScenarioBlocks, plan: BenchPlan) -> dict[Metric, float | None]:
    """The p-value of each metric's randomisation test. Empty where both arms ran at once (there is no order), and where SRD is toggled
    (there are too few possible orders).
    """
    if plan.order != "interleaved":
        return {}
    level = ALPHA / sum(len(scenario.primaries) for scenario in plan.scenarios)
    outcomes: dict[Metric, list[PairOutcome]] = {metric: [] for metric in blocks.scenario.metrics}
    for ena, express in blocks.pairs():
        values = {arm: _trial_values(blocks, record) for arm, record in (("ena", ena), ("ena_express", express))}
        first, second = ("ena", "ena_express") if ena.number < express.number else ("ena_express", "ena")
        for metric, of_metric in outcomes.items():
            one, other = values[first].get(metric), values[second].get(metric)
            if one and other:
                of_metric.append(
                    PairOutcome(
                        iteration=ena.iteration,
                        repeat=ena.repeat,
                        ena_first=first == "ena",
                        log_ratio=log_ratio(one, other),
                    )
                )
    return {
        metric: randomisation_p(pairs, repeats=plan.repeats, iterations=plan.most_iterations, level=level)
        for metric, pairs in outcomes.items()
    }


def _trial_values(blocks: ScenarioBlocks, record: TrialRecord) -> dict[Metric, float]:
    """One trial's value of each metric, in ns or 10⁹ bit/s; +∞ where beyond measurement."""
    if blocks.scenario.is_rate:
        return {} if record.throughput_gbps is None else dict.fromkeys(blocks.scenario.metrics, record.throughput_gbps)
    histogram = blocks.read(record)
    if histogram is None:
        return {}
    own = histogram.distribution(lost=record.without_latency)
    return {
        metric: own.mean if metric == MEAN else own.quantile(QUANTILES[metric]) for metric in blocks.scenario.metrics
    }


def _control(scenario: Scenario, evidence: Evidence, plan: BenchPlan) -> MeasuredControl | None:
    """The measurements of the control; None if there was none."""
    blocks = blocks_of(scenario, evidence, control=True)
    if not blocks.attempted:
        return None
    return MeasuredControl(
        trials=len(blocks.attempted),
        valid_trials=len(blocks.trials),
        figures=tuple(_figures(blocks, plan, arms=None)),
        proven=_treatment(blocks.trials, scenario).proven,
    )


def _judged_control(control: MeasuredControl | None, plan: BenchPlan, *, planned: int) -> Control | None:
    """The differences that the control found. They are reported, and change no effect and no verdict."""
    if control is None:
        return None
    effects = judge_figures(control.figures, margin_pct=plan.margin_pct, planned=planned)
    told = Control(
        trials=control.trials,
        valid_trials=control.valid_trials,
        effects={figure.metric: effect for figure, effect in zip(control.figures, effects, strict=True)},
        between=plan.control_between,
    )
    if plan.has_control_phase:
        return replace(told, proven=control.proven)
    noise = {figure.metric: noise_pct(figure.iterations) for figure in control.figures if figure.iterations}
    return replace(told, noise_pct=noise)


def noise_pct(iterations: Sequence[tuple[float, float]]) -> float:
    """How much two measurements of the same thing differ: the root mean square of the iterations' log ratios, in per cent.

    Unlike an interval's width it does not shrink with more iterations, nor become very large with few.
    """
    squares = [math.log(other / one) ** 2 for one, other in iterations if 0 < one < math.inf and 0 < other < math.inf]
    return 100 * math.expm1(math.sqrt(sum(squares) / len(squares))) if squares else 0.0


def _latency_arm(blocks: ScenarioBlocks, arm: Arm, loss: Loss | None, service: ScenarioBlocks | None) -> ArmFigures:
    """The figures of one arm of a latency scenario, over all its counted trials. `service`: the same trials, measured from the actual
    send."""
    trials, merged = blocks.trials_of(arm), blocks.whole[arm]
    outputs = [record.sockperf for record in trials if record.sockperf is not None]
    latencies = merged.latencies
    known = [output.dropped for output in outputs if output.dropped is not None]
    return ArmFigures(
        trials=_attempts(blocks, arm),
        valid_trials=len(trials),
        observations=merged.observations,
        latencies=Latencies.of(latencies),
        sent=sum_of_known(output.sent for output in outputs),
        received=sum_of_known(output.received for output in outputs),
        dropped=sum(record.lost for record in trials) if known else None,
        loss_rate=loss.rate if loss else None,
        loss_low=loss.low if loss else None,
        loss_high=loss.high if loss else None,
        throughput_gbps=None,
        measured_from=blocks.measured_from,
        service=Latencies.of(service.whole[arm].latencies) if service else None,
        beyond_measurement=tuple(
            name for name, p in QUANTILES.items() if latencies and math.isinf(latencies.quantile(p))
        ),
        failed_attempts=failed_attempts(blocks)[arm],
        limits=limits(blocks, arm),
        background_gbps=background_gbps(blocks, arm) if blocks.scenario.background else None,
        has_background=blocks.scenario.background is not None,
    )


def _rate_arm(blocks: ScenarioBlocks, arm: Arm, loss: Loss | None) -> ArmFigures:
    """The figures of one arm of a throughput scenario: the bandwidth sent, and the share that the servers received."""
    trials = blocks.trials_of(arm)
    sent = sum_of_known(record.sockperf.sent for record in trials if record.sockperf is not None)
    received = sum_of_known(record.server_received for record in trials)
    return ArmFigures(
        trials=_attempts(blocks, arm),
        valid_trials=len(trials),
        observations=None,
        latencies=Latencies.of(None),
        sent=sent,
        received=received,
        dropped=max(0, sent - received) if sent is not None and received is not None else None,
        loss_rate=loss.rate if loss else None,
        loss_low=loss.low if loss else None,
        loss_high=loss.high if loss else None,
        throughput_gbps=blocks.whole[arm].throughput_gbps,
        failed_attempts=failed_attempts(blocks)[arm],
        limits=limits(blocks, arm),
    )


def _attempts(blocks: ScenarioBlocks, arm: Arm) -> int:
    return sum(record.arm == arm for record in blocks.attempted)


def _treatment(records: Sequence[TrialRecord], scenario: Scenario) -> Treatment:
    """Whether the counters of all counted trials prove that SRD was on in the ENA Express arm and off in the ENA arm."""
    gates = [srd_gate(scenario, record) for record in records]
    passed = [gate.passed for gate in gates]
    seen = [record.srd for record in records if record.srd is not None]
    express = [record.srd for record in records if record.srd is not None and record.treated_as == "ena_express"]
    eligible = sum(srd.eligible for srd in express)
    return Treatment(
        proven=False if False in passed else None if not gates or None in passed else True,
        srd_share=sum(srd.tx for srd in express) / eligible if eligible else None,
        source=seen[0].source if seen else "none",
        unknown=next((gate.words for gate in gates if gate.passed is None), None),
    )


def _why_none_counts(attempted: Sequence[TrialRecord]) -> str:
    reasons = Counter(record.reason for record in attempted if record.reason)
    if not reasons:
        return "no pair of trials was completed"
    reason, times = reasons.most_common(1)[0]
    return f"no pair of trials was valid; {times} of {len(attempted)} trials: {reason}"
