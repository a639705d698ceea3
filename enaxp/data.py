"""Data: the location of enaxp's data files (`config/`, `templates/`): in the wheel, or in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_path(relative: str) -> Path:
    """The path of a data file such as `config/bench.yaml`. Raises FileNotFoundError if it does not exist."""
    for root in (_PACKAGE / "_data", _PACKAGE.parent):
        candidate = root / relative
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"enaxp's data file {relative} is missing: reinstall enaxp")
