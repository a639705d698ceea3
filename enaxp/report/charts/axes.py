"""Axes: common parts of the charts — the arms' colours and shapes, scales, number formats, tooltips.

Colours are style names here; `vega.look` resolves them, for the page or for a picture.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from enaxp.report.charts.vega import Spec
from enaxp.traffic import ARM_NAMES

HEIGHT = 280
ROW_HEIGHT = 34
MOST_TICKS = 8

Row = dict[str, Any]
Rows = list[Row]

NAMES = list(ARM_NAMES.values())
COLOUR = alt.Color("arm:N").scale(domain=NAMES).title(None)
SHAPE = alt.Shape("arm:N").scale(domain=NAMES).title(None)
SIDE_BY_SIDE = alt.XOffset("arm:N").sort(NAMES)
# Numbers as people write them: no exponents, no trailing zeros.
PLAIN = "format(datum.value, ',~f')"
SIGNED = "datum.value == 0 ? '0' : format(datum.value, '+,~f')"
_NINES = [1 / (1 - p) for p in (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)]
_NINES_LABEL = "'P' + format(100 - 100 / datum.value, '.3~f')"


def spec_of(chart: Any, *, height: int = HEIGHT) -> Spec:
    """The specification of a chart, as wide as its column."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return plain_spec(chart.properties(width="container", height=height, autosize=fit))


def plain_spec(chart: Any) -> Spec:
    """The specification to be drawn: with its data rows, and without altair's own theme.

    It is not checked against Vega-Lite's schema here, which would take longer than all the rest; tests do that.
    """
    spec: Spec = chart.to_dict(validate=False)
    spec.pop("config", None)
    spec["datasets"] = {name: json.loads(rows) for name, rows in spec.get("datasets", {}).items()}
    return spec


def inline(rows: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    """Rows as a chart's data. They are kept as text, because altair would copy every single value repeatedly; `plain_spec` decodes it."""
    return alt.InlineData(values=json.dumps(list(rows)), format=alt.JsonDataFormat(type="json"))


def latency_scale(values: Iterable[float | None], *, most: int = MOST_TICKS) -> tuple[alt.Scale, alt.Axis]:
    """A scale and its axis: logarithmic, with few ticks, if the values span more than a factor of ten; else linear."""
    known = [value for value in values if value is not None and value > 0]
    low, high = min(known, default=1.0), max(known, default=1.0)
    if high <= 10 * low:
        return alt.Scale(zero=False), alt.Axis(tickCount=5, labelExpr=PLAIN)
    return alt.Scale(type="log", nice=False, padding=10), alt.Axis(values=ladder(low, high, most=most), labelExpr=PLAIN)


def ladder(low: float, high: float, *, most: int = MOST_TICKS) -> list[float]:
    """A few round numbers from low to high for a logarithmic scale: 1, 2, 5, 10 …, or 1, 3, 10 …, or powers of ten."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        rungs = [
            step * 10.0**decade for decade in decades for step in steps if 0.9 * low <= step * 10.0**decade <= high
        ]
        if len(rungs) <= most:
            return rungs
    return rungs


def nines() -> alt.X:
    """An axis of percentiles that gives each further nine the same width. The field `x` is 1 / (1 − p)."""
    return alt.X("x:Q").scale(type="log", nice=False).title(None).axis(values=_NINES, labelExpr=_NINES_LABEL)


def field(channel: Any, name: str) -> Any:
    """The same channel for another field."""
    other = channel.copy()
    other.shorthand = f"{name}:Q"
    return other


def hover(x: alt.X, told: Mapping[str, str]) -> Any:
    """A vertical rule at each point, visible only under the pointer, with a tooltip of these fields by their titles.

    Vega-Lite's "nearest point" is not used: its tooltip does not work for text fields.
    """
    pointed = alt.selection_point(on="pointerover", clear="pointerout", fields=["x"], empty=False)
    tips = [alt.Tooltip(f"{name}:N", title=title) for name, title in told.items()]
    opacity = alt.condition(pointed, alt.value(0.3), alt.value(0))
    return alt.Chart().mark_rule(style="hover").encode(x=x, tooltip=tips, opacity=opacity).add_params(pointed)


def effect_layers(rows: Rows, *, low: float, high: float, title: str) -> list[alt.Chart]:
    """Estimates with their intervals, against the margin and zero; the rows are those of `charts.effect_rows`."""
    scale = alt.Scale(domain=[low, high], nice=False)
    x = alt.X("low:Q").scale(scale).title(title).axis(labelExpr=SIGNED, tickCount=6, grid=False)
    y = alt.Y("figure:N").sort(None).scale(paddingInner=0, paddingOuter=0).title(None).axis(grid=False)
    tips = [alt.Tooltip("figure:N"), alt.Tooltip("words:N", title="change"), alt.Tooltip("code:N", title="that is")]
    base = alt.Chart(inline(rows)).encode(y=y)
    return [
        base.mark_bar(style="margin", clip=True).encode(x=field(x, "margin_low"), x2="margin_high:Q"),
        alt.Chart(inline([{"zero": 0}]))
        .mark_rule(style="zero")
        .encode(x=field(x, "zero")),  # of no row: from top to bottom
        base.mark_rule(style="interval", clip=True).encode(
            x=x, x2="high:Q", size=alt.Size("weight:Q").scale(None).legend(None), tooltip=tips
        ),
        base.mark_point(style="estimate", clip=True).encode(
            x=field(x, "pct"), size=alt.Size("dot:Q").scale(None).legend(None), tooltip=tips
        ),
        *_without_figure(rows, y=y),
    ]


def _without_figure(rows: Rows, *, y: alt.Y) -> list[alt.Chart]:
    """Text in place of the effects without a figure; no layer if there is none, because Vega rejects an empty one."""
    told = [{**row, "told": f"{row['words']}: {row['code']}"} for row in rows if row["pct"] is None]
    if not told:
        return []
    # The same axis as the others': of two orders Vega-Lite takes the alphabet's.
    return [alt.Chart(inline(told)).mark_text(align="left", fontSize=11).encode(y=y, x=alt.value(8), text="told:N")]


def numbered(fields: Mapping[str, tuple[str, str]]) -> list[alt.Tooltip]:
    """Tooltips for numbers: {field: (title, format)}."""
    return [alt.Tooltip(f"{name}:Q", title=title, format=form) for name, (title, form) in fields.items()]
