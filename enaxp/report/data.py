"""Data: the content of a run's report, computed from its folder alone. No drawing, and no wording except for faults.

    RunFolder ─▶ read_run ─▶ Run (manifest, records, result; faults of the files) ─▶ figures_of ─▶ ScenarioFigures, …
                                                                                           └─▶ charts/, page.py, markdown.py

A run may be of an older version, still running, incomplete, or damaged: missing data stays missing, and is reported. A trial whose files
contradict each other does not count, nor does its pair: a missing figure is better than a wrong one.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import Literal

from enaxp.bench.judging.blocks import ScenarioBlocks, blocks_of, counted
from enaxp.bench.judging.evaluation import judge_run, measure_scenario
from enaxp.bench.judging.result import SCHEMA, Result, ScenarioResult, read_result
from enaxp.bench.judging.truth import FILE as TRUTH_FILE
from enaxp.bench.judging.truth import Truth, read_truth
from enaxp.bench.run_folder.documents import OtherSchemaError
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.bench.run_folder.records import Manifest, RunFolder, TrialRecord
from enaxp.errors import BenchError
from enaxp.figures import mean_of_known
from enaxp.report.curves import CurvePoint, ShiftPoint, body, percentile_curve, shift_curve
from enaxp.text import counted as in_number
from enaxp.traffic import ARM_NAMES, ARMS, QUANTILES, THROUGHPUT, Arm, Metric, Scenario, metric_text

# A time series draws every second as long as it stays readable and small; then one point a trial.
MOST_SECONDS = 600
# The figures of result.json and those of the histograms are the same numbers; beyond this they are not.
SAME = 1e-4
RunStanding = Literal["finished", "partial", "not ended"]


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The content of a run folder. `faults`: sentences about invalid files, and how they were handled.

    is_of_earlier_version: whether the stored result was computed by an earlier version's rules, so that it is recomputed.
    """

    manifest: Manifest
    records: Sequence[TrialRecord]
    result: Result
    faults: tuple[str, ...]
    is_of_earlier_version: bool = False

    @property
    def pairs_planned(self) -> int:
        plan = self.manifest.plan
        return plan.iterations * plan.repeats * len(plan.scenarios)

    @property
    def pairs_counted(self) -> int:
        return len(counted(record for record in self.records if not record.control)) // len(ARMS)

    @property
    def standing(self) -> RunStanding:
        """Whether the plan is complete, incomplete, or the run has not recorded its end (it is running, or was killed)."""
        if self.manifest.ended_at is None:
            return "not ended"
        return "finished" if self.pairs_counted >= self.pairs_planned else "partial"


@dataclass(frozen=True, kw_only=True)
class IterationPoint:
    """One figure of both arms in one iteration, in µs or Gbit/s."""

    pair: int
    iteration: int
    ena: float
    ena_express: float


@dataclass(frozen=True, kw_only=True)
class TimePoint:
    """The figures of one second of a trial, or of a whole trial. `at_min`: minutes since the start of the scenario's first trial."""

    at_min: float
    trial: int
    iteration: int
    arm: Arm
    p50_us: float
    p99_us: float
    max_us: float


@dataclass(frozen=True, kw_only=True)
class Border:
    """The start of an iteration on the time axis."""

    at_min: float
    iteration: int


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """An event during a trial, for the time series."""

    at_min: float
    trial: int
    arm: Arm
    words: str


@dataclass(frozen=True, kw_only=True)
class TrialPoint:
    """One counted trial: its median and P99 in µs, or its throughput in Gbit/s."""

    trial: int
    iteration: int
    arm: Arm
    p50: float | None
    p99: float | None
    throughput: float | None


@dataclass(frozen=True, kw_only=True)
class LoadPoint:
    """Both arms' latency at one rate of a sweep. `reached`: messages per second actually sent."""

    scenario: str
    wanted: int
    reached: float
    arm: Arm
    p50_us: float
    p99_us: float
    loss_rate: float | None


@dataclass(frozen=True, kw_only=True)
class SrdFigures:
    """The sums of the SRD counters over one arm's counted trials; None if no trial has them. Shares are 0 to 1."""

    arm: Arm
    trials: int
    tx: int | None
    eligible: int | None
    share: float | None
    least_share: float | None
    modes: tuple[int, ...]
    resources_pct: int | None
    allowances: Mapping[str, int] | None


