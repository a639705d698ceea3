"""Asked: the given hosts in the command line or the config, and the options for them.

Asked, config ─▶ given_pairs() ─▶ pairs of hosts ─▶ GivenBench: one pair, its plan, and how it is to be measured
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.records import RunFolder
from enaxp.commands.bench import BenchOptions
from enaxp.config import GivenPairConfig, load_config
from enaxp.errors import UsageError
from enaxp.options import Options
from enaxp.reader import parse_duration
from enaxp.session import Overrides, Session

WATCH_S = 10.0


@dataclass(frozen=True, kw_only=True)
class GivenOptions:
    """The options for given hosts. install: install sockperf where it is missing. fix: lower the MTU. watch_s: how long other traffic on
    the interfaces is watched in advance, in s.
    """

    assume_yes: bool = False
    install: bool = False
    fix: bool = False
    watch_s: float = WATCH_S


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The command line's options for given hosts; None: not given."""

    server: str | None = None
    client: str | None = None
    ssh_user: str | None = None
    private_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class GivenBench:
    """A planned bench between two given hosts. earlier: the run that it resumes. name: of the pair, if it is one of several."""

    session: Session
    pair: GivenPairConfig
    plan: BenchPlan
    options: BenchOptions
    wishes: GivenOptions
    earlier: RunFolder | None = None
    name: str | None = None


def given_pairs(options: Options, asked: Asked) -> tuple[GivenPairConfig, ...]:
    """The pairs from the command line, else from the config; none if the bench uses a lab. Raises UsageError and ConfigError."""
    if (asked.server is None) != (asked.client is None):
        raise UsageError("--server and --client go together", todo="give both, or neither")
    told: dict[str, object] = {"given.ssh_user": asked.ssh_user, "given.private_key": asked.private_key}
    if asked.server is not None:
        told["given.pairs"] = [{"server": {"instance_id": asked.server}, "client": {"instance_id": asked.client}}]
    return load_config(
        options.config, overrides={name: value for name, value in told.items() if value is not None}
    ).given


def watch_seconds(text: str) -> float:
    """The value of `--watch` in seconds. Raises UsageError."""
    try:
        found = parse_duration(text)
    except ValueError:
        found = 0.0
    if not 0.1 <= found <= 3600:
        raise UsageError(f"--watch {text!r} is no time from 100ms to 1h", todo="give something like 10s")
    return found


def toggled(overrides: Overrides) -> dict[str, object]:
    """The config values with order `toggled`, the only one between given hosts. Raises UsageError when another order is requested."""
    if overrides.get("bench.order") not in (None, "toggled"):
        raise UsageError("hosts that exist already are measured in order toggled", todo="leave --order out")
    return {**overrides, "bench.order": "toggled"}


def in_the_name_of(options: Options, pairs: Sequence[GivenPairConfig]) -> Options:
    """The options, with the derived lab name for the runs of these pairs unless one is given."""
    return replace(options, lab=options.lab or given_name(pairs))


def given_name(pairs: Sequence[GivenPairConfig]) -> str:
    """The lab name under which the runs of these pairs are stored: derived from the ids without revealing them."""
    ids = " ".join(f"{pair.server.instance_id} {pair.client.instance_id}" for pair in pairs)
    return f"given-{hashlib.sha256(ids.encode()).hexdigest()[:8]}"
