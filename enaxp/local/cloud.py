"""The cloud of the local target: one process that serves the strict AWS on loopback and owns the machines of its instances.

    running() ─▶ finds the process of this state folder, or starts one ─▶ LocalCloud (endpoint and differences from AWS)
              └▶ at the end of a command: if no lab is left ─▶ the process is told to end

It outlives the command that started it and keeps everything in memory: when it ends, its machines end with it. Its access key is in
`cloud.json`, which its user alone can read. Before it is trusted it must prove that it knows the key: the port and pid in an old file may
belong to another process by now.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import http.client
import importlib.util
import os
import secrets
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TextIO

import msgspec
from msgspec import Meta

from enaxp.errors import LocalTargetError, UsageError
from enaxp.files import write_whole
from enaxp.installed import how_to_add
from enaxp.local.machines import IsolationName
from enaxp.local.process import started_at, wait_for_end

START_S = 60.0
STOP_S = 30.0
FILE, CREDENTIALS = "cloud.json", "credentials"
MAX_FILE_BYTES = 1 << 16
MAX_ANSWER_BYTES = 1 << 24
_outliving: list[subprocess.Popen[bytes]] = []  # kept, for one that is dropped while it runs is warned of


@dataclass(frozen=True, kw_only=True)
class LocalCloud:
    """A running local cloud, and what a lab in it needs. started: when its process began, in clock ticks."""

    pid: Annotated[int, Meta(gt=0, lt=2**31)]
    started: Annotated[str, Meta(pattern=r"\A[0-9]{1,20}\Z")]
    endpoint_url: Annotated[
        str, Meta(pattern=r"\Ahttp://127\.0\.0\.1:[0-9]{1,5}\Z")
    ]  # and nowhere else, whatever the file says
    isolation: IsolationName
    reason: str  # why this isolation
    ssh_port: int
    ssh_user: str | None  # None: the user of the image
    access_key: str
    secret_key: str
    poll_s: float = 0.1
    grace_s: float = 5.0

    @property
    def overrides(self) -> dict[str, str | int]:
        """The config values that the local target requires, by their path."""
        user = {"hosts.ssh_user": self.ssh_user} if self.ssh_user else {}
        return {"hosts.ssh_port": self.ssh_port, **user}

    def resources(self) -> list[str]:
        """Ids of everything that lives in it."""
        return msgspec.json.decode(self.ask("resources"), type=_Resources).resources

    def is_itself(self) -> bool:
        """Whether the process at this endpoint is the recorded one: it proves that it knows the key."""
        from enaxp.local.strict.lock import AccessKey, prove

        nonce, key = secrets.token_hex(16), AccessKey(access_key=self.access_key, secret_key=self.secret_key)
        answer = self.ask("proof", method="POST", body=msgspec.json.encode({"nonce": nonce}))
        expected = prove(key, nonce=nonce, endpoint_url=self.endpoint_url, pid=self.pid, started=self.started)
        return hmac.compare_digest(msgspec.json.decode(answer, type=_Proof).proof, expected)

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None) -> bytes:
        """The response body to a signed request to `/enaxp/PATH` of the local cloud (10 s timeout, at most 16 MiB). Raises OSError when
        unreachable or for an HTTP error status."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        from enaxp.local.strict.lock import SERVICE

        url = f"{self.endpoint_url}/enaxp/{path}"
        request = AWSRequest(method=method, url=url, data=body, headers={"Content-Type": "application/json"})
        SigV4Auth(Credentials(self.access_key, self.secret_key), SERVICE, "us-east-1").add_auth(request)
        sent = urllib.request.Request(url, data=body, method=method, headers=dict(request.headers))
        # Straight to loopback, whatever proxy the environment names; and no further, whatever the answer says.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
        try:
            with opener.open(sent, timeout=10) as answer:
                return bytes(answer.read(MAX_ANSWER_BYTES))
        except http.client.HTTPException as error:
            raise OSError(f"{url}: no answer in HTTP: {error!r}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class _Resources:
    """The answer of the local cloud to GET /enaxp/resources."""

    resources: list[str]


@dataclass(frozen=True, kw_only=True)
class _Proof:
    """The answer of the local cloud to POST /enaxp/proof."""

    proof: str


@contextlib.contextmanager
def running(state_dir: Path, *, isolation: str, say: Callable[[str], None]) -> Iterator[LocalCloud]:
    """A context with the cloud of this state folder, started if necessary. At the end of the context it is stopped if no lab is left.

    Raises LocalTargetError when this machine lacks something, UsageError when the cloud runs with another isolation than asked for.
    """
    folder = state_dir / "local-cloud"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / "in-use").open("a+") as lease:
        with _exclusively(folder / "starting"):
            fcntl.flock(lease, fcntl.LOCK_SH)
            cloud = _alive(folder) or _start(folder, isolation, say)
        if isolation not in {"auto", cloud.isolation}:
            raise UsageError(
                f"the local cloud runs with isolation {cloud.isolation}, not {isolation}",
                todo="remove its labs first (`enaxp down`), or use another --state-dir",
            )
        try:
            yield cloud
        finally:
            with _exclusively(folder / "starting"):
                _stop_if_idle(folder, lease)


