"""A run folder of an earlier version: its figures are what that version gave, its words are by the rules of this one.

`fixtures/run-schema-1` was made by that version: a control, a crossover, a pair that ran twice, latencies from the planned send time.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from enaxp.bench.comparing.comparison import compare, measured_run
from enaxp.bench.judging.checkup import check
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.result import read_result, to_document
from enaxp.bench.measuring.bench import result_of
from enaxp.bench.measuring.runner import _Finished
from enaxp.bench.planning.schedule import pairs, schedule
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.bench.run_folder.records import RunFolder
from enaxp.report import curves
from enaxp.report.data import figures_of, read_run
from enaxp.report.files import write_report_files
from enaxp.report.summary import render_summary
from enaxp.report.words import standing_in_words
from enaxp.traffic import ARMS, QUANTILES

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(FIXTURES / "run-schema-1", tmp_path / "dev/20260302-093000")))


def told_by_its_version(run: RunFolder) -> dict[str, Any]:
    """What its own result.json says of its scenarios."""
    return dict(json.loads((run.path / "result.json").read_text())["scenarios"])


FIGURES = ("mean_us", "p50_us", "p90_us", "p99_us", "p99_9_us", "p99_99_us", "max_us", "throughput_gbps")


def test_its_figures_are_worked_out_to_the_last_digit(run: RunFolder) -> None:
    then, now = told_by_its_version(run), to_document(result_of(run))["scenarios"]

    for name in ("udp-latency", "tcp-throughput"):
        for arm in ARMS:
            assert {key: now[name]["arms"][arm][key] for key in FIGURES} == {
                key: then[name]["arms"][arm][key] for key in FIGURES
            }
        for metric, effect in then[name]["effects"].items():
            assert now[name]["effects"][metric]["estimate_pct"] == pytest.approx(effect["estimate_pct"], rel=1e-12)


def test_latencies_that_it_showed_beside_the_others_are_what_is_judged_where_messages_have_a_planned_time(
    run: RunFolder,
) -> None:
    then = told_by_its_version(run)["udp-load@1000"]
    now = to_document(result_of(run))["scenarios"]["udp-load@1000"]

    for arm in ARMS:
        own, planned = now["arms"][arm], then["from_planned"][arm]
        assert {key: own[key] for key in planned} == planned
        assert {key: own["service"][key] for key in planned} == {key: then["arms"][arm][key] for key in planned}


def test_its_stored_result_is_read_and_what_it_cannot_say_is_null(run: RunFolder) -> None:
    then = told_by_its_version(run)

    read = read_result(run)

    assert read.schema == 1
    for name, scenario in read.scenarios.items():
        assert (scenario.verdict.code, scenario.verdict.words) == tuple(then[name]["verdict"].values())
        assert scenario.verdict.headline is None
        for arm in ARMS:
            figures = scenario.arms[arm]
            assert (figures.loss_low, figures.loss_high, figures.measured_from, figures.failed_attempts) == (None,) * 4
        assert {(effect.confidence_pct, effect.thin, effect.p_value) for effect in scenario.effects.values()} == {
            (None, None, None)
        }


def test_its_table_is_written_to_the_letter_but_for_latencies_that_count_from_the_planned_time_now(
    run: RunFolder,
) -> None:
    before = (run.path / "results.csv").read_text().splitlines()

    write_report_files(run, result_of(run))

    after = (run.path / "results.csv").read_text().splitlines()
    assert [line for line in after if not line.startswith("UDP_Load")] == [
        line for line in before if not line.startswith("UDP_Load")
    ]
    assert len(after) == len(before)


def test_a_report_of_it_says_that_its_words_are_recomputed(run: RunFolder) -> None:
    told = read_run(run)

    assert told.is_of_earlier_version
    assert "An earlier version of enaxp made this run." in standing_in_words(told)


def test_its_control_is_reported_as_what_it_was(run: RunFolder) -> None:
    then = told_by_its_version(run)["udp-latency"]["control"]

    result = result_of(run)

    control = result.scenarios["udp-latency"].control
    assert control is not None
    assert (control.between, control.proven) == ("repeats", None)
    assert control.noise_pct == pytest.approx(then["noise_pct"])
    summary = render_summary(result, run.read_manifest())
    assert "Control: ENA measured against ENA differs by " in summary
    assert "interface itself" not in summary


def test_its_records_are_written_again_as_they_were(run: RunFolder) -> None:
    lines, records = (run.path / "trials.jsonl").read_bytes(), run.records()
    (run.path / "trials.jsonl").unlink()

    for record in records:
        run.append(record)

    assert (run.path / "trials.jsonl").read_bytes() == lines


def test_it_is_checked_with_what_it_lacks_named(run: RunFolder) -> None:
    manifest = run.read_manifest()
    evidence = evidence_of(run, manifest.plan)

    checkup = check(manifest, evidence, result_from(manifest, evidence))

    assert "it was measured in spite of this: client: mtu is 9001" in checkup.unstable
    assert any("pairs of the control count" in line for line in checkup.missing)


def test_compared_with_itself_it_did_not_change(run: RunFolder) -> None:
    manifest = run.read_manifest()
    measured = measured_run("dev/20260302-093000", manifest, evidence_of(run, manifest.plan))

    [*scenarios] = compare(measured, measured).scenarios

    changes = [change.effect for one in scenarios for of in one.arms.values() for change in of.values()]
    assert {(change.estimate_pct, change.low_pct, change.high_pct, change.code) for change in changes} == {
        (0.0, 0.0, 0.0, "same")
    }


def test_a_resumed_bench_finds_what_is_left_of_it(run: RunFolder) -> None:
    plan = run.read_manifest().plan
    finished = _Finished(evidence_of(run, plan).records)

    left = [trial for pair in pairs(schedule(plan)) for trial in finished.what_is_left(pair)[1]]

    # The pair that ran twice has half a control beside its second attempt, and none beside its first.
    assert {(trial.scenario.name, trial.iteration, trial.repeat, trial.control) for trial in left} == {
        ("udp-latency", 1, 2, True)
    }


def test_a_report_shows_it_without_a_fault(run: RunFolder) -> None:
    assert read_run(run).faults == ()
    assert figures_of(run).faults == ()


def test_a_percentile_that_this_version_adds_is_no_fault_of_an_earlier_run(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUANTILES, "p95", 0.95)  # type: ignore[arg-type]
    monkeypatch.setattr(curves, "NAMED", (*curves.NAMED, 0.95))

    assert figures_of(run).faults == ()


def test_a_percentile_that_this_version_does_not_know_is_no_fault_of_a_run(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(QUANTILES, "p99_99")  # type: ignore[arg-type]

    assert figures_of(run).faults == ()


def test_a_result_of_other_trials_is_reported(run: RunFolder) -> None:
    lines = (run.path / "trials.jsonl").read_text().splitlines(keepends=True)
    (run.path / "trials.jsonl").write_text("".join(lines[:-4]))

    [fault] = read_run(run).faults

    assert fault.startswith("result.json does not speak of the trials in this folder")
