"""Names: how a person names a run, and which folder is meant. Looks at names of folders; what they hold is for records.py.

`latest`, `20250411`, `dev/2025`, `results/dev/20250411-082610` ─▶ split_name ─▶ named ─▶ folders: one, none, or several
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from enaxp.errors import BenchError
from enaxp.text import listed

LATEST = "latest"
LIST_THEM = "`enaxp runs` lists the runs"
RUN_ID_FORM = "%Y%m%d-%H%M%S"
MANIFEST, FLEET_MANIFEST = "manifest.json", "pairs.json"  # what makes a folder a run, or that of a fleet
PAIR_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}-[1-9][0-9]{0,3}")
PAIRS = "pairs"  # the folder below a fleet's that holds a run folder for each pair


def run_paths(results_dir: Path, *, lab: str | None) -> list[Path]:
    """The folders of runs, of one lab or of every lab (None), the oldest first."""
    above = results_dir / lab if lab else results_dir
    paths = above.glob("*" if lab else "*/*")
    return sorted(
        (path for path in paths if path.is_dir() and not path.name.startswith(".")), key=lambda path: path.name
    )


def is_fleet(path: Path) -> bool:
    """Whether a folder is that of a bench of many pairs."""
    return (path / FLEET_MANIFEST).is_file()


def pair_paths(fleet: Path) -> list[Path]:
    """The run folders of a fleet's pairs that have begun, by name: main-2 before main-10."""
    found = [path.parent for path in (fleet / PAIRS).glob(f"*/{MANIFEST}") if not path.parent.is_symlink()]
    return sorted(found, key=lambda path: (path.name.rpartition("-")[0], len(path.name), path.name))


def measured_paths(results_dir: Path, *, lab: str | None) -> list[Path]:
    """The folders in which something was measured, the oldest first: runs, and in place of a fleet those of its pairs."""
    return [one for path in run_paths(results_dir, lab=lab) for one in (pair_paths(path) if is_fleet(path) else [path])]


def run_of(path: Path) -> Path:
    """The folder of the run that a folder belongs to: its own, or of a pair the fleet's."""
    return path.parent.parent if path.parent.name == PAIRS else path


def split_name(results_dir: Path, run: str, *, lab: str | None) -> tuple[str, str | None, bool]:
    """A run's own name, the lab it is looked for in, and whether it can only be a path."""
    above, slash, name = run.rpartition("/")
    if not slash:
        return name, lab, False
    if above and "/" not in above and above not in (".", "..") and (results_dir / above).is_dir():
        return name, above, False
    return name, lab, True


def named(paths: Sequence[Path], name: str) -> list[Path]:
    """The folders that a name stands for: the one called exactly so, else those whose names begin so.

    `latest`: the newest with a manifest.
    """
    if name == LATEST:
        begun = [path for path in paths if is_run_id(path.name) and ((path / MANIFEST).is_file() or is_fleet(path))]
        return [max(begun, key=lambda path: path.name)] if begun else []
    if not name:
        return []
    return [path for path in paths if path.name == name] or [path for path in paths if path.name.startswith(name)]


def find_path(results_dir: Path, *, lab: str | None, run: str) -> Path:
    """The folder that `run` names: a path, a run id, the beginning of one, or `latest`; of the lab, or of any (None). `/main-2` after one
    of these names a pair of a bench of many.

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


def is_run_id(name: str) -> bool:
    """Whether a name has the form of a run id. Run ids sort by time."""
    try:
        datetime.strptime(name, RUN_ID_FORM)
    except ValueError:
        return False
    return True


def names_of(paths: Sequence[Path]) -> str:
    """The names of the runs, with the names of their labs where there are several."""
    several_labs = len({path.parent for path in paths}) > 1
    return ", ".join(f"{path.parent.name}/{path.name}" if several_labs else path.name for path in paths)


def what_is_there(path: Path) -> str:
    """Why a path is not a run, in words."""
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
