"""Stills: charts as SVG inside the page bring nothing but drawing, and look as vl-convert drew them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from enaxp.report.charts.still import inlined
from enaxp.report.charts.vega import png, still, vegalite_version

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
RED = 'fill="var(--express)"'
DOTS = {"data": {"values": [{"x": at, "arm": f"a{at % 2}"} for at in range(40)]}, "width": "container", "height": 80}
DOTS |= {
    "autosize": {"type": "fit-x", "contains": "padding"},
    "mark": "point",
    "encoding": {"x": {"field": "x", "type": "quantitative"}, "color": {"field": "arm"}},
}


def test_what_is_no_drawing_is_left_out() -> None:
    odd = (
        f'{HEAD}<script>alert(1)</script><style>*{{}}</style><a xlink:href="https://x.example"><text>link</text></a>'
        '<image href="https://x.example/y.png"/><foreignObject><b/></foreignObject>'
        f'<path d="M0,0h1" {RED} onclick="alert(1)" style="fill:red" aria-label="one"/>'
        '<text fill="#000">&lt;img src=x onerror=alert(1)&gt;</text></svg>'
    )

    told = inlined(odd, prefix="c1-")

    root = ElementTree.fromstring(told)
    assert [element.tag.rpartition("}")[2] for element in root.iter()] == ["svg", "path", "text"]
    assert {name for element in root.iter() for name in element.attrib} == {"viewBox", "d", "fill"}
    assert "<img" not in told
    assert "&lt;img src=x onerror=alert(1)&gt;" in told


def test_a_clip_path_keeps_its_shape_and_its_reference_under_a_name_of_the_chart() -> None:
    clipped = (
        f'{HEAD}<defs><clipPath id="clip1"><path d="M0,0h9v9h-9Z"/></clipPath></defs>'
        f'<g clip-path="url(#clip1)"><path d="M0,0h1" {RED}/></g></svg>'
    )

    told = inlined(clipped, prefix="c7-")

    assert '<clipPath id="c7-clip1"><path d="M0,0h9v9h-9Z"' in told
    assert 'clip-path="url(#c7-clip1)"' in told


def test_what_cannot_be_seen_is_not_there() -> None:
    unseen = (
        f'{HEAD}<g><path d="M0,0h9"/><path d="M0,0h1" opacity="0" {RED}/></g><path display="none" d="M1" {RED}/></svg>'
    )

    assert len(ElementTree.fromstring(inlined(unseen, prefix=""))) == 0


def test_a_mark_that_is_drawn_often_is_defined_once_and_stays_at_its_places() -> None:
    places = [(round(1.26 * at, 2), at) for at in range(20)]
    dots = "".join(
        f'<path transform="translate({x},{y})" d="M2,0A2,2,0,1,1,2,0" {RED} opacity="0.5"/>' for x, y in places
    )

    told = inlined(f"{HEAD}<g>{dots}</g></svg>", prefix="c2-")

    assert told.count("M2,0A2,2,0,1,1,2,0") == 1
    used = re.findall(r'<use href="#c2-mark1" x="([^"]+)" y="([^"]+)"', told)
    assert len(used) == len(places)
    assert all(abs(float(a) - x) < 0.1 and float(b) == y for (a, b), (x, y) in zip(used, places, strict=True))


def test_what_vega_draws_is_kept_at_a_tenth_of_a_unit() -> None:
    drawn = still(DOTS, width=358, prefix="c3-", vegalite=vegalite_version())

    root = ElementTree.fromstring(drawn)
    assert (root.get("width"), root.get("viewBox")) == ("358", f"0 0 358 {root.get('height')}")
    assert drawn.count("<use ") == 40
    assert {f"var(--{arm})" for arm in ("ena", "express", "muted")} <= set(re.findall(r"var\([a-z-]+\)", drawn))
    assert not re.search(r"\.\d\d", "".join(re.findall(r'(?:transform|d|x|y)="[^"]*"', drawn)))
    assert png(DOTS).startswith(b"\x89PNG")
