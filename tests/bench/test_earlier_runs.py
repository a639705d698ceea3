"""A run folder of the version before: everything that reads it gives what that version gave.

`fixtures/run-schema-1` was made by that version: a control, a crossover, a pair that ran twice, latencies from the planned send time.
`fixtures/told-by-schema-1` is what that version's `check` and `compare` (with itself) said of it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from enaxp.bench.bench import result_of
from enaxp.bench.checkup import check
from enaxp.bench.checkup import document_of as checkup_document
from enaxp.bench.comparison import compare, measured_run
from enaxp.bench.comparison_document import document_of as comparison_document
from enaxp.bench.conditions import Compared
from enaxp.bench.documents import encode, fields_of
from enaxp.bench.evaluation import result_from
from enaxp.bench.evidence import evidence_of
from enaxp.bench.records import RunFolder
from enaxp.bench.result import read_result, to_document
from enaxp.bench.runner import _Finished
from enaxp.bench.schedule import pairs, schedule
from enaxp.report import curves
from enaxp.report.data import figures_of, read_run
from enaxp.report.files import write_report_files
from enaxp.traffic import QUANTILES

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(FIXTURES / "run-schema-1", tmp_path / "dev/20260302-093000")))


def told(name: str) -> object:
    return json.loads((FIXTURES / "told-by-schema-1" / name).read_text())


def test_its_result_is_worked_out_to_the_last_digit(run: RunFolder) -> None:
    assert encode(to_document(result_of(run)), indent=2) == (run.path / "result.json").read_bytes()


def test_its_result_reads_back_as_it_was_written(run: RunFolder) -> None:
    assert encode(to_document(read_result(run)), indent=2) == (run.path / "result.json").read_bytes()


def test_its_table_and_summary_are_written_to_the_letter(run: RunFolder) -> None:
    before = {name: (run.path / name).read_bytes() for name in ("results.csv", "summary.txt")}

    write_report_files(run, result_of(run))

    assert {name: (run.path / name).read_bytes() for name in before} == before


def test_its_records_are_written_again_as_they_were(run: RunFolder) -> None:
    lines, records = (run.path / "trials.jsonl").read_bytes(), run.records()
    (run.path / "trials.jsonl").unlink()

    for record in records:
        run.append(record)

    assert (run.path / "trials.jsonl").read_bytes() == lines


def test_it_is_checked_as_before(run: RunFolder) -> None:
    manifest = run.read_manifest()
    evidence = evidence_of(run, manifest.plan)

    checkup = check(manifest, evidence, result_from(manifest, evidence))

    document = checkup_document(checkup, run_id=run.run_id, path="old/dev/20260302-093000")
    assert json.loads(encode(fields_of(document))) == told("check.json")


def test_it_is_compared_as_before(run: RunFolder) -> None:
    manifest = run.read_manifest()
    measured = measured_run("dev/20260302-093000", manifest, evidence_of(run, manifest.plan))

    compared = Compared(comparisons=(compare(measured, measured),), findings=())

    assert json.loads(encode(fields_of(comparison_document(compared)))) == told("compare.json")


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


def test_a_result_of_other_trials_is_told(run: RunFolder) -> None:
    lines = (run.path / "trials.jsonl").read_text().splitlines(keepends=True)
    (run.path / "trials.jsonl").write_text("".join(lines[:-4]))

    [fault] = read_run(run).faults

    assert fault.startswith("result.json does not speak of the trials in this folder")
