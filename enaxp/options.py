"""Options: the options that all commands share (`--lab`, `--target`, `--json` and so on), as plain data.

enaxp/cli/declare.py says how each is spelled on the command line; each can also be given as an environment variable, `ENAXP_…`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TargetName = Literal["aws", "local"]
IsolationChoice = Literal["auto", "namespaces", "processes"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The shared options, as given (None: not given), in the order of the help."""

    lab: str | None = None
    config: Path | None = None
    target: TargetName | None = None
    isolation: IsolationChoice = "auto"
    region: str | None = None
    profile: str | None = None
    state_dir: Path = Path("state")
    results_dir: Path = Path("results")
    as_json: bool = False
    debug: bool = False
