"""Names of runs: which folder is meant, and what is said when it is none, or several."""

from __future__ import annotations

from pathlib import Path

import pytest

from enaxp.bench.run_folder.records import RunFolder
from enaxp.errors import BenchError
from tests.support.factories import a_manifest

RUNS = ("dev/20250411-082610", "dev/20250411-092610", "dev/20250412-000000", "prod/20250411-082610", "prod/baseline")


@pytest.fixture
def results(folder: Path) -> Path:
    for name in RUNS:
        (folder / "results" / name).mkdir(parents=True)
        RunFolder(folder / "results" / name).write_manifest(a_manifest(run_id=Path(name).name))
    return folder / "results"


@pytest.mark.parametrize(
    ("lab", "run", "found"),
    [
        pytest.param("dev", "20250411-082610", "dev/20250411-082610", id="a run id"),
        pytest.param("dev", "20250411-08", "dev/20250411-082610", id="how it begins"),
        pytest.param("dev", "latest", "dev/20250412-000000", id="the newest of the lab"),
        pytest.param(None, "latest", "dev/20250412-000000", id="the newest of all"),
        pytest.param(None, "20250412", "dev/20250412-000000", id="how it begins, in any lab"),
        pytest.param(None, "base", "prod/baseline", id="a name that somebody gave"),
        pytest.param("dev", "prod/base", "prod/baseline", id="the lab before it"),
        pytest.param(None, "prod/latest", "prod/20250411-082610", id="the newest of the lab before it"),
        pytest.param("x", "results/dev/20250411-092610", "dev/20250411-092610", id="a path"),
        pytest.param("x", "./results/dev/20250411-092610/", "dev/20250411-092610", id="a path with a slash at its end"),
    ],
)
def test_a_run_is_found_by(results: Path, lab: str | None, run: str, found: str) -> None:
    assert RunFolder.find(Path("results"), lab=lab, run=run).path.resolve() == results / found


@pytest.mark.parametrize(
    ("lab", "run", "says"),
    [
        ("dev", "20250411", "several begin so: 20250411-082610, 20250411-092610"),
        (None, "20250411-082610", "several begin so: dev/20250411-082610, prod/20250411-082610"),
        ("dev", "1970", "there are: 20250411-082610, 20250411-092610, 20250412-000000"),
        ("dev", "", "there are: "),
        ("absent", "latest", "there are: none"),
        ("dev", "../../etc", "there is no such folder"),
        (None, "/absent/2025", "there is no such folder"),
    ],
)
def test_what_is_no_single_run_is_said_with_what_there_is(results: Path, lab: str, run: str, says: str) -> None:
    with pytest.raises(BenchError) as raised:
        RunFolder.find(results, lab=lab, run=run)

    assert says in str(raised.value)
    assert "`enaxp runs` lists the runs" in raised.value.todo


def test_a_name_that_begins_another_is_itself(results: Path) -> None:
    (results / "dev/20250411-092610").rename(results / "dev/20250411-082610-copy")

    assert RunFolder.find(results, lab="dev", run="20250411-082610").run_id == "20250411-082610"


def test_latest_passes_over_what_was_never_begun_and_what_is_no_run(results: Path) -> None:
    (results / "dev/20260101-000000").mkdir()
    (results / "dev/zzz").mkdir()

    assert RunFolder.find(results, lab="dev", run="latest").run_id == "20250412-000000"


@pytest.mark.parametrize(
    ("holds", "says"),
    [
        ((), "it is empty"),
        (("notes.txt",), "it has no manifest.json"),
        (("trials.jsonl",), "it has no manifest.json any more, or not yet"),
    ],
)
def test_a_folder_that_is_no_run_is_said_to_be_what_it_is(folder: Path, holds: tuple[str, ...], says: str) -> None:
    (folder / "results/dev/20250411-082610").mkdir(parents=True)
    for name in holds:
        (folder / "results/dev/20250411-082610" / name).touch()

    with pytest.raises(BenchError) as raised:
        RunFolder.find(folder / "results", lab="dev", run="20250411-082610")

    assert raised.value.where.endswith(f"is not a run: {says}")


def test_a_file_is_no_run(folder: Path) -> None:
    (folder / "report.html").touch()

    with pytest.raises(BenchError, match=r"report\.html is not a run: it is a file"):
        RunFolder.find(folder / "results", lab=None, run="report.html")
