"""Rows: the content of a run's folder as rows of the tables. Nothing is recomputed, and no identifying data is included: no addresses,
AWS ids, command lines or paths.

manifest.json, result.json, trials.jsonl ─▶ rows_of() ─▶ Rows (by table, in the order of its columns)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from enaxp.bench.judging.result import FILE, ArmFigures, Result, ScenarioResult, read_result
from enaxp.bench.run_folder.names import is_fleet, pair_paths, run_of
from enaxp.bench.run_folder.records import Manifest, RunFolder, TrialRecord
from enaxp.dataset.tables import NAMES, PRINTED, TABLES, Cell, Row, TableName
from enaxp.report.redact import RedactedRun
from enaxp.traffic import PERCENTILES

Rows = Mapping[TableName, list[Row]]
# USD an hour for two hosts of a type in a region; None where it is not known.
PriceOf = Callable[[str, str], float | None]
UNDECIDED = ("inconclusive", "partial", "invalid")
ONE_PAIR = "main"
_MOST_TEXT = 2000  # characters of a text that a folder from elsewhere may bring


def rows_of_run(path: Path, *, price_of: PriceOf) -> Rows:
    """The rows of the run in a folder; of a fleet those of all its pairs, which have one row in `runs`, by the first of them.

    Raises BenchError for a folder whose manifest, result or trials cannot be read.
    """
    if not is_fleet(path):
        return rows_of(RunFolder.open(path), price_of=price_of)
    pairs = [rows_of(RunFolder.open(pair), price_of=price_of) for pair in pair_paths(path)]
    return {name: [row for rows in (pairs[:1] if name == "runs" else pairs) for row in rows[name]] for name in NAMES}


def rows_of(folder: RunFolder, *, price_of: PriceOf) -> Rows:
    """The rows of one pair's run. A run without a result has a row in `runs`, and its trials.

    Raises BenchError for a folder whose manifest, result or trials cannot be read.
    """
    redacted = RedactedRun(folder.path)
    manifest = redacted.read_manifest()
    result = read_result(redacted) if (folder.path / FILE).exists() else None
    scenarios: Mapping[str, ScenarioResult] = result.scenarios if result else {}
    rows: dict[TableName, list[Row]] = {name: [] for name in NAMES}
    of_run = {
        "lab": run_of(folder.path.resolve()).parent.name,
        "day": _moment(manifest.started_at).date().isoformat(),
        "run_id": folder.run_id,
    }
    of_pair = {**of_run, "pair_name": manifest.pair_name or ONE_PAIR, "variant": manifest.variant or ONE_PAIR}
    rows["runs"].append(_row("runs", {**of_run, **_run_cells(manifest, result, price_of)}))
    for name, scenario in scenarios.items():
        of_scenario = {**of_pair, "scenario": name}
        rows["pairs"].append(_row("pairs", {**of_scenario, **_pair_cells(scenario)}))
        rows["arms"] += [
            _row("arms", {**of_scenario, "arm": arm, **_arm_cells(figures)}) for arm, figures in scenario.arms.items()
        ]
        rows["effects"] += [_row("effects", {**of_scenario, **cells}) for cells in _effect_cells(scenario)]
    rows["trials"] = [_row("trials", {**of_pair, **_trial_cells(record)}) for record in redacted.records()]
    return rows


def _row(table: TableName, cells: Mapping[str, object]) -> Row:
    """The cells in the order of the table's columns: all of them, and no other."""
    assert cells.keys() == set(TABLES[table].names), cells.keys() ^ set(TABLES[table].names)
    return tuple(_cell(cells[name]) for name in TABLES[table].names)


def _cell(value: object) -> Cell:
    if isinstance(value, str):
        return value[:_MOST_TEXT]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    assert value is None or isinstance(value, (bool, int, float, datetime))
    return value


