"""SSH: the implementation of `enaxp ssh`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Literal

from enaxp.commands.monitoring import require_monitoring
from enaxp.commands.status import current_status
from enaxp.config import Role
from enaxp.errors import UsageError
from enaxp.session import Session


def ssh_to_host(
    session: Session, *, role: Role | Literal["monitoring"], command: Sequence[str], pair: str | None = None
) -> int:
    """Runs the system's ssh to a host of the lab, attached to this terminal; returns its exit code.

    pair: of a fleet; by default the first. Raises UsageError for a pair that does not exist.
    """
    from enaxp.hosts.connection import ssh_command

    status = current_status(session)
    if pair is not None:
        pairs = status.each_pair()
        if pair not in pairs:
            names = ", ".join(name for name in pairs if name) or "none, it is no fleet"
            raise UsageError(f"lab {session.config.lab} has no pair {pair}", said=f"its pairs: {names}")
        status = pairs[pair]
    host = require_monitoring(session, status) if role == "monitoring" else session.hosts(status)[role]
    return subprocess.run([*ssh_command(host), *command], check=False).returncode
