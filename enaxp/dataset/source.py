"""Source: the runs of a results folder, and whether they have changed since they were last read.

results/<lab>/<run id>/ ─▶ runs_of() ─▶ RunFiles (each with its fingerprint) ─▶ read_runs() ─▶ rows, and the runs that cannot be read
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from enaxp.bench.judging.result import FILE as RESULT
from enaxp.bench.run_folder.names import MANIFEST, is_fleet, is_run_id, pair_paths, run_paths
from enaxp.dataset.rows import PriceOf, Rows, rows_of_run
from enaxp.errors import BenchError

FILES = (MANIFEST, RESULT, "trials.jsonl")


@dataclass(frozen=True)
class RunFiles:
    """A run's folder. fingerprint: sizes and times of the files from which its rows are read; it changes when any of them does."""

    lab: str
    run_id: str
    path: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class UnreadableRun:
    """A folder that has no rows, and why."""

    run: RunFiles
    why: str


def runs_of(results_dir: Path) -> list[RunFiles]:
    """The runs of every lab, oldest first; a fleet's bench is one run. Links, and folders not named by enaxp, are ignored."""
    return [
        RunFiles(path.parent.name, path.name, str(path), _fingerprint(path))
        for path in run_paths(results_dir, lab=None)
        if is_run_id(path.name) and not path.is_symlink() and ((path / MANIFEST).is_file() or is_fleet(path))
    ]


def read_runs(
    runs: Iterable[RunFiles], *, price_of: PriceOf, unreadable: Callable[[UnreadableRun], None]
) -> Iterator[tuple[RunFiles, Rows]]:
    """Each run with its rows. A run that cannot be read is passed to `unreadable`, and reading continues."""
    for run in runs:
        try:
            yield run, rows_of_run(Path(run.path), price_of=price_of)
        except BenchError as error:
            unreadable(UnreadableRun(run=run, why=error.in_one_line))


def _fingerprint(path: Path) -> str:
    folders = pair_paths(path) if is_fleet(path) else [path]
    return " ".join(_of_file(f"{folder}/{name}") for folder in folders for name in FILES)


def _of_file(path: str) -> str:
    try:
        found = Path(path).stat()
    except OSError:
        return "-"
    return f"{found.st_size}:{found.st_mtime_ns}"
