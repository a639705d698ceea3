"""Charts: the Vega-Lite specifications of a scenario's charts, without colours. Pure; nothing is drawn here.

    ScenarioFigures ─▶ scenario_charts ─▶ Chart (title, caption, text alternative, spec) or Gap (why there is none)
    RunFigures      ─▶ load_charts    ─┘

Each chart has a text alternative for readers who cannot see it. If its data is missing there is a Gap, never an empty frame. This module
imports altair, so only code that draws imports it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import altair as alt

from enaxp.bench.run_folder.histogram import TAIL_SAMPLES
from enaxp.report.charts.axes import (
    COLOUR,
    HEIGHT,
    NAMES,
    PLAIN,
    ROW_HEIGHT,
    SHAPE,
    SIDE_BY_SIDE,
    SIGNED,
    Row,
    Rows,
    effect_layers,
    field,
    hover,
    inline,
    latency_scale,
    nines,
    numbered,
    spec_of,
)
from enaxp.report.charts.chart import Chart, Gap
from enaxp.report.charts.load import load_curve, throughput
from enaxp.report.curves import CurvePoint, ShiftPoint
from enaxp.report.data import IterationPoint, RunFigures, ScenarioFigures
from enaxp.report.words import effect_in_words, label
from enaxp.text import change_typeset, counted, interval_typeset, microseconds
from enaxp.traffic import ARM_NAMES, ARMS, PERCENTILES, Arm, metric_label

# An effect beyond this is given in words; drawn to scale it would compress everything else.
WIDEST_PCT = 200.0
TOLD = tuple(one.label for one in PERCENTILES)


def scenario_charts(figures: ScenarioFigures) -> list[Chart | Gap]:
    """The charts of one scenario, in the order of the page."""
    if figures.is_rate:
        return [effects(figures), throughput(figures), iterations(figures, "throughput")]
    return [
        effects(figures),
        percentiles(figures),
        shift(figures),
        iterations(figures, "p50"),
        iterations(figures, "p99"),
        cumulative(figures),
        series(figures),
    ]


def run_charts(figures: RunFigures) -> list[Chart | Gap]:
    """The charts that several scenarios share: a load curve for each sweep."""
    return [load_curve(name, points, figures) for name, points in figures.loads.items()]


def file_name(name: str) -> str:
    """A chart's name as a safe file name, for any scenario name."""
    return re.sub(r"[^A-Za-z0-9@._-]+", "_", name).lstrip(".") or "_"


def effects(figures: ScenarioFigures) -> Chart | Gap:
    """The chart of each figure's effect with its interval, against the margin."""
    name, title = f"{figures.scenario.name}-effects", "What ENA Express changes"
    rows = effect_rows(figures)
    if all(row["low"] is None for row in rows):
        return Gap(
            name=name, title=title, why="There is no interval: that takes valid pairs in two iterations at least."
        )
    low, high = effect_domain(rows)
    leaves = any(row["low"] is not None and (row["low"] < low or row["high"] > high) for row in rows)
    better = "To the right is better" if figures.is_rate else "To the left is better: less latency"
    told = "; ".join("{figure} {words}".format(**row) for row in rows)
    return Chart(
        name=name,
        title=title,
        alt=f"Change by ENA Express with its interval: {told}.",
        caption="Dots: estimates; bars: intervals over the iterations, heavy for the primary figures, thin for the exploratory "
        f"ones (95 %). Grey: the margin, within which a difference is of no practical interest. {better}."
        + (" An interval that meets the frame goes on beyond it." if leaves else ""),
        spec=spec_of(
            alt.layer(*effect_layers(rows, low=low, high=high, title="change against ENA, %")),
            height=ROW_HEIGHT * len(rows),
        ),
    )


