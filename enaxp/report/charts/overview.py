"""Overview: `latency_comparison.png`, the summary of a run in one picture with a title. See scenario.py.

RunFigures ─▶ for each scenario: both arms' figures │ the effects with their intervals ─▶ one specification
"""

from __future__ import annotations

from typing import Any

import altair as alt

from enaxp.report.charts.axes import (
    COLOUR,
    PLAIN,
    ROW_HEIGHT,
    SHAPE,
    Rows,
    effect_layers,
    inline,
    latency_scale,
    plain_spec,
)
from enaxp.report.charts.scenario import effect_domain, effect_rows
from enaxp.report.charts.vega import Spec
from enaxp.report.data import RunFigures, ScenarioFigures
from enaxp.report.words import headline, measured_between, proof_in_words, standing_in_words, sureness_in_words
from enaxp.text import gigabits, microseconds
from enaxp.traffic import ARM_NAMES, ARMS, metric_label

SIDE = 320
SAME_WIRE = "both arms are the same virtual wire"
_APART: Spec = {"scale": {"x": "independent", "y": "independent", "size": "independent"}}


def comparison(figures: RunFigures) -> Spec | None:
    """The picture's specification; None when no scenario measured anything."""
    shown = [one for one in figures.scenarios if _values(one)]
    if not shown:
        return None
    title = {"text": headline(figures.run.result.scenarios), "subtitle": _subtitle(figures), "offset": 24}
    parts = [_scenario(one, headed=len(shown) > 1) for one in shown]
    return {"title": title, "spacing": 36, "resolve": _APART, "vconcat": parts, "datasets": _lifted(parts)}


def _lifted(parts: list[Spec]) -> Spec:
    """The data rows of all parts, moved to the top level, where Vega-Lite looks for them."""
    return {name: rows for part in parts for side in part["hconcat"] for name, rows in side.pop("datasets").items()}


def _subtitle(figures: RunFigures) -> list[str]:
    """The subtitle: hosts, basis of the intervals, whether SRD is proven, and caveats."""
    run = figures.run
    proofs = {proof_in_words(measured.treatment) for measured in run.result.scenarios.values()}
    origin = run.manifest.not_ena
    local = f"{origin[0].upper()}{origin[1:]}: {run.manifest.emulated or SAME_WIRE}." if origin else ""
    lines = [
        f"{local} {standing_in_words(run)}".strip(),
        f"{measured_between(run.manifest)}. {sureness_in_words(figures)}.",
        f"Is SRD proven? {proofs.pop() if len(proofs) == 1 else 'differs by scenario'}. Run {run.manifest.run_id}.",
    ]
    return [line for line in lines if line]


def _scenario(figures: ScenarioFigures, *, headed: bool) -> Spec:
    """The part of one scenario. The charts are concatenated by hand, because altair copies whole charts when it does so."""
    both: Spec = {"hconcat": [_both_arms(figures), _changes(figures)], "spacing": 30, "resolve": _APART}
    return {**both, "title": {"text": figures.scenario.name, "fontSize": 15, "offset": 8}} if headed else both


def _both_arms(figures: ScenarioFigures) -> Spec:
    values = _values(figures)
    unit = "Gbit/s" if figures.is_rate else "µs"
    scale, axis = latency_scale((row["value"] for row in values), most=5)
    if figures.is_rate:
        scale, axis = alt.Scale(zero=True), alt.Axis(tickCount=5, labelExpr=PLAIN)
    x = alt.X("value:Q", scale=scale, axis=axis, title=f"{'throughput' if figures.is_rate else 'latency'}, {unit}")
    y = alt.Y("figure:N").sort(None).title(None).axis(labelFontSize=14, labelPadding=10, grid=True)
    base = alt.Chart(inline(values)).encode(y=y)
    chart = alt.layer(
        base.mark_line(style="link").encode(x=x, detail="figure:N"),
        base.mark_point(filled=True, size=130, opacity=1).encode(x=x, color=COLOUR, shape=SHAPE),
        _column(_in_words(figures), y=y),
    )
    return plain_spec(chart.properties(width=SIDE, height=alt.Step(ROW_HEIGHT)))


def _changes(figures: ScenarioFigures) -> Spec:
    rows = effect_rows(figures)
    low, high = effect_domain(rows) if any(row["low"] is not None for row in rows) else (-10.0, 10.0)
    layers = effect_layers(
        rows, low=low, high=high, title="change by ENA Express, %   (bar: interval; grey: the margin)"
    )
    y = alt.Y("figure:N").sort(None).axis(None)
    return plain_spec(alt.layer(*layers, _column(rows, y=y)).properties(width=SIDE, height=alt.Step(ROW_HEIGHT)))


def _column(rows: Rows, *, y: alt.Y) -> Any:
    """The column of text to the right of the chart."""
    return (
        alt.Chart(inline(rows))
        .mark_text(align="left", dx=14, fontSize=13)
        .encode(y=y, x=alt.value(SIDE), text="words:N")
    )


def _in_words(figures: ScenarioFigures) -> Rows:
    """Both arms' values of each figure in words: `22.52 → 22.32 µs`."""
    told: dict[str, list[str]] = {}
    for row in _values(figures):
        words = gigabits(row["value"]) if figures.is_rate else microseconds(row["value"])
        told.setdefault(row["figure"], []).append(words)
    return [{"figure": figure, "words": " → ".join(words)} for figure, words in told.items()]


def _values(figures: ScenarioFigures) -> Rows:
    return [
        {"figure": metric_label(metric), "arm": ARM_NAMES[arm], "value": value}
        for metric in figures.scenario.metrics
        for arm in ARMS
        if (value := figures.result.arms[arm].figure(metric)) is not None
    ]
