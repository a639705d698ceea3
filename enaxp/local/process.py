"""Process: processes of this computer, identified by pid and start time, because a pid alone may be reused before it is signalled.

A pidfd refers to one process for good: what was checked after opening it still holds when it is signalled.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path


def started_at(pid: int) -> str:
    """When this process began, in ticks since the computer did; empty when there is none, or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def kill_if(pid: int, is_ours: Callable[[int], bool]) -> None:
    """Kills this process if `is_ours` confirms it. A process that has ended or is not ours is left alone."""
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if is_ours(pid):
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(held, signal.SIGKILL)
    finally:
        os.close(held)


def wait_for_end(pid: int, *, started: str, timeout_s: float) -> bool:
    """Whether this process has ended within the time. Its exit code is collected where it is our child."""
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        if started_at(pid) == started:
            ended, _, _ = select.select([held], [], [], timeout_s)
            if not ended:
                return False
    finally:
        os.close(held)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return True
