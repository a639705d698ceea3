"""Charts: what each chart of a report looks like, as Vega-Lite specifications without colours. Pure; nothing is drawn here.

    ScenarioFigures ─▶ scenario_charts ─▶ Chart (title, caption, words instead of the picture, spec) or Gap (why there is none)
    RunFigures      ─▶ load_charts, overview (the picture for people: latency_comparison.png)

A chart says in words what it shows, for those who do not see it. Where the data for one is lacking there is a Gap, never an empty frame.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enaxp.bench.schedule import ARMS, Arm
from enaxp.report.curves import CurvePoint
from enaxp.report.drawing import Spec
from enaxp.report.figures import ARM_NAMES, IterationPoint, LoadPoint, RunFigures, ScenarioFigures
from enaxp.report.wording import METRIC_NAMES, change, interval_in_words, microseconds

if TYPE_CHECKING:
    pass

HEIGHT = 300
ROW_HEIGHT = 34
# An effect beyond this is told in words; drawn, it would squeeze everything else.
WIDEST_PCT = 200.0
# A knee: the first rate whose P99 is this many times that of the lowest rate.
KNEE = 3.0
# Losses from this share on are marked in a load curve.
LOSS_TO_MARK = 0.0001
# What AWS allows a single flow, in Gbit/s: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-network-bandwidth.html
FLOW_LIMITS = {
    "one ENA flow: 5": 5.0,
    "one ENA flow in a cluster placement group: 10": 10.0,
    "one ENA Express flow: 25": 25.0,
}
_LATENCIES = ("mean", "p50", "p90", "p99", "p99_9")
_NINES = [1 / (1 - p) for p in (0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)]
_NINES_LABEL = "'P' + round((100 - 100 / datum.value) * 10000) / 10000"

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart. `alt` stands for it where it cannot be seen; `can_be_linear`: its latency axis is logarithmic, and need not be."""

    name: str
    title: str
    alt: str
    caption: str
    spec: Spec
    can_be_linear: bool = False


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A chart that cannot be drawn, and why."""

    name: str
    title: str
    why: str


Drawn = Chart | Gap


def scenario_charts(figures: ScenarioFigures) -> list[Drawn]:
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


def load_charts(figures: RunFigures) -> list[Drawn]:
    """A load curve for each sweep."""
    return [load_curve(name, points, figures) for name, points in figures.loads.items()]


def file_name(name: str) -> str:
    """A chart's name as that of a file, whatever a scenario is called."""
    return re.sub(r"[^A-Za-z0-9@._-]+", "_", name).lstrip(".") or "_"


# -- charts ----------------------------------------------------------------------------------------------------------------


def effects(figures: ScenarioFigures) -> Drawn:
    """Each figure's effect with its interval, against the margin."""
    import altair as alt

    name, title = f"{figures.scenario.name}-effects", "What ENA Express changes"
    rows = _effect_rows(figures)
    if not any(row["low"] is not None for row in rows):
        return Gap(
            name=name, title=title, why="There is no interval: it takes two iterations with valid pairs at least."
        )
    low, high = _effect_domain(rows)
    x = (
        alt.X("low:Q")
        .scale(domain=[low, high], nice=False)
        .title("change against ENA, %")
        .axis(format="+~g", tickCount=7)
    )
    y = alt.Y("figure:N").sort(None).title(None).axis(grid=False, labelFontSize=13)
    base = alt.Chart()
    tips = [
        alt.Tooltip("figure:N", title="figure"),
        alt.Tooltip("words:N", title="change"),
        alt.Tooltip("code:N", title="that is"),
    ]
    layers = alt.layer(
        base.mark_bar(style="margin", clip=True).encode(
            y=y, x=alt.X("margin_low:Q").scale(domain=[low, high]), x2="margin_high:Q"
        ),
        base.mark_rule(style="zero").encode(x=alt.datum(0)),
        base.mark_rule(style="interval", clip=True, strokeCap="round").encode(
            y=y, x=x, x2="high:Q", size=alt.Size("weight:Q").scale(None).legend(None), tooltip=tips
        ),
        base.mark_point(style="estimate", clip=True).encode(
            y=y, x="pct:Q", size=alt.Size("dot:Q").scale(None).legend(None), tooltip=tips
        ),
        data=alt.InlineData(values=rows),
    )
    told = "; ".join("{figure} {words}".format(**row) for row in rows)
    less = "more" if figures.is_rate else "less"
    beyond = (
        " Intervals that leave the picture go on beyond it." if any(_leaves(row, low, high) for row in rows) else ""
    )
    return Chart(
        name=name,
        title=title,
        alt=f"Change by ENA Express with its interval: {told}.",
        caption=f"Dots are estimates, bars intervals over the iterations; heavy ones are the primary figures (97.5 %), the others are "
        f"exploratory (95 %). The grey field is the margin: what lies in it makes no practical difference. {less.capitalize()} is "
        f"better.{beyond}",
        spec=_spec(layers, height=alt.Step(ROW_HEIGHT)),
    )


