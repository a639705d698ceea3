"""Summary: a run's result as the plain text of `summary.txt`, in the form of the guide's script, with the verdict at its end. Pure.

result.json + Manifest ─▶ header, connections, one section per scenario ─▶ verdicts with intervals, caveats
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from enaxp.bench.judging.effect import Effect, improvement_pct
from enaxp.bench.judging.result import ArmFigures, Result, ScenarioResult
from enaxp.bench.judging.truth import Truth
from enaxp.bench.run_folder.records import Manifest
from enaxp.report.table import GUIDE_LATENCIES, GUIDE_RATES
from enaxp.report.truth import truth_lines
from enaxp.report.words import control_in_words, effect_in_text, loss_of_arm, sign_conflict
from enaxp.text import BEYOND, NOT_MEASURED, listed
from enaxp.traffic import ARMS, MAX, SERVICE_PERCENTILES, Arm, Metric, Scenario, metric_text

RULE = "=" * 56
ARM_LABELS: Mapping[Arm, str] = {"ena": "Regular ENI", "ena_express": "ENA Express"}


def render_summary(result: Result, manifest: Manifest, *, truth: Truth | None = None) -> str:
    """The text of `summary.txt`, with a final newline. truth: the difference injected on purpose."""
    told = [] if truth is None else [*_title("The truth beside it"), *truth_lines(truth)]
    return "\n".join([*_header(manifest), *_connections(manifest), *_sections(result, manifest), *told, RULE, ""])


def improvement_in_words(improvement_pct: float | None, effect: Effect | None) -> str:
    """The guide's improvement as the guide writes it, and the word for the effect beside it: `-44.50% (slower)`."""
    if improvement_pct is None:
        return NOT_MEASURED
    return f"{improvement_pct:.2f}% ({'not compared' if effect is None else _rank(effect)})"


def _header(manifest: Manifest) -> list[str]:
    plan = manifest.plan
    return [
        RULE,
        "          ENA vs ENA Express Performance Summary",
        RULE,
        *([f"{manifest.not_ena}: {manifest.emulated}"] if manifest.emulated else []),
        *(["Between your hosts, which existed already"] if manifest.given is not None else []),
        f"Test Date: {_date(manifest.started_at)}",
        f"Total Iterations: {plan.iterations}",
        f"Repeats per Iteration: {plan.repeats}",
        f"Total Tests: {plan.iterations * plan.repeats * len(plan.scenarios)}",
    ]


def _connections(manifest: Manifest) -> list[str]:
    lines = _title("Connection Details")
    for arm in ARMS:
        connection = manifest.connections[arm]
        lines += [
            f"{ARM_LABELS[arm]}:",
            f"  Source IP: {connection.source_ip}",
            f"  Destination IP: {connection.destination_ip}",
            "",
        ]
    return lines[:-1]


def _sections(result: Result, manifest: Manifest) -> Iterator[str]:
    scenarios = manifest.plan.scenarios
    for scenario in scenarios:
        protocol = scenario.protocol.upper()
        alone = sum(other.protocol == scenario.protocol for other in scenarios) == 1
        yield from _title(f"{protocol} Results" if alone else f"{protocol} Results: {scenario.name}")
        yield from _figures(result.scenarios[scenario.name], scenario)
    for scenario in scenarios:
        yield from _title("Verdict" if len(scenarios) == 1 else f"Verdict: {scenario.name}")
        yield from _judgement(result.scenarios[scenario.name], scenario, manifest)


def _figures(measured: ScenarioResult, scenario: Scenario) -> list[str]:
    """One block per figure: both arms, and the guide's improvement with the effect's code in words. The maximum has no improvement,
    because it grows with the number of messages.
    """
    is_rate = scenario.is_rate
    unit = "Gbps" if is_rate else "μs"
    lines = []
    for metric, label in (GUIDE_RATES if is_rate else GUIDE_LATENCIES).items():
        values = {arm: measured.arms[arm].figure(metric) for arm in ARMS}
        lines += [f"{label}:"]
        lines += [f"  {ARM_LABELS[arm]}: {_told(measured.arms[arm], metric, unit)}" for arm in ARMS]
        if metric != MAX:
            improvement = improvement_pct(metric, **values)
            lines += [f"  Improvement: {improvement_in_words(improvement, measured.effects.get(metric))}"]
        lines += [""]
    lines += ["Messages lost:", *(f"  {ARM_LABELS[arm]}: {loss_of_arm(measured.arms[arm])}" for arm in ARMS)]
    return lines


