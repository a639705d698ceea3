"""Names: how a person names a run, and which folder is meant. Looks at names of folders; what they hold is for records.py.

`latest`, `20250411`, `dev/2025`, `results/dev/20250411-082610` ─▶ split_name ─▶ named ─▶ folders: one, none, or several
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

LATEST = "latest"
LIST_THEM = "`enaxp runs` lists the runs"
RUN_ID_FORM = "%Y%m%d-%H%M%S"


def run_paths(results_dir: Path, *, lab: str | None) -> list[Path]:
    """The folders of runs, of one lab or of every lab (None), the oldest first."""
    above = results_dir / lab if lab else results_dir
    paths = above.glob("*" if lab else "*/*")
    return sorted(
        (path for path in paths if path.is_dir() and not path.name.startswith(".")), key=lambda path: path.name
    )


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
        begun = [path for path in paths if is_run_id(path.name) and (path / "manifest.json").is_file()]
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
    if (path / "trials.jsonl").exists() or (path / "histograms").is_dir():
        return "it has no manifest.json any more, or not yet"
    return "it has no manifest.json"
