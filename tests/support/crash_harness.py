"""Runs enaxp's lifecycle in a child process and kills it, with SIGKILL, at an exact moment: before or after the n-th mutating call,
or the n-th save of the state.

The strict AWS runs in this process, so it is the server that decides when the client dies: the call it dies of is performed, or not,
but its answer never arrives.

    test process (strict AWS, killer) ─ orders ─▶ launcher (this module as a program) ─ fork ─▶ child (does `up` or `down`)

The launcher has read everything that a child needs: starting Python and reading botocore's models takes longer than what most
children live to do. It has one thread: a fork of a process with several may never come out of a lock.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from enaxp.aws import Aws
from enaxp.config import Config, load_config
from enaxp.lab.lifecycle import BUILT_LAYERS, LabContext, Removal, Snapshot, Target, down, look, up
from enaxp.lab.model import LAYERS, Layer
from enaxp.lab.srd import SrdSwitch
from enaxp.lab.state import State, StateFile
from enaxp.local.strict import StrictServer, Timing, serve
from enaxp.local.strict.gate import HttpAnswer
from enaxp.local.strict.install import read_models_once
from tests.support.clients import share_models_of_clients

Phase = Literal["before", "after"]
Moment = Literal["call", "save"]
READS = ("Describe", "Get", "List")
TARGET = Target(name="aws")
CHILD_S = 300.0  # a child that takes longer hangs
WHOLE = {
    "vpc": 1,
    "subnet": 1,
    "igw": 1,
    "rtb": 1,
    "sg": 1,
    "pg": 1,
    "eni": 4,
    "eipalloc": 2,
    "i": 2,
    "vol": 2,
    "enaxp": 7,
    "association": 4,
}
MONITORED = Counter(WHOLE) + Counter(subnet=1, rtb=1, sg=1, eni=1, eipalloc=1, i=1, vol=1, enaxp=4)


@dataclass
class Doom:
    """Kills `pid` at its n-th mutating call."""

    pid: int
    nth: int
    phase: Phase
    seen: int = 0


class DeadlyCloud:
    """A strict AWS that can kill its client."""

    def __init__(self, timing: Timing) -> None:
        self.server: StrictServer = serve(timing=timing)
        self.doom: Doom | None = None
        self.launcher = Launcher()
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._under_way = 0
        gate: Any = self.server._gate
        perform = gate._meet_faults

        def meet(environ: dict[str, Any], service: str, action: str) -> Any:
            with self._changed:
                self._under_way += 1
            try:
                strikes = self._strikes(action)
                if strikes == "before":
                    self._kill()
                    return HttpAnswer("500 Lost", [], b"")
                answer = perform(environ, service, action)
                if strikes == "after":
                    self._kill()
                return answer
            finally:
                with self._changed:
                    self._under_way -= 1
                    self._changed.notify_all()

        gate._meet_faults = meet

    def _strikes(self, action: str) -> Phase | None:
        with self._lock:
            if self.doom is None or action.startswith(READS):
                return None
            self.doom.seen += 1
            return self.doom.phase if self.doom.seen == self.doom.nth else None

    def _kill(self) -> None:
        assert self.doom is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.doom.pid, signal.SIGKILL)

    def wait_until_idle(self) -> None:
        """Returns when no call is being served. A killed client's parallel calls are still carried out; on a busy computer that may take
        longer than the short time that tests give new resources to become visible."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._under_way == 0, timeout=CHILD_S)

    def stop(self) -> None:
        self.launcher.stop()
        self.server.stop()


class Launcher:
    """The process that forks children; it is started with the first of them."""

    def __init__(self, *program: str) -> None:
        self._program = program or ("-m", __name__)
        self._process: subprocess.Popen[str] | None = None

    def fork(self, order: dict[str, Any]) -> int:
        """The pid of a child that waits until it is let go."""
        if self._process is None:
            command = [sys.executable, *self._program]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say(json.dumps(order))
        return int(self._answer())

    def let_go(self, pid: int) -> int:
        """The child's exit code once it has ended, negative for the signal that ended it."""
        self._say("go")
        try:
            return int(self._answer())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise

    def stop(self) -> None:
        if self._process is not None:
            self._process.communicate()

    def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], CHILD_S)[0]:
            raise TimeoutError(f"a child took longer than {CHILD_S:.0f} s")
        return self._process.stdout.readline()


