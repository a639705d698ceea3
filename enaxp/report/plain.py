"""Plain words: the expected change if ENA Express is switched on, and what the run does not show. For the top of the page. Pure.

ScenarioFigures ─▶ answers: a sentence for each primary, in µs and per cent, with its interval
RunFigures      ─▶ not_shown: what must not be read into it
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from enaxp.bench.judging.effect import Code, Effect
from enaxp.bench.judging.verdict import describe
from enaxp.bench.run_folder.histogram import tail_is_thin
from enaxp.report.data import RunFigures, ScenarioFigures
from enaxp.report.words import label
from enaxp.text import (
    change_plain,
    gigabits,
    gigabits_changed,
    listed,
    microseconds,
    microseconds_changed,
    percent_plain,
    typeset,
    unbroken,
)
from enaxp.traffic import QUANTILES, THROUGHPUT, Metric, metric_label

WHAT = {"p50": "half of the messages", "p99": "all but the slowest 1 %"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer on one primary metric. `sentence` follows its name."""

    name: str
    sentence: str
    code: Code


def answers(figures: ScenarioFigures) -> list[Answer]:
    """The expected change of each primary metric."""
    return [
        Answer(name=_name(metric), sentence=_sentence(figures, metric, effect), code=effect.code)
        for metric, effect in figures.result.primaries.items()
    ]


def not_shown(figures: RunFigures) -> list[str]:
    """The questions that the run leaves open, most important first."""
    manifest = figures.run.manifest
    return [
        *([f"anything of ENA itself: this run is {manifest.not_ena.partition(',')[0]}"] if manifest.not_ena else []),
        *(clause for one in figures.scenarios for clause in _open_in(one, named=len(figures.scenarios) > 1)),
        *(
            []
            if manifest.plan.crossover or manifest.plan.is_toggled
            else ["SRD apart from the interface: the arms kept theirs all the time"]
        ),
        "other traffic, other hosts and another day",
    ]


def _name(metric: Metric) -> str:
    what = WHAT.get(metric)
    return f"{metric_label(metric)} ({what})" if what else metric_label(metric)


def _sentence(figures: ScenarioFigures, metric: Metric, effect: Effect) -> str:
    points = figures.by_iteration.get(metric, ())
    if effect.estimate_pct is None or effect.low_pct is None or effect.high_pct is None or not points:
        return f"ENA Express {describe(metric, effect)}"
    typical = statistics.geometric_mean(point.ena for point in points)
    size = gigabits if metric == THROUGHPUT else microseconds
    low, high = ((typical * pct / 100, pct) for pct in (effect.low_pct, effect.high_pct))
    changed = gigabits_changed if metric == THROUGHPUT else microseconds_changed
    span = f"{changed(low[0])} to {changed(high[0])}, {change_plain(low[1])} to {change_plain(high[1])}"
    level = "" if effect.confidence_pct is None else f" ({effect.confidence_pct:.4g}% interval)"
    match effect.code:
        case "same":
            said = (
                f"no practical difference: {span}{level}, all within the margin of {percent_plain(effect.margin_pct)}"
            )
        case "inconclusive" | "invalid":
            said = f"not shown either way: it could be {span}{level}"
        case code:
            by = f"{changed(abs(typical * effect.estimate_pct / 100))[1:]}, {percent_plain(abs(effect.estimate_pct))}"
            then = size(typical * (1 + effect.estimate_pct / 100))
            said = f"{label(code)} by {by}: {size(typical)} become {then}. How sure: {span}{level}"
    return unbroken(typeset(said))


def _open_in(figures: ScenarioFigures, *, named: bool) -> Iterator[str]:
    where = f" in {figures.scenario.name}" if named else ""
    undecided = [metric_label(name) for name, one in figures.result.primaries.items() if one.code == "inconclusive"]
    if undecided:
        yield f"whether {listed(undecided)} changes{where}: undecided"
    thin = [] if figures.is_rate or not figures.fewest else [
        metric_label(name) for name, p in QUANTILES.items() if tail_is_thin(p, fewest=figures.fewest)
    ]  # fmt: skip
    if thin:
        yield f"{listed(thin)}{where}: too few messages for so rare an event"
    if figures.result.treatment.proven is None:
        yield f"whether SRD carried the packets{where}: {figures.result.treatment.why_unknown}"
