"""Forecast: the implementation of `enaxp bench --plan-only` — the likely outcome of the plan, from earlier runs of the same traffic.

results/<lab>/… ─▶ location of each earlier run's log ratios ─▶ forecast ─▶ printed as text or JSON
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from enaxp.bench.judging.blocks import blocks_of
from enaxp.bench.judging.evaluation import measure_scenario
from enaxp.bench.planning.forecast import Forecast, forecast
from enaxp.bench.planning.schedule import BenchPlan, seconds
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.bench.run_folder.names import measured_paths, run_of
from enaxp.bench.run_folder.records import RunFolder
from enaxp.bench.statistics.inference import Location, location
from enaxp.commands.status import current_status
from enaxp.errors import AwsError, BenchError
from enaxp.session import Session
from enaxp.traffic import Metric, Scenario

MOST_RUNS = 10  # the newest ones: each has all its histograms read


def forecast_of(session: Session, plan: BenchPlan, *, pilot: str | None) -> Forecast:
    """The forecast of a plan, from the run that `pilot` names, or from the lab's newest runs. Raises BenchError if that is not a run."""
    results, lab = session.options.results_dir, session.config.lab
    folders = [RunFolder.find(results, lab=lab, run=pilot)] if pilot else list(_newest(results, lab=lab))
    takes_s, hourly = seconds(plan), _usd_per_hour(session)
    return forecast(
        plan,
        earlier_locations(folders, plan.scenarios),
        seconds=takes_s,
        usd=None if hourly is None else hourly * takes_s / 3600,
    )


def earlier_locations(
    folders: Sequence[RunFolder], scenarios: Sequence[Scenario]
) -> dict[tuple[str, Metric], list[Location]]:
    """The location of the log ratios of each run's primary metrics, for scenarios with the same traffic."""
    found: dict[tuple[str, Metric], list[Location]] = defaultdict(list)
    for folder in folders:
        manifest = folder.read_manifest()
        measured_then = {scenario.name: scenario for scenario in manifest.plan.scenarios}
        evidence = evidence_of(folder, manifest.plan)
        for scenario in scenarios:
            then = measured_then.get(scenario.name)
            if then is None or then.as_asked != scenario.as_asked:
                continue
            measured = measure_scenario(manifest, evidence, blocks_of(then, evidence))
            for figure in measured.figures:
                sample = figure.sample
                where = location(sample) if sample.is_finite and figure.primary else None
                if where is not None:
                    found[scenario.name, figure.metric].append(where)
    return found


def _newest(results: Path, *, lab: str) -> Iterator[RunFolder]:
    """The lab's newest readable runs; for a fleet's bench, the run of each pair."""
    read = 0
    for path in sorted(measured_paths(results, lab=lab), key=lambda path: run_of(path).name, reverse=True):
        if read == MOST_RUNS:
            return
        try:
            folder = RunFolder.open(path)
            folder.read_manifest()
        except BenchError:
            continue
        read += 1
        yield folder


def _usd_per_hour(session: Session) -> float | None:
    """The lab's cost in USD per hour; None if there is no lab, or AWS does not answer."""
    try:
        return current_status(session).usd_per_hour
    except AwsError:
        return None