class Labs:
    """Labs of one folder in one cloud."""

    def __init__(
        self,
        cloud: DeadlyCloud | SimpleNamespace,
        folder: Path,
        *,
        lab: str = "dev",
        layers: Iterable[Layer] = BUILT_LAYERS,
        grace_s: float = 0.4,
        overrides: Mapping[str, Any] | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """grace_s: how long enaxp gives new resources to become visible.  overrides: of the config, by path.  tell: as `Aws` has it."""
        self.cloud = cloud
        self.folder = folder
        self.layers = tuple(layers)
        self.overrides = {"lab": lab, **(overrides or {})}
        self.config: Config = load_config(overrides=self.overrides)
        self.grace_s = grace_s
        self._tell = tell
        self._aws: Aws | None = None

    def aws(self) -> Aws:
        """The same clients each time: making them takes longer than most of what is done with them."""
        if self._aws is None:
            self._aws = Aws(
                region="us-east-1",
                endpoint_url=self.cloud.server.endpoint_url,
                access_key="x",
                secret_key="x",
                poll_s=0.02,
                grace_s=self.grace_s,
                tell=self._tell,
            )
        return self._aws

    def file(self) -> StateFile:
        file = StateFile(self.folder, self.config.lab)
        file.load()
        return file

    def context(self) -> LabContext:
        """What enaxp works with, its state file read anew."""
        return LabContext(config=self.config, aws=self.aws(), file=self.file(), target=TARGET)

    def snapshot(self, layers: Iterable[Layer] | None = None) -> Snapshot:
        return look(self.context(), layers=layers)

    def up(self, layers: Iterable[Layer] | None = None) -> None:
        context = self.context()
        up(context, look(context, layers=layers or self.layers), watch=lambda _event: None)

    def down(self, layers: Iterable[Layer] = LAYERS) -> Removal:
        return down(self.context(), layers=layers, watch=lambda _event: None, note=lambda _text: None)

    def srd_switch(self) -> SrdSwitch:
        """What a bench changes ENA Express over with."""
        enis = {id: key for key, id in self.file().state.ids().items() if key.startswith("eni/")}
        return SrdSwitch(
            aws=self.aws(), home={id: "ena_express" if key.endswith("express") else "ena" for id, key in enis.items()}
        )

    def changes_left(self) -> list[str]:
        plan = self.snapshot(self.layers).plan
        return [f"{step.action} {step.key}: {step.reason}" for step in plan.changing]

    def killed(self, what: Literal["up", "down"], *, nth: int, phase: Phase, at: Moment = "call") -> bool:
        """Whether a process that does `what` was killed at its n-th mutating call, or save; False when it came to its end before."""
        order = {
            "endpoint": self.cloud.server.endpoint_url,
            "folder": str(self.folder),
            "overrides": self.overrides,
            "layers": self.layers,
            "grace_s": self.grace_s,
            "what": what,
            "save": [nth, phase] if at == "save" else None,
        }
        child = self.cloud.launcher.fork(order)
        self.cloud.doom = Doom(pid=child, nth=nth, phase=phase) if at == "call" else None
        try:
            code = self.cloud.launcher.let_go(child)
        finally:
            self.cloud.doom = None
        self.cloud.wait_until_idle()
        assert code in {0, -signal.SIGKILL}, "the process failed by itself"
        return code != 0


def launch(live_until_killed: Callable[[dict[str, Any]], None]) -> None:
    """What the launcher does: for each order it tells the pid of a new child, and once that is let go, how it ended."""
    _read_models()
    for line in sys.stdin:
        waiting, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(go)
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # stdout is the launcher's
            os.read(waiting, 1)  # until the launcher closes its end, or ends itself
            os._exit(_live(live_until_killed, json.loads(line)))
        os.close(waiting)
        print(pid, flush=True)
        sys.stdin.readline()
        os.close(go)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _read_models() -> None:
    """Nothing is called: clients are made, and asked what they can do."""
    read_models_once()
    share_models_of_clients()
    aws = Aws(region="us-east-1", endpoint_url="http://127.0.0.1:1", access_key="x", secret_key="x")
    for client, method in (
        (aws.ec2, "describe_vpcs"),
        (aws.iam, "get_role"),
        (aws.ssm, "list_documents"),
        (aws.ecr, "list_images"),
    ):
        client.can_paginate(method)


def _live(live_until_killed: Callable[[dict[str, Any]], None], order: dict[str, Any]) -> int:
    try:
        live_until_killed(order)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _live_until_killed(order: dict[str, Any]) -> None:
    labs = Labs(
        SimpleNamespace(server=SimpleNamespace(endpoint_url=order["endpoint"])),
        Path(order["folder"]),
        overrides=order["overrides"],
        layers=order["layers"],
        grace_s=order["grace_s"],
    )
    if order["save"]:
        _die_at_a_save(*order["save"])
    if order["what"] == "up":
        labs.up()
    else:
        labs.down()


def _die_at_a_save(nth: int, phase: Phase) -> None:
    """In a child that dies anyway: its n-th save of the state is its last moment, with the file written or not."""
    write, saves = StateFile._write, itertools.count(1)

    def last_write(file: StateFile, state: State) -> None:
        doomed = next(saves) == nth
        if doomed and phase == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        write(file, state)
        if doomed:
            os.kill(os.getpid(), signal.SIGKILL)

    StateFile._write = last_write  # type: ignore[method-assign]


def census(labs: Labs) -> dict[str, int]:
    """How many of each kind there are, by the prefix of their ids (roles, profiles and keys are called enaxp-…)."""
    return dict(Counter(resource.partition("-")[0] for resource in labs.cloud.server.resources()))


@contextlib.contextmanager
def deadly_cloud(timing: Timing | None = None) -> Iterator[DeadlyCloud]:
    cloud = DeadlyCloud(timing or Timing.instant())
    try:
        yield cloud
    finally:
        cloud.stop()


@contextlib.contextmanager
def labs_taken_down(cloud: DeadlyCloud, folder: Path, **options: Any) -> Iterator[Labs]:
    """Labs, as `Labs` is given these options; at the end they are taken down, and nothing may be left."""
    labs = Labs(cloud, folder, **options)
    yield labs
    labs.down()
    assert cloud.server.resources() == []


if __name__ == "__main__":
    launch(_live_until_killed)