def _run_cells(manifest: Manifest, result: Result | None, price_of: PriceOf) -> dict[str, object]:
    plan, place = manifest.plan, manifest.place
    codes = [scenario.verdict.code for scenario in result.scenarios.values()] if result else []
    return {
        "started_at": _moment(manifest.started_at),
        "ended_at": _moment(manifest.ended_at) if manifest.ended_at else None,
        "target": manifest.target,
        "isolation": manifest.isolation,
        **{name: place.get(name) for name in ("region", "availability_zone", "instance_type", "placement")},
        **{name: getattr(plan, name) for name in ("iterations", "repeats", "duration_s", "order", "seed")},
        **{name: getattr(plan, name) for name in ("margin_pct", "crossover", "cpus")},
        "scenarios": len(plan.scenarios),
        "scenarios_decided": sum(code not in UNDECIDED for code in codes) if result else None,
        "host_gbps": manifest.host_gbps,
        "usd": _usd(manifest, price_of),
        "enaxp_version": manifest.versions.get("enaxp"),
        "schema": result.schema if result else None,
    }


def _usd(manifest: Manifest, price_of: PriceOf) -> float | None:
    region, instance_type = manifest.place.get("region"), manifest.place.get("instance_type")
    if not region or not instance_type or not manifest.ended_at:
        return None
    hour = price_of(region, instance_type)
    hours = (_moment(manifest.ended_at) - _moment(manifest.started_at)).total_seconds() / 3600
    return None if hour is None else round(hour * hours, 4)


def _pair_cells(scenario: ScenarioResult) -> dict[str, object]:
    code, treatment = scenario.verdict.code, scenario.treatment
    return {
        "verdict": code,
        "headline": scenario.verdict.headline,
        "decided": code not in UNDECIDED,
        "proven": treatment.proven,
        "srd_share": treatment.srd_share,
        "srd_source": treatment.source,
        "interface_pct": scenario.interface.estimate_pct if scenario.interface else None,
        "warnings": len(scenario.warnings),
    }


def _arm_cells(figures: ArmFigures) -> dict[str, object]:
    plain = (
        "trials",
        "valid_trials",
        "failed_attempts",
        "observations",
        "measured_from",
        "sent",
        "received",
        "dropped",
    )
    rates = ("loss_rate", "loss_low", "loss_high", "throughput_gbps", "background_gbps")
    return {
        **{name: getattr(figures, name) for name in (*plain, *rates)},
        "mean_us": figures.latencies.mean_us,
        **{f"{one.name}_us": figures.latencies.percentiles_us.get(one.name) for one in PERCENTILES},
        "max_us": figures.latencies.max_us,
        "limits": ", ".join(figures.limits or ()) or None,
    }


def _effect_cells(scenario: ScenarioResult) -> Iterator[dict[str, object]]:
    same = ("code", "estimate_pct", "low_pct", "high_pct", "confidence_pct", "margin_pct", "improvement_pct", "thin")
    for metric, effect in scenario.effects.items():
        yield {
            "metric": metric,
            "is_primary": effect.primary,
            "p_value": effect.p_value,
            **{name: getattr(effect, name) for name in same},
        }


def _trial_cells(record: TrialRecord) -> dict[str, object]:
    output, srd = record.sockperf, record.srd
    same = ("scenario", "arm", "number", "iteration", "repeat", "attempt", "discarded", "control", "crossed", "valid")
    more = ("reason", "wall_s", "loss_rate", "throughput_gbps", "stalled_flows")
    told = ("observations", "mean_us", "max_us", "sent", "received", "dropped")
    percentiles = output.percentiles_us if output else {}
    return {
        **{name: getattr(record, name) for name in (*same, *more)},
        "started_at": _moment(record.started_at),
        **{name: getattr(output, name) if output else None for name in told},
        **{f"{one.name}_us": percentiles.get(one.number) for one in PRINTED},
        "srd_packets": srd.tx if srd else None,
        "srd_eligible": srd.eligible if srd else None,
        "srd_share": srd.share if srd else None,
    }


def _moment(text: str) -> datetime:
    """In UTC, without a zone of its own; a moment that names none is taken for UTC."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