def percentiles(figures: ScenarioFigures) -> Drawn:
    """Latency over the percentiles, on an axis that gives every nine the same room."""
    import altair as alt

    name, title = f"{figures.scenario.name}-percentiles", "Latency by percentile"
    if not figures.curve:
        return _no_latencies(name, title)
    rows = _curve_rows(figures.curve)
    x = _nines_axis(alt)
    y = (
        alt.Y("ena:Q")
        .scale(type="log", nice=False)
        .title("latency, µs")
        .axis(tickCount=6, format="~s", labelExpr=_PLAIN)
    )
    layers = []
    for arm in ARMS:
        colour = alt.datum(ARM_NAMES[arm])
        band = alt.Chart().mark_area(opacity=0.18, interpolate="linear")
        layers.append(band.encode(x=x, y=alt.Y(f"{arm}_low:Q").title("latency, µs"), y2=f"{arm}_high:Q", color=colour))
    for arm in ARMS:
        colour = alt.datum(ARM_NAMES[arm])
        layers.append(alt.Chart().mark_line(strokeWidth=2.5).encode(x=x, y=_field(y, arm), color=colour))
        thin = alt.Chart().mark_line(strokeWidth=1.5, strokeDash=[3, 3])
        layers.append(thin.encode(x=x, y=_field(y, f"{arm}_thin"), color=colour))
    layers += _hover(
        alt,
        x,
        [("label", "percentile"), ("told_ena", "ENA"), ("told_ena_express", "ENA Express"), ("change", "change")],
    )
    return Chart(
        name=name,
        title=title,
        alt=_curve_in_words(figures),
        caption="All valid trials, merged with equal weight. Each step to the right has a tenth of the messages beyond it. Bands: where 95 % "
        "of resampled iterations lie. Dashed: fewer than 100 observations an iteration lie beyond, do not lean on it.",
        spec=_spec(alt.layer(*layers, data=alt.InlineData(values=rows)), height=HEIGHT + 60),
        can_be_linear=True,
    )


def shift(figures: ScenarioFigures) -> Drawn:
    """The effect at every percentile."""
    import altair as alt

    name, title = f"{figures.scenario.name}-shift", "Change by percentile"
    if not figures.shift:
        return _no_latencies(name, title)
    margin = figures.result["effects"]["p50"]["margin_pct"]
    rows = [
        {
            "x": 1 / (1 - point.p),
            "label": _percentile(point.p),
            "pct": point.pct,
            "low": point.low_pct,
            "high": point.high_pct,
            "solid": None if point.thin else point.pct,
            "words": interval_in_words(point.pct, point.low_pct, point.high_pct),
        }
        for point in figures.shift
    ]
    low, high = _shift_domain(figures, margin)
    x = _nines_axis(alt)
    y = (
        alt.Y("pct:Q")
        .scale(domain=[low, high], nice=False)
        .title("change against ENA, %")
        .axis(format="+~g", tickCount=6)
    )
    base = alt.Chart()
    field = alt.Chart(alt.InlineData(values=[{"low": max(-margin, low), "high": min(margin, high)}]))
    layers = [
        field.mark_rect(style="margin").encode(y=alt.Y("low:Q").scale(domain=[low, high]), y2="high:Q"),
        base.mark_rule(style="zero").encode(y=alt.datum(0)),
        base.mark_area(style="shift", opacity=0.2, clip=True).encode(x=x, y=_field(y, "low"), y2="high:Q"),
        base.mark_line(style="shift", strokeWidth=1.5, strokeDash=[3, 3], clip=True).encode(x=x, y=y),
        base.mark_line(style="shift", strokeWidth=2.5, clip=True).encode(x=x, y=_field(y, "solid")),
        *_hover(alt, x, [("label", "percentile"), ("words", "change")]),
    ]
    named = {p: point for point in figures.shift if (p := _percentile(point.p)) in ("P50", "P90", "P99", "P99.9")}
    told = "; ".join(f"{p} {interval_in_words(one.pct, one.low_pct, one.high_pct)}" for p, one in named.items())
    return Chart(
        name=name,
        title=title,
        alt=f"Change by ENA Express over the percentiles: {told}.",
        caption="Below zero ENA Express is faster. Line: the mean over the iterations; band: its 95 % interval at each percentile by itself; "
        f"grey: the margin of ±{margin:g} %. Dashed: too few observations to lean on.",
        spec=_spec(alt.layer(*layers, data=alt.InlineData(values=rows)), height=HEIGHT - 40),
    )


