"""Installed: how to install a missing extra of enaxp, depending on how enaxp was installed (pip, pipx, uv, uvx)."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from pathlib import Path


def how_to_add(extra: str) -> str:
    """The command that installs an extra for this installation of enaxp."""
    environment = Path(sys.prefix)
    if (environment / "pipx_metadata.json").exists():
        return f"pipx install --force {shlex.quote(f'{_spec_of_pipx(environment)}[{extra}]')}"
    if (environment / "uv-receipt.toml").exists():
        return f"uv tool install --force 'enaxp[{extra}]'"
    if importlib.util.find_spec("pip") is None:
        return f"uvx --from 'enaxp[{extra}]' enaxp, or the same of where this enaxp is from"
    return f"{shlex.quote(sys.executable)} -m pip install 'enaxp[{extra}]'"


def _spec_of_pipx(environment: Path) -> str:
    """The package that pipx was told to install: a name, or a path."""
    try:
        told = json.loads((environment / "pipx_metadata.json").read_text(encoding="utf-8"))
        return str(told["main_package"]["package_or_url"])
    except (OSError, ValueError, KeyError, TypeError):
        return "enaxp"
