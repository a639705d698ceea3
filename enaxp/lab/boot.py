"""Boot: waits until the hosts have booted, and says what they are doing meanwhile.

    hosts ─▶ SSH answers ─▶ user data leaves its done-marker ─▶ MTU and routes stay as set ─▶ ready
                                                             └▶ the step that failed, with the end of its log

A first boot that could not install a piece of software has not failed for good: State Manager tries it again (`state_manager.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from enaxp.config import ROLES
from enaxp.errors import HostError
from enaxp.hosts.connection import Connection, Host, as_root, connect
from enaxp.hosts.network import settle
from enaxp.lab.software import NAMES
from enaxp.lab.state_manager import log_command
from enaxp.lab.userdata import Boot, done_command, parse_done

SSH_S = 300.0
SOFTWARE_S = 900.0  # building sockperf on a small machine takes minutes
LOOK_S = 0.5


def wait_until_ready(hosts: Iterable[Host], *, say: Callable[[str], None]) -> dict[str, Boot]:
    """How each host's first boot went.

    Raises HostError when one cannot be reached, a step failed that nobody tries again, or MTU or routes are not as they must be.
    """
    hosts = tuple(hosts)
    pair = {host.role: host for host in hosts if host.role in ROLES}
    peers = dict(zip(pair, reversed(pair.values()), strict=True)) if len(pair) == len(ROLES) else {}
    with ThreadPoolExecutor(len(hosts)) as pool:
        boots = list(pool.map(lambda host: _wait(host, peers.get(host.role), say), hosts))
    return {host.role: boot for host, boot in zip(hosts, boots, strict=True)}


def log_of(host: Host, piece: str) -> str:
    """The end of the log of a piece of software on this host; empty where there is none. Raises HostError."""
    connection = connect(host)
    try:
        return connection.run(log_command(piece)).stdout
    finally:
        connection.close()


def restart_agent(host: Host) -> None:
    """Starts the agent of Systems Manager on this host again; on Ubuntu it is a snap. Raises HostError."""
    units = ("amazon-ssm-agent.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service")
    connection = connect(host)
    try:
        connection.check(as_root(" || ".join(f"systemctl restart {unit}" for unit in units)), timeout_s=60)
    finally:
        connection.close()


def _wait(host: Host, peer: Host | None, say: Callable[[str], None]) -> Boot:
    connection = connect(host, patience_s=SSH_S)
    try:
        boot = _wait_for_software(connection, say)
        if peer is not None and (boot.ok or boot.failed_step in NAMES):
            settle(connection, peer)
    finally:
        connection.close()
    if boot.failed_step in NAMES:
        say(f"  {host.role}: its first boot could not install {boot.failed_step}: State Manager tries it again")
        return boot
    if not boot.ok:
        raise HostError(
            f"the first boot of the {host.role} failed in step {boot.failed_step}",
            said=boot.log_tail,
            todo=f"look at /var/log/cloud-init-output.log there (`enaxp ssh {host.role}`), or run `enaxp down compute` and `enaxp up`",
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
                todo=f"look at /var/log/cloud-init-output.log with `enaxp ssh {connection.host.role}`",
            )
        time.sleep(LOOK_S)