def iterations(figures: ScenarioFigures, metric: str) -> Drawn:
    """One figure iteration by iteration, both arms joined, over the trials it comes from."""
    import altair as alt

    label = METRIC_NAMES[metric]
    name, title = f"{figures.scenario.name}-iterations-{metric}", f"{label} by iteration"
    points = figures.by_iteration.get(metric, ())
    if not points:
        return Gap(name=name, title=title, why="No iteration has a valid pair of trials.")
    several = len({point.pair for point in points}) > 1
    rows = list(_iteration_rows(points, several=several))
    unit = "Gbit/s" if metric == "throughput" else "µs"
    dots = [
        {
            "iteration": _place(1, trial.iteration, several=False),
            "arm": ARM_NAMES[trial.arm],
            "value": value,
            "trial": trial.trial,
        }
        for trial in figures.trials
        if not several and (value := getattr(trial, metric)) is not None
    ]
    x = alt.X("iteration:O").sort(None).title("iteration").axis(labelAngle=0, labelOverlap=True, grid=False)
    y = (
        alt.Y("value:Q")
        .title(f"{label}, {unit}")
        .scale(zero=False, type=_scale_of(rows + dots))
        .axis(tickCount=5, labelExpr=_PLAIN)
    )
    offset = alt.XOffset("arm:N").sort(list(ARM_NAMES.values()))
    colour = alt.Color("arm:N").scale(domain=list(ARM_NAMES.values())).title(None)
    shape = alt.Shape("arm:N").scale(domain=list(ARM_NAMES.values())).title(None)
    tips = [
        alt.Tooltip("iteration:N", title="iteration"),
        alt.Tooltip("arm:N", title="arm"),
        alt.Tooltip("value:Q", title=f"{label}, {unit}", format=".3f"),
    ]
    trial_tips = [alt.Tooltip("trial:Q", title="trial"), *tips]
    layers = [
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(style="link")
        .encode(x=x, xOffset=offset, y=y, detail="iteration:N"),
        alt.Chart(alt.InlineData(values=dots))
        .mark_circle(size=16, opacity=0.4)
        .encode(x=x, xOffset=offset, y=y, color=colour, tooltip=trial_tips),
        alt.Chart(alt.InlineData(values=rows))
        .mark_point(filled=True, size=90, opacity=1)
        .encode(x=x, xOffset=offset, y=y, color=colour, shape=shape, tooltip=tips),
    ]
    lower = sum(point.ena_express < point.ena for point in points)
    return Chart(
        name=name,
        title=title,
        alt=f"{label} of both arms in {len(points)} iterations; ENA Express is lower in {lower} of them.",
        caption=f"Large: an iteration's trials merged; small: each trial. Lines join what was measured side by side: ENA Express is lower in "
        f"{lower} of {len(points)} iterations. The verdict rests on these differences.",
        spec=_spec(alt.layer(*layers), height=HEIGHT - 40),
    )


def cumulative(figures: ScenarioFigures) -> Drawn:
    """The share of messages at or below each latency, where most of them are."""
    import altair as alt

    name, title = f"{figures.scenario.name}-cumulative", "Where most messages are"
    if not figures.body:
        return _no_latencies(name, title)
    rows = [{"arm": ARM_NAMES[point.arm], "us": point.us, "share": point.p} for point in figures.body]
    x = (
        alt.X("us:Q")
        .scale(type=_scale_of([{"value": row["us"]} for row in rows]), zero=False, nice=False)
        .title("latency, µs")
    )
    y = alt.Y("share:Q").scale(domain=[0, 1]).title("messages at or below").axis(format="~%", tickCount=5)
    colour = alt.Color("arm:N").scale(domain=list(ARM_NAMES.values())).title(None)
    tips = [
        alt.Tooltip("arm:N", title="arm"),
        alt.Tooltip("share:Q", title="share at or below", format=".1%"),
        alt.Tooltip("us:Q", title="latency, µs", format=".3f"),
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x.axis(tickCount=7, labelExpr=_PLAIN), y=y, color=colour)
    layers = alt.layer(
        base.mark_line(interpolate="step-after", strokeWidth=2.5),
        base.mark_circle(size=70, opacity=0).encode(tooltip=tips),
    )
    middles = {
        arm: next(point.us for point in figures.body if point.arm == arm and point.p >= 0.5)
        for arm in _arms_of(figures.body)
    }
    told = ", ".join(f"{ARM_NAMES[arm]} {microseconds(us)}" for arm, us in middles.items())
    return Chart(
        name=name,
        title=title,
        alt=f"Cumulative share of messages over latency up to P98. Half of all messages take at most: {told}.",
        caption="The cumulative distribution of all valid trials, up to P98; what lies beyond is in the chart by percentile.",
        spec=_spec(layers, height=HEIGHT - 40),
    )


