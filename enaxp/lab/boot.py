"""Boot: waits until the hosts are ready for work, and says what they are doing meanwhile.

hosts ─▶ SSH answers ─▶ user data leaves its done-marker ─▶ ready, or the step that failed with the end of its log
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from enaxp.errors import HostError
from enaxp.hosts.connection import Connection, Host, connect
from enaxp.lab.userdata import Boot, done_command, parse_done

SSH_S = 300.0
SOFTWARE_S = 900.0  # building sockperf on a small machine takes minutes
LOOK_S = 0.5


def wait_until_ready(hosts: Iterable[Host], *, say: Callable[[str], None]) -> dict[str, Boot]:
    """How each host's first boot went. Raises HostError when one cannot be reached, or a step of its user data failed."""
    hosts = tuple(hosts)
    with ThreadPoolExecutor(len(hosts)) as pool:
        boots = list(pool.map(lambda host: _wait(host, say), hosts))
    return {host.role: boot for host, boot in zip(hosts, boots, strict=True)}


def _wait(host: Host, say: Callable[[str], None]) -> Boot:
    connection = connect(host, patience_s=SSH_S)
    try:
        boot = _wait_for_software(connection, say)
    finally:
        connection.close()
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
