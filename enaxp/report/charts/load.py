"""Load charts: throughput against AWS's limits, and latency over the rate of a sweep. See scenario.py, which lists them."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from enaxp.report.charts.axes import COLOUR, HEIGHT, NAMES, Rows, inline, latency_scale, numbered, spec_of
from enaxp.report.charts.chart import Chart, Gap
from enaxp.report.data import LoadPoint, RunFigures, ScenarioFigures
from enaxp.text import gigabits, listed, microseconds
from enaxp.traffic import ARM_NAMES, ARMS

# A knee: the first rate whose P99 is more than this many times that of the lowest rate.
KNEE = 3.0
# What AWS allows one flow, in Gbit/s: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-network-bandwidth.html
FLOW_LIMITS = {"ENA": 5.0, "ENA in a cluster placement group": 10.0, "ENA Express": 25.0}


def throughput(figures: ScenarioFigures) -> Chart | Gap:
    """The received throughput, with AWS's limits per flow."""
    name, title = f"{figures.scenario.name}-throughput", "What arrived"
    means = [(ARM_NAMES[arm], gbps) for arm in ARMS if (gbps := figures.result.arms[arm].throughput_gbps) is not None]
    rows: Rows = [{"arm": arm, "gbps": gbps} for arm, gbps in means]
    if not rows:
        return Gap(
            name=name, title=title, why="No valid trial has a throughput: what the server received is not known."
        )
    dots: Rows = [
        {"arm": ARM_NAMES[trial.arm], "gbps": trial.throughput, "trial": trial.trial}
        for trial in figures.trials
        if trial.throughput is not None
    ]
    shown, beyond = _limits(figures, most=max(row["gbps"] for row in (*rows, *dots)))
    y = alt.Y("arm:N").sort(NAMES).title(None).axis(grid=False)
    x = (
        alt.X("gbps:Q")
        .title("Gbit/s of messages, as the server received them")
        .axis(labelExpr="format(datum.value, ',~f')")
    )
    bars, limits = alt.Chart(inline(rows)), alt.Chart(inline(shown))
    layers = [
        bars.mark_bar(height=20, opacity=0.85).encode(
            x=x,
            y=y,
            color=COLOUR.legend(None),
            tooltip=[alt.Tooltip("arm:N"), *numbered({"gbps": ("mean, Gbit/s", ".3f")})],
        ),
        alt.Chart(inline(dots))
        .mark_tick(style="estimate", thickness=1.5, size=30)
        .encode(x=x, y=y, tooltip=numbered({"trial": ("trial", "d"), "gbps": ("Gbit/s", ".3f")})),
    ]
    if shown:
        text = limits.mark_text(style="quiet", align="right", dx=-4, baseline="top")
        layers += [
            limits.mark_rule(style="limit").encode(x=x, tooltip=[alt.Tooltip("limit:N")]),
            text.encode(x=x, y=alt.value(2), text="limit:N"),
        ]
    flows = f"{figures.scenario.flows} flows" if figures.scenario.flows > 1 else "one flow"
    told = listed([f"{arm} {gigabits(gbps)}" for arm, gbps in means])
    further = f" Beyond the picture: {listed(beyond)}." if beyond else ""
    own = "" if figures.host_gbps else " An instance's own bandwidth can be less than that."
    return Chart(
        name=name,
        title=title,
        alt=f"Throughput of {flows}: {told}.",
        caption=f"Bars: the mean of the valid trials; ticks: single trials; dashed: what AWS allows {flows}.{further}{own}",
        spec=spec_of(alt.layer(*layers), height=60 * len(rows)),
    )


