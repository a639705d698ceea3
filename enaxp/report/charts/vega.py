"""Vega: draws a chart's specification as SVG or PNG, and provides the script with which the page draws it. The only module that uses
vl-convert.

    spec (scenario.py) + look ─┬─▶ svg(), png(): with fixed colours, on white
                               ├─▶ still(): with the page's colours, as static SVG in the page
                               └─▶ page: runtime() once, which draws the same spec where scripts run

Colours are not in the specifications: `look` adds them, as the page's CSS variables or as fixed light colours. So the page's charts
follow its light and dark mode and print, without being redrawn.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from typing import Any

from enaxp.errors import EnaxpError
from enaxp.installed import how_to_add
from enaxp.report.charts.cache import cached_text
from enaxp.report.charts.still import inlined

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", "DejaVu Sans", Arial, sans-serif'
# vl-convert brings Liberation Sans along: a picture looks the same wherever it is drawn.
PICTURE_FONT = "Liberation Sans, Helvetica, Arial, sans-serif"
PICTURE_WIDTH = 760
# ENA and ENA Express differ in lightness and in hue, the blue and orange that every kind of colour blindness tells apart.
COLOURS: Mapping[str, str] = {
    "ink": "#1a1f26",
    "muted": "#56606b",
    "grid": "#e1e5ea",
    "axis": "#aab3bd",
    "surface": "#ffffff",
    "ena": "#1d6fb8",
    "express": "#cf5a06",
    "margin": "#7d8894",
}
PAGE_COLOURS: Mapping[str, str] = {name: f"var(--{name})" for name in COLOURS}

Spec = dict[str, Any]


class ReportExtraMissing(EnaxpError):  # noqa: N818 - nothing is wrong, something is not installed
    """The drawing packages are not installed."""

    def __init__(self) -> None:
        super().__init__("the report page and its charts need the `report` extra", todo=how_to_add("report"))


def can_draw() -> bool:
    """Whether the `report` extra is installed."""
    return all(importlib.util.find_spec(name) for name in ("altair", "vl_convert"))


def require_drawing() -> None:
    """Raises ReportExtraMissing where the extra is not installed."""
    if not can_draw():
        raise ReportExtraMissing


def runtime(vegalite: str) -> str:
    """The JavaScript that draws specifications in a page: vega, vega-lite and vega-embed in one, about 0.9 MB.

    It takes longer than the rest of a page, and depends only on the package versions: it is computed once and cached.
    """
    import vl_convert

    return cached_text(
        f"vega-{importlib.metadata.version('vl-convert-python')}-{vegalite}.js",
        lambda: str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=vegalite)),
    )


def wake() -> None:
    """Loads the drawing library in advance; that takes as long as drawing a dozen charts."""
    import vl_convert

    vl_convert.vegalite_to_svg({"data": {"values": [{}]}, "mark": "point"})


def still(spec: Spec, *, width: int, prefix: str, vegalite: str) -> str:
    """A chart as inline SVG for the page, `width` units wide if it is as wide as its column: see still.py."""
    import vl_convert

    # A page's chart is described by its own words: `aria` would describe each of its points.
    # The reader's font can be wider than the one that is measured here: hence room at the sides.
    config = {**look(PAGE_COLOURS, FONT), "aria": False, "padding": {"left": 6, "right": 6}}
    drawn = vl_convert.vegalite_to_svg(_sized(spec, width), vl_version=vegalite, config=config)
    return inlined(str(drawn), prefix=prefix)


def svg(spec: Spec) -> str:
    """A chart as an SVG picture on white."""
    import vl_convert

    return str(
        vl_convert.vegalite_to_svg(
            _sized(spec, PICTURE_WIDTH), vl_version=vegalite_version(), config=look(COLOURS, PICTURE_FONT)
        )
    )


def png(spec: Spec, *, scale: float = 2, vegalite: str | None = None) -> bytes:
    """A chart as a PNG picture on white, with `scale` pixels per unit."""
    import vl_convert

    version = vegalite or vegalite_version()
    sized = _sized(spec, PICTURE_WIDTH)
    return bytes(vl_convert.vegalite_to_png(sized, vl_version=version, scale=scale, config=look(COLOURS, PICTURE_FONT)))


def look(colours: Mapping[str, str], font: str) -> Spec:
    """The Vega-Lite configuration with the common style of all charts."""
    ink, muted = colours["ink"], colours["muted"]
    return {
        "background": colours["surface"] if font == PICTURE_FONT else "transparent",
        "font": font,
        "padding": 16 if font == PICTURE_FONT else 0,
        "view": {"stroke": None},
        "range": {"category": [colours["ena"], colours["express"]], "symbol": ["circle", "diamond"]},
        "axis": {
            "labelColor": muted,
            "titleColor": muted,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "gridColor": colours["grid"],
            "domainColor": colours["axis"],
            "tickColor": colours["axis"],
            "labelPadding": 6,
            "labelLimit": 0,
            "titlePadding": 10,
        },
        "axisX": {"grid": False},
        "axisY": {"domain": False, "ticks": False},
        "legend": {
            "orient": "top",
            "direction": "horizontal",
            "title": None,
            "labelColor": ink,
            "labelFontSize": 13,
            "symbolSize": 110,
            "symbolOpacity": 1,
            "symbolBaseFillColor": muted,
            "symbolBaseStrokeColor": muted,
            "symbolStrokeWidth": 2.5,
            "columnPadding": 18,
            "offset": 10,
        },
        "title": {
            "color": ink,
            "subtitleColor": muted,
            "fontSize": 19,
            "fontWeight": 600,
            "subtitleFontSize": 13,
            "subtitleLineHeight": 18,
            "subtitlePadding": 6,
            "anchor": "start",
            "offset": 18,
        },
        "text": {"color": ink, "fontSize": 12},
        "rule": {"color": colours["axis"]},
        "style": _styles(colours),
    }


def _styles(colours: Mapping[str, str]) -> Spec:
    """The named styles that the charts use."""
    ink, muted = colours["ink"], colours["muted"]
    return {
        "margin": {"color": colours["margin"], "fillOpacity": 0.16, "strokeOpacity": 0},
        "zero": {"color": colours["muted"], "strokeWidth": 1},
        "border": {"color": colours["grid"], "strokeWidth": 1},
        "limit": {"color": colours["muted"], "strokeDash": [5, 4]},
        "estimate": {"color": ink, "fill": ink, "filled": True, "opacity": 1},
        "interval": {"color": ink},
        "shift": {"color": colours["express"]},
        "link": {"color": colours["axis"], "strokeWidth": 3},
        "quiet": {"color": muted, "fontSize": 11},
        "event": {"color": ink, "fill": ink, "filled": True, "opacity": 0.85},
        "hover": {"color": muted, "strokeWidth": 10},
    }


def _sized(spec: Spec, width: int) -> Spec:
    """The specification with a fixed width in place of the column's."""
    return {**spec, "width": width} if spec.get("width") == "container" else spec


def vegalite_version() -> str:
    """The version of Vega-Lite that the specifications are written for, as altair says: `v6.4.1` is 6.4."""
    import altair

    return ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
