"""Prune: which old runs may go, and how much room that gives. The folders are looked at first; nothing goes before somebody said so.

results/ ─▶ run_lines ─▶ old_runs (ended, readable, not among the newest of their lab) ─▶ prune_runs: tells, asks, removes
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.bench.history import RunLine, run_lines
from enaxp.bench.names import is_run_id
from enaxp.errors import BenchError
from enaxp.text import counted

if TYPE_CHECKING:
    from enaxp.terminal.console import Console


@dataclass(frozen=True, kw_only=True)
class OldRun:
    """A run that may go. `size` is in bytes."""

    run_id: str
    lab: str
    path: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What `enaxp runs --prune --json` prints."""

    removed: tuple[OldRun, ...]


def old_runs(results_dir: Path, *, lab: str | None, keep: int) -> tuple[OldRun, ...]:
    """The runs that are not among the `keep` newest of their lab, the oldest first.

    Never one that has not ended, for it runs or can be resumed; none that cannot be read, and no folder that enaxp did not name.
    """
    by_lab: dict[str, list[RunLine]] = defaultdict(list)
    for line in run_lines(results_dir, lab=lab):
        if (
            line.standing == "ended"
            and line.fault is None
            and is_run_id(line.run_id)
            and not Path(line.path).is_symlink()
        ):
            by_lab[line.lab].append(line)
    old = [line for lines in by_lab.values() for line in lines[keep:]]
    found = [OldRun(run_id=line.run_id, lab=line.lab, path=line.path, size=size_of(Path(line.path))) for line in old]
    return tuple(sorted(found, key=lambda run: (run.run_id, run.lab)))


def prune_runs(results_dir: Path, *, lab: str | None, keep: int, yes: bool, console: Console) -> Pruned:
    """Tells which runs are too old, and removes them once a person said so, or `yes`.

    Raises BenchError where nobody said so, and for the first that cannot be removed whole; those before it are gone.
    """
    old = old_runs(results_dir, lab=lab, keep=keep)
    if not old:
        console.say(
            f"no run is old enough: the newest {keep} of each lab stay, and whatever has not ended or cannot be read"
        )
        return Pruned(removed=())
    for run in old:
        console.say(f"{run.lab}/{run.run_id}  {_megabytes([run])}")
    what = f"{counted(len(old), 'run')}, {_megabytes(old)}"
    if not yes and not console.ask_for_yes(f"Remove {what}? Their trials cannot be had again."):
        raise BenchError("nothing was removed", todo="answer y, or give --yes")
    for run in old:
        _remove(run)
    console.say(f"removed {what}")
    return Pruned(removed=old)


def _remove(run: OldRun) -> None:
    try:
        shutil.rmtree(run.path)
    except OSError as error:
        raise BenchError(f"removing run {run.path}", said=str(error), todo="mend that, and prune again") from error


def size_of(folder: Path) -> int:
    """What the files of a folder hold, in bytes. What is not there any more counts nothing."""
    return sum(_size(path) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _megabytes(runs: Iterable[OldRun]) -> str:
    return f"{sum(run.size for run in runs) / 1e6:,.1f} MB"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
