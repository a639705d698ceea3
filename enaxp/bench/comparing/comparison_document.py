"""Comparison document: the types of the JSON that `enaxp compare --json` prints. Field names are the JSON keys. Pure.

Compared ─▶ document_of ─▶ ComparisonDocument ─▶ (documents.fields_of) ─▶ JSON
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enaxp.bench.comparing.comparison import Comparison, FigureChange, MeasuredRun, ScenarioComparison, Units
from enaxp.bench.comparing.conditions import Compared, ConditionFinding
from enaxp.bench.judging.effect import Code
from enaxp.bench.judging.verdict import Verdict, VerdictCode
from enaxp.bench.run_folder.environment import FactDifference
from enaxp.bench.statistics.units import Basis
from enaxp.traffic import Arm, Metric

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """One run; `verdicts` are those of its result, by scenario."""

    name: str
    run_id: str
    lab: str
    target: str
    isolation: str | None
    started_at: str
    place: Mapping[str, str | None]
    verdicts: Mapping[str, Verdict]


@dataclass(frozen=True, kw_only=True)
class ChangeEntry:
    """The change of one metric.

    `base` and `run`: its figures in µs or 10⁹ bit/s (for an effect: in per cent). `*_pct`: the change and its interval at
    `confidence_pct`. `run_spread_pct`: the run-to-run standard deviation, estimated from the runs that `basis` names; None where unknown.
    """

    base: float | None
    run: float | None
    base_iterations: int
    run_iterations: int
    estimate_pct: float | None
    low_pct: float | None
    high_pct: float | None
    margin_pct: float
    primary: bool
    code: Code
    confidence_pct: float | None
    run_spread_pct: float | None
    basis: Basis | None


@dataclass(frozen=True, kw_only=True)
class ArmEntry:
    """One arm: the verdict on its primaries as a code and in words, and the change of each metric."""

    code: VerdictCode
    words: str
    changes: Mapping[Metric, ChangeEntry]


@dataclass(frozen=True, kw_only=True)
class ScenarioEntry:
    """One scenario; `effects` holds the changes of the effect of ENA Express itself, `units` what the intervals rest on."""

    arms: Mapping[Arm, ArmEntry]
    effects: Mapping[Metric, ChangeEntry]
    units: Units


@dataclass(frozen=True, kw_only=True)
class ComparisonEntry:
    """The comparison of one side (`run`) with the first (`base`), and the runs of each. `not_compared`: the reason by scenario."""

    base: str
    run: str
    base_runs: tuple[str, ...]
    runs: tuple[str, ...]
    scenarios: Mapping[str, ScenarioEntry]
    not_compared: Mapping[str, str]
    differences: tuple[FactDifference, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ComparisonDocument:
    """The whole document."""

    schema: int
    runs: tuple[RunEntry, ...]
    comparisons: tuple[ComparisonEntry, ...]
    conditions: tuple[ConditionFinding, ...]


def document_of(compared: Compared) -> ComparisonDocument:
    """The document of these comparisons, at least one."""
    comparisons = compared.comparisons
    return ComparisonDocument(
        schema=SCHEMA,
        runs=tuple(map(_run, compared.runs)),
        comparisons=tuple(map(_comparison, comparisons)),
        conditions=compared.findings,
    )


def _run(run: MeasuredRun) -> RunEntry:
    manifest = run.manifest
    return RunEntry(
        name=run.name,
        run_id=manifest.run_id,
        lab=manifest.lab,
        target=manifest.target,
        isolation=manifest.isolation,
        started_at=manifest.started_at,
        place=manifest.place,
        verdicts={name: scenario.verdict for name, scenario in run.result.scenarios.items()},
    )


def _comparison(comparison: Comparison) -> ComparisonEntry:
    return ComparisonEntry(
        base=comparison.base.name,
        run=comparison.run.name,
        base_runs=comparison.base.names,
        runs=comparison.run.names,
        scenarios={one.scenario.name: _scenario(one) for one in comparison.scenarios},
        not_compared=comparison.not_compared,
        differences=comparison.differences,
        warnings=comparison.warnings,
    )


def _scenario(one: ScenarioComparison) -> ScenarioEntry:
    return ScenarioEntry(
        arms={
            arm: ArmEntry(code=one.code(arm), words=one.words(arm), changes=_changes(changes))
            for arm, changes in one.arms.items()
        },
        effects=_changes(one.effects),
        units=one.units,
    )


def _changes(changes: Mapping[Metric, FigureChange]) -> dict[Metric, ChangeEntry]:
    return {
        metric: ChangeEntry(
            base=change.base,
            run=change.run,
            base_iterations=change.base_iterations,
            run_iterations=change.run_iterations,
            estimate_pct=change.effect.estimate_pct,
            low_pct=change.effect.low_pct,
            high_pct=change.effect.high_pct,
            margin_pct=change.effect.margin_pct,
            primary=change.effect.primary,
            code=change.effect.code,
            confidence_pct=change.effect.confidence_pct,
            run_spread_pct=_spread_pct(change),
            basis=change.difference.basis if change.difference else None,
        )
        for metric, change in changes.items()
    }


def _spread_pct(change: FigureChange) -> float | None:
    spread = change.difference.spread if change.difference else None
    return None if spread is None else 100 * spread
