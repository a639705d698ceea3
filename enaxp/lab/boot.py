"""Boot: waits until the hosts have booted, and reports their progress.

    hosts ─▶ SSH answers ─▶ user data has written its done-marker ─▶ MTU and routes are stable ─▶ ready
                                                             └▶ the step that failed, with the end of its log

If the first boot could not install a piece of software, that is not final: State Manager (`state_manager.py`), or enaxp over SSH
(`software_by_ssh.py`), retries it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from enaxp.errors import HostError, HostKeyError
from enaxp.hosts.connection import Connection, Host, as_root, connect, login
from enaxp.hosts.network import settle
from enaxp.lab.software import NAMES
from enaxp.lab.state_manager import log_command
from enaxp.lab.userdata import Boot, done_command, parse_done

WORKERS = 16  # more hosts wait for their turn
SSH_S = 300.0
METAL_SSH_S = 1500.0  # a machine of metal tests its memory first
ASK_S = 15.0  # how long a host may be silent before its instance is looked at, again and again
SOFTWARE_S = 900.0  # building sockperf on a small machine takes minutes
LOOK_S = 0.5


def wait_until_ready(
    hosts: Iterable[Host],
    *,
    say: Callable[[str], None],
    check: Callable[[Host], None] = lambda host: None,
    longest_s: Callable[[], float] = lambda: SSH_S,
) -> dict[str, Boot]:
    """Waits for the first boot of each host and returns its outcome.

    Raises HostError when a host cannot be reached, a step failed that is not retried, or MTU or routes are wrong.

    check: called with a host while it does not answer; raises HostError when it never will (its instance is gone). longest_s: called for
    a host that has not answered within ASK_S; returns how long it may take, in seconds.
    """
    hosts = tuple(hosts)
    by_place = {host.role: host for host in hosts}
    peers = {place: by_place[other] for place in by_place if (other := _peer_of(place)) in by_place}
    with ThreadPoolExecutor(min(len(hosts), WORKERS)) as pool:
        boots = list(
            pool.map(lambda host: _wait(host, say, peer=peers.get(host.role), check=check, longest_s=longest_s), hosts)
        )
    return {host.role: boot for host, boot in zip(hosts, boots, strict=True)}


def _peer_of(place: str) -> str:
    """The place of the pair's other host; empty for a host that belongs to no pair."""
    pair, _, role = place.rpartition("/")
    others = {"server": "client", "client": "server"}
    return f"{pair}/{others[role]}".removeprefix("/") if role in others else ""


def log_of(host: Host, piece: str) -> str:
    """The last lines of a software piece's log on this host; empty if there is no log. Raises HostError."""
    connection = connect(host)
    try:
        return connection.run(log_command(piece)).stdout
    finally:
        connection.close()


def restart_agent(host: Host) -> None:
    """Restarts the Systems Manager agent on this host (on Ubuntu it is a snap). Raises HostError."""
    units = ("amazon-ssm-agent.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service")
    connection = connect(host)
    try:
        connection.check(as_root(" || ".join(f"systemctl restart {unit}" for unit in units)), timeout_s=60)
    finally:
        connection.close()


def _connect(host: Host, *, check: Callable[[Host], None], longest_s: Callable[[], float]) -> Connection:
    """A connection to a host that may still be booting, or be gone."""
    began = time.monotonic()
    limit_s: float | None = None
    while True:
        try:
            return connect(host, patience_s=ASK_S)
        except HostKeyError:
            raise
        except HostError:
            check(host)
            limit_s = longest_s() if limit_s is None else limit_s
            if time.monotonic() - began >= limit_s:
                raise


def _wait(
    host: Host,
    say: Callable[[str], None],
    *,
    peer: Host | None,
    check: Callable[[Host], None],
    longest_s: Callable[[], float],
) -> Boot:
    connection = _connect(host, check=check, longest_s=longest_s)
    try:
        boot = _wait_for_software(connection, say)
        if peer is not None and (boot.ok or boot.failed_step in NAMES):
            settle(connection, peer, say=say)
    finally:
        connection.close()
    if boot.failed_step in NAMES:
        say(f"  {host.role}: its first boot could not install {boot.failed_step}: it is tried again")
        return boot
    if not boot.ok:
        raise HostError(
            f"the first boot of the {host.role} failed in step {boot.failed_step}",
            said=boot.log_tail,
            todo=f"look at /var/log/cloud-init-output.log there (`{login(host.role)}`), or run `enaxp down compute` and `enaxp up`",
        )
    say(f"  {host.role}: ready ({boot.in_words})")
    return boot


def _wait_for_software(connection: Connection, say: Callable[[str], None]) -> Boot:
    deadline = time.monotonic() + SOFTWARE_S
    told = ""
    while True:
        outcome = parse_done(connection.run(done_command()).stdout)
        if isinstance(outcome, Boot):
            return outcome
        if outcome != told:
            say(f"  {connection.host.role}: {outcome or 'waiting for the first step'}")
            told = outcome
        if time.monotonic() >= deadline:
            raise HostError(
                f"waited {SOFTWARE_S:.0f} s for the first boot of the {connection.host.role}",
                said=f"it is in step {told or 'none yet'}",
                todo=f"look at /var/log/cloud-init-output.log with `{login(connection.host.role)}`",
            )
        time.sleep(LOOK_S)
