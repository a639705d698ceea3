"""Chart: one picture of a report with its words, or the gap where there is nothing to draw. scenario.py and load.py make it."""

from __future__ import annotations

from dataclasses import dataclass

from enaxp.report.charts.vega import Spec


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
