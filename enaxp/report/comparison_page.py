"""Comparison page: a comparison of runs as one self-contained HTML file — no network, no script, no other file.

    Compared ─▶ parts (plain data, worded) ─▶ templates/comparison.html.j2 ─▶ text

Everything that comes from a run is escaped as text, and the content security policy allows no script at all. The intervals are drawn next
to their figures, each scenario on its own scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from enaxp import __version__
from enaxp.bench.comparing.comparison import Comparison, FigureChange, MeasuredRun, ScenarioComparison
from enaxp.report import words
from enaxp.report.words import CAVEAT, OUTCOMES, came_to, effect_in_text, units_in_words, where
from enaxp.text import NOT_MEASURED, change_plain, figure
from enaxp.traffic import ARM_NAMES, Metric, metric_text

if TYPE_CHECKING:
    from enaxp.bench.comparing.conditions import Compared, ConditionFinding

# A drawing is this wide, in its own units; what reaches further than MOST_PCT is drawn up to the edge.
WIDTH, HALF = 240, 120
MOST_PCT = 100.0
# An invalid change is one whose figure a run does not have.
LABELS: Mapping[str, str] = {**words.LABELS, "invalid": NOT_MEASURED}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One interval on its scale: positions from the left, in the drawing's units."""

    low: float
    high: float
    estimate: float
    margin_low: float
    margin_high: float


@dataclass(frozen=True, kw_only=True)
class ChangeLine:
    """One row of a table."""

    of: str
    metric: str
    base: str
    run: str
    change: str
    drawing: Drawing | None
    code: str
    label: str
    primary: bool


@dataclass(frozen=True, kw_only=True)
class Part:
    """One scenario of one comparison."""

    name: str
    reach: str
    units: str
    words: tuple[str, ...]
    lines: tuple[ChangeLine, ...]


def render_comparison(compared: Compared) -> str:
    """The text of the page."""
    import jinja2

    comparisons = compared.comparisons
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = resources.files("enaxp.report").joinpath("templates/comparison.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        title=_title(comparisons),
        conditions=_conditions(compared.findings),
        runs=[_run(run) for run in compared.runs],
        comparisons=[(one, tuple(map(_part, one.scenarios))) for one in comparisons],
        findings=[(OUTCOMES[finding.outcome], finding) for finding in compared.findings],
        caveat=CAVEAT,
        local=any(run.manifest.target == "local" for run in compared.runs),
        width=WIDTH,
        version=__version__,
    )


def _title(comparisons: Sequence[Comparison]) -> str:
    """The verdict on the primary metrics in a few words: by arm for one scenario, combined for several."""
    scenarios = [one for comparison in comparisons for one in comparison.scenarios]
    if not scenarios:
        return "Nothing in these runs can be compared"
    codes = {arm: {one.code(arm) for one in scenarios} for arm in scenarios[0].arms}
    every = set().union(*codes.values())
    if len(every) == 1:
        return f"{' and '.join(ARM_NAMES[arm] for arm in codes)}: {LABELS[every.pop()]}"
    if len(scenarios) == 1:
        return "; ".join(f"{ARM_NAMES[arm]}: {LABELS[code]}" for arm, (code,) in codes.items())
    return "Some figures changed" if every - {"inconclusive", "invalid", "same"} else "No change is shown"


def _conditions(findings: Sequence[ConditionFinding]) -> str:
    """The number of stated conditions that fail, in words; empty if none is stated."""
    stated = dict.fromkeys(finding.condition for finding in findings)
    failing = {finding.condition for finding in findings if finding.outcome == "shown"}
    return f"{len(failing)} of {len(stated)} stated conditions fail." if stated else ""


def _run(run: MeasuredRun) -> dict[str, str]:
    plan = run.manifest.plan
    return {
        "name": run.name,
        "began": run.manifest.started_at[:16].replace("T", " "),
        "where": where(run),
        "plan": f"{plan.iterations} × {plan.repeats} × {plan.duration_s:g} s",
        "verdicts": came_to(
            {name: LABELS.get(of.verdict.code, "unknown") for name, of in run.result.scenarios.items()}
        ),
    }


def _part(one: ScenarioComparison) -> Part:
    reach = _reach(one)
    lines = [
        _line(ARM_NAMES[arm], metric, change, (figure(metric, change.base), figure(metric, change.run)), reach)
        for arm, changes in one.arms.items()
        for metric, change in changes.items()
    ]
    lines += [
        _line("effect of ENA Express", metric, change, (_pct(change.base), _pct(change.run)), reach)
        for metric, change in one.effects.items()
        if change.effect.primary
    ]
    return Part(
        name=one.scenario.name,
        reach=f"±{reach:.3g}%",
        units=units_in_words(one),
        words=tuple(map(one.words, one.arms)),
        lines=tuple(lines),
    )


def _line(of: str, metric: Metric, change: FigureChange, figures: tuple[str, str], reach: float) -> ChangeLine:
    effect = change.effect
    margin = f" (within ±{effect.margin_pct:.3g}%)" if effect.code == "same" else ""
    return ChangeLine(
        of=of,
        metric=metric_text(metric),
        base=figures[0],
        run=figures[1],
        change=effect_in_text(effect),
        drawing=_drawing(change, reach),
        code=effect.code,
        label=LABELS[effect.code] + margin,
        primary=effect.primary,
    )


def _drawing(change: FigureChange, reach: float) -> Drawing | None:
    effect = change.effect
    if effect.low_pct is None or effect.high_pct is None or effect.estimate_pct is None:
        return None

    def place(pct: float) -> float:
        return round(HALF + HALF * max(-1.0, min(1.0, pct / reach)), 1)

    return Drawing(
        low=place(effect.low_pct),
        high=place(effect.high_pct),
        estimate=place(effect.estimate_pct),
        margin_low=place(-effect.margin_pct),
        margin_high=place(effect.margin_pct),
    )


def _reach(one: ScenarioComparison) -> float:
    """The half range of a scenario's scale in per cent: it holds the primary metrics' intervals and twice the margin."""
    return min(MOST_PCT, max(_bounds(one), default=1.0))


def _bounds(one: ScenarioComparison) -> Iterator[float]:
    for change in [change for changes in (*one.arms.values(), one.effects) for change in changes.values()]:
        if change.effect.primary:
            yield 2 * change.effect.margin_pct
            yield from (abs(bound) for bound in (change.effect.low_pct, change.effect.high_pct) if bound is not None)


def _pct(value: float | None) -> str:
    return change_plain(value)
