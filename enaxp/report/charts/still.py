"""Still: a static chart as inline SVG, for pages without scripts, print and previews. Pure.

    SVG by vl-convert ─▶ inlined: only drawing elements, unique ids, numbers rounded to visible precision ─▶ SVG for the page

Its colours are the page's CSS variables, its font is the page's: it follows light, dark and print.
"""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_SVG = "http://www.w3.org/2000/svg"
# What Vega draws with. Anything else is left out, so that a chart can bring neither script nor link nor style into the page.
_ELEMENTS = frozenset({"svg", "g", "defs", "clipPath", "path", "rect", "circle", "line", "text", "tspan"})
_PLACES = frozenset(
    {"transform", "d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "r", "rx", "ry", "width", "height"}
)
_PAINT = frozenset({"fill", "fill-opacity", "opacity", "clip-path"}) | {
    f"stroke{part}"
    for part in ("", "-width", "-opacity", "-dasharray", "-dashoffset", "-linecap", "-linejoin", "-miterlimit")
}
_TEXT = frozenset({"text-anchor", "font-size", "font-weight", "font-style"})
_INHERITED = (_PAINT - {"opacity", "clip-path"}) | _TEXT
_ATTRIBUTES = frozenset({"id", "viewBox"}) | _PLACES | _PAINT | _TEXT
_FINE = re.compile(r"(\.\d)\d+")
_CLIP = re.compile(r"url\(#([\w-]+)\)")
_TRANSLATED = re.compile(r"translate\((-?[\d.]+),(-?[\d.]+)\)")
MANY = 8
_UNSEEN = {"opacity": "0", "display": "none"}
_DEFAULT = {"opacity": "1"}


def inlined(svg: str, *, prefix: str) -> str:
    """The SVG as part of an HTML page; `prefix` makes its ids unique in the page."""
    root = ElementTree.fromstring(svg)
    _strip(root, prefix)
    _draw_marks_once(root, prefix)
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _strip(element: Element, prefix: str) -> None:
    has_stroke = "stroke" in element.attrib or _kind(element) in ("svg", "g")
    element.attrib = {
        name: _value(name, value, prefix)
        for name, value in element.attrib.items()
        if name in _ATTRIBUTES and _DEFAULT.get(name) != value and (has_stroke or not name.startswith("stroke"))
    }
    for child in list(element):
        if _is_drawn(child):
            _strip(child, prefix)
        if not _is_drawn(child) or (_kind(element) != "clipPath" and _is_empty(child)):
            element.remove(child)
    _say_once(element)


def _say_once(group: Element) -> None:
    """Moves attributes that all children of a group share to the group."""
    if _kind(group) != "g" or len(group) < 2:
        return
    for name in sorted(_INHERITED - group.attrib.keys()):
        values = {child.get(name) for child in group}
        if len(values) == 1 and None not in values:
            group.set(name, values.pop() or "")
            for child in group:
                del child.attrib[name]


def _draw_marks_once(root: Element, prefix: str) -> None:
    """Moves a shape that is drawn many times, such as a chart's dots, into the definitions."""
    paths = [path for path in root.iter(f"{{{_SVG}}}path") if _TRANSLATED.fullmatch(path.get("transform", ""))]
    often = [shape for shape, times in Counter(path.get("d", "") for path in paths).items() if times >= MANY]
    ids = {shape: f"{prefix}mark{number}" for number, shape in enumerate(often, start=1)}
    if not ids:
        return
    for path in paths:
        found = _TRANSLATED.fullmatch(path.get("transform", ""))
        if found and path.get("d") in ids:
            placed = {"href": f"#{ids[path.attrib.pop('d')]}", "x": found[1], "y": found[2]}
            del path.attrib["transform"]
            path.tag, path.attrib = f"{{{_SVG}}}use", placed | path.attrib
    defined = ElementTree.Element(f"{{{_SVG}}}defs")
    for shape, name in ids.items():
        ElementTree.SubElement(defined, f"{{{_SVG}}}path", {"id": name, "d": shape})
    root.insert(0, defined)


def _kind(element: Element) -> str:
    return element.tag.removeprefix(f"{{{_SVG}}}")


def _is_drawn(element: Element) -> bool:
    return _kind(element) in _ELEMENTS and not any(element.get(name) == value for name, value in _UNSEEN.items())


def _is_empty(element: Element) -> bool:
    """Whether an element is invisible: a group without children, a path without a colour."""
    kind = _kind(element)
    if kind in ("g", "defs"):
        return len(element) == 0
    return kind == "path" and not element.get("fill") and not element.get("stroke")


def _value(name: str, value: str, prefix: str) -> str:
    if name in _PLACES:
        return _FINE.sub(r"\1", value)
    if name == "id":
        return f"{prefix}{value}"
    if name == "clip-path":
        return _CLIP.sub(rf"url(#{prefix}\1)", value)
    return value
