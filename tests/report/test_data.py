"""Figures and curves: what is worked out is true, and what cannot be believed is said instead of shown."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enaxp.bench.judging.blocks import Block, ScenarioBlocks
from enaxp.bench.judging.result import to_document
from enaxp.bench.run_folder.histogram import Histogram, merge_equal_weight
from enaxp.bench.run_folder.records import RunFolder
from enaxp.errors import BenchError
from enaxp.report.curves import body, percentile_curve, shift_curve
from enaxp.report.data import figures_of, read_run
from enaxp.traffic import Arm
from selfcheck.made_run import FLOW, UDP, Made, load, make_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("results"), Made(iterations=3)).path


@pytest.fixture
def run(made: Path, tmp_path: Path) -> RunFolder:
    """A run of one's own to damage."""
    path = tmp_path / made.name
    shutil.copytree(made, path)
    return RunFolder(path)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_line(folder: RunFolder, number: int, **changes: Any) -> None:
    """Change one trial's record."""
    path = folder.path / "trials.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    next(line for line in lines if line["number"] == number).update(changes)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def first_counted(folder: RunFolder) -> Any:
    return next(record for record in folder.records() if not record.discarded)


def block(arm_factor: float, *, lost: int) -> Block:
    values = np.arange(20_000, 60_000, 2) * arm_factor
    merged = merge_equal_weight([Histogram.of(values.astype(np.int64))], lost=[lost])
    return Block(trials=1, observations=len(values), latencies=merged, throughput_gbps=None, wanted=len(values) + lost)


def merged_trials(*, ena: Sequence[float], ena_express: Sequence[float], lost: int = 0) -> ScenarioBlocks:
    """One block an iteration for each factor by which its latencies are longer."""
    factors: dict[Arm, Sequence[float]] = {"ena": ena, "ena_express": ena_express}
    blocks = {arm: {(1, at): block(factor, lost=lost) for at, factor in enumerate(own)} for arm, own in factors.items()}
    return ScenarioBlocks(
        scenario=UDP, attempted=(), trials=(), blocks=blocks, measured_from="sent", read=lambda record: None
    )


# -- curves ----------------------------------------------------------------------------------------------------------------


def test_a_curve_has_the_exact_figures_of_the_result(run: RunFolder) -> None:
    figures = figures_of(run)

    measured = run.read_document("result.json")["scenarios"]["udp-latency"]["arms"]
    for arm in ("ena", "ena_express"):
        by_p = {point.p: point.us for point in figures.scenarios[0].curve if point.arm == arm}
        assert {p: by_p[p] for p in (0.5, 0.9, 0.99)} == {
            p: pytest.approx(measured[arm][f"{name}_us"], abs=1e-6)
            for p, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
        }


def test_the_shift_at_a_percentile_is_the_effect_there(run: RunFolder) -> None:
    shift = {point.p: point for point in figures_of(run).scenarios[0].shift}

    effect = run.read_document("result.json")["scenarios"]["udp-latency"]["effects"][
        "p90"
    ]  # exploratory: 95 %, as the band
    point = shift[0.9]
    assert (point.pct, point.low_pct, point.high_pct) == pytest.approx(
        (effect["estimate_pct"], effect["low_pct"], effect["high_pct"])
    )


def test_bands_hold_the_curve_and_one_iteration_has_none() -> None:
    several = merged_trials(ena=[1.0, 1.01, 1.02, 1.03], ena_express=[1.2, 1.21, 1.22, 1.23])
    one = merged_trials(ena=[1.0], ena_express=[1.2])

    points = percentile_curve(several)
    assert all(p.low_us is not None and p.low_us <= p.us <= p.high_us for p in points if p.high_us is not None)
    assert all(point.low_us is None for point in percentile_curve(one))
    assert all(point.low_pct is None for point in shift_curve(one))


def test_a_curve_ends_where_ten_observations_lie_beyond_and_is_thin_where_an_iteration_has_fewer() -> None:
    blocks = merged_trials(ena=[1.0, 1.1], ena_express=[1.2, 1.3])  # 20 000 observations an iteration

    ena = [point for point in percentile_curve(blocks) if point.arm == "ena"]
    assert 40_000 * (1 - ena[-1].p) >= 10
    assert [point.thin for point in ena] == [20_000 * (1 - point.p) < 10 - 1e-6 for point in ena]
    assert ena[-1].thin


def test_a_curve_ends_where_the_lost_messages_begin() -> None:
    lossy = merged_trials(ena=[1.0, 1.1], ena_express=[1.2, 1.3], lost=400)  # of 20 400 in each iteration

    points = percentile_curve(lossy)

    assert max(point.p for point in points) <= 20_000 / 20_400
    assert max(point.p for point in shift_curve(lossy)) <= 20_000 / 20_400
    assert all(math.isfinite(point.us) for point in (*points, *body(lossy)))
    assert all(point.high_us is None or math.isfinite(point.high_us) for point in points)


def test_the_curves_of_a_large_run_have_no_more_points_than_those_of_a_small_one() -> None:
    small = percentile_curve(merged_trials(ena=[1.0], ena_express=[]))
    large = percentile_curve(merged_trials(ena=[1.0 + i / 1e4 for i in range(40)], ena_express=[]))

    assert len(large) < 2 * len(small) < 400


# -- what is shown ---------------------------------------------------------------------------------------------------------


def test_a_sweep_is_a_load_curve_and_a_single_rate_is_none(tmp_path: Path) -> None:
    sweep = make_run(tmp_path, Made(iterations=2, repeats=1, observations=400, scenarios=(load(1000), load(50000))))
    single = make_run(tmp_path, Made(iterations=2, repeats=1, observations=400, scenarios=(load(1000), UDP, FLOW)))

    points = figures_of(sweep).loads["udp-load"]
    assert sorted((point.wanted, round(point.reached)) for point in points) == [(1000, 1000)] * 2 + [(50000, 50000)] * 2
    assert figures_of(single).loads == {}


