"""Earlier: which earlier runs of a lab may be used to estimate its run-to-run standard deviation. Pure.

manifests of the runs compared + that of a candidate ─▶ is_candidate, has_same_shape ─▶ whether it is used
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from enaxp.bench.run_folder.records import Manifest
from enaxp.traffic import Scenario

SHAPE = ("order", "duration_s", "repeats", "crossover", "cpus")


def is_candidate(candidate: Manifest, compared: Sequence[Manifest]) -> bool:
    """Whether a run is of the same lab and kind of hosts, has ended, began before the newest of the compared runs, and is not one of them.

    If the compared runs are of several labs there is no candidate: such runs differ by more than the runs of one lab.
    """
    labs = {(one.lab, one.target, one.isolation) for one in compared}
    return (
        labs == {(candidate.lab, candidate.target, candidate.isolation)}
        and candidate.ended_at is not None
        and candidate.started_at < max(one.started_at for one in compared)
        and all((candidate.run_id, candidate.started_at) != (one.run_id, one.started_at) for one in compared)
    )


def has_same_shape(candidate: Manifest, compared: Manifest, scenario: str) -> bool:
    """Whether both runs measured the scenario with the same traffic and the same SHAPE of plan: order, duration, repeats, crossover,
    cores."""
    then, now = ({one.name: one for one in manifest.plan.scenarios}.get(scenario) for manifest in (candidate, compared))
    if then is None or now is None or traffic_differences(then, now):
        return False
    return all(getattr(candidate.plan, key) == getattr(compared.plan, key) for key in SHAPE)


def traffic_differences(one: Scenario, other: Scenario) -> list[str]:
    """The settings in which two scenarios of the same name differ; `csv_name` is ignored."""
    then, now = asdict(one.as_asked), asdict(other.as_asked)
    return [f"{key} {then[key]} and {now[key]}" for key in then if key != "csv_name" and then[key] != now[key]]