def load_curve(name: str, points: Sequence[LoadPoint], figures: RunFigures) -> Chart | Gap:
    """Latency over the rate, as far as the rates were reached."""
    title = f"{name}: latency under load"
    missing = _rates_without(name, points, figures)
    if len({point.scenario for point in points}) < 2:
        return Gap(name=f"{name}-load", title=title, why=f"Fewer than two rates gave valid pairs. {missing}".strip())
    rows = _load_rows(points)
    shown = [row["us"] for row in rows]
    scale, axis = latency_scale((*shown, 1.6 * max(shown)))  # with room for the marks at the top
    scale.domainMax = 1.6 * max(shown)
    rates = alt.Axis(values=sorted({point.wanted for point in points}), format="~s")
    x = alt.X("rate:Q", axis=rates, title="messages a second, as sent").scale(type="log", nice=False, padding=20)
    y = alt.Y("us:Q", scale=scale, axis=axis, title="latency, µs")
    dash = alt.StrokeDash("figure:N").scale(domain=["P50", "P99"], range=[[1, 0], [5, 4]]).title(None)
    tips = [
        *(alt.Tooltip(f"{field}:N") for field in ("arm", "figure")),
        *numbered({"rate": ("messages a second", ",.0f"), "us": ("latency, µs", ",.3f")}),
        alt.Tooltip("lost:N"),
    ]
    base = alt.Chart().encode(x=x, y=y, color=COLOUR)
    layers = [
        base.mark_line(strokeWidth=2.5).encode(strokeDash=dash),
        base.mark_point(filled=True, size=70, opacity=1).encode(tooltip=tips),
    ]
    if any(row["knee"] for row in rows):
        layers.append(base.mark_point(size=320, strokeWidth=2).transform_filter("datum.knee"))
    if any(row["lossy"] for row in rows):
        cross = base.mark_text(text="✕", dy=-16, fontSize=14, fontWeight="bold")
        layers.append(cross.transform_filter("datum.lossy"))
    told = [
        f"{ARM_NAMES[p.arm]} at {p.reached:,.0f} a second: P50 {microseconds(p.p50_us)}, P99 {microseconds(p.p99_us)}"
        for p in points
    ]
    return Chart(
        name=f"{name}-load",
        title=title,
        alt=f"{'; '.join(told)}.",
        caption=f"A ring marks the knee: the first rate whose P99 is more than {KNEE:g} times that of the lowest rate. ✕: "
        f"messages were lost at that rate, and latencies speak only of those that were answered. {missing}".strip(),
        spec=spec_of(alt.layer(*layers, data=inline(rows)), height=HEIGHT + 40),
        can_be_linear=scale.to_dict().get("type") == "log",
    )


def _limits(figures: ScenarioFigures, *, most: float) -> tuple[Rows, list[str]]:
    """The limits that fit into a chart of figures up to `most` Gbit/s, and the others in words."""
    allowed = {what: limit * figures.scenario.flows for what, limit in FLOW_LIMITS.items()}
    if figures.host_gbps:
        allowed["an instance of this type, all day"] = figures.host_gbps
    limits = [{"gbps": limit, "limit": f"{what}: {limit:g}"} for what, limit in allowed.items()]
    shown = [limit for limit in limits if float(str(limit["gbps"])) <= 2 * most]
    return shown, [f"{limit['limit']} Gbit/s" for limit in limits if limit not in shown]


def _load_rows(points: Sequence[LoadPoint]) -> Rows:
    knees = []
    for arm in ARMS:
        own = sorted((point for point in points if point.arm == arm), key=lambda point: point.wanted)
        knees += [point for point in own if point.p99_us > KNEE * own[0].p99_us][:1]
    return [
        {
            "rate": point.reached,
            "arm": ARM_NAMES[point.arm],
            "figure": figure,
            "us": us,
            "lost": f"{point.loss_rate or 0:.3%}",
            "knee": figure == "P99" and point in knees,
            "lossy": figure == "P99" and bool(point.loss_rate),
        }
        for point in points
        for figure, us in (("P50", point.p50_us), ("P99", point.p99_us))
    ]


def _rates_without(name: str, points: Sequence[LoadPoint], figures: RunFigures) -> str:
    there = {point.scenario for point in points}
    own = [one.scenario for one in figures.scenarios if one.scenario.name.rpartition("@")[0] == name]
    missing = [f"{scenario.rate:,}" for scenario in own if scenario.name not in there]
    return f"No valid pair at {listed(missing)} messages a second." if missing else ""
