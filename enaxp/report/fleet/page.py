"""Page: a fleet's bench as one self-contained HTML file, `report.html`; each pair has its own page.

FleetData ─▶ forests, tables (plain data, worded) ─▶ html.page_of ─▶ templates/fleet.html.j2 ─▶ text

Everything that comes from a run is escaped as text, as on the page of a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from enaxp.bench.fleet.judging import PairRun
from enaxp.bench.fleet.result import FleetEffect, FleetScenario, to_document
from enaxp.bench.fleet.words import difference_in_words, heterogeneity_in_words, missed_in_words, next_pair_in_words
from enaxp.report.charts.aside import Aside
from enaxp.report.fleet.data import FleetData
from enaxp.report.fleet.forest import forests
from enaxp.report.fleet.words import SUPPOSED, between_in_short, lost_in_words, out_in_words, title
from enaxp.report.html import linked, page_of
from enaxp.report.page import when
from enaxp.report.words import label, traffic_in_words
from enaxp.text import change_typeset, counted, interval_typeset, typeset, unbroken
from enaxp.traffic import metric_label


def render_fleet_page(data: FleetData, *, vega: Callable[[], str], drawing: Aside) -> str:
    """The text of `report.html`; `vega` gives what draws in it. The charts are drawn in `drawing`."""
    charts = forests(data)
    return page_of(
        "fleet.html.j2",
        charts=charts,
        content=lambda: {"charts": charts, **_about(data)},
        vega=vega,
        drawing=drawing,
    )


def _about(data: FleetData) -> dict[str, Any]:
    codes = {one.verdict.code for v in data.fleet.variants.values() for one in v.scenarios.values()}
    return {
        "title": title(data),
        "code": codes.pop() if len(codes) == 1 else "several" if codes else "invalid",
        "manifest": data.manifest,
        "when": when(data.manifest.started_at),
        "not_ena": data.not_ena,
        "plan": data.first.plan if data.first else None,
        "variants": [_variant(name, data) for name in data.fleet.variants],
        "differences": [(unbroken(difference_in_words(one)), one.code) for one in data.fleet.differences],
        "out": [out_in_words(one) for one in data.standing_out()],
        "lost": lost_in_words(data),
        "traffic": {scenario.name: traffic_in_words(scenario) for scenario in data.scenarios},
        "pairs": [_pair(data, pair) for pair in data.pairs],
        "columns": [(scenario.name, metric_label(metric)) for scenario, metric in data.primaries],
        "supposed": SUPPOSED,
        "download": linked("fleet.json", "", json.dumps(to_document(data.fleet), indent=2), kind="application/json"),
    }


def _variant(name: str, data: FleetData) -> dict[str, Any]:
    variant = data.fleet.variants[name]
    return {
        "name": name,
        "pairs": f"{variant.valid_pairs} of {counted(variant.pairs, 'pair')} count",
        "scenarios": [_scenario(scenario, one) for scenario, one in variant.scenarios.items()],
    }


def _scenario(name: str, one: FleetScenario) -> dict[str, Any]:
    return {
        "name": name,
        "code": one.verdict.code,
        "headline": unbroken(one.verdict.headline or one.verdict.words),
        "words": unbroken(one.verdict.words),
        "sentences": [
            unbroken(f"At {metric_label(metric)} {typeset(told)}; {heterogeneity_in_words(effect)}.")
            for metric, effect in one.primaries.items()
            if (told := next_pair_in_words(effect))
        ]
        + [f"{missed[0].upper()}{missed[1:]}." for missed in missed_in_words(one.primaries)],
        "lines": [_line(metric_label(metric), effect) for metric, effect in one.effects.items()],
    }


def _line(name: str, effect: FleetEffect) -> Mapping[str, Any]:
    known = effect.next_pair_low_pct is not None
    next_pair = f"{change_typeset(effect.next_pair_low_pct)} to {change_typeset(effect.next_pair_high_pct)}"
    return {
        "name": name,
        "mean": unbroken(interval_typeset(effect.estimate_pct, effect.low_pct, effect.high_pct)),
        "next": unbroken(next_pair) if known else "not known",
        "between": unbroken(between_in_short(effect)),
        "code": effect.code,
        "word": label(effect.code),
        "primary": effect.grounds.primary,
    }


def _pair(data: FleetData, pair: PairRun) -> dict[str, Any]:
    effects = [pair.effect(scenario.name, metric) for scenario, metric in data.primaries]
    return {
        "name": pair.name,
        "zone": pair.zone,
        "effects": [
            unbroken(interval_typeset(one.estimate_pct, one.low_pct, one.high_pct)) if one else "" for one in effects
        ],
        "standing": "lost" if pair.lost else "counts" if pair.counts else "invalid",
    }
