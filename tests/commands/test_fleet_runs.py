"""Saved benches of many pairs in what lists, checks, compares and serves runs: a fleet is one run, and its pairs are what is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.bench.fleet.folder import FleetFolder
from enaxp.bench.history import run_lines
from enaxp.commands.runs import SidesAsked, check_run, compare_runs
from enaxp.dataset.source import read_runs, runs_of
from enaxp.monitor.exporter import MOST_PAIRS, Catalogue
from enaxp.report.render import write_fleet
from enaxp.traffic import ARMS
from selfcheck.made_run import Made, make_fleet, make_run

SMALL = Made(iterations=3, repeats=1, observations=1200)


def pairs(count: int, *, variant: str = "main", **changes: float) -> dict[str, Made]:
    return {f"{variant}-{n}": replace(SMALL, seed=10 * n, **changes) for n in range(1, count + 1)}  # type: ignore[arg-type]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def test_a_fleet_is_one_line_of_the_list_with_a_verdict_of_each_variant(results: Path) -> None:
    write_fleet(make_fleet(results, {**pairs(3, variant="near"), **pairs(2, variant="far")}))

    [line] = run_lines(results, lab=None)

    assert (line.pairs, line.standing, line.fault) == (5, "ended", None)
    assert set(line.verdicts or {}) == {"near: udp-latency", "far: udp-latency"}


def test_a_check_names_the_pair_and_what_was_lost(results: Path) -> None:
    fleet = make_fleet(results, pairs(2))
    fleet.write_manifest(fleet.read_manifest().with_lost({"main-2": "no answer"}))

    folder, checkup = check_run(results, "latest", lab="made")

    assert isinstance(folder, FleetFolder)
    assert "main-2 was lost: no answer" in checkup.missing
    assert not checkup.is_good


def test_two_fleets_are_compared_by_their_pairs(results: Path) -> None:
    make_fleet(results, pairs(3), lab="one")
    make_fleet(
        results, {name: replace(made, seed=made.seed + 1, cost_us=20) for name, made in pairs(3).items()}, lab="two"
    )

    compared = compare_runs(results, SidesAsked(runs=("one/2026", "two/2026")), lab=None, arms=ARMS, conditions=())

    [comparison] = compared.comparisons
    assert [len(comparison.base.runs), len(comparison.run.runs)] == [3, 3]
    assert comparison.run.names[0].endswith("/main-1")
    [scenario] = comparison.scenarios
    assert scenario.units.basis == "these runs"
    assert scenario.code("ena_express") == "slower"


def test_queries_have_the_pair_and_the_variant_and_one_row_for_the_run(results: Path) -> None:
    make_fleet(results, {**pairs(2, variant="near"), **pairs(1, variant="far")})
    make_run(results, SMALL, lab="other")

    read = [rows for _, rows in read_runs(runs_of(results), price_of=lambda region, kind: None, unreadable=print)]

    assert [len(rows["runs"]) for rows in read] == [1, 1]
    found = {(str(row[3]), str(row[4])) for rows in read for row in rows["pairs"]}
    assert found == {("near-1", "near"), ("near-2", "near"), ("far-1", "far"), ("main", "main")}


def test_a_change_in_any_pair_is_seen_by_the_index(results: Path) -> None:
    fleet = make_fleet(results, pairs(2))
    [before] = runs_of(results)

    (fleet.pair("main-2").path / "result.json").unlink()

    [after] = runs_of(results)
    assert before.fingerprint != after.fingerprint


def test_the_exporter_serves_each_pair_of_the_newest_fleet_with_its_labels(results: Path) -> None:
    make_run(results, SMALL, lab="made")
    make_fleet(results, {**pairs(2, variant="near"), **pairs(1, variant="far")})

    families = {family.name: family for family in Catalogue(results).families()}

    labels = [sample.labels for sample in families["enaxp_run_ended_trials"].samples]
    assert {(one["variant"], one["pair"]) for one in labels} == {
        ("near", "near-1"),
        ("near", "near-2"),
        ("far", "far-1"),
    }
    assert {s.labels["state"]: s.value for s in families["enaxp_exporter_runs"].samples} == {
        "served": 1, "older": 1, "unreadable": 0,
    }  # fmt: skip


def test_no_figure_has_more_than_128_series(results: Path) -> None:
    fleet = make_fleet(results, pairs(1))
    first = fleet.pair("main-1")
    manifest = first.read_manifest()
    for n in range(2, 71):
        pair = fleet.pair(f"main-{n}")
        pair.write_manifest(replace(manifest, pair_name=f"main-{n}"))
        (pair.path / "trials.jsonl").write_bytes((first.path / "trials.jsonl").read_bytes())

    families = {family.name: family for family in Catalogue(fleet.path).families()}

    assert len(families["enaxp_trial_latency_mean_seconds"].samples) == 2 * MOST_PAIRS == 128
