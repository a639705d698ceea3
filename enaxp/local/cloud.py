"""The cloud of the local target: one process that serves the strict AWS on loopback and owns the machines of its instances.

    running() ─▶ finds the process of this state folder, or starts one ─▶ LocalCloud (endpoint and what differs from AWS)
              └▶ at the end of a command: nothing of any lab left ─▶ the process is ended

It outlives the command that started it and keeps everything in memory: when it ends, its machines end with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import msgspec

from enaxp.errors import LocalTargetError, UsageError
from enaxp.local.machines import IsolationName

START_S = 60.0
STOP_S = 30.0


@dataclass(frozen=True, kw_only=True)
class LocalCloud:
    """A running cloud, and what a lab in it has to know."""

    pid: int
    endpoint_url: str
    isolation: IsolationName
    reason: str  # why this isolation
    ssh_port: int
    ssh_user: str | None  # None: the user of the image
    access_key: str = "local"
    secret_key: str = "local"
    poll_s: float = 0.1
    grace_s: float = 5.0

    @property
    def overrides(self) -> dict[str, str | int]:
        """Values of the config that follow from this computer, by their path."""
        user = {"hosts.ssh_user": self.ssh_user} if self.ssh_user else {}
        return {"hosts.ssh_port": self.ssh_port, **user}

    def resources(self) -> list[str]:
        """Ids of everything that lives in it."""
        with _open(f"{self.endpoint_url}/enaxp/resources") as answer:
            return msgspec.json.decode(answer.read(), type=_Resources).resources


@dataclass(frozen=True, kw_only=True)
class _Resources:
    """What the cloud answers to GET /enaxp/resources."""

    resources: list[str]


@contextlib.contextmanager
def running(state_dir: Path, *, isolation: str, say: Callable[[str], None]) -> Iterator[LocalCloud]:
    """The cloud of this state folder, started if need be, for the length of one command. It ends with the last lab.

    Raises LocalTargetError when this machine lacks something, UsageError when the cloud runs with another isolation than asked for.
    """
    folder = state_dir / "local-cloud"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "in-use").open("a+") as lease:
        with _exclusively(folder / "starting"):
            fcntl.flock(lease, fcntl.LOCK_SH)
            cloud = _alive(folder) or _start(folder, isolation, say)
        if isolation not in {"auto", cloud.isolation}:
            raise UsageError(
                f"the local cloud runs with isolation {cloud.isolation}, not {isolation}",
                todo="take its labs down first, or use another --state-dir",
            )
        try:
            yield cloud
        finally:
            with _exclusively(folder / "starting"):
                _stop_if_idle(folder, lease)


def _alive(folder: Path) -> LocalCloud | None:
    """The cloud whose `cloud.json` is in this folder, if it still answers."""
    try:
        cloud = msgspec.json.decode((folder / "cloud.json").read_bytes(), type=LocalCloud)
        cloud.resources()
    except (OSError, msgspec.MsgspecError):
        return None
    return cloud


def _start(folder: Path, isolation: str, say: Callable[[str], None]) -> LocalCloud:
    from enaxp.local.machines.isolation import choose_isolation

    # Checked here, where a person reads it: choosing raises LocalTargetError when something is missing.
    chosen = choose_isolation(isolation)
    say(f"local target: hosts as {chosen.name} ({chosen.reason}); these are not ENA interfaces")
    (folder / "cloud.json").unlink(missing_ok=True)
    log = folder / "cloud.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "enaxp.local.serve", str(folder), chosen.name, chosen.reason],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        cloud = _alive(folder)
        if cloud is not None:
            return cloud
        if process.poll() is not None:
            break
        time.sleep(0.05)
    said = log.read_text(errors="replace")[-800:].strip()
    raise LocalTargetError(
        f"the local cloud did not start; its log is {log}",
        said=said,
        todo='check that `pip install "enaxp[local]"` was done',
    )


def _stop_if_idle(folder: Path, lease: TextIO) -> None:
    """Ends the cloud when nothing lives in it and no other command uses it."""
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    cloud = _alive(folder)
    if cloud is None or cloud.resources():
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(cloud.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while _is_running(cloud.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    (folder / "cloud.json").unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    if state == "Z":
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return False
    return True


@contextlib.contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open(url: str) -> Any:
    """Straight to loopback, whatever proxy the environment names."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10)


def publish(folder: Path, cloud: LocalCloud) -> None:
    """Writes into the folder how the cloud that this process serves is reached."""
    fresh = folder / f"cloud.json.{os.getpid()}"
    fresh.write_bytes(msgspec.json.encode(cloud))
    fresh.replace(folder / "cloud.json")