def percentiles(figures: ScenarioFigures) -> Chart | Gap:
    """The chart of latency over percentiles, on an axis that gives every nine the same width."""
    name, title = f"{figures.scenario.name}-percentiles", "Latency by percentile"
    if not figures.curve:
        return _no_latencies(name, title)
    scale, axis = latency_scale(us for point in figures.curve for us in (point.us, point.low_us, point.high_us))
    x, y = nines(), alt.Y("ena:Q", scale=scale, axis=axis, title="latency, µs")
    bands = [
        alt.Chart()
        .mark_area(opacity=0.18)
        .encode(x=x, y=field(y, f"{arm}_low"), y2=f"{arm}_high:Q", color=alt.datum(ARM_NAMES[arm]))
        for arm in ARMS
        if any(point.low_us is not None for point in figures.curve if point.arm == arm)
    ]
    lines = [
        alt.Chart()
        .mark_line(strokeWidth=width, strokeDash=dash)
        .encode(x=x, y=field(y, f"{arm}{kind}"), color=alt.datum(ARM_NAMES[arm]))
        for arm in ARMS
        for kind, width, dash in (("", 2.5, [1, 0]), ("_thin", 1.5, [3, 3]))
    ]
    tip = hover(x, {"label": "percentile", "told_ena": "ENA", "told_ena_express": "ENA Express", "change": "change"})
    return Chart(
        name=name,
        title=title,
        alt=_curve_in_words(figures),
        caption="All valid trials, merged with equal weight; P90, P99 and P99.9 are equally far apart. Bands: where 95 % of "
        f"resampled iterations lie. Dashed: fewer than {TAIL_SAMPLES} observations an iteration lie beyond; do not lean on it.",
        spec=spec_of(alt.layer(*bands, *lines, tip, data=inline(_curve_rows(figures.curve))), height=HEIGHT + 80),
        can_be_linear=scale.to_dict().get("type") == "log",
    )


def shift(figures: ScenarioFigures) -> Chart | Gap:
    """The chart of the effect at every percentile."""
    name, title = f"{figures.scenario.name}-shift", "Change by percentile"
    if not figures.shift:
        return _no_latencies(name, title)
    margin = figures.result.effects["p50"].margin_pct
    low, high = _shift_domain(figures.shift, margin)
    x = nines()
    y = alt.Y("pct:Q").scale(domain=[low, high], nice=False).title("change against ENA, %")
    y = y.axis(labelExpr=SIGNED, tickCount=6)
    within = inline([{"low": max(-margin, low), "high": min(margin, high)}])
    layers = [
        alt.Chart(within).mark_rect(style="margin").encode(y=field(y, "low"), y2="high:Q"),
        alt.Chart().mark_rule(style="zero").encode(y=alt.datum(0)),
        alt.Chart().mark_area(style="shift", opacity=0.2, clip=True).encode(x=x, y=field(y, "low"), y2="high:Q"),
        alt.Chart().mark_line(style="shift", strokeWidth=1.5, strokeDash=[3, 3], clip=True).encode(x=x, y=y),
        alt.Chart().mark_line(style="shift", strokeWidth=2.5, clip=True).encode(x=x, y=field(y, "solid")),
        hover(x, {"label": "percentile", "words": "change"}),
    ]
    by_name = {percentile_name(point.p): _shift_in_words(point) for point in figures.shift}
    told = [f"{named} {by_name[named]}" for named in TOLD if named in by_name]
    return Chart(
        name=name,
        title=title,
        alt=f"Change by ENA Express over the percentiles: {'; '.join(told)}.",
        caption="Below zero ENA Express is faster. Line: the mean over the iterations; band: its 95 % interval, by percentile; "
        f"grey: the margin, ±{margin:.4g} %. Dashed: too few observations to lean on.",
        spec=spec_of(alt.layer(*layers, data=inline([_shift_row(point) for point in figures.shift]))),
    )