def series(figures: ScenarioFigures) -> Drawn:
    """The run over time, with the borders of its iterations and what happened on the way."""
    import altair as alt

    name, title = f"{figures.scenario.name}-series", "Over time"
    if not figures.series:
        return Gap(name=name, title=title, why="No trial that counts kept its seconds.")
    rows = [
        {
            "t": round(p.at_min, 4),
            "trial": p.trial,
            "i": p.iteration,
            "arm": ARM_NAMES[p.arm],
            "P50": p.p50_us,
            "P99": p.p99_us,
            "max": p.max_us,
        }
        for p in figures.series
    ]
    x = alt.X("t:Q").scale(nice=False, zero=False).title("minutes since the first trial").axis(grid=False, tickCount=8)
    y = alt.Y("us:Q").scale(type="log", nice=False).title("latency, µs").axis(tickCount=6, labelExpr=_PLAIN)
    colour = alt.Color("arm:N").scale(domain=list(ARM_NAMES.values())).title(None)
    shape = (
        alt.Shape("figure:N").scale(domain=["P50", "P99", "max"], range=["circle", "triangle-up", "stroke"]).title(None)
    )
    tips = [
        alt.Tooltip("trial:Q", title="trial"),
        alt.Tooltip("i:Q", title="iteration"),
        alt.Tooltip("arm:N", title="arm"),
        *(alt.Tooltip(f"{figure}:Q", title=f"{figure}, µs", format=".1f") for figure in ("P50", "P99", "max")),
    ]
    points = alt.Chart(alt.InlineData(values=rows)).transform_calculate(a="datum.P50", b="datum.P99", c="datum.max")
    points = points.transform_fold(["P50", "P99", "max"], as_=["figure", "us"])
    opacity = alt.condition("datum.figure == 'P50'", alt.value(1), alt.value(0.55))
    borders = [{"t": border.at_min, "i": border.iteration} for border in figures.borders]
    events = [
        {"t": event.at_min, "trial": event.trial, "arm": ARM_NAMES[event.arm], "words": event.words}
        for event in figures.events
    ]
    event_tips = [
        alt.Tooltip("words:N", title="event"),
        alt.Tooltip("trial:Q", title="trial"),
        alt.Tooltip("arm:N", title="arm"),
    ]
    layers = [
        alt.Chart(alt.InlineData(values=borders)).mark_rule(style="border").encode(x=x),
        alt.Chart(alt.InlineData(values=borders))
        .mark_text(style="quiet", align="left", dx=4, dy=8, baseline="top")
        .encode(x=x, y=alt.value(0), text="i:N"),
        points.mark_point(filled=True, size=26, strokeWidth=1.5).encode(
            x=x, y=y, color=colour, shape=shape, opacity=opacity, tooltip=tips
        ),
        alt.Chart(alt.InlineData(values=events))
        .mark_point(style="event", shape="triangle-down", size=70)
        .encode(x=x, y=alt.value(HEIGHT - 8), tooltip=event_tips),
    ]
    each = "second" if figures.series_by_second else "trial"
    told = f"{len(figures.events)} events are marked at the bottom" if events else "nothing happened on the way"
    return Chart(
        name=name,
        title=title,
        alt=f"Median, P99 and maximum of each {each} over {rows[-1]['t']:.0f} minutes; {told}.",
        caption=f"One point for each {each} of the trials that count. Numbers at the top: where iterations begin. Black triangles at the bottom: "
        "an allowance exceeded, messages lost or out of order, a trial that does not count."
        if events
        else f"One point for each {each} of the trials that count. Numbers at the top: where iterations begin. No counter event fell into it.",
        spec=_spec(alt.layer(*layers).resolve_scale(shape="independent"), height=HEIGHT),
    )


