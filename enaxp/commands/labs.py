"""Labs: the verbs that keep the bill in hand — which labs stand, more time for one, and the end of those whose time is over.

Labs are known here by their tags: `ls` and `down --lab-id` need neither the state file nor the config that made them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enaxp.commands.lab import remove_layers
from enaxp.commands.status import current_status
from enaxp.errors import LabError, StateError, UsageError
from enaxp.lab import extend
from enaxp.lab.cost import usd_per_hour_of
from enaxp.lab.labs import Standing, list_labs, list_labs_everywhere
from enaxp.lab.lifecycle import look
from enaxp.lab.model import as_text
from enaxp.lab.state import BENCH_LOCK, StateFile, new_state
from enaxp.lab.survey import discover_lab_id
from enaxp.reader import parse_duration
from enaxp.session import Session

if TYPE_CHECKING:
    from enaxp.hosts.connection import Host

MOST_S = 30 * 86400.0


def standing_labs(session: Session, *, everywhere: bool) -> list[dict[str, Any]]:
    """What `ls` shows: one entry a lab."""
    now = datetime.now(UTC)
    return [lab.as_json(now=now, usd_per_hour=_hourly(session, lab)) for lab in _labs(session, everywhere=everywhere)]


def extend_lab(session: Session, *, by: str) -> dict[str, Any]:
    """Gives the lab more time and gives back its status.

    Raises LabError when there is none, HostError when a host cannot be told.
    """
    by_s = _duration(by)
    with session.file.lock("extend"):
        status = current_status(session)
        if status["lab_id"] is None:
            raise LabError(f"there is no lab {session.config.lab}", todo="run `enaxp up`, or name another --lab")
        snapshot = look(session.config, aws=session.aws, file=session.file, target=session.target)
        ends = extend.new_end(snapshot, session.file, by_s=by_s, now=datetime.now(UTC))
        if status["isolation"] == "processes":
            session.console.say("hosts that are plain processes have no timers: only the tags and the state change")
        else:
            extend.set_timers(_hosts_with_timers(session, status), ends=ends)
        extend.remember(snapshot, aws=session.aws, file=session.file, ends=ends)
    session.console.say(f"lab {session.config.lab} ends at {as_text(ends)}")
    return current_status(session)


def _hosts_with_timers(session: Session, status: Mapping[str, Any]) -> list[Host]:
    """Every host that ends itself, the monitoring's too."""
    hosts = [*session.hosts(status).values()] if len(status["hosts"]) == 2 else []
    if status["hosts"] and not hosts:
        session.console.say("warning: one host is missing; the other one ends at its old time: run `enaxp up`")
    watcher = session.monitoring_host(status)
    return [*hosts, watcher] if watcher else hosts


def take_down_expired(session: Session, *, everywhere: bool, assume_yes: bool, force: bool) -> dict[str, Any]:
    """Removes every lab whose time is over; gives back what was removed and what is left, of all of them."""
    now = datetime.now(UTC)
    over = [lab for lab in _labs(session, everywhere=everywhere) if lab.is_expired(now)]
    if not over:
        session.console.say("no lab's time is over")
    return _take_down(session, over, assume_yes=assume_yes, force=force)


def take_down_by_id(session: Session, lab_id: str, *, assume_yes: bool, force: bool) -> dict[str, Any]:
    """Removes the lab of this id, whatever its name; gives back what was removed and what is left."""
    found = [lab for lab in list_labs(session.aws) if lab.lab_id == lab_id]
    name, region = session.config.lab, session.config.aws.region
    if not found and discover_lab_id(session.aws, lab=name, region=region) == lab_id:
        # All that is left of it is what EC2 does not list: its role.
        found = [_bare(name, lab_id, region)]
    if not found:
        session.console.say(f"nothing in {region} carries the lab-id {lab_id}")
    return _take_down(session, found, assume_yes=assume_yes, force=force)


def _take_down(session: Session, labs: Sequence[Standing], *, assume_yes: bool, force: bool) -> dict[str, Any]:
    if labs and session.target.name == "aws" and not assume_yes:
        names = ", ".join(f"{lab.lab} in {lab.region}" for lab in labs)
        if not session.console.ask(f"Remove everything of {names}?"):
            raise LabError("nothing was changed", todo="answer y, or give --yes")
    removed: list[dict[str, Any]] = []
    leftovers: list[dict[str, Any]] = []
    for lab in labs:
        session.console.say(f"removing lab {lab.lab} ({lab.lab_id}) in {lab.region}")
        with _session_of(session, lab, force=force) as theirs:
            removal = remove_layers(theirs, layers=())
        removed += removal["removed"]
        leftovers += removal["leftovers"]
    return {"removed": removed, "leftovers": leftovers}


@contextmanager
def _session_of(session: Session, lab: Standing, *, force: bool) -> Iterator[Session]:
    """A session for a lab known by its tags: with its state file if it is this one's, else with a passing one."""
    config = replace(session.config, lab=lab.lab, aws=replace(session.config.aws, region=lab.region))
    aws = session.aws.in_region(lab.region)
    kept = StateFile(session.options.state_dir, lab.lab)
    theirs = replace(session, config=config, aws=aws, file=kept)
    if _is_of(kept, lab):
        if kept.is_locked(name=BENCH_LOCK) and not force:
            raise LabError(f"a bench of lab {lab.lab} is running", todo="wait for it, or give --force")
        yield theirs
        return
    with tempfile.TemporaryDirectory(prefix="enaxp-") as folder:
        file = StateFile(Path(folder), lab.lab)
        now = datetime.now(UTC)
        fresh = new_state(
            lab=lab.lab, account=aws.account(), region=lab.region, target=session.target.name, now=now, ttl_s=0
        )
        file.save(replace(fresh, lab_id=lab.lab_id))
        yield replace(theirs, file=file)


def _is_of(file: StateFile, lab: Standing) -> bool:
    try:
        state = file.load()
    except StateError:
        return False
    return state is not None and (state.lab_id, state.region) == (lab.lab_id, lab.region)


def _labs(session: Session, *, everywhere: bool) -> list[Standing]:
    if not everywhere:
        return list_labs(session.aws)
    labs, unasked = list_labs_everywhere(session.aws)
    for error in unasked:
        session.console.say(f"warning: {error.where}: {error.said}")
    return labs


def _hourly(session: Session, lab: Standing) -> float | None:
    """None on this machine, and when the price of one of its instances is not known."""
    if session.target.name != "aws":
        return None
    return usd_per_hour_of(
        session.aws.in_region(lab.region),
        instance_types=lab.instance_types,
        addresses=lab.addresses,
        kept_in=session.prices_file,
    )


def _duration(by: str) -> float:
    try:
        seconds = parse_duration(by)
    except ValueError:
        seconds = 0.0
    if not 60 <= seconds <= MOST_S:
        raise UsageError(f"{by!r} is no time to extend by", todo="give something from 1m to 30d, such as 2h")
    return seconds


def _bare(lab: str, lab_id: str, region: str) -> Standing:
    return Standing(
        lab=lab,
        lab_id=lab_id,
        region=region,
        created_at=None,
        expires_at=None,
        resources=0,
        addresses=0,
        instance_types=(),
    )
