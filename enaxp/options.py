"""Options: what every command takes — `--lab`, `--target`, `--json` and the like — declared once, each also as `ENAXP_…`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def _shared(option: str, help: str) -> Any:
    variable = "ENAXP_" + option.removeprefix("--").replace("-", "_").upper()
    return typer.Option(option, envvar=variable, help=help, rich_help_panel="Shared options")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The shared options, as given (None: not given), in the order of the help."""

    lab: Annotated[str | None, _shared("--lab", "The lab's name.  [default: dev]")] = None
    config: Annotated[Path | None, _shared("--config", "The config file.  [default: config/bench.yaml if there]")] = (
        None
    )
    target: Annotated[
        Literal["aws", "local"] | None,
        _shared("--target", "Where the lab lives.  [default: where it lives already, else aws]"),
    ] = None
    isolation: Annotated[
        Literal["auto", "namespaces", "processes"], _shared("--isolation", "What the hosts of the local target are.")
    ] = "auto"
    region: Annotated[str | None, _shared("--region", "The AWS region.")] = None
    profile: Annotated[str | None, _shared("--profile", "The AWS profile.")] = None
    state_dir: Annotated[Path, _shared("--state-dir", "Where the lab is remembered.")] = Path("state")
    results_dir: Annotated[Path, _shared("--results-dir", "Where run folders go.")] = Path("results")
    as_json: Annotated[bool, _shared("--json", "Exactly one JSON document on stdout.")] = False
    debug: Annotated[bool, _shared("--debug", "Show tracebacks.")] = False