def throughput(figures: ScenarioFigures) -> Drawn:
    """What arrived, with the limits that AWS sets a flow."""
    import altair as alt

    name, title = f"{figures.scenario.name}-throughput", "What arrived"
    arms = {arm: figures.result["arms"][arm]["throughput_gbps"] for arm in ARMS}
    rows = [
        {"arm": ARM_NAMES[arm], "gbps": value, "words": f"{value:.3f} Gbit/s"}
        for arm, value in arms.items()
        if value is not None
    ]
    if not rows:
        return Gap(name=name, title=title, why="No trial has a throughput that the server counted.")
    dots = [{"arm": ARM_NAMES[trial.arm], "gbps": trial.throughput, "trial": trial.trial} for trial in figures.trials]
    most = max(row["gbps"] for row in rows + dots if row["gbps"] is not None)
    limits = [
        {"gbps": limit * figures.scenario.flows, "words": f"{words} Gbit/s"} for words, limit in FLOW_LIMITS.items()
    ]
    shown = [limit for limit in limits if limit["gbps"] <= max(most * 1.25, 5)]
    y = alt.Y("arm:N").sort(list(ARM_NAMES.values())).title(None).axis(labelFontSize=13, grid=False)
    x = alt.X("gbps:Q").scale(zero=True).title("Gbit/s of messages, as the server received them")
    colour = alt.Color("arm:N").scale(domain=list(ARM_NAMES.values())).legend(None)
    tips = [alt.Tooltip("trial:Q", title="trial"), alt.Tooltip("gbps:Q", title="Gbit/s", format=".3f")]
    layers = [
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(height=18, opacity=0.85)
        .encode(
            x=x, y=y, color=colour, tooltip=[alt.Tooltip("arm:N", title="arm"), alt.Tooltip("words:N", title="mean")]
        ),
        alt.Chart(alt.InlineData(values=dots))
        .mark_tick(style="estimate", thickness=1, size=26, opacity=0.6)
        .encode(x=x, y=y, tooltip=tips),
        alt.Chart(alt.InlineData(values=shown))
        .mark_rule(style="limit")
        .encode(x=x, tooltip=alt.Tooltip("words:N", title="limit")),
        alt.Chart(alt.InlineData(values=shown))
        .mark_text(style="quiet", align="left", dx=4, dy=-6, baseline="bottom")
        .encode(x=x, y=alt.value(0), text="gbps:Q"),
    ]
    beyond = [str(limit["words"]) for limit in limits if limit not in shown]
    told = " and ".join(f"{row['arm']} {row['words']}" for row in rows)
    flows = f"{figures.scenario.flows} flows" if figures.scenario.flows > 1 else "one flow"
    return Chart(
        name=name,
        title=title,
        alt=f"Throughput of {flows}: {told}.",
        caption=f"Bars: the mean of the valid trials; ticks: each trial. {flows.capitalize()}. AWS's limits for each flow are dashed"
        + (f"; beyond the picture: {', '.join(beyond)}" if beyond else "")
        + ". Neither arm can pass what the instance as a whole may send.",
        spec=_spec(alt.layer(*layers), height=alt.Step(56)),
    )


