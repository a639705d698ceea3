"""Labs: the implementation of `enaxp ls`, `enaxp extend`, `enaxp down --expired` and `enaxp down --lab-id`.

All but `extend` find labs by their tags: they need neither a state file nor a config.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.aws import DENIED
from enaxp.commands.lab import confirm, remove_layers, require_no_bench
from enaxp.commands.status import current_status, look_at
from enaxp.errors import AwsError, EnaxpError, LabError, StateError, UsageError
from enaxp.lab import extend
from enaxp.lab.cost import usd_per_hour_of
from enaxp.lab.labs import LabRemoval, ListedLab, StandingLab, list_labs, list_labs_everywhere, listed
from enaxp.lab.lifecycle import Removal
from enaxp.lab.model import as_text
from enaxp.lab.state import StateFile, new_state
from enaxp.lab.status import Status
from enaxp.lab.survey import discover_lab_id
from enaxp.reader import parse_duration
from enaxp.session import Session

if TYPE_CHECKING:
    from enaxp.hosts.connection import Host

MOST_S = 30 * 86400.0


def standing_labs(session: Session, *, everywhere: bool) -> list[ListedLab]:
    """The labs of the region, or of every region, oldest first."""
    now = datetime.now(UTC)
    labs, _ = _labs(session, everywhere=everywhere)
    return [listed(lab, now=now, usd_per_hour=_hourly(session, lab)) for lab in labs]


def extend_lab(session: Session, *, by: str) -> Status:
    """Postpones the lab's expiry and returns its status.

    Raises LabError if there is no lab, HostError if a host's timer cannot be set.
    """
    by_s = _duration(by)
    with session.file.lock("extend"):
        status = current_status(session)
        if status.lab_id is None:
            raise LabError(f"there is no lab {session.config.lab}", todo="run `enaxp up`, or name another --lab")
        snapshot = look_at(session)
        ends = extend.new_end(snapshot, session.file, by_s=by_s, now=datetime.now(UTC))
        if status.isolation == "processes":
            session.console.say("hosts that are plain processes have no timers: only the tags and the state change")
        else:
            extend.set_timers(_hosts_with_timers(session, status), ends=ends)
        extend.remember(snapshot, aws=session.aws, file=session.file, ends=ends)
    session.console.say(f"lab {session.config.lab} ends at {as_text(ends)}")
    return current_status(session)


def _hosts_with_timers(session: Session, status: Status) -> list[Host]:
    """Every host with a shutdown timer, the monitoring host included."""
    is_whole = bool(status.pairs) or len(status.hosts) == 2
    hosts = [*session.all_hosts(status).values()] if is_whole else []
    if status.hosts and not hosts:
        session.console.say("warning: one host is missing; the other one ends at its old time: run `enaxp up`")
    watcher = session.monitoring_host(status)
    return [*hosts, watcher] if watcher else hosts


@dataclass(frozen=True, kw_only=True)
class ExpiredLabs:
    """The expired labs, and whether a region to which the caller has access could not be listed."""

    labs: tuple[StandingLab, ...]
    is_partial: bool


def expired_labs(session: Session, *, everywhere: bool) -> ExpiredLabs:
    """The expired labs, in the region or in every region. A region to which the caller has no access has none of their labs."""
    now = datetime.now(UTC)
    labs, unasked = _labs(session, everywhere=everywhere)
    sound = _sound(session, labs)
    over = tuple(
        lab for lab in sound if lab.is_expired(now) and (session.despite_bench or not _is_measured(session, lab, now))
    )
    if not over:
        session.console.say("no lab's time is over")
    return ExpiredLabs(labs=over, is_partial=any(error.code not in DENIED for error in unasked))


def _sound(session: Session, labs: Iterable[StandingLab]) -> list[StandingLab]:
    """The labs that enaxp may have made. The others are reported and not touched."""
    sound = []
    for lab in labs:
        if lab.fault:
            ids = ", ".join(lab.ids[:5])
            session.console.say(f"warning: what carries the lab-id {lab.lab_id!r} ({ids}) is passed over: {lab.fault}")
        else:
            sound.append(lab)
    return sound


def _is_measured(session: Session, lab: StandingLab, now: datetime) -> bool:
    """Whether a bench runs on the lab; if so, that is printed."""
    if lab.bench_until is None or lab.bench_until <= now:
        return False
    session.console.say(f"lab {lab.lab} ({lab.lab_id}) is left: a bench runs on it until {as_text(lab.bench_until)}")
    return True


def labs_with_id(session: Session, lab_id: str) -> list[StandingLab]:
    """The lab of this id, whatever its name; none when nothing in the region carries it."""
    found = _sound(session, [lab for lab in list_labs(session.aws) if lab.lab_id == lab_id])
    name, region = session.config.lab, session.config.aws.region
    if not found and discover_lab_id(session.aws, lab=name, region=region) == lab_id:
        # All that is left of it is what EC2 does not list: its role.
        found = [StandingLab(lab=name, lab_id=lab_id, region=region)]
    if not found:
        session.console.say(f"nothing in {region} carries the lab-id {lab_id}")
    return found


def confirm_removal_of_labs(session: Session, labs: Sequence[StandingLab]) -> None:
    """Asks whether to remove all of these labs. Raises LabError when the user declines."""
    if labs:
        for lab in labs:
            session.console.say(_in_full(lab))
        names = ", ".join(f"{lab.lab} in {lab.region}" for lab in labs)
        confirm(session, f"Remove everything of {names}?")


def _in_full(lab: StandingLab) -> str:
    """The owner and the resource ids of a lab, in words."""
    whose = f"of {lab.owner}" if lab.owner else "of somebody whom no tag names"
    return f"lab {lab.lab} ({lab.lab_id}) in {lab.region}, {whose}: {', '.join(lab.ids) or 'its role'}"


def remove_labs(session: Session, labs: Sequence[StandingLab], *, force: bool) -> list[LabRemoval]:
    """Removes these labs one after the other, independently; returns the outcome of each. A lab with a bench running on this computer is
    kept, except with `force`."""
    done = []
    for lab in labs:
        session.console.say(f"removing {_in_full(lab)}")
        try:
            removal = remove_lab(session, lab, force=force)
        except EnaxpError as error:
            session.console.say(f"lab {lab.lab} in {lab.region} was not removed: {error}")
            done.append(LabRemoval(lab=lab, removal=None, error=str(error)))
        else:
            done.append(LabRemoval(lab=lab, removal=removal))
    left = [f"{one.lab.lab} ({one.lab.lab_id}) in {one.lab.region}" for one in done if not one.is_done]
    if left:
        session.console.say(f"not removed, or not wholly: {', '.join(left)}; run the same command again")
    return done


def remove_lab(session: Session, lab: StandingLab, *, force: bool) -> Removal:
    """Removes a lab found by its tags. Raises LabError while a bench of it runs on this computer, except with `force`."""
    with _session_of(replace(session, despite_bench=force), lab) as theirs:
        if not force:
            require_no_bench(theirs)
        return remove_layers(theirs, layers=())


@contextmanager
def _session_of(session: Session, lab: StandingLab) -> Iterator[Session]:
    """A session for a lab found by its tags. It uses the state file in the state folder if that is of the same lab, else a temporary
    one."""
    config = replace(session.config, lab=lab.lab, aws=replace(session.config.aws, region=lab.region))
    aws = session.aws.in_region(lab.region)
    kept = StateFile(session.options.state_dir, lab.lab)
    theirs = replace(session, config=config, aws=aws, file=kept)
    if _is_of(kept, lab):
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


def _is_of(file: StateFile, lab: StandingLab) -> bool:
    """Whether the state in the file is of this lab, not of another one with the same name."""
    try:
        state = file.load()
    except StateError:
        return False
    return state is not None and (state.lab_id, state.region) == (lab.lab_id, lab.region)


def _labs(session: Session, *, everywhere: bool) -> tuple[list[StandingLab], list[AwsError]]:
    """The labs of the region, or of every accessible region; and why other regions could not be listed."""
    if not everywhere:
        return list_labs(session.aws), []
    labs, unasked = list_labs_everywhere(session.aws)
    for error in unasked:
        session.console.say(f"warning: {error.where}: {error.said}")
    return labs, unasked


def _hourly(session: Session, lab: StandingLab) -> float | None:
    """The lab's cost in USD per hour; None on the local target, and if the price of one of its instances is unknown."""
    if session.target.name != "aws":
        return None
    return usd_per_hour_of(
        session.aws.in_region(lab.region),
        instance_types=lab.instance_types,
        addresses=lab.addresses,
        kept_in=session.prices_file,
    )


def _duration(by: str) -> float:
    """The duration in seconds. Raises UsageError for less than a minute, more than MOST_S, or text that is not a duration."""
    try:
        seconds = parse_duration(by)
    except ValueError:
        seconds = 0.0
    if not 60 <= seconds <= MOST_S:
        raise UsageError(f"{by!r} is no time to extend by", todo="give something from 1m to 30d, such as 2h")
    return seconds