def iterations(figures: ScenarioFigures, metric: str) -> Chart | Gap:
    """The chart of one figure by iteration, both arms connected, over the single trials."""
    named = metric_label(metric)
    name, title = f"{figures.scenario.name}-iterations-{metric}", f"{named} by iteration".capitalize()
    points = figures.by_iteration.get(metric, ())
    if not points and figures.iterations:
        return Gap(
            name=name,
            title=title,
            why=f"{named} is beyond measurement in every iteration: it lies among the lost messages.",
        )
    if not points:
        return Gap(name=name, title=title, why="No iteration has a valid pair of trials.")
    unit = "Gbit/s" if metric == "throughput" else "µs"
    rows = [row for point in points for row in _iteration_rows(point)]
    dots = [
        {"iteration": trial.iteration, "arm": ARM_NAMES[trial.arm], "value": value, "trial": trial.trial}
        for trial in figures.trials
        if (value := getattr(trial, metric)) is not None
    ]
    low, high = _in_sight([row["value"] for row in rows], [dot["value"] for dot in dots])
    scale, axis = latency_scale((low, high))
    scale.domain = [low, high]
    inside = [dot for dot in dots if low <= dot["value"] <= high]
    x = alt.X("iteration:O").title("iteration").axis(labelAngle=0, labelOverlap=True)
    y = alt.Y("value:Q", scale=scale, axis=axis, title=f"{named}, {unit}")
    tips = [alt.Tooltip("iteration:Q"), alt.Tooltip("arm:N"), *numbered({"value": (f"{named}, {unit}", ",.3f")})]
    each, trials = alt.Chart(inline(rows)), alt.Chart(inline(inside))
    layers = [
        each.mark_line(style="link").encode(x=x, xOffset=SIDE_BY_SIDE, y=y, detail="iteration:N"),
        trials.mark_circle(size=16, opacity=0.4).encode(
            x=x, xOffset=SIDE_BY_SIDE, y=y, color=COLOUR, tooltip=[alt.Tooltip("trial:Q"), *tips]
        ),
        each.mark_point(filled=True, size=90, opacity=1).encode(
            x=x, xOffset=SIDE_BY_SIDE, y=y, color=COLOUR, shape=SHAPE, tooltip=tips
        ),
    ]
    left_out = len(dots) - len(inside)
    beyond = f" {counted(left_out, 'trial')} outside the picture." if left_out else ""
    if lost := figures.iterations - len(points):
        beyond += f" {counted(lost, 'iteration')} not drawn: {named} is beyond measurement there."
    lower = (
        f"ENA Express is lower in {sum(point.ena_express < point.ena for point in points)} of {len(points)} iterations"
    )
    return Chart(
        name=name,
        title=title,
        alt=f"{named} of both arms in each iteration, joined: {lower}.",
        caption=f"Large: an iteration's trials merged; small: single trials. {lower}. The interval rests on these differences.{beyond}",
        spec=spec_of(alt.layer(*layers)),
    )


def cumulative(figures: ScenarioFigures) -> Chart | Gap:
    """The chart of the cumulative distribution of latency in µs, per arm, all valid trials merged, up to P98; a Gap if there are no
    latencies."""
    name, title = f"{figures.scenario.name}-cumulative", "Where most messages are"
    if not figures.body:
        return _no_latencies(name, title)
    rows = [{"arm": ARM_NAMES[point.arm], "us": point.us, "share": point.p} for point in figures.body]
    scale, axis = latency_scale(point.us for point in figures.body)
    x = alt.X("us:Q", scale=scale, axis=axis, title="latency, µs")
    y = alt.Y("share:Q").scale(domain=[0, 1]).title("messages at or below").axis(format="~%", tickCount=5)
    tips = [alt.Tooltip("arm:N"), *numbered({"share": ("at or below", ".1%"), "us": ("latency, µs", ",.3f")})]
    base = alt.Chart(inline(rows)).encode(x=x, y=y, color=COLOUR)
    lines, tip = base.mark_line(interpolate="step-after", strokeWidth=2.5), base.mark_circle(size=70, opacity=0)
    middles = [f"{ARM_NAMES[point.arm]} {microseconds(point.us)}" for point in figures.body if point.p == 0.5]
    return Chart(
        name=name,
        title=title,
        alt=f"Cumulative share of messages over latency, up to P98. Half of all messages take at most: {', '.join(middles)}.",
        caption="The cumulative distribution of all valid trials up to P98; what lies beyond is in the chart by percentile.",
        spec=spec_of(alt.layer(lines, tip.encode(tooltip=tips))),
    )


