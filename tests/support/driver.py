"""Drives enaxp as a person does: its command line, in a folder, as a process of its own."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import msgspec

from enaxp.local.cloud import LocalCloud

COMMAND = (sys.executable, "-m", "enaxp")
TIMERS = ["refresh-policy-routes@ens5.timer", "refresh-policy-routes@ens6.timer"]  # of a host, which a bench lets rest
MUTATING = (
    "Create",
    "Delete",
    "Modify",
    "Run",
    "Terminate",
    "Allocate",
    "Release",
    "Associate",
    "Disassociate",
    "Attach",
    "Detach",
)
MUTATING += ("Authorize", "Revoke", "Import", "Add", "Remove", "Put", "Replace")


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Driver:
    """enaxp in one folder, on the local target."""

    folder: Path
    isolation: str

    def run(self, *arguments: str, timeout_s: float = 300) -> Ran:
        return _ran([*COMMAND, *arguments], timeout_s=timeout_s, cwd=self.folder, env=self.environment)

    def ok(self, *arguments: str, timeout_s: float = 300) -> Ran:
        """As run, for a command that must succeed."""
        ran = self.run(*arguments, timeout_s=timeout_s)
        assert ran.code == 0, f"enaxp {' '.join(arguments)} → {ran.code}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def on_host(self, role: str, script: str, *, timeout_s: float = 300) -> Ran:
        """What a script does on a host of the lab, by OpenSSH itself: a second of `enaxp ssh` is spared each time."""
        return _ran([*_ssh(self, role, _instance_of(self.folder, role)), script], timeout_s=timeout_s)

    def timers(self, role: str) -> list[str]:
        """Those that configure the interfaces of a host, as far as they run."""
        active = "systemctl list-units --plain --no-legend --state=active 'refresh-policy-routes@*.timer'"
        return self.on_host(role, f"{active} | cut -d ' ' -f 1").stdout.split()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A test run in the background has SIGINT ignored, and would hand that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def start_in_terminal(self, terminal: int, *arguments: str) -> subprocess.Popen[bytes]:
        """A command in the foreground of this terminal (its descriptor), which is the only one of its session."""

        def take_it() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env={**self.environment, "TERM": "xterm"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=take_it,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ENAXP_TARGET": "local",
            "ENAXP_ISOLATION": self.isolation,
            "COLUMNS": "120",
            "ENAXP_REPORT": "0",
        }

    @property
    def local_cloud(self) -> LocalCloud:
        """The lab's cloud, as a person of the same account knows it."""
        return msgspec.json.decode((self.folder / "state/local-cloud/cloud.json").read_bytes(), type=LocalCloud)

    @property
    def endpoint(self) -> str:
        return self.local_cloud.endpoint_url

    def cloud(self, what: str, *, method: str = "GET", body: Any = None) -> Any:
        """One of the cloud's own paths: resources, calls, faults, latency."""
        data = json.dumps(body).encode() if body is not None else None
        return json.loads(self.local_cloud.ask(what, method=method, body=data))

    def client(self, service: str) -> Any:
        """A client of the lab's cloud, for what others do to it."""
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.local_cloud.access_key,
            aws_secret_access_key=self.local_cloud.secret_key,
        )

    def calls_of(self, *arguments: str) -> dict[str, int]:
        """How often each AWS action is called by a command that must succeed."""
        self.cloud("calls", method="DELETE")
        self.ok(*arguments)
        return dict(self.cloud("calls")["counts"])

    def family(self) -> set[tuple[str, str]]:
        """The cloud's process and all below it, each by its pid and start time."""
        stats = {path.name: _stat(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()}
        found = {str(self.local_cloud.pid)}
        while more := {pid for pid, fields in stats.items() if fields[1:2] and fields[1] in found} - found:
            found |= more
        return {(pid, stats[pid][19]) for pid in found if stats.get(pid)}

    def running(self, program: str) -> list[str]:
        """The command lines of a program on this lab's hosts, and on no other's."""
        lines = [command_line(pid) for pid, _ in self.family()]
        return [" ".join(line) for line in lines if line and Path(line[0]).name == program]

    @staticmethod
    def living(family: set[tuple[str, str]]) -> list[str]:
        """Those of a family that still run."""
        return [pid for pid, started in family if (fields := _stat(pid)) and fields[0] != "Z" and fields[19] == started]

    def end(self) -> None:
        """Takes down whatever is up, whatever a test left."""
        if (self.folder / "state/local-cloud/cloud.json").exists():
            self.run("down", "--yes", "--force")


def _ran(
    argv: Sequence[str], *, timeout_s: float, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Ran:
    """What a program leaves that is asked nothing; in this folder and environment where none is given."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def _instance_of(folder: Path, role: str) -> str:
    """The instance that has the role now, by the state."""
    return str(json.loads((folder / "state/dev.json").read_bytes())["resources"][f"instance/{role}"]["id"])


@cache
def _ssh(driver: Driver, role: str, instance: str) -> tuple[str, ...]:
    """As far as a command to be run there. The host's key is the one that enaxp knows, or the test fails."""
    status = driver.ok("status", "--json").document
    ssh = (status["hosts"] | {"monitoring": status.get("monitoring")})[role]["ssh"]
    settings = {
        "IdentitiesOnly": "yes",
        "IdentityFile": driver.folder / "state/dev.pem",
        "UserKnownHostsFile": driver.folder / f"state/dev.{instance}.known_hosts",
        "StrictHostKeyChecking": "yes",
        "LogLevel": "ERROR",
        "ServerAliveInterval": 15,  # a host that restarts does not end its connections
    }
    options = [f"-o{name}={value}" for name, value in settings.items()]
    return ("ssh", "-F", os.devnull, "-p", str(ssh["port"]), *options, "--", f"{ssh['user']}@{ssh['host']}")


def is_mutating(action: str) -> bool:
    return action.startswith(MUTATING)


def reset_connections(host: str, port: str) -> None:
    """Ends the connections to a host as a network would: their sockets on this machine's side are reset."""
    subprocess.run(["ss", "-K", "dst", host, "dport", "=", port], check=False, capture_output=True)


def machine() -> dict[str, list[str]]:
    """What a lab could leave on this machine besides processes: mounts, namespaces, links and routes."""
    return {
        "mounts": [
            line for line in Path("/proc/mounts").read_text().splitlines() if "enaxp" in line or "machines" in line
        ],
        "namespaces": _names("/run/netns") if Path("/run/netns").is_dir() else [],
        "links": _names("/sys/class/net"),
        "routes": Path("/proc/net/route").read_text().splitlines(),
    }


def _stat(pid: str) -> list[str]:
    """The fields of /proc/PID/stat after the name; empty when the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def command_line(pid: str) -> list[str]:
    """Empty when the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []


def _names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())