def load_curve(name: str, points: Sequence[LoadPoint], figures: RunFigures) -> Drawn:
    """Latency over the rate, for as far as the rates could be reached: the hockey stick."""
    import altair as alt

    title = f"{name}: latency under load"
    missing = _rates_not_reached(name, points, figures)
    if len({point.scenario for point in points}) < 2:
        return Gap(name=f"{name}-load", title=title, why=f"Fewer than two rates gave valid pairs. {missing}")
    rows = [
        {
            "rate": point.reached,
            "arm": ARM_NAMES[point.arm],
            "figure": figure,
            "us": us,
            "lost": f"{point.loss_rate or 0:.3%}",
            "mark": mark,
        }
        for point in points
        for figure, us in (("P50", point.p50_us), ("P99", point.p99_us))
        if (mark := _load_mark(point, points) if figure == "P99" else "") is not None
    ]
    x = alt.X("rate:Q").scale(type="log", nice=False).title("messages a second, as sent").axis(format="~s", tickCount=5)
    y = alt.Y("us:Q").scale(type="log", nice=False).title("latency, µs").axis(tickCount=6, labelExpr=_PLAIN)
    colour = alt.Color("arm:N").scale(domain=list(ARM_NAMES.values())).title(None)
    dash = alt.StrokeDash("figure:N").scale(domain=["P50", "P99"], range=[[1, 0], [5, 4]]).title(None)
    tips = [
        alt.Tooltip("arm:N", title="arm"),
        alt.Tooltip("rate:Q", title="messages a second", format=",.0f"),
        alt.Tooltip("figure:N", title="figure"),
        alt.Tooltip("us:Q", title="µs", format=".3f"),
        alt.Tooltip("lost:N", title="lost"),
    ]
    base = alt.Chart().encode(x=x, y=y, color=colour)
    layers = alt.layer(
        base.mark_line(strokeWidth=2.5).encode(strokeDash=dash),
        base.mark_point(filled=True, size=70, opacity=1).encode(tooltip=tips),
        base.mark_point(size=320, strokeWidth=2).transform_filter(
            "datum.mark == 'knee' || datum.mark == 'knee and loss'"
        ),
        base.mark_text(text="✕", dy=-16, fontSize=14).transform_filter(
            "datum.mark == 'loss' || datum.mark == 'knee and loss'"
        ),
        data=alt.InlineData(values=rows),
    )
    told = "; ".join(
        f"{ARM_NAMES[p.arm]} at {p.reached:,.0f} a second: P50 {microseconds(p.p50_us)}, P99 {microseconds(p.p99_us)}"
        for p in points
    )
    return Chart(
        name=f"{name}-load",
        title=title,
        alt=f"{told}.",
        caption=f"A ring marks the knee: the first rate whose P99 is over {KNEE:g} times that of the lowest rate. ✕ marks rates at which messages "
        f"were lost; latencies speak only of those that were answered. {missing}".strip(),
        spec=_spec(layers, height=HEIGHT + 20),
        can_be_linear=True,
    )


def overview(figures: RunFigures, *, title: str, subtitle: Sequence[str]) -> Spec:
    """The picture for people who look at one only: for each scenario both arms' figures, and beside them what changes, how surely."""
    import altair as alt

    shown = [one for one in figures.scenarios if any(row["ena"] is not None for row in _figure_rows(one))]
    parts = [_overview_row(alt, one, headed=len(shown) > 1) for one in shown]
    spec: Spec = (
        alt.vconcat(*parts, spacing=34)
        .properties(
            title=alt.TitleParams(title, subtitle=list(subtitle)), autosize=alt.AutoSizeParams(contains="padding")
        )
        .resolve_scale(color="shared", x="independent", y="independent")
        .to_dict()
    )
    return spec


# -- parts of charts -------------------------------------------------------------------------------------------------------

# Numbers of an axis as people write them: no 1e+3, no trailing zeros.
_PLAIN = "datum.value >= 10000 ? format(datum.value / 1000, ',~f') + ' k' : format(datum.value, ',~f')"


def _spec(chart: Any, *, height: Any) -> Spec:
    import altair as alt

    spec: Spec = chart.properties(
        width="container", height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    ).to_dict()
    return spec


def _no_latencies(name: str, title: str) -> Gap:
    return Gap(name=name, title=title, why="No pair of trials counts, so there are no latencies to show.")


def _field(channel: Any, field: str) -> Any:
    """The same channel of another field."""
    other = channel.copy()
    other.shorthand = f"{field}:Q"
    return other


def _nines_axis(alt: Any) -> Any:
    axis = alt.Axis(values=_NINES, labelExpr=_NINES_LABEL, labelOverlap=False)
    return alt.X("x:Q").scale(type="log", nice=False).title(None).axis(axis)


def _hover(alt: Any, x: Any, told: Iterable[tuple[str, str]]) -> list[Any]:
    """A line that follows the pointer from percentile to percentile, and tells the values there."""
    nearest = alt.selection_point(nearest=True, on="pointerover", clear="pointerout", fields=["x"], empty=False)
    tips = [alt.Tooltip(f"{field}:N", title=title) for field, title in told]
    opacity = alt.condition(nearest, alt.value(1), alt.value(0))
    return [alt.Chart().mark_rule(style="hover").encode(x=x, tooltip=tips, opacity=opacity).add_params(nearest)]