def test_events_tell_what_happened_to_a_trial(run: RunFolder) -> None:
    number = first_counted(run).number
    edit_line(run, number, allowances={"client": {"pps_allowance_exceeded": 7, "conntrack_allowance_available": -3}})

    events = figures_of(run).scenarios[0].events
    assert [(event.trial, event.words) for event in events] == [(number, "pps_allowance_exceeded +7 (client)")]


def test_too_many_seconds_become_one_exact_point_a_trial(tmp_path: Path) -> None:
    folder = make_run(tmp_path, Made(iterations=7, repeats=5, observations=200))

    figures = figures_of(folder).scenarios[0]
    assert not figures.series_by_second
    told = {record.number: record.sockperf.percentiles_us["99"] for record in folder.records() if record.sockperf}
    assert {point.trial: point.p99_us for point in figures.series} == {p.trial: told[p.trial] for p in figures.series}
    assert len(figures.series) == 70


# -- standing --------------------------------------------------------------------------------------------------------------


def test_a_whole_run_is_finished(run: RunFolder) -> None:
    assert read_run(run).standing == "finished"
    assert figures_of(run).faults == ()


def test_a_run_that_never_said_it_ended_is_said_to_go_on(run: RunFolder) -> None:
    edit(run.path / "manifest.json", lambda manifest: manifest.update(ended_at=None))
    lines = (run.path / "trials.jsonl").read_text().splitlines(keepends=True)
    (run.path / "trials.jsonl").write_text("".join(lines[:10]) + lines[10][:40])  # half a line, as a crash leaves it
    (run.path / "result.json").unlink()

    now = read_run(run)
    assert (now.standing, now.pairs_counted, now.pairs_planned) == ("not ended", 3, 6)
    assert now.result.scenarios["udp-latency"].arms["ena"].valid_trials == 3


def test_a_run_cut_short_is_partial(run: RunFolder) -> None:
    lines = (run.path / "trials.jsonl").read_text().splitlines(keepends=True)
    (run.path / "trials.jsonl").write_text("".join(lines[:8]))

    assert read_run(run).standing == "partial"


def test_a_run_of_an_older_version_lacks_what_it_did_not_write(run: RunFolder) -> None:
    def as_before(result: Any) -> None:
        del result["scenarios"]["udp-latency"]["warnings"]

    edit(run.path / "result.json", as_before)
    edit(run.path / "manifest.json", lambda manifest: [manifest.pop(name) for name in ("forced", "resumed_at")])

    figures = figures_of(run)
    assert figures.faults == ()
    assert figures.run.result.scenarios["udp-latency"].warnings == ()


# -- what cannot be believed -----------------------------------------------------------------------------------------------


def missing(path: Path) -> None:
    path.unlink()


def of_another_trial(path: Path) -> None:
    path.write_bytes(Histogram.of([1000, 2000, 3000]).to_bytes())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def nonsense(path: Path) -> None:
    path.write_bytes(gzip.compress(b"value_ns,count\n-1,nan\n"))


@pytest.mark.parametrize("damage", [missing, of_another_trial, cut, nonsense])
def test_a_trial_whose_histogram_contradicts_it_does_not_count(run: RunFolder, damage: Callable[[Path], None]) -> None:
    record = first_counted(run)
    damage(run.path / str(record.histogram_file))

    figures = figures_of(run)
    assert len(figures.faults) == 1
    assert f"trial {record.number} (" in figures.faults[0]
    assert "does not count" in figures.faults[0]
    arms = figures.run.result.scenarios["udp-latency"].arms
    assert [arms[arm].valid_trials for arm in ("ena", "ena_express")] == [5, 5]  # its pair goes with it
    assert record.number in {invalid.number for invalid in figures.scenarios[0].invalid}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 1, "scenarios": {"udp-latency": 3}}'])
def test_a_broken_result_is_recomputed(run: RunFolder, content: str) -> None:
    before = run.read_document("result.json")
    (run.path / "result.json").write_text(content)

    now = read_run(run)
    assert to_document(now.result)["scenarios"] == before["scenarios"]
    [fault] = now.faults
    assert "result.json" in fault


def test_a_result_that_says_something_else_than_the_trials_is_reported(run: RunFolder) -> None:
    def lie(result: Any) -> None:
        result["scenarios"]["udp-latency"]["arms"]["ena"]["p50_us"] = 5.0

    edit(run.path / "result.json", lie)

    [fault] = figures_of(run).faults
    assert fault.startswith("udp-latency: result.json gives 5.0 µs for p50 of ENA, the histograms ")


@pytest.mark.parametrize("file", ["manifest.json", "result.json"])
def test_a_schema_of_the_future_is_refused_by_name(run: RunFolder, file: str) -> None:
    edit(run.path / file, lambda content: content.update(schema=99))

    with pytest.raises(BenchError, match="schema 99"):
        read_run(run)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema": 1, "plan": 5}'])
def test_a_manifest_that_is_none_is_an_error_with_words(run: RunFolder, content: str) -> None:
    (run.path / "manifest.json").write_text(content)

    with pytest.raises(BenchError):
        read_run(run)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"schema": 1, "what": "a relay", "figures": {"p50": 3}}', '{"schema": 9}']
)
def test_a_truth_that_cannot_be_read_is_said_and_the_rest_is_shown(run: RunFolder, content: str) -> None:
    (run.path / "truth.json").write_text(content)

    figures = figures_of(run)

    assert figures.truth is None
    assert [fault for fault in figures.faults if fault.startswith("truth.json cannot be read")]
    assert figures.scenarios[0].trials