def _told(arm: ArmFigures, metric: Metric, unit: str) -> str:
    return BEYOND if metric in arm.beyond_measurement else _number(arm.figure(metric), unit)


def _judgement(measured: ScenarioResult, scenario: Scenario, manifest: Manifest) -> Iterator[str]:
    yield measured.verdict.words
    yield ""
    yield "Effect of ENA Express, as a change of ENA's figure (interval over the iterations, at the level of its word):"
    for metric, effect in measured.effects.items():
        level = "" if effect.confidence_pct is None else f"{effect.confidence_pct:.4g}%"
        yield f"  {metric_text(metric):<10}  {effect_in_text(effect):<36}  {level:<7}  {_rank(effect)}"
    yield ""
    yield f"Valid tests: {_valid(measured, 'ena')} (Regular ENI), {_valid(measured, 'ena_express')} (ENA Express)"
    yield from _notes(measured, scenario, manifest)


def _rank(effect: Effect) -> str:
    thin = ", thin" if effect.thin else ""
    return f"{effect.code}{'' if effect.primary else ', exploratory'}{thin}"


def _valid(measured: ScenarioResult, arm: Arm) -> str:
    return f"{measured.arms[arm].valid_trials} of {measured.arms[arm].trials}"


def _notes(measured: ScenarioResult, scenario: Scenario, manifest: Manifest) -> Iterator[str]:
    """The caveats for the reader of the figures."""
    if manifest.plan.order == "parallel":
        yield "Note: both arms ran at once, so each is interference to the other."
    if manifest.plan.is_toggled:
        yield "SRD was switched on and off on the same interfaces: nothing else differs between the arms."
    if manifest.plan.crossover:
        yield "Half way the interfaces changed their parts: the arms are SRD off and SRD on, whichever interface carried it."
    if control := measured.control:
        yield control_in_words(control, name=metric_text, change=effect_in_text)
    if scenario.facts.waits_for_reply:
        yield "Ping-pong is service time: a message waits for the one before it, so what a stall holds up is not counted."
    if service := measured.service:
        yield "The latencies count from the planned time of each message, and so what a stall held up. From the send (service time):"
        for arm in ARMS:
            told = (f"{metric_text(p)} {_number(service[arm].figure(p), 'μs')}" for p in SERVICE_PERCENTILES)
            yield f"  {ARM_LABELS[arm]}: {', '.join(told)}"
    if conflict := sign_conflict(measured):
        yield f"Note: {conflict}"
    for wrong in manifest.forced:
        yield f"Warning: measured in spite of this: {wrong}"
    for warning in measured.warnings:
        yield f"Warning: {warning}"
    treatment = measured.treatment
    if treatment.srd_share is not None:
        yield f"SRD carried {treatment.srd_share:.2%} of the ENA Express arm's eligible packets ({treatment.source})."
    if any(arm.loss_rate for arm in measured.arms.values()) and scenario.is_rate:
        yield "Note: messages were lost; throughput is what arrived."
    thin = [metric_text(metric) for metric, effect in measured.effects.items() if effect.thin]
    if thin:
        yield f"Note: {listed(thin)} rest on fewer than ten messages in an iteration; they decide nothing."


def _title(words: str) -> list[str]:
    return [RULE, f"                     {words}", RULE]


def _number(value: float | None, unit: str) -> str:
    return NOT_MEASURED if value is None else f"{value:.3f} {unit}"


def _date(iso: str) -> str:
    """The time in the format of the program `date`, in UTC."""
    moment = datetime.fromisoformat(iso).astimezone(UTC)
    return f"{moment:%a %b} {moment.day:2} {moment:%H:%M:%S} UTC {moment:%Y}"
