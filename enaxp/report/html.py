"""HTML: common parts of the pages — charts as SVG, embedded files, and a content security policy that allows nothing else to run.

charts ─▶ Aside ─▶ begin_stills ─▶ Still (wide, narrow) ─▶ sparing ─┐
what a page shows besides, plain data ──────────────────────────────┴─▶ page_of ─▶ templates ─▶ text
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from enaxp import __version__
from enaxp.report.charts.aside import Aside
from enaxp.report.charts.chart import Chart, Gap
from enaxp.report.charts.vega import FONT, PAGE_COLOURS, PICTURE_WIDTH, Spec, look, still, vegalite_version

# A chart's SVG is drawn twice, so that its text can be read: for paper and desktops, and for a phone's column.
WIDE, NARROW = PICTURE_WIDTH, 358
# Those for phones take no more room than this, from the top of the page on: else a large run's page grows beyond 3 MB.
MOST_NARROW_BYTES = 400_000


def page_of(
    template: str,
    *,
    charts: Iterable[Chart | Gap],
    content: Callable[[], Mapping[str, Any]],
    vega: Callable[[], str],
    drawing: Aside,
) -> str:
    """The text of a page with these charts. `content`: returns the template's other values; it is called while the charts are drawn in
    `drawing`. `vega`: returns the script that draws them where scripts run.
    """
    import jinja2

    specs = {chart.name: chart.spec for chart in charts if isinstance(chart, Chart)}
    stills = begin_stills(specs, drawing)
    style, script = asset("page.css"), asset("page.js")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    shown = content()
    return environment.from_string(asset("chart.html.j2") + asset(template)).render(
        policy=policy(scripts=(vega(), script), style=style),
        style=style,
        script=script,
        vega=vega(),
        drawing=json_in_html({"look": look(PAGE_COLOURS, FONT), "specs": specs}),
        stills=sparing({name: still() for name, still in stills.items()}),
        version=__version__,
        **shown,
    )


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file embedded in the page for download."""

    name: str
    what: str
    link: str


def linked(name: str, what: str, text: str, *, kind: str) -> Download:
    """The embedded file with this text; `kind`: its media type."""
    return Download(name=name, what=what, link=f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}")


@dataclass(frozen=True, kw_only=True)
class Still:
    """A static chart in the page: SVG for desktop and paper, and one for phones; None if phones get the wide one."""

    wide: str
    narrow: str | None


def begin_stills(specs: Mapping[str, Spec], drawing: Aside) -> dict[str, Callable[[], Still]]:
    """Functions that return each chart's SVG; `drawing` draws them in the background."""
    version = vegalite_version()

    def begin(spec: Spec, number: int) -> Callable[[], Still]:
        wide = drawing.begin(still, spec, width=WIDE, prefix=f"w{number}-", vegalite=version)
        narrow = drawing.begin(still, spec, width=NARROW, prefix=f"n{number}-", vegalite=version)
        return lambda: Still(wide=wide(), narrow=narrow())

    return {name: begin(spec, number) for number, (name, spec) in enumerate(specs.items(), start=1)}


def sparing(stills: Mapping[str, Still]) -> dict[str, Still]:
    """The charts, without phone versions beyond the page's size limit."""
    room, kept = MOST_NARROW_BYTES, {}
    for name, one in stills.items():
        size = len(one.narrow or "")
        kept[name] = one if size <= room else replace(one, narrow=None)
        room -= len(kept[name].narrow or "")
    return kept


def asset(name: str) -> str:
    return resources.files("enaxp.report").joinpath("templates", name).read_text("utf-8")


def json_in_html(content: Any) -> str:
    """JSON escaped so that its content cannot end the script element around it."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def policy(*, scripts: Iterable[str], style: str) -> str:
    """The content security policy: these scripts and this style, nothing from anywhere, nothing to anywhere."""
    allowed = " ".join(_hash(script) for script in scripts)
    return f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
