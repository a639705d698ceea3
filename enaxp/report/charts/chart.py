"""Chart: one chart of a report with its texts, or the reason why it cannot be drawn. Made by scenario.py and load.py."""

from __future__ import annotations

from dataclasses import dataclass

from enaxp.report.charts.vega import Spec


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart. `alt`: its text alternative. `can_be_linear`: its latency axis is logarithmic, and may be switched to linear."""

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