def _curve_rows(curve: Iterable[CurvePoint]) -> Rows:
    """A row for each percentile, with both arms; a thin point is in a column of its own, which the last solid one joins."""
    by_place: dict[float, dict[Arm, CurvePoint]] = {}
    for point in curve:
        by_place.setdefault(point.p, {})[point.arm] = point
    last_solid = {
        arm: max((p for p, arms in by_place.items() if arm in arms and not arms[arm].thin), default=0.0) for arm in ARMS
    }
    rows = []
    for p, arms in sorted(by_place.items()):
        row: dict[str, Any] = {"x": 1 / (1 - p), "label": _percentile(p)}
        for arm, point in arms.items():
            row |= {arm if not point.thin else f"{arm}_thin": point.us, f"told_{arm}": microseconds(point.us)}
            row |= {f"{arm}_thin": point.us} if p == last_solid[arm] else {}
            row |= {f"{arm}_low": point.low_us, f"{arm}_high": point.high_us} if point.low_us is not None else {}
        if len(arms) == len(ARMS) and arms["ena"].us > 0:
            row["change"] = change(100 * (arms["ena_express"].us / arms["ena"].us - 1))
        rows.append(row)
    return rows


def _effect_rows(figures: ScenarioFigures) -> Rows:
    return [
        {
            "figure": METRIC_NAMES.get(metric, metric),
            "pct": effect["estimate_pct"],
            "low": effect["low_pct"],
            "high": effect["high_pct"],
            "margin_low": -effect["margin_pct"],
            "margin_high": effect["margin_pct"],
            "weight": 4 if effect["primary"] else 2,
            "dot": 120 if effect["primary"] else 55,
            "words": interval_in_words(effect["estimate_pct"], effect["low_pct"], effect["high_pct"]),
            "code": effect["code"].replace("-", " "),
        }
        for metric, effect in figures.result["effects"].items()
    ]


def _effect_domain(rows: Rows) -> tuple[float, float]:
    """The per cents shown: every interval and twice the smallest margin, but nothing beyond WIDEST_PCT."""
    bounds = [row[side] for row in rows for side in ("low", "high") if row[side] is not None]
    margin = min(row["margin_high"] for row in rows)
    low, high = min(*bounds, -2 * margin), max(*bounds, 2 * margin)
    room = 0.04 * (min(high, WIDEST_PCT) - max(low, -100))
    return max(low - room, -100), min(high + room, WIDEST_PCT)


def _leaves(row: Mapping[str, Any], low: float, high: float) -> bool:
    return row["low"] is not None and (row["low"] < low or row["high"] > high)


def _shift_domain(figures: ScenarioFigures, margin: float) -> tuple[float, float]:
    solid = [point for point in figures.shift if not point.thin] or figures.shift
    lows = [point.low_pct if point.low_pct is not None else point.pct for point in solid]
    highs = [point.high_pct if point.high_pct is not None else point.pct for point in solid]
    return max(-100, min(*lows, -2 * margin) * 1.08), min(WIDEST_PCT, max(*highs, 2 * margin) * 1.08)


def _iteration_rows(points: Iterable[IterationPoint], *, several: bool) -> Iterator[dict[str, Any]]:
    for point in points:
        for arm, value in (("ENA", point.ena), ("ENA Express", point.ena_express)):
            yield {"iteration": _place(point.pair, point.iteration, several=several), "arm": arm, "value": value}


def _place(pair: int, iteration: int, *, several: bool) -> str:
    return f"{pair}/{iteration}" if several else str(iteration)


def _scale_of(rows: Rows) -> str:
    """A logarithmic scale where values are more than ten times apart."""
    values = [row["value"] for row in rows if row["value"] is not None and row["value"] > 0]
    return "log" if values and max(values) > 10 * min(values) else "linear"


def _curve_in_words(figures: ScenarioFigures) -> str:
    told = []
    for arm in _arms_of(figures.curve):
        named = [
            (name, point.us) for point in figures.curve if point.arm == arm and (name := _percentile(point.p)) in _TOLD
        ]
        told.append(f"{ARM_NAMES[arm]}: {', '.join(f'{name} {microseconds(us)}' for name, us in named)}")
    return f"Latency over the percentiles. {'. '.join(told)}."


_TOLD = ("P50", "P90", "P99", "P99.9", "P99.99")


def _arms_of(points: Iterable[CurvePoint]) -> list[Arm]:
    present = {point.arm for point in points}
    return [arm for arm in ARMS if arm in present]


def _percentile(p: float) -> str:
    """A percentile's name, with as many digits as it needs: P50, P99.9, P99.987."""
    digits = max(1, math.ceil(-math.log10(1 - p)) - 1)
    return f"P{100 * p:.{digits}f}".rstrip("0").rstrip(".")


