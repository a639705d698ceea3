"""Names: resolves a run's name as typed to folders. Reads only folder names; records.py reads their content.

`latest`, `20250411`, `dev/2025`, `results/dev/20250411-082610` ─▶ split_name ─▶ named ─▶ matching folders
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

LATEST = "latest"
LIST_THEM = "`enaxp runs` lists the runs"
RUN_ID_FORM = "%Y%m%d-%H%M%S"
MANIFEST, FLEET_MANIFEST = "manifest.json", "pairs.json"  # what makes a folder a run, or that of a fleet
PAIR_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}-[1-9][0-9]{0,3}")
PAIRS = "pairs"  # the folder below a fleet's that holds a run folder for each pair


def run_paths(results_dir: Path, *, lab: str | None) -> list[Path]:
    """The run folders of one lab, or of every lab (None), oldest first."""
    above = results_dir / lab if lab else results_dir
    paths = above.glob("*" if lab else "*/*")
    return sorted(
        (path for path in paths if path.is_dir() and not path.name.startswith(".")), key=lambda path: path.name
    )


def is_fleet(path: Path) -> bool:
    """Whether a folder is that of a fleet's bench."""
    return (path / FLEET_MANIFEST).is_file()


def pair_paths(fleet: Path) -> list[Path]:
    """The run folders of those pairs of a fleet that have begun, by name in natural order: main-2 before main-10."""
    above = fleet / PAIRS
    found = [
        path.parent for path in above.glob(f"*/{MANIFEST}") if not (above.is_symlink() or path.parent.is_symlink())
    ]
    return sorted(found, key=lambda path: (path.name.rpartition("-")[0], len(path.name), path.name))


def measured_paths(results_dir: Path, *, lab: str | None) -> list[Path]:
    """The folders that hold measurements, oldest first: runs, and for a fleet's bench the folders of its pairs."""
    return [one for path in run_paths(results_dir, lab=lab) for one in (pair_paths(path) if is_fleet(path) else [path])]


def run_of(path: Path) -> Path:
    """The run that a folder belongs to: the folder itself, or for a pair the folder of its fleet's bench."""
    return path.parent.parent if path.parent.name == PAIRS else path


def split_name(results_dir: Path, run: str, *, lab: str | None) -> tuple[str, str | None, bool]:
    """The three parts of a name as typed: the run's own name, the lab to search in, and whether it can only be a path."""
    above, slash, name = run.rpartition("/")
    if not slash:
        return name, lab, False
    if above and "/" not in above and above not in (".", "..") and (results_dir / above).is_dir():
        return name, above, False
    return name, lab, True


def named(paths: Sequence[Path], name: str) -> list[Path]:
    """The folders that a name matches: the one with exactly this name, else those whose names begin with it.

    `latest` is the newest with a manifest.
    """
    if name == LATEST:
        begun = [path for path in paths if is_run_id(path.name) and ((path / MANIFEST).is_file() or is_fleet(path))]
        return [max(begun, key=lambda path: path.name)] if begun else []
    if not name:
        return []
    return [path for path in paths if path.name == name] or [path for path in paths if path.name.startswith(name)]


def is_run_id(name: str) -> bool:
    """Whether a name has the form of a run id. Run ids sort by time."""
    try:
        datetime.strptime(name, RUN_ID_FORM)
    except ValueError:
        return False
    return True


def names_of(paths: Sequence[Path]) -> str:
    """The names of the runs, prefixed with their lab if there are several labs."""
    several_labs = len({path.parent for path in paths}) > 1
    return ", ".join(f"{path.parent.name}/{path.name}" if several_labs else path.name for path in paths)
