"""Summary: a run's result as the plain text of `summary.txt`, in the form of the guide's script, with the verdict at its end. Pure.

result.json + Manifest ─▶ header, connections, one section a scenario ─▶ verdicts with intervals and what to keep in mind
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from enaxp.bench.effect import Effect, improvement_pct
from enaxp.bench.histogram import tail_is_thin
from enaxp.bench.records import Manifest
from enaxp.bench.result import Result, ScenarioResult
from enaxp.text import NOT_MEASURED, interval_plain
from enaxp.traffic import ARMS, MAX, MEAN, QUANTILES, THROUGHPUT, Arm, Scenario, metric_text

RULE = "=" * 56
ARM_LABELS: Mapping[Arm, str] = {"ena": "Regular ENI", "ena_express": "ENA Express"}
_LATENCIES = {
    "Average Latency": MEAN,
    "p50 Latency": "p50",
    "p99 Latency": "p99",
    "p99.9 Latency": "p99_9",
    "Maximum Latency": MAX,
}
_THROUGHPUT = {"Throughput": THROUGHPUT}
_THIN_CHECKED = ("p99", "p99_9")  # tails that few observations can leave thin


def render_summary(result: Result, manifest: Manifest) -> str:
    """The text of `summary.txt`, with a newline at its end."""
    return "\n".join([*_header(manifest), *_connections(manifest), *_sections(result, manifest), RULE, ""])


def improvement_in_words(improvement_pct: float | None) -> str:
    """The guide's improvement with its sign, and in words which way it goes: `-44.50% (slower by 44.50%)`."""
    if improvement_pct is None:
        return NOT_MEASURED
    size = f"{abs(improvement_pct):.2f}%"
    if size == "0.00%":
        return "0.00% (no difference)"
    return f"{size} (faster by {size})" if improvement_pct > 0 else f"-{size} (slower by {size})"


def _header(manifest: Manifest) -> list[str]:
    plan = manifest.plan
    return [
        RULE,
        "          ENA vs ENA Express Performance Summary",
        RULE,
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
    """One block a figure: both arms and the guide's improvement."""
    is_rate = scenario.is_rate
    unit = "Gbps" if is_rate else "μs"
    lines = []
    for label, metric in (_THROUGHPUT if is_rate else _LATENCIES).items():
        values = {arm: measured.arms[arm].figure(metric) for arm in ARMS}
        improvement = improvement_pct(metric, **values)
        lines += [f"{label}:"]
        lines += [f"  {ARM_LABELS[arm]}: {_number(values[arm], unit)}" for arm in ARMS]
        lines += [f"  Improvement: {improvement_in_words(improvement)}", ""]
    return lines[:-1]


def _judgement(measured: ScenarioResult, scenario: Scenario, manifest: Manifest) -> Iterator[str]:
    yield measured.verdict.words
    yield ""
    yield "Effect of ENA Express, as a change of ENA's figure (interval over the iterations):"
    for metric, effect in measured.effects.items():
        yield f"  {metric_text(metric):<10}  {_interval(effect):<36}  {_rank(effect)}"
    yield ""
    yield f"Valid tests: {_valid(measured, 'ena')} (Regular ENI), {_valid(measured, 'ena_express')} (ENA Express)"
    yield from _notes(measured, scenario, manifest)


def _interval(effect: Effect) -> str:
    return interval_plain(effect.estimate_pct, effect.low_pct, effect.high_pct)


def _rank(effect: Effect) -> str:
    return effect.code if effect.primary else f"{effect.code} (exploratory)"


def _valid(measured: ScenarioResult, arm: Arm) -> str:
    return f"{measured.arms[arm].valid_trials} of {measured.arms[arm].trials}"


def _notes(measured: ScenarioResult, scenario: Scenario, manifest: Manifest) -> Iterator[str]:
    """What a reader must keep in mind before leaning on the figures."""
    if manifest.plan.order == "parallel":
        yield "Note: both arms ran at once, so each is interference to the other."
    if manifest.plan.crossover:
        yield "Half way the interfaces changed their parts: the arms are SRD off and SRD on, whichever interface carried it."
    if control := measured.control:
        noise = ", ".join(f"{metric_text(metric)} {by:.2f}%" for metric, by in control.noise_pct.items())
        yield f"ENA against ENA differs by chance by: {noise}. No margin is smaller than that."
    if scenario.mode == "ping-pong":
        yield "Ping-pong is service time: a message waits for the one before it, so what a stall holds up is not counted."
    if planned := measured.from_planned:
        yield "Latency from the planned send time, which counts what a stall held up:"
        for arm in ARMS:
            told = (f"{metric_text(p)} {_number(planned[arm].figure(p), 'μs')}" for p in ("p50", "p99", "p99_9"))
            yield f"  {ARM_LABELS[arm]}: {', '.join(told)}"
    for wrong in manifest.forced:
        yield f"Warning: measured in spite of this: {wrong}"
    for warning in measured.warnings:
        yield f"Warning: {warning}"
    treatment = measured.treatment
    if treatment.srd_share is not None:
        yield f"SRD carried {treatment.srd_share:.2%} of the ENA Express arm's eligible packets ({treatment.source})."
    arms = measured.arms
    if any(arms[arm].loss_rate for arm in ARMS):
        lost = ", ".join(f"{ARM_LABELS[arm]} {_share(arms[arm].loss_rate)}" for arm in ARMS)
        what = "throughput is what arrived" if scenario.is_rate else "latencies speak only of those that were answered"
        yield f"Note: messages were lost ({lost}); {what}."
    fewest = min((arms[arm].observations or 0 for arm in ARMS), default=0)
    thin = [metric for metric in _THIN_CHECKED if fewest and _is_thin(QUANTILES[metric], fewest, manifest)]
    if thin:
        names = " and ".join(metric_text(metric) for metric in thin)
        yield f"Note: {names} rest on few observations in each iteration; do not lean on them."


def _is_thin(p: float, observations: int, manifest: Manifest) -> bool:
    return tail_is_thin(p, observations=observations, iterations=manifest.plan.iterations)


def _share(loss_rate: float | None) -> str:
    return NOT_MEASURED if loss_rate is None else f"{loss_rate:.4%}"


def _title(words: str) -> list[str]:
    return [RULE, f"                     {words}", RULE]


def _number(value: float | None, unit: str) -> str:
    return NOT_MEASURED if value is None else f"{value:.3f} {unit}"


def _date(iso: str) -> str:
    """In the form of `date`, in UTC."""
    moment = datetime.fromisoformat(iso).astimezone(UTC)
    return f"{moment:%a %b} {moment.day:2} {moment:%H:%M:%S} UTC {moment:%Y}"
