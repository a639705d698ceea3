"""Runs: comparisons, checkups and lists of runs for a person at a terminal. What is said is put together here; the console prints.

Compared ─▶ tell_comparison ;  Checkup ─▶ tell_checkup ;  RunLine, … ─▶ tell_runs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from enaxp.report.words import CAVEAT, OUTCOMES, came_to, effect_in_text, units_in_words, where
from enaxp.text import change_plain, counted, duration, figure, percent_plain
from enaxp.traffic import ARM_NAMES, metric_label, metric_text

if TYPE_CHECKING:
    from enaxp.bench.comparing.comparison import Comparison, FigureChange, MeasuredRun
    from enaxp.bench.comparing.conditions import Compared
    from enaxp.bench.history import RunLine
    from enaxp.bench.judging.checkup import Checkup
    from enaxp.bench.planning.forecast import Forecast, ForecastPart, ForecastRow
    from enaxp.terminal.console import Console


def tell_comparison(console: Console, compared: Compared) -> None:
    """Prints tables of what changed, then what was found on each condition, then what to keep in mind."""
    for comparison in compared.comparisons:
        told = ["\n  and ".join(map(_about, side.runs)) for side in (comparison.run, comparison.base)]
        console.result("\nagainst ".join(told))
        for warning in comparison.warnings:
            console.result(f"Warning: {warning}")
        for difference in comparison.differences:
            console.result(f"Warning: they differ: {difference}")
        for name, reason in comparison.not_compared.items():
            console.result(f"Not compared: {name}: {reason}")
        _tell_changes(console, comparison)
    if compared.findings:
        rows = [(OUTCOMES[one.outcome], one.condition, one.run, one.words) for one in compared.findings]
        console.table(("condition", "", "run", "what was found"), rows)
        console.result("")
    console.result(CAVEAT)


def _tell_changes(console: Console, comparison: Comparison) -> None:
    for one in comparison.scenarios:
        rows = [
            (
                ARM_NAMES[arm],
                metric_text(metric),
                figure(metric, change.base),
                figure(metric, change.run),
                effect_in_text(change.effect),
                word(change),
            )
            for arm, changes in one.arms.items()
            for metric, change in changes.items()
        ]
        rows += [
            (
                "its effect",
                metric_text(metric),
                change_plain(change.base),
                change_plain(change.run),
                effect_in_text(change.effect),
                word(change),
            )
            for metric, change in one.effects.items()
            if change.effect.primary
        ]
        console.result(f"\n{one.scenario.name}")
        console.table(("", "", comparison.base.name, comparison.run.name, "change [interval]", ""), rows)
        console.result(f"\n{units_in_words(one)}")
        for arm in one.arms:
            console.result(one.words(arm))
    console.result("")


def tell_checkup(console: Console, name: str, checkup: Checkup) -> None:
    """Prints whether the run is complete and stable, and each reason on a line."""
    console.result(
        f"{name}: {'incomplete' if checkup.missing else 'complete'}, {'unstable' if checkup.unstable else 'stable'}"
    )
    for label, lines in (
        ("missing", checkup.missing),
        ("unstable", checkup.unstable),
        ("remark", checkup.remarks),
    ):
        for line in lines:
            console.result(f"  {label:<9} {line}")


def tell_runs(console: Console, lines: Sequence[RunLine]) -> None:
    """Prints one line a run, the newest first."""
    if not lines:
        console.result("there are no runs here")
        return
    console.table(
        ("run", "began", "target", "i × r × s", "pairs", "verdicts"),
        [
            (
                f"{line.lab}/{line.run_id}",
                (line.started_at or "-")[:16].replace("T", " "),
                line.target or "-",
                "-" if line.iterations is None else f"{line.iterations} × {line.repeats} × {line.duration_s:g}",
                str(line.pairs or 1),
                _came_to(line),
            )
            for line in lines
        ],
    )


def word(change: FigureChange) -> str:
    """The code of a change, with its margin where it is `same`, and marked where it is exploratory."""
    effect = change.effect
    within = f" within ±{effect.margin_pct:.3g}%" if effect.code == "same" else ""
    return f"{effect.code}{within}{'' if effect.primary else ' (exploratory)'}"


def tell_forecast(console: Console, forecast: Forecast) -> None:
    """Prints how long a plan takes, the smallest effect that it finds, and the chance of each word by iterations and effect."""
    cost = "" if forecast.usd is None else f", about {forecast.usd:.2f} USD"
    console.result(
        f"{forecast.iterations} iterations of {forecast.repeats} pairs take about {duration(forecast.seconds)}{cost}; "
        f"margin ±{percent_plain(forecast.margin_pct)}, {counted(forecast.primaries, 'primary figure')} share the 5% of being wrong"
    )
    for part in forecast.parts:
        console.result(f"\n{part.scenario}, {metric_label(part.metric)}: {_where_from(part)}")
        for spread, smallest in zip(part.spreads_pct, part.smallest_found_pct, strict=True):
            if smallest is not None:
                console.result(
                    f"  spread {percent_plain(spread)}: an effect of {percent_plain(smallest)} is found four times in five"
                )
        console.table(
            ("iterations", "true effect", "firm word", "slightly", "inconclusive"),
            [
                (
                    str(iterations),
                    percent_plain(effect),
                    *(_chance_range(rows, word) for word in ("firm", "slightly", "inconclusive")),
                )
                for (iterations, effect), rows in _grouped(part.rows).items()
            ],
        )
    console.result(
        "\nThe chances hold if later iterations vary like those; ranges are for what is not known of their spread."
    )


def _where_from(part: ForecastPart) -> str:
    if not part.runs:
        return "no earlier run tells how much iterations vary, so for several spreads"
    return f"the spread of {counted(part.iterations_seen, 'iteration')} in {counted(part.runs, 'earlier run')}"


def _grouped(rows: Sequence[ForecastRow]) -> dict[tuple[int, float], list[ForecastRow]]:
    """The rows of each number of iterations and effect: one for each spread."""
    groups: dict[tuple[int, float], list[ForecastRow]] = {}
    for row in rows:
        groups.setdefault((row.iterations, row.effect_pct), []).append(row)
    return groups


def _chance_range(rows: Sequence[ForecastRow], word: str) -> str:
    """The chance at the lowest to the highest spread."""
    known = [round(100 * getattr(row.chances, word)) for row in rows]
    low, high = min(known), max(known)
    return f"{low}%" if low == high else f"{low} to {high}%"


def _about(run: MeasuredRun) -> str:
    plan, began = run.manifest.plan, run.manifest.started_at[:16].replace("T", " ")
    return f"{run.name}: {began}, {where(run)}, {plan.iterations} × {plan.repeats} × {plan.duration_s:g} s"


def _came_to(line: RunLine) -> str:
    if line.fault is not None:
        return f"cannot be read: {line.fault}"
    told = came_to({name: code or "no result" for name, code in (line.verdicts or {}).items()})
    return f"{told} (not ended)" if line.standing == "not ended" else told
