"""Where the data files are that travel with enaxp (`config/`, `templates/`): in the wheel, or beside the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_path(relative: str) -> Path:
    """Path of a data file such as `config/bench.yaml`. Raises FileNotFoundError when it is in neither place."""
    for root in (_PACKAGE / "_data", _PACKAGE.parent):
        candidate = root / relative
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"enaxp's data file {relative} is missing: reinstall enaxp")
