"""Forest plot: each pair's effect with its interval, and below them the variant's mean and the prediction for the next pair.

FleetData ─▶ one chart for each primary of each scenario ─▶ Chart, or Gap where nothing was measured
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import altair as alt

from enaxp.bench.fleet.result import FleetEffect
from enaxp.report.charts.axes import Row, Rows, effect_layers, spec_of
from enaxp.report.charts.chart import Chart, Gap
from enaxp.report.charts.scenario import effect_domain
from enaxp.report.fleet.data import FleetData
from enaxp.report.words import effect_in_words, label
from enaxp.text import change_typeset, interval_typeset, listed
from enaxp.traffic import Metric, Scenario, metric_label

ROW = 26  # of a chart that may have hundreds of them


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One line of a forest, before it is drawn."""

    figure: str
    pct: float | None
    low: float | None
    high: float | None
    words: str
    code: str
    weight: float
    dot: float


def forests(data: FleetData) -> list[Chart | Gap]:
    """A chart for each primary of each scenario."""
    return [_forest(data, scenario, metric) for scenario, metric in data.primaries]


def _forest(data: FleetData, scenario: Scenario, metric: Metric) -> Chart | Gap:
    name, title = f"{scenario.name}-{metric}-forest", f"{scenario.name}, {metric_label(metric)}: pair by pair"
    lines = [line for variant in data.fleet.variants for line in _lines(data, variant, scenario, metric)]
    if all(line.low is None for line in lines):
        return Gap(name=name, title=title, why="No pair has an interval.")
    margin = data.first.plan.margin_pct if data.first else 0.0
    rows: Rows = [_row(line, margin) for line in lines]
    low, high = effect_domain(rows)
    leaves = any(row["low"] is not None and (row["low"] < low or row["high"] > high) for row in rows)
    beyond = [row["figure"] for row in rows if row["pct"] is not None and not low <= row["pct"] <= high]
    better = "To the right is better" if scenario.is_rate else "To the left is better: less latency"
    return Chart(
        name=name,
        title=title,
        alt="Change by ENA Express: " + "; ".join(f"{line.figure} {line.words}" for line in lines) + ".",
        caption="Thin: each pair, with the interval of its own iterations. Heavy: the mean of a variant's pairs"
        f"{_levels(data, scenario, metric)}, and what the next pair would see, 19 times in 20. Grey: the margin. {better}."
        + (" An interval that meets the frame goes on beyond it." if leaves else "")
        + (f" Beyond the frame: {listed(beyond)}." if beyond else ""),
        spec=spec_of(
            alt.layer(*effect_layers(rows, low=low, high=high, title="change against ENA, %")), height=ROW * len(rows)
        ),
    )


def _levels(data: FleetData, scenario: Scenario, metric: Metric) -> str:
    """At which level each mean is told, where there is one: an interval at 98.75 % may be wider than that of the next pair, at 95 %."""
    measured = [variant.scenarios.get(scenario.name) for variant in data.fleet.variants.values()]
    levels = {one.effects[metric].confidence_pct for one in measured if one and metric in one.effects} - {None}
    told = [f"{level:.4g}\u00a0%" for level in sorted(level for level in levels if level is not None)]
    return f" (at {listed(told)}, the level of its word)" if told else ""


def _lines(data: FleetData, variant: str, scenario: Scenario, metric: Metric) -> Iterator[_Line]:
    for pair in data.pairs:
        if pair.variant != variant:
            continue
        effect = pair.effect(scenario.name, metric)
        if effect is None or not pair.counts:
            words = "lost" if pair.lost else "invalid"
            yield _Line(
                figure=pair.name, pct=None, low=None, high=None, words=words, code="in no figure", weight=1.5, dot=40
            )
        else:
            yield _Line(
                figure=pair.name, pct=effect.estimate_pct, low=effect.low_pct, high=effect.high_pct,
                words=effect_in_words(effect), code=label(effect.code), weight=1.5, dot=40,
            )  # fmt: skip
    measured = data.fleet.variants[variant].scenarios.get(scenario.name)
    effect_over = measured.effects.get(metric) if measured else None
    if effect_over is not None and effect_over.low_pct is not None:
        yield from _over_pairs(variant, effect_over)


def _over_pairs(variant: str, effect: FleetEffect) -> Iterator[_Line]:
    yield _Line(
        figure=f"{variant}: mean", pct=effect.estimate_pct, low=effect.low_pct, high=effect.high_pct,
        words=interval_typeset(effect.estimate_pct, effect.low_pct, effect.high_pct), code=label(effect.code),
        weight=5, dot=150,
    )  # fmt: skip
    yield _Line(
        figure=f"{variant}: next pair", pct=effect.estimate_pct,
        low=effect.next_pair_low_pct, high=effect.next_pair_high_pct,
        words=f"{change_typeset(effect.next_pair_low_pct)} to {change_typeset(effect.next_pair_high_pct)}",
        code="what another pair would measure", weight=3, dot=1,
    )  # fmt: skip


def _row(line: _Line, margin: float) -> Row:
    return {
        "figure": line.figure, "pct": line.pct, "low": line.low, "high": line.high, "margin_low": -margin,
        "margin_high": margin, "weight": line.weight, "dot": line.dot, "words": line.words, "code": line.code,
    }  # fmt: skip
