"""Extend: postpones a lab's expiry: on its hosts first, then in its tags, then in the state.

With this order, a failure half way leaves tags and state with the old expiry. At worst the lab is removed too early; its hosts never run
longer than the tags say.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from enaxp.aws import Aws
from enaxp.errors import HostError
from enaxp.hosts.connection import Host, connect, login
from enaxp.lab.lifecycle import Snapshot
from enaxp.lab.model import TAG_EXPIRES, TAG_LAB_ID, Found, as_text, from_text
from enaxp.lab.state import StateFile
from enaxp.lab.tags import put_tags
from enaxp.lab.userdata import timer_command

PATIENCE_S = 20.0
WORKERS = 16


def ours(snapshot: Snapshot) -> list[Found]:
    """The resources that carry the lab's id; given resources do not."""
    return [f for f in snapshot.survey.all() if f.tags.get(TAG_LAB_ID) == snapshot.lab.lab_id]


def new_end(snapshot: Snapshot, file: StateFile, *, by_s: float, now: datetime) -> datetime:
    """The new expiry: `by_s` seconds after the current one (the latest in a tag or the state), or after now if that has passed."""
    told = [from_text(found.tags[TAG_EXPIRES]) for found in ours(snapshot) if TAG_EXPIRES in found.tags]
    state = file.load()
    latest = max([now.astimezone(UTC).replace(microsecond=0), *told, *([state.expires_at] if state else [])])
    return latest + timedelta(seconds=round(by_s))


def set_timers(hosts: Iterable[Host], *, ends: datetime) -> None:
    """Sets each host's shutdown timer to this time. Raises HostError for a host that cannot be reached, or has no timer."""
    hosts = tuple(hosts)
    with ThreadPoolExecutor(max(1, min(len(hosts), WORKERS))) as pool:
        list(pool.map(lambda host: _set_timer(host, ends), hosts))


def remember(snapshot: Snapshot, *, aws: Aws, file: StateFile, ends: datetime) -> None:
    """Writes the expiry into the tag of every resource and into the state. Raises AwsError."""
    put_tags(aws, ours(snapshot), {TAG_EXPIRES: as_text(ends)})
    file.save(replace(file.load() or snapshot.state, expires_at=ends))


def _set_timer(host: Host, ends: datetime) -> None:
    connection = connect(host, patience_s=PATIENCE_S)
    try:
        answer = connection.run(timer_command(ends))
    finally:
        connection.close()
    if not answer.ok:
        raise HostError(
            f"setting the timer of the {host.role} to {as_text(ends)}",
            said=(answer.stderr or answer.stdout).strip()[-300:] or f"exit {answer.exit_code}",
            todo=f"look with `{login(host.role)}` (systemctl status enaxp-ttl.timer): it may end at its old time",
        )