def series(figures: ScenarioFigures) -> Chart | Gap:
    """The chart of the run over time, with the boundaries of its iterations and events."""
    name, title = f"{figures.scenario.name}-series", "Over time"
    if not figures.series:
        return Gap(name=name, title=title, why="No trial that counts kept what its seconds saw.")
    x = alt.X("t:Q").scale(nice=False, zero=False).title("minutes since the first trial")
    x = x.axis(grid=False, labelExpr=PLAIN)
    layers = [*_borders(figures, x=x), _points_in_time(figures, x=x), *_events(figures, x=x)]
    each = "second" if figures.series_by_second else "trial"
    happened = (
        "No event fell into it: no allowance exceeded, no message lost or out of order, no trial that does not count."
    )
    if figures.events:
        marked = counted(len(figures.events), "event")
        happened = f"{marked} marked at the bottom: allowances exceeded, messages lost or out of order, trials that do not count."
    return Chart(
        name=name,
        title=title,
        alt=f"Median, P99 and maximum of each {each} of both arms over the run. {happened}",
        caption=f"P50, P99 and maximum of each {each} of the trials that count; iterations begin at the numbered lines. {happened}",
        spec=spec_of(alt.layer(*layers).resolve_scale(shape="independent"), height=HEIGHT + 20),
    )


# -- parts of the series ---------------------------------------------------------------------------------------------------


def _points_in_time(figures: ScenarioFigures, *, x: alt.X) -> Any:
    shown = [us for point in figures.series for us in (point.p50_us, point.max_us)]
    scale, axis = latency_scale((*shown, 0.6 * min(shown)))  # with room at the bottom for events
    told = ["P50", "P99", "max"]
    shape = alt.Shape("figure:N").scale(domain=told, range=["circle", "square", "triangle-up"]).title(None)
    tips = [
        *(alt.Tooltip(f"{name}:N") for name in ("trial", "iteration", "arm")),
        *numbered({name: (f"{name}, µs", ",.1f") for name in told}),
    ]
    points = alt.Chart(inline(list(_series_rows(figures)))).transform_fold([*told], as_=["figure", "us"])
    return points.mark_point(filled=True, size=26).encode(
        x=x,
        y=alt.Y("us:Q", scale=scale, axis=axis, title="latency, µs"),
        color=COLOUR,
        shape=shape.legend(orient="bottom"),
        opacity=alt.condition("datum.figure == 'P50'", alt.value(1), alt.value(0.5)),
        tooltip=tips,
    )


def _borders(figures: ScenarioFigures, *, x: alt.X) -> list[Any]:
    borders = alt.Chart(inline([{"t": border.at_min, "iteration": border.iteration} for border in figures.borders]))
    numbers = borders.mark_text(style="quiet", align="left", dx=4, baseline="top")
    return [borders.mark_rule(style="border").encode(x=x), numbers.encode(x=x, y=alt.value(2), text="iteration:N")]


def _events(figures: ScenarioFigures, *, x: alt.X) -> list[Any]:
    """A mark for each event; no layer if there is none, because Vega rejects an empty one."""
    rows = [
        {"t": event.at_min, "trial": event.trial, "arm": ARM_NAMES[event.arm], "event": event.words}
        for event in figures.events
    ]
    marks = alt.Chart(inline(rows)).mark_point(style="event", shape="triangle-down", size=80)
    tips = [alt.Tooltip(f"{name}:N") for name in ("event", "trial", "arm")]
    return [marks.encode(x=x, y=alt.value(HEIGHT + 12), tooltip=tips)] if rows else []


# -- what the charts are drawn from ----------------------------------------------------------------------------------------


def effect_rows(figures: ScenarioFigures) -> Rows:
    """A data row for each effect of result.json; primary ones are drawn heavier."""
    return [
        {
            "figure": metric_label(metric),
            "pct": effect.estimate_pct,
            "low": effect.low_pct,
            "high": effect.high_pct,
            "margin_low": -effect.margin_pct,
            "margin_high": effect.margin_pct,
            "weight": 4 if effect.primary else 1.5,
            "dot": 120 if effect.primary else 50,
            "words": effect_in_words(effect),
            "code": label(effect.code),
        }
        for metric, effect in figures.result.effects.items()
    ]


def effect_domain(rows: Rows) -> tuple[float, float]:
    """The range of the per cent axis: every interval and twice the smallest margin, at most WIDEST_PCT."""
    bounds = [row[side] for row in rows for side in ("low", "high") if row[side] is not None]
    margin = min(min(row["margin_high"] for row in rows), WIDEST_PCT / 2)
    low, high = max(-100.0, min(*bounds, -2 * margin)), min(WIDEST_PCT, max(*bounds, 2 * margin))
    room = 0.04 * (high - low)
    return max(low - room, -100.0), min(high + room, WIDEST_PCT)