def _load_mark(point: LoadPoint, points: Sequence[LoadPoint]) -> str:
    """What is to be marked at a point of a load curve: knee, loss, both or nothing."""
    own = sorted((p for p in points if p.arm == point.arm), key=lambda p: p.wanted)
    knee = next((p for p in own if p.p99_us > KNEE * own[0].p99_us), None)
    marks = [*(["knee"] if point is knee else []), *(["loss"] if (point.loss_rate or 0) >= LOSS_TO_MARK else [])]
    return " and ".join(marks)


def _rates_not_reached(name: str, points: Sequence[LoadPoint], figures: RunFigures) -> str:
    there = {point.scenario for point in points}
    own = [one for one in figures.scenarios if one.scenario.name.rpartition("@")[0] == name]
    missing = [f"{one.scenario.rate:,} a second" for one in own if one.scenario.name not in there]
    return f"No valid pair at {', '.join(missing)}." if missing else ""


def _figure_rows(figures: ScenarioFigures) -> Rows:
    """Both arms' figures and the effect, for the picture."""
    arms = figures.result["arms"]
    metrics = ("throughput",) if figures.is_rate else _LATENCIES
    rows = []
    for metric in metrics:
        field, effect = "throughput_gbps" if figures.is_rate else f"{metric}_us", figures.result["effects"].get(metric)
        ena, express = arms["ena"][field], arms["ena_express"][field]
        rows.append({"figure": METRIC_NAMES[metric], "ena": ena, "express": express, "effect": effect})
    return rows


def _overview_row(alt: Any, figures: ScenarioFigures, *, headed: bool) -> Any:
    values = [
        {"figure": row["figure"], "arm": name, "value": row[key], "ena": row["ena"], "express": row["express"]}
        for row in _figure_rows(figures)
        for name, key in (("ENA", "ena"), ("ENA Express", "express"))
        if row[key] is not None
    ]
    unit = "Gbit/s" if figures.is_rate else "µs"
    y = alt.Y("figure:N").sort(None).title(None).axis(labelFontSize=14, grid=True, labelPadding=10)
    kind = _scale_of(values)
    x = (
        alt.X("value:Q")
        .scale(type=kind, zero=figures.is_rate, nice=kind == "log")
        .title(unit)
        .axis(tickCount=5, labelExpr=_PLAIN, grid=False)
    )
    colour = alt.Color("arm:N").scale(domain=list(ARM_NAMES.values())).title(None)
    shape = alt.Shape("arm:N").scale(domain=list(ARM_NAMES.values())).title(None)
    base = alt.Chart(alt.InlineData(values=values)).encode(y=y)
    left = alt.layer(
        base.mark_rule(style="link").encode(x=x.title(unit), x2="express:Q").transform_calculate(value="datum.ena"),
        base.mark_point(filled=True, size=130, opacity=1).encode(x=x, color=colour, shape=shape),
    ).properties(width=330, height=alt.Step(ROW_HEIGHT))
    if headed:
        left = left.properties(title=alt.TitleParams(figures.scenario.name, fontSize=14, offset=6))
    return alt.hconcat(left, _overview_effects(alt, figures), spacing=24).resolve_scale(
        x="independent", y="independent"
    )


def _overview_effects(alt: Any, figures: ScenarioFigures) -> Any:
    rows = _effect_rows(figures)
    known = [row for row in rows if row["low"] is not None]
    low, high = _effect_domain(known) if known else (-5.0, 5.0)
    scale = alt.Scale(domain=[low, high], nice=False)
    x = (
        alt.X("low:Q")
        .scale(scale)
        .title("change by ENA Express, % (interval; grey: no practical difference)")
        .axis(format="+~g", tickCount=6, grid=False)
    )
    y = alt.Y("figure:N").sort(None).axis(None)
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=y)
    return alt.layer(
        base.mark_bar(style="margin", clip=True).encode(
            x=alt.X("margin_low:Q").scale(scale).title(None), x2="margin_high:Q"
        ),
        base.mark_rule(style="zero").encode(x=alt.datum(0)),
        base.mark_rule(style="interval", clip=True).encode(
            x=x, x2="high:Q", size=alt.Size("weight:Q").scale(None).legend(None)
        ),
        base.mark_point(style="estimate", clip=True).encode(x="pct:Q", size=alt.Size("dot:Q").scale(None).legend(None)),
        base.mark_text(align="left", dx=12, fontSize=13).encode(x=alt.value(330), text="words:N"),
    ).properties(width=330, height=alt.Step(ROW_HEIGHT))
