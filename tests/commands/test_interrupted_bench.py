"""Ctrl-C at any moment of a bench: what is said next goes on with the run, and does not begin another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enaxp.bench.fleet.folder import FleetFolder
from enaxp.bench.run_folder.records import RunFolder
from enaxp.commands.bench import finished, what_cut_short
from enaxp.commands.fleet_bench import fleet_finished
from enaxp.errors import Interrupted

MEASURED = Path(__file__).parents[1] / "bench/fixtures/run-schema-1"
NOBODY: Any = None  # a session that is not asked for anything


@pytest.fixture
def measured(tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(MEASURED, tmp_path / MEASURED.name)))


def press_ctrl_c(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_before_anything_is_written_no_folder_stays_and_the_same_command_is_named(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, lab="dev", now=datetime.now(UTC))

    with pytest.raises(Interrupted) as ended:
        what_cut_short(folder, press_ctrl_c)

    assert ended.value.todo == "run the same command again"
    assert not folder.path.exists()


def test_beside_the_trials_it_ends_the_run_as_during_them(measured: RunFolder) -> None:
    ended = what_cut_short(measured, press_ctrl_c)

    assert isinstance(ended, Interrupted)
    assert f"enaxp bench --resume {measured.run_id}" in ended.todo


@pytest.mark.parametrize(
    ("computed_by", "finish"),
    [
        ("enaxp.commands.bench.work_out", lambda path: finished(NOBODY, RunFolder(path), None, draws=False)),
        (
            "enaxp.report.render.write_fleet",
            lambda path: fleet_finished(NOBODY, FleetFolder(path), stopped=False, draws=False),
        ),
    ],
    ids=["run", "fleet"],
)
def test_while_the_result_is_computed_the_run_is_named(
    computed_by: str, finish: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computed_by, press_ctrl_c)

    with pytest.raises(Interrupted) as ended:
        finish(tmp_path / "20260411-082610")

    assert "enaxp bench --resume 20260411-082610" in ended.value.todo
