"""Prune: removes old runs. The folders are listed first, with the space to be gained; nothing is removed without confirmation.

20, 30d, 5GB ─▶ read_keep ─▶ Keep
results/     ─▶ run_lines ─▶ old_runs (ended, readable, not to be kept) ─▶ prune_runs: prints, asks, removes
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.bench.history import RunLine, run_lines
from enaxp.bench.run_folder.names import is_run_id
from enaxp.errors import BenchError, UsageError
from enaxp.reader import parse_duration
from enaxp.text import counted

if TYPE_CHECKING:
    from enaxp.terminal.console import Console


# What sockperf printed, and full logs: results and reports are made without them.
RAW_FOLDERS = ("raw", "logs")
_SIZE_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, kw_only=True)
class Keep:
    """The rule for what is kept: a number of the newest runs of each lab, runs younger than a number of seconds, or the newest runs up to
    a total size in bytes.
    """

    runs: int | None = None
    age_s: float | None = None
    size: int | None = None

    @property
    def words(self) -> str:
        """The rule in words."""
        if self.runs is not None:
            return f"the newest {self.runs} of each lab stay"
        if self.age_s is not None:
            return f"those of the last {self.age_s / 86400:g} days stay"
        return f"the newest {(self.size or 0) / 1e6:,g} MB stay"


def read_keep(text: str) -> Keep:
    """`20` runs, `30d` or `12h` of age, `500MB` or `5GB` of size. Raises UsageError for anything else."""
    if re.fullmatch(r"\d{1,9}", text):
        return Keep(runs=int(text))
    if found := re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)(MB|GB|TB)", text):
        return Keep(size=round(float(found[1]) * _SIZE_UNITS[found[2]]))
    try:
        return Keep(age_s=parse_duration(text))
    except ValueError:
        raise UsageError(
            f"--prune {text!r} does not say what to keep", todo="give a number of runs, an age (30d) or a size (5GB)"
        ) from None


@dataclass(frozen=True, kw_only=True)
class OldRun:
    """A run that may be removed, or whose raw files may. `size`: of what is removed, in bytes."""

    run_id: str
    lab: str
    path: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What `enaxp runs --prune --json` prints."""

    removed: tuple[OldRun, ...]


def old_runs(results_dir: Path, *, lab: str | None, keep: Keep, now: datetime) -> tuple[OldRun, ...]:
    """The runs that are not to be kept, oldest first.

    It never includes a run that has not ended (it is running or can be resumed), one that cannot be read, or a folder not named by enaxp.
    """
    ended = [
        line
        for line in run_lines(results_dir, lab=lab)
        if line.standing == "ended"
        and line.fault is None
        and is_run_id(line.run_id)
        and not Path(line.path).is_symlink()
    ]
    sizes = {line.path: size_of(Path(line.path)) for line in ended}
    if keep.runs is not None:
        by_lab: dict[str, list[RunLine]] = defaultdict(list)
        for line in ended:
            by_lab[line.lab].append(line)
        old = [line for lines in by_lab.values() for line in lines[keep.runs :]]
    elif keep.age_s is not None:
        old = [line for line in ended if _began(line) < now - timedelta(seconds=keep.age_s)]
    else:
        old = _beyond(ended, sizes, most=keep.size or 0)
    found = [OldRun(run_id=line.run_id, lab=line.lab, path=line.path, size=sizes[line.path]) for line in old]
    return tuple(sorted(found, key=lambda run: (run.run_id, run.lab)))


def _beyond(newest_first: Sequence[RunLine], sizes: Mapping[str, int], *, most: int) -> list[RunLine]:
    """The runs from the one on with which the newest ones exceed this total size."""
    together = 0
    for place, line in enumerate(newest_first):
        together += sizes[line.path]
        if together > most:
            return list(newest_first[place:])
    return []


def _began(line: RunLine) -> datetime:
    """The start of a run; a time without a zone is taken as UTC."""
    moment = datetime.fromisoformat(line.started_at or "")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def raw_of(runs: Iterable[OldRun]) -> tuple[OldRun, ...]:
    """The raw files of those runs that have any."""
    folders = {run.path: [Path(run.path) / name for name in RAW_FOLDERS] for run in runs}
    raw = [replace(run, size=sum(size_of(folder) for folder in folders[run.path] if folder.is_dir())) for run in runs]
    return tuple(run for run in raw if run.size)


def prune_runs(
    results_dir: Path, *, lab: str | None, keep: Keep, raw_only: bool, yes: bool, console: Console
) -> Pruned:
    """Prints which runs are too old, and removes them, or their raw files, after confirmation or with `yes`.

    Raises BenchError without confirmation, and for the first run that cannot be removed completely; those before it are already removed.
    """
    old = old_runs(results_dir, lab=lab, keep=keep, now=datetime.now(UTC))
    if raw_only:
        old = raw_of(old)
    if not old:
        console.say(f"no run is old enough: {keep.words}, and whatever has not ended or cannot be read")
        return Pruned(removed=())
    for run in old:
        console.say(f"{run.lab}/{run.run_id}  {_megabytes([run])}")
    what = f"{'raw files of ' if raw_only else ''}{counted(len(old), 'run')}, {_megabytes(old)}"
    lost = "What sockperf printed" if raw_only else "Their trials"
    if not yes and not console.ask_for_yes(f"Remove {what}? {lost} cannot be had again."):
        raise BenchError("nothing was removed", todo="answer y, or give --yes")
    for run in old:
        for folder in RAW_FOLDERS if raw_only else (".",):
            _remove(Path(run.path) / folder)
    console.say(f"removed {what}")
    return Pruned(removed=old)


def _remove(folder: Path) -> None:
    if not folder.is_dir() or folder.is_symlink():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise BenchError(f"removing {folder}", said=str(error), todo="correct that, and prune again") from error


def size_of(folder: Path) -> int:
    """The total size of the files in a folder, in bytes. Files that no longer exist count as 0."""
    return sum(_size(path) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _megabytes(runs: Iterable[OldRun]) -> str:
    return f"{sum(run.size for run in runs) / 1e6:,.1f} MB"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