def _alive(folder: Path) -> LocalCloud | None:
    """The cloud recorded in this folder, if it still answers and proves its identity."""
    try:
        cloud = _read(folder / FILE)
        return cloud if cloud.is_itself() else None
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None


def _read(path: Path) -> LocalCloud:
    """The content of the file that `publish` wrote. Raises OSError, ValueError for a file that others can write or read, MsgspecError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise ValueError(f"{path} is open to others")
        return msgspec.json.decode(file.read(MAX_FILE_BYTES), type=LocalCloud)


def environment() -> dict[str, str]:
    """The environment of the cloud and its hosts: only the search path of programs; no credentials, no settings of the caller."""
    from enaxp.local.machines.programs import search_path

    # Python does not look for modules in the current folder, nor where the caller's variables say.
    return {"PATH": search_path(), "LANG": "C.UTF-8", "PYTHONSAFEPATH": "1"}


def _start(folder: Path, isolation: str, say: Callable[[str], None]) -> LocalCloud:
    from enaxp.local.machines.isolation import choose_isolation

    # Checked here, where a person reads it: both raise LocalTargetError when something is missing.
    _require_the_extra()
    chosen = choose_isolation(isolation)
    say(f"local target: hosts as {chosen.name} ({chosen.reason}); these are not ENA interfaces")
    (folder / FILE).unlink(missing_ok=True)
    log = folder / "cloud.log"
    with log.open("ab") as output:
        log.chmod(0o600)
        process = subprocess.Popen(
            [sys.executable, "-m", "enaxp.local.serve", str(folder.resolve()), chosen.name, chosen.reason],
            cwd="/",
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _outliving.append(process)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        cloud = _alive(folder)
        if cloud is not None:
            return cloud
        if process.poll() is not None:
            break
        time.sleep(0.05)
    lines = log.read_text(errors="replace").strip().splitlines()
    raise LocalTargetError(
        "the local cloud did not start",
        said=lines[-1] if lines else f"nothing within {START_S:.0f} s",
        todo=f"read its log, {log}; when what it says is not about this computer, report it",
    )


def _require_the_extra() -> None:
    """Raises LocalTargetError when the extra `local` is not installed."""
    if missing := [name for name in ("moto", "werkzeug") if importlib.util.find_spec(name) is None]:
        raise LocalTargetError(
            f"the local target needs {' and '.join(missing)}, which are not installed", todo=how_to_add("local")
        )


def _stop_if_idle(folder: Path, lease: TextIO) -> None:
    """Ends the cloud if it has no resources and no other command uses it."""
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    cloud = _alive(folder)
    if cloud is None or cloud.resources():
        return
    # A request, not a signal: only the right process can verify the key.
    with contextlib.suppress(OSError):  # it may be gone before it has answered
        cloud.ask("end", method="POST", body=b"{}")
    wait_for_end(cloud.pid, started=cloud.started, timeout_s=STOP_S)
    for name in (FILE, CREDENTIALS):
        (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def publish(folder: Path, cloud: LocalCloud) -> None:
    """Writes into the folder how the cloud that this process serves is reached; its key also in the form that AWS's clients read."""
    profile = f"[default]\naws_access_key_id = {cloud.access_key}\naws_secret_access_key = {cloud.secret_key}\n"
    write_whole(folder / CREDENTIALS, profile.encode())
    write_whole(folder / FILE, msgspec.json.encode(cloud))


def of_this_process() -> tuple[int, str]:
    """The pid of this process, and when it began."""
    return os.getpid(), started_at(os.getpid())
