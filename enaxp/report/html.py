"""HTML: what the pages are made of — charts as SVG, files inside the page, and a policy that lets nothing else run.

charts ─▶ Aside ─▶ begin_stills ─▶ Still (wide, narrow) ─▶ sparing ─▶ templates
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from enaxp.report.charts.aside import Aside
from enaxp.report.charts.chart import Chart, Gap
from enaxp.report.charts.vega import PICTURE_WIDTH, Spec, still, vegalite_version

# A chart's SVG is drawn twice, so that its text can be read: for paper and desktops, and for a phone's column.
WIDE, NARROW = PICTURE_WIDTH, 358
# Those for phones take no more room than this, from the top of the page on: else a large run's page grows beyond 3 MB.
MOST_NARROW_BYTES = 400_000


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file that the page carries inside."""

    name: str
    what: str
    link: str


def linked(name: str, what: str, text: str, *, kind: str) -> Download:
    """The file with this text; `kind` is its media type."""
    return Download(name=name, what=what, link=f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}")


@dataclass(frozen=True, kw_only=True)
class Still:
    """A chart as it stands in the page: SVG for a desktop and for paper, and for a phone; None where that shows the wide one."""

    wide: str
    narrow: str | None


def begin_stills(specs: Mapping[str, Spec], drawing: Aside) -> dict[str, Callable[[], Still]]:
    """What gives each chart's SVG; `drawing` draws them meanwhile."""
    version = vegalite_version()

    def begin(spec: Spec, number: int) -> Callable[[], Still]:
        wide = drawing.begin(still, spec, width=WIDE, prefix=f"w{number}-", vegalite=version)
        narrow = drawing.begin(still, spec, width=NARROW, prefix=f"n{number}-", vegalite=version)
        return lambda: Still(wide=wide(), narrow=narrow())

    return {name: begin(spec, number) for number, (name, spec) in enumerate(specs.items(), start=1)}


def sparing(stills: Mapping[str, Still]) -> dict[str, Still]:
    """The charts without those for phones for which there is no room left."""
    room, kept = MOST_NARROW_BYTES, {}
    for name, drawn in stills.items():
        size = len(drawn.narrow or "")
        kept[name] = drawn if size <= room else replace(drawn, narrow=None)
        room -= len(kept[name].narrow or "")
    return kept


def drawn(charts: Iterable[Chart | Gap]) -> Iterable[Chart]:
    return (chart for chart in charts if isinstance(chart, Chart))


def asset(name: str) -> str:
    return resources.files("enaxp.report").joinpath("templates", name).read_text("utf-8")


def json_in_html(content: Any) -> str:
    """JSON that cannot end the script element it stands in, whatever it holds."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def policy(*, scripts: Iterable[str], style: str) -> str:
    """The content security policy: these scripts and this style, nothing from anywhere, nothing to anywhere."""
    allowed = " ".join(_hash(script) for script in scripts)
    return f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
