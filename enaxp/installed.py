"""Installed: how what is missing of enaxp is added to the Python that it runs in, however it came there (pip, pipx, uv)."""

from __future__ import annotations

import importlib.util
import shlex
import sys


def how_to_add(extra: str) -> str:
    """The command that installs what an extra names beside this enaxp. pipx's environments have a pip of their own, uv's have none."""
    if importlib.util.find_spec("pip") is None:
        return f"uv tool install 'enaxp[{extra}]', or uvx --from 'enaxp[{extra}]' enaxp"
    return f"{shlex.quote(sys.executable)} -m pip install 'enaxp[{extra}]'"
