"""Markdown: a run's verdict and figures for a pull request or a chat. Pure, and without the `report` extra.

Run ─▶ headline, verdicts, a table per scenario, caveats
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from enaxp.bench.judging.result import ScenarioResult
from enaxp.report.data import RunData
from enaxp.report.switching import steps_in_short
from enaxp.report.words import (
    control_in_words,
    effect_in_words,
    figure_in_words,
    headline,
    label,
    loss_of_arm,
    measured_between,
    proof_in_words,
    sign_conflict,
    standing_in_words,
    traffic_in_words,
)
from enaxp.text import counted, figure
from enaxp.traffic import ARM_NAMES, ARMS, LATENCY_METRICS, LATENCY_PRIMARIES, MEAN, THROUGHPUT, metric_label

# The percentiles first.
METRICS = (*(metric for metric in LATENCY_METRICS if metric != MEAN), MEAN, THROUGHPUT)


def render_markdown(run: RunData) -> str:
    """The Markdown text, with a final newline. The content of a run's files is escaped as text."""
    return "\n".join([*_head(run), *_scenarios(run), *_foot(run), "", *steps_in_short(run.manifest), ""])


def _head(run: RunData) -> Iterator[str]:
    yield f"## {plain(headline(run.result.scenarios))}"
    yield ""
    for standing in filter(None, (standing_in_words(run), *run.faults)):
        yield f"> **{plain(standing)}**"
        yield ""


def _scenarios(run: RunData) -> Iterator[str]:
    scenarios = run.manifest.plan.scenarios
    for scenario in scenarios:
        measured = run.result.scenarios[scenario.name]
        if len(scenarios) > 1:
            yield f"### {plain(scenario.name)}: {label(measured.verdict.code)}"
            yield ""
        yield plain(measured.verdict.words)
        yield ""
        yield f"_{plain(traffic_in_words(scenario))}. Is SRD proven? {plain(proof_in_words(measured.treatment))}._"
        yield ""
        yield f"| | {' | '.join(ARM_NAMES.values())} | change by ENA Express [interval] | that is |"
        yield "|---|--:|--:|---|---|"
        yield from _rows(measured)
        yield ""
        notes = [note for note in (_control(measured), sign_conflict(measured), *measured.warnings) if note]
        yield from (f"- {plain(note)}" for note in notes)
        if notes:
            yield ""


def _control(measured: ScenarioResult) -> str:
    control = measured.control
    return control_in_words(control, name=metric_label, change=effect_in_words) if control else ""


def _rows(measured: ScenarioResult) -> Iterator[str]:
    for metric in METRICS:
        effect = measured.effects.get(metric)
        if effect is None:
            continue
        told = [figure_in_words(measured.arms[arm], metric) for arm in ARMS]
        change = effect_in_words(effect)
        name, word = metric_label(metric), label(effect.code)
        if effect.primary:
            name, word = f"**{name}**", f"**{word}**"
        yield f"| {name} | {' | '.join(told)} | {change} | {word} |"
    yield f"| lost | {' | '.join(loss_of_arm(measured.arms[arm]) for arm in ARMS)} | | |"
    if service := measured.service:
        for metric in LATENCY_PRIMARIES:
            told = [figure(metric, service[arm].figure(metric)) for arm in ARMS]
            yield f"| {metric_label(metric)} from the send | {' | '.join(told)} | | service time |"


def _foot(run: RunData) -> Iterator[str]:
    plan = run.manifest.plan
    yield (
        f"Run `{plain(run.manifest.run_id)}`: {plain(measured_between(run.manifest))}; {plan.iterations} iterations of "
        f"{counted(plan.repeats, 'pair')}, {plan.duration_s:g} s a trial, margin ±{plan.margin_pct:g} %, seed {plan.seed}."
    )


def plain(text: str) -> str:
    """Text escaped for Markdown, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))
