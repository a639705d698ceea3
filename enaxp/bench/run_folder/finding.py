"""Finding: resolves a run's name on the command line to a folder.

`latest`, `dev/2025`, `20250411/main-2`, a path ─▶ find_path ─▶ the folder of a run, of a fleet's bench, or of one pair in it
"""

from __future__ import annotations

from pathlib import Path

from enaxp.bench.run_folder.names import (
    LIST_THEM,
    MANIFEST,
    PAIR_NAME,
    PAIRS,
    is_fleet,
    named,
    names_of,
    pair_paths,
    run_paths,
    split_name,
)
from enaxp.errors import BenchError
from enaxp.text import listed


def find_path(results_dir: Path, *, lab: str | None, run: str) -> Path:
    """The folder that `run` names: a path, a run id, the beginning of one, or `latest`; of the lab, or of any (None). A suffix like
    `/main-2` names one pair of a fleet's bench.

    Raises BenchError when there is none, or when there are several, naming them.
    """
    path = Path(run)
    if (path / MANIFEST).is_file() or is_fleet(path):
        return path
    above, _, pair = run.rpartition("/")
    if above and PAIR_NAME.fullmatch(pair):
        return find_path(results_dir, lab=lab, run=above) / PAIRS / pair
    name, lab, is_path = split_name(results_dir, run, lab=lab)
    known = [] if is_path else run_paths(results_dir, lab=lab)
    found = named(known, name)
    if len(found) == 1:
        return found[0]
    if not found and run and (is_path or path.exists()):
        return path
    said = f"several begin so: {names_of(found)}" if found else f"there are: {names_of(known[-5:]) or 'none'}"
    where = f"lab {lab} in {results_dir}" if lab else str(results_dir)
    raise BenchError(f"no single run {run!r} of {where}", said=said, todo=LIST_THEM)


def what_is_there(path: Path) -> str:
    """A description of what is at a path that is not a run, for an error message."""
    if not path.exists():
        return "there is no such folder"
    if not path.is_dir():
        return "it is a file"
    if not any(path.iterdir()):
        return "it is empty"
    if is_fleet(path):
        return f"it is a bench of many pairs ({listed([one.name for one in pair_paths(path)][:5]) or 'none has begun'})"
    if (path / "trials.jsonl").exists() or (path / "histograms").is_dir():
        return "it has no manifest.json any more, or not yet"
    return "it has no manifest.json"
