"""Markdown: a run's verdict and figures for a pull request or a chat. Pure, and without the `report` extra.

Run ─▶ headline, verdicts, a table a scenario, what to keep in mind
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from enaxp.report.data import RunData
from enaxp.report.words import (
    gigabits,
    headline,
    interval_in_words,
    label,
    measured_between,
    microseconds,
    proof_in_words,
    standing_in_words,
    traffic_in_words,
)
from enaxp.traffic import ARM_NAMES, ARMS, metric_label

METRICS = ("p50", "p90", "p99", "p99_9", "mean", "throughput")


def render_markdown(run: RunData) -> str:
    """The text, with a newline at its end. What a run's files hold is text in it, never markup."""
    return "\n".join([*_head(run), *_scenarios(run), *_foot(run), ""])


def _head(run: RunData) -> Iterator[str]:
    yield f"## {plain(headline(run.result['scenarios']))}"
    yield ""
    for standing in filter(None, (standing_in_words(run), *run.faults)):
        yield f"> **{plain(standing)}**"
        yield ""


def _scenarios(run: RunData) -> Iterator[str]:
    scenarios = run.manifest.plan.scenarios
    for scenario in scenarios:
        measured = run.result["scenarios"][scenario.name]
        if len(scenarios) > 1:
            yield f"### {plain(scenario.name)}: {label(measured['verdict']['code'])}"
            yield ""
        yield plain(measured["verdict"]["words"])
        yield ""
        yield f"_{plain(traffic_in_words(scenario))}. Is SRD proven? {plain(proof_in_words(measured['treatment']))}._"
        yield ""
        yield f"| | {' | '.join(ARM_NAMES.values())} | change by ENA Express [interval] | that is |"
        yield "|---|--:|--:|---|---|"
        yield from _rows(measured)
        yield ""
        yield from (f"- {plain(warning)}" for warning in measured.get("warnings", ()))
        if measured.get("warnings"):
            yield ""


def _rows(measured: Mapping[str, Any]) -> Iterator[str]:
    for metric in METRICS:
        effect = measured["effects"].get(metric)
        if effect is None:
            continue
        is_rate = metric == "throughput"
        values = [measured["arms"][arm]["throughput_gbps" if is_rate else f"{metric}_us"] for arm in ARMS]
        told = [gigabits(value) if is_rate else microseconds(value) for value in values]
        change = interval_in_words(effect["estimate_pct"], effect["low_pct"], effect["high_pct"])
        name, word = metric_label(metric), label(effect["code"])
        if effect["primary"]:
            name, word = f"**{name}**", f"**{word}**"
        yield f"| {name} | {' | '.join(told)} | {change} | {word} |"


def _foot(run: RunData) -> Iterator[str]:
    plan = run.manifest.plan
    yield (
        f"Run `{plain(run.manifest.run_id)}`: {plain(measured_between(run.manifest))}; {plan.iterations} iterations of "
        f"{plan.repeats} pairs, {plan.duration_s:g} s a trial, margin ±{plan.margin_pct:g} %, seed {plan.seed}."
    )


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))
