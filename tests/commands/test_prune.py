"""`enaxp runs --prune`: the newest stay, what is unfinished or cannot be read stays, and nothing goes before somebody said so."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest

from enaxp.__main__ import main as enaxp
from enaxp.commands.prune import Keep, old_runs, read_keep, size_of
from tests.support.monitoring import write_run

NOW = datetime(2025, 4, 15, 8, tzinfo=UTC)
ENDED = "2025-04-11T09:00:00+00:00"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four runs of one lab that ended, one that has not, and two of another lab."""
    monkeypatch.chdir(tmp_path)
    for day in (11, 12, 13, 14):
        begin(tmp_path / "results", day)
    begin(tmp_path / "results", 10, ended=None)
    begin(tmp_path / "results", 1, lab="other")
    begin(tmp_path / "results", 2, lab="other")
    return tmp_path / "results"


def begin(results: Path, day: int, *, lab: str = "dev", ended: str | None = ENDED) -> Path:
    at = f"2025-04-{day:02d}T08:00:00+00:00"
    return write_run(results, lab=lab, run_id=f"202504{day:02d}-080000", started_at=at, ended_at=ended).path


def main(arguments: list[str]) -> int:
    """The exit code of enaxp with these arguments, and nobody at the terminal."""
    with (
        patch("sys.argv", ["enaxp", *arguments]),
        patch("sys.stdin", io.StringIO()),
        pytest.raises(SystemExit) as ended,
    ):
        enaxp()
    return int(ended.value.code or 0)


def left(results: Path) -> set[str]:
    return {
        f"{path.parent.name}/{path.name[6:8] if path.name.startswith('2025') else path.name}"
        for path in results.glob("*/*")
    }


def test_the_newest_of_each_lab_stay_and_so_does_what_has_not_ended(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", "--prune", "2", "--yes"]) == 0

    assert left(results) == {"dev/14", "dev/13", "dev/10", "other/01", "other/02"}
    assert "removed 2 runs" in capsys.readouterr().err


def test_of_one_lab_alone(results: Path) -> None:
    assert main(["runs", "--prune", "0", "--lab", "other", "--yes"]) == 0

    assert {name for name in left(results) if name.startswith("other")} == set()
    assert len(left(results)) == 5


def test_nothing_goes_where_nobody_can_be_asked(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = left(results)

    assert main(["runs", "--prune", "1"]) == 1

    assert left(results) == before
    told = capsys.readouterr().err
    assert "dev/20250411-080000" in told
    assert "--yes" in told


def test_what_cannot_be_read_was_named_otherwise_or_lies_elsewhere_stays(results: Path, tmp_path: Path) -> None:
    (begin(results, 3) / "manifest.json").write_text("{")
    (results / "dev/notes").mkdir()
    elsewhere = begin(tmp_path / "archive", 4)
    (results / "dev/20250404-080000").symlink_to(elsewhere)

    assert main(["runs", "--prune", "0", "--yes"]) == 0

    assert left(results) == {"dev/10", "dev/03", "dev/notes", "dev/04"}
    assert (elsewhere / "manifest.json").exists()


def test_a_program_gets_what_was_removed_with_its_size(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {run.run_id: run.size for run in old_runs(results, lab="dev", keep=Keep(runs=3), now=NOW)}
    assert sizes == {"20250411-080000": size_of(results / "dev/20250411-080000")}

    assert main(["runs", "--prune", "3", "--yes", "--json"]) == 0

    [removed] = json.loads(capsys.readouterr().out)["removed"]
    assert (removed["run_id"], removed["lab"], removed["size"]) == ("20250411-080000", "dev", sizes["20250411-080000"])
    assert removed["size"] > 0


def test_nothing_to_remove_is_said(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--prune", "9"]) == 0

    assert "no run is old enough" in capsys.readouterr().err


@pytest.mark.parametrize("keep", ["-1", "all", "5XB", "GB", "1e3", "-5d"])
def test_a_number_that_is_none_is_refused(results: Path, keep: str) -> None:
    before = left(results)

    assert main(["runs", "--prune", keep, "--yes"]) == 2
    assert left(results) == before


def test_the_sizes_are_those_of_the_files(results: Path) -> None:
    folder = results / "dev/20250411-080000"
    (folder / "more").write_bytes(b"x" * 12345)

    assert size_of(folder) == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("keep", "old"),
    [
        ("2d", {"other/01", "other/02", "dev/11", "dev/12"}),
        ("36h", {"other/01", "other/02", "dev/11", "dev/12", "dev/13"}),
        ("30d", set()),
        ("0d", {"other/01", "other/02", "dev/11", "dev/12", "dev/13", "dev/14"}),
    ],
)
def test_what_began_before_an_age_may_go(results: Path, keep: str, old: set[str]) -> None:
    found = old_runs(results, lab=None, keep=read_keep(keep), now=NOW)

    assert {f"{run.lab}/{run.run_id[6:8]}" for run in found} == old


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (1, 1), (2.5, 2), (99, 6)])
def test_the_newest_stay_as_far_as_there_is_room(results: Path, room: float, kept: int) -> None:
    one = size_of(results / "dev/20250414-080000")
    sizes = {path: size_of(path) for path in results.glob("*/*")}
    assert set(sizes.values()) <= {one, *range(one - 60, one + 60)}  # all runs of the fixture are about as large

    found = old_runs(results, lab=None, keep=Keep(size=round(room * (one + 60))), now=NOW)

    newest_first = ["dev/14", "dev/13", "dev/12", "dev/11", "other/02", "other/01"]
    assert {f"{run.lab}/{run.run_id[6:8]}" for run in found} == set(newest_first[kept:])


def test_raw_files_alone_can_go_and_the_result_is_the_same(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = results / "dev/20250411-080000"
    for name in ("raw/0001.txt", "logs/0001.log.gz"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x" * 500)
    others = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    assert main(["runs", "--prune", "3", "--raw", "--yes", "--json", "--lab", "dev"]) == 0

    [removed] = json.loads(capsys.readouterr().out)["removed"]
    assert (removed["run_id"], removed["size"] >= 1000) == ("20250411-080000", True)
    assert not (folder / "raw").exists()
    assert not (folder / "logs").exists()
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == others
    assert main(["runs", "--prune", "3", "--raw", "--yes", "--lab", "dev"]) == 0
    assert "no run is old enough" in capsys.readouterr().err


def test_raw_alone_says_nothing(results: Path) -> None:
    assert main(["runs", "--raw"]) == 2