@dataclass(frozen=True, kw_only=True)
class ScenarioFigures:
    """The report's data on one scenario. An empty sequence becomes a gap, which the page explains."""

    scenario: Scenario
    result: ScenarioResult
    iterations: int
    curve: tuple[CurvePoint, ...]
    shift: tuple[ShiftPoint, ...]
    body: tuple[CurvePoint, ...]
    by_iteration: Mapping[Metric, tuple[IterationPoint, ...]]  # of the primaries
    trials: tuple[TrialPoint, ...]
    series: tuple[TimePoint, ...]
    series_by_second: bool
    borders: tuple[Border, ...]
    events: tuple[RunEvent, ...]
    srd: tuple[SrdFigures, ...]
    invalid: tuple[TrialRecord, ...]
    fewest: int | None  # messages that wanted a reply, in the smallest iteration of either arm
    host_gbps: float | None  # what the slower host carries all day; None where that is not known

    @property
    def is_rate(self) -> bool:
        return self.scenario.is_rate


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """The report's data on a run. `loads`: the sweeps, by their common name. `truth`: the difference injected on purpose."""

    run: RunData
    scenarios: tuple[ScenarioFigures, ...]
    loads: Mapping[str, tuple[LoadPoint, ...]]
    faults: tuple[str, ...]
    truth: Truth | None = None


# -- reading ---------------------------------------------------------------------------------------------------------------


def read_run(folder: RunFolder) -> RunData:
    """The run in a folder. Raises BenchError if the folder is not a run, or its schema is unknown."""
    return _read(folder)[0]


def _read(folder: RunFolder) -> tuple[RunData, Callable[[Scenario], ScenarioBlocks]]:
    """The run, and a function that returns a scenario's merged trials: they are large, merged once, and not kept longer than needed."""
    manifest = folder.read_manifest()
    evidence = evidence_of(folder, manifest.plan)
    blocks = cache(partial(blocks_of, evidence=evidence))
    contradicted = [f"{scenario}: {fault}" for scenario, faults in evidence.faults.items() for fault in faults]
    stored, said = _stored_result(folder)
    is_earlier = stored is not None and stored.schema < SCHEMA
    speaks = stored is not None and _speaks_of(stored, manifest, evidence.records)
    if stored is not None and speaks and not contradicted and not is_earlier:
        return RunData(manifest=manifest, records=evidence.records, result=stored, faults=tuple(said)), blocks
    if stored is not None and not speaks and not contradicted and manifest.ended_at is not None:
        said.append(
            "result.json does not speak of the trials in this folder: the figures here are worked out from them"
        )
    # What contradicts a trial is told with the files, once; not again among the warnings of its scenario.
    told = replace(evidence, faults={})
    measured = {one.name: measure_scenario(manifest, told, blocks(one)) for one in manifest.plan.scenarios}
    run = RunData(
        manifest=manifest,
        records=evidence.records,
        result=judge_run(manifest, measured),
        faults=(*contradicted, *said),
        is_of_earlier_version=is_earlier,
    )
    return run, blocks


def _stored_result(folder: RunFolder) -> tuple[Result | None, list[str]]:
    """The stored result, and its faults. Raises OtherSchemaError for an unknown schema."""
    if not (folder.path / "result.json").exists():
        return None, []
    try:
        return read_result(folder), []
    except OtherSchemaError:
        raise
    except BenchError as error:
        return None, [f"result.json cannot be read ({error.said or error.where}): the figures here are worked out anew"]


def _speaks_of(stored: Result, manifest: Manifest, records: Sequence[TrialRecord]) -> bool:
    """Whether a result was computed from exactly these trials.

    Its percentiles may differ from this version's: then it is of another version, and still matches these trials.
    """
    attempted = Counter(
        (record.scenario, record.arm) for record in records if not record.discarded and not record.control
    )
    told = {
        (name, arm): figures.trials
        for name, scenario in stored.scenarios.items()
        for arm, figures in scenario.arms.items()
    }
    return all(
        told.get((scenario.name, arm)) == attempted[scenario.name, arm]
        for scenario in manifest.plan.scenarios
        for arm in ARMS
    )


# -- working out -----------------------------------------------------------------------------------------------------------


def figures_of(folder: RunFolder) -> RunFigures:
    """The report's data on the run in a folder. Raises as `read_run`."""
    run, blocks = _read(folder)
    scenarios = tuple(_scenario(run, blocks(scenario)) for scenario in run.manifest.plan.scenarios)
    disagreeing = [words for figures in scenarios for words in _disagreements(figures)]
    truth, unreadable = _truth(folder)
    return RunFigures(
        run=run,
        scenarios=scenarios,
        loads=_loads(run, scenarios),
        faults=(*run.faults, *disagreeing, *unreadable),
        truth=truth,
    )