def percentile_name(p: float) -> str:
    """A percentile's name, with as many digits as it needs: P50, P99.9, P99.987."""
    digits = max(1, math.ceil(-math.log10(1 - p)) - 1)
    return f"P{100 * p:.{digits}f}".rstrip("0").rstrip(".")


def _shift_domain(points: Iterable[ShiftPoint], margin: float) -> tuple[float, float]:
    """The axis range, from the points that are not thin, if there are any."""
    points = list(points)
    solid = [point for point in points if not point.thin] or points
    bounds = [bound for point in solid for bound in (point.pct, point.low_pct, point.high_pct) if bound is not None]
    least = min(2 * margin, WIDEST_PCT / 2)
    widest = max(WIDEST_PCT, 1.2 * max(point.pct for point in solid))
    return max(-100.0, 1.08 * min(*bounds, -least)), min(widest, 1.08 * max(*bounds, least))


def _curve_rows(curve: Iterable[CurvePoint]) -> Rows:
    """A data row for each percentile, with both arms. Thin points are in a separate column, which begins at the last point that is not
    thin."""
    by_place: dict[float, dict[Arm, CurvePoint]] = {}
    for point in curve:
        by_place.setdefault(point.p, {})[point.arm] = point
    last_solid = {
        arm: max((p for p, arms in by_place.items() if arm in arms and not arms[arm].thin), default=0.0) for arm in ARMS
    }
    rows = []
    for p, arms in sorted(by_place.items()):
        row: Row = {"x": 1 / (1 - p), "label": percentile_name(p)}
        for arm, point in arms.items():
            row |= {f"{arm}_thin" if point.thin else arm: point.us, f"told_{arm}": microseconds(point.us)}
            row |= {f"{arm}_thin": point.us} if p == last_solid[arm] else {}
            row |= {f"{arm}_low": point.low_us, f"{arm}_high": point.high_us} if point.low_us is not None else {}
        if len(arms) == len(ARMS) and arms["ena"].us > 0:
            row["change"] = change_typeset(100 * (arms["ena_express"].us / arms["ena"].us - 1))
        rows.append(row)
    return rows


def _shift_row(point: ShiftPoint) -> Row:
    return {
        "x": 1 / (1 - point.p),
        "label": percentile_name(point.p),
        "pct": point.pct,
        "low": point.low_pct,
        "high": point.high_pct,
        "solid": None if point.thin else point.pct,
        "words": _shift_in_words(point),
    }


def _in_sight(merged: Sequence[float], single: Sequence[float]) -> tuple[float, float]:
    """The axis range of a chart by iteration: all merged values and the middle part of the single trials, so that differences are
    visible."""
    cut = len(single) // 10
    shown = [*merged, *sorted(single)[cut : len(single) - cut]]
    low, high = min(shown), max(shown)
    room = max(0.15 * (high - low), 0.02 * high)
    return max(low - room, 0.8 * low), high + room


def _iteration_rows(point: IterationPoint) -> tuple[Row, Row]:
    ena, express = NAMES
    at = {"iteration": point.iteration}
    return {**at, "arm": ena, "value": point.ena}, {**at, "arm": express, "value": point.ena_express}


def _series_rows(figures: ScenarioFigures) -> Iterator[Row]:
    for point in figures.series:
        yield {
            "t": round(point.at_min, 4),
            "trial": point.trial,
            "iteration": point.iteration,
            "arm": ARM_NAMES[point.arm],
            "P50": point.p50_us,
            "P99": point.p99_us,
            "max": point.max_us,
        }


def _curve_in_words(figures: ScenarioFigures) -> str:
    told = []
    for arm in ARMS:
        named = {percentile_name(point.p): point.us for point in figures.curve if point.arm == arm}
        figured = ", ".join(f"{name} {microseconds(named[name])}" for name in TOLD if name in named)
        told.append(f"{ARM_NAMES[arm]}: {figured or 'nothing'}")
    return f"Latency over the percentiles. {'. '.join(told)}."


def _shift_in_words(point: ShiftPoint) -> str:
    return interval_typeset(point.pct, point.low_pct, point.high_pct)


def _no_latencies(name: str, title: str) -> Gap:
    return Gap(name=name, title=title, why="No pair of trials counts, so there are no latencies to show.")