def _truth(folder: RunFolder) -> tuple[Truth | None, tuple[str, ...]]:
    """The stored truth, and its faults."""
    try:
        return read_truth(folder), ()
    except BenchError as error:
        return None, (f"{TRUTH_FILE} cannot be read ({error.said or error.where}): it is left out",)


def _scenario(run: RunData, blocks: ScenarioBlocks) -> ScenarioFigures:
    scenario = blocks.scenario
    own = [record for record in run.records if record.scenario == scenario.name and not record.discarded]
    trials = sorted(blocks.trials, key=lambda record: (record.started_at, record.number))
    began = _moment(trials[0]) if trials else None
    series, by_second = _series(trials, began)
    return ScenarioFigures(
        scenario=scenario,
        result=run.result.scenarios[scenario.name],
        iterations=len({(record.pair, record.iteration) for record in trials}),
        curve=percentile_curve(blocks),
        shift=shift_curve(blocks),
        body=body(blocks),
        by_iteration={metric: _by_iteration(blocks, metric) for metric in scenario.primaries},
        trials=tuple(_trial_point(record) for record in trials),
        series=series,
        series_by_second=by_second,
        borders=_borders(trials, began),
        events=tuple(event for record in blocks.attempted for event in _events(record, began)),
        srd=tuple(_srd(arm, [record for record in trials if record.arm == arm]) for arm in ARMS),
        invalid=tuple(record for record in own if not record.valid),
        fewest=blocks.fewest,
        host_gbps=run.manifest.host_gbps,
    )


def _by_iteration(blocks: ScenarioBlocks, metric: Metric) -> tuple[IterationPoint, ...]:
    """The metric of both arms in each iteration in which both have a value and neither is beyond measurement."""
    unit = 1 if metric == THROUGHPUT else 1000
    values = blocks.values(metric)
    express = values["ena_express"]
    return tuple(
        IterationPoint(pair=at[0], iteration=at[1], ena=ena / unit, ena_express=express[at] / unit)
        for at, ena in values["ena"].items()
        if at in express and math.isfinite(ena) and math.isfinite(express[at])
    )


def _trial_point(record: TrialRecord) -> TrialPoint:
    percentiles = record.sockperf.percentiles_us if record.sockperf else {}
    return TrialPoint(
        trial=record.number,
        iteration=record.iteration,
        arm=record.arm,
        p50=percentiles.get("50"),
        p99=percentiles.get("99"),
        throughput=record.throughput_gbps,
    )


def _series(trials: Sequence[TrialRecord], began: datetime | None) -> tuple[tuple[TimePoint, ...], bool]:
    """The run over time: by second, or by trial if that would be too many points. The second value says which."""
    if sum(len(record.seconds) for record in trials) <= MOST_SECONDS:
        return tuple(point for record in trials for point in _by_second(record, began)), True
    return tuple(point for record in trials for point in _by_trial(record, began)), False


def _by_second(record: TrialRecord, began: datetime | None) -> Iterator[TimePoint]:
    for second in record.seconds:
        yield TimePoint(
            at_min=_minutes(record, began) + second.second / 60,
            trial=record.number,
            iteration=record.iteration,
            arm=record.arm,
            p50_us=second.p50_us,
            p99_us=second.p99_us,
            max_us=second.max_us,
        )


def _by_trial(record: TrialRecord, began: datetime | None) -> Iterator[TimePoint]:
    output = record.sockperf
    if output is None or output.max_us is None or not {"50", "99"} <= output.percentiles_us.keys():
        return
    yield TimePoint(
        at_min=_minutes(record, began) + record.wall_s / 120,
        trial=record.number,
        iteration=record.iteration,
        arm=record.arm,
        p50_us=output.percentiles_us["50"],
        p99_us=output.percentiles_us["99"],
        max_us=output.max_us,
    )


def _borders(trials: Sequence[TrialRecord], began: datetime | None) -> tuple[Border, ...]:
    first: dict[int, float] = {}
    for record in trials:
        first.setdefault(record.iteration, _minutes(record, began))
    return tuple(Border(at_min=at, iteration=iteration) for iteration, at in sorted(first.items()))


def _events(record: TrialRecord, began: datetime | None) -> Iterator[RunEvent]:
    """The events of this trial, for the time series."""
    words = []
    if not record.valid:
        words.append(f"does not count: {record.reason}")
    moved = {
        f"{name} +{by} ({role})"
        for role, by_name in (record.allowances or {}).items()
        for name, by in by_name.items()
        if by
    }
    words += sorted(name for name in moved if "_exceeded" in name)
    if record.lost:
        words.append(f"{in_number(record.lost, 'message')} lost")
    if record.sockperf and record.sockperf.out_of_order:
        words.append(f"{record.sockperf.out_of_order} replies out of order")
    for each in words:
        yield RunEvent(at_min=_minutes(record, began), trial=record.number, arm=record.arm, words=each)


def _srd(arm: Arm, trials: Sequence[TrialRecord]) -> SrdFigures:
    seen = [record.srd for record in trials if record.srd is not None]
    eligible = sum(srd.eligible for srd in seen)
    shares = [srd.share for srd in seen if srd.share is not None]
    modes = {mode for srd in seen for mode in (srd.mode, srd.peer_mode) if mode is not None}
    told = [record.allowances for record in trials if record.allowances is not None]
    allowances: dict[str, int] = defaultdict(int)
    for roles in told:
        for role, counters in roles.items():
            for name, by in counters.items():
                if name.endswith("_exceeded"):
                    allowances[f"{name} ({role})"] += by
    return SrdFigures(
        arm=arm,
        trials=len(trials),
        tx=sum(srd.tx for srd in seen) if seen else None,
        eligible=eligible if seen else None,
        share=sum(srd.tx for srd in seen) / eligible if eligible else None,
        least_share=min(shares, default=None),
        modes=tuple(sorted(modes)),
        resources_pct=max((srd.resources_pct for srd in seen if srd.resources_pct is not None), default=None),
        allowances=dict(allowances) if told else None,
    )


def _loads(run: RunData, scenarios: Iterable[ScenarioFigures]) -> dict[str, tuple[LoadPoint, ...]]:
    """The sweeps: scenarios that differ only in their rate, `NAME@RATE`. A single rate gives no curve."""
    sweeps: dict[str, list[LoadPoint]] = defaultdict(list)
    rates: dict[str, set[int]] = defaultdict(set)
    for figures in scenarios:
        scenario = figures.scenario
        name, at, _ = scenario.name.rpartition("@")
        if not at or not isinstance(scenario.rate, int) or figures.is_rate:
            continue
        rates[name].add(scenario.rate)
        for arm in ARMS:
            measured = figures.result.arms[arm]
            p50_us, p99_us = measured.figure("p50"), measured.figure("p99")
            reached = _rate_reached(run.records, scenario, arm)
            if reached is not None and p50_us is not None and p99_us is not None:
                sweeps[name].append(
                    LoadPoint(
                        scenario=scenario.name,
                        wanted=scenario.rate,
                        reached=reached,
                        arm=arm,
                        p50_us=p50_us,
                        p99_us=p99_us,
                        loss_rate=measured.loss_rate,
                    )
                )
    return {name: tuple(sweeps[name]) for name, of in rates.items() if len(of) > 1}


def _rate_reached(records: Sequence[TrialRecord], scenario: Scenario, arm: Arm) -> float | None:
    """The mean number of messages per second that the counted trials of an arm sent."""
    own = [record for record in records if record.scenario == scenario.name and not record.control]
    rates = [
        record.sockperf.sent / window
        for record in counted(own)
        if record.arm == arm and record.sockperf and record.sockperf.sent
        if (window := record.sockperf.valid_runtime_s or record.sockperf.total_runtime_s)
    ]
    return mean_of_known(rates)


def _disagreements(figures: ScenarioFigures) -> Iterator[str]:
    """The figures in which the stored result differs from the histograms, in words."""
    for point in figures.curve:
        name = next((name for name, p in QUANTILES.items() if p == point.p), None)
        if name is None:
            continue
        percentiles = figures.result.arms[point.arm].latencies.percentiles_us
        said = percentiles.get(name, point.us)  # a result of another version may lack it
        if said is None or abs(said - point.us) > SAME * point.us:
            yield (
                f"{figures.scenario.name}: result.json gives {said} µs for {metric_text(name)} of {ARM_NAMES[point.arm]}, "
                f"the histograms {point.us:.3f} µs"
            )


def _minutes(record: TrialRecord, began: datetime | None) -> float:
    return (_moment(record) - began).total_seconds() / 60 if began else 0.0


def _moment(record: TrialRecord) -> datetime:
    return datetime.fromisoformat(record.started_at)
