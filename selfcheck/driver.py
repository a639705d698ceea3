"""Driver: what one computer takes to measure many pairs of hosts at once. The hosts are played: a computer of two cores cannot be 128.

    a bench on the local target ─▶ Recorded (each command of each host: what it printed, how long it took)
    Recorded ─▶ N pairs of Played connections ─▶ side_by_side, carry_out: the program itself ─▶ seconds, memory

    python -m selfcheck.driver [--pairs 1 8 64] [--duration 10] [--recorded FILE]

Goals: from the first trial to the end of the last at most 1.3 times what one pair takes; 10 MB a pair. What a host prints is what
a real one printed in the same trial, with its log reduced already, and takes as long. The connections themselves are not in it: SSH
to 128 hosts takes about 3 s and 8 MB in all.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from enaxp.bench.fleet.folder import FleetFolder
from enaxp.bench.fleet.side_by_side import side_by_side
from enaxp.bench.judging.running import Running
from enaxp.bench.measuring.bench import RunSetup, carry_out
from enaxp.bench.measuring.pair import Pair, connected
from enaxp.bench.measuring.runner import Progress, RunOptions
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.records import RunFolder
from enaxp.hosts.connection import CommandResult, Connection, Host
from selfcheck.made_run import UDP

GOAL, GOAL_MB = 1.3, 10.0
SCALES = (1, 8, 64)
Told = tuple[str, str, int, float]  # stdout, stderr, exit code, seconds


@dataclass
class Recorded:
    """What the commands of each host said, by role and command, in the order in which they were given."""

    addresses: Mapping[str, tuple[str, str]]  # of both interfaces, by role
    told: dict[str, dict[str, list[Told]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def write(self, path: Path) -> None:
        path.write_bytes(gzip.compress(json.dumps({"addresses": self.addresses, "told": self.told}).encode()))

    @classmethod
    def read(cls, path: Path) -> Recorded:
        found = json.loads(gzip.decompress(path.read_bytes()))
        return cls(addresses={role: tuple(both) for role, both in found["addresses"].items()}, told=found["told"])


class _Held:
    """A command that is held: it said one line."""

    runs = True

    def __init__(self, line: str) -> None:
        self._line = line

    def read_line(self) -> str:
        return self._line

    def release(self) -> None:
        """It ends."""


class _Recorder(Connection):
    """A connection that writes down what its host says."""

    def __init__(self, real: Connection, recorded: Recorded) -> None:
        self._real, self._recorded, self.host = real, recorded, real.host

    def run(self, command: str, *, timeout_s: float = 30.0) -> CommandResult:
        began = time.monotonic()
        answer = self._real.run(command, timeout_s=timeout_s)
        told = (answer.stdout, answer.stderr, answer.exit_code, time.monotonic() - began)
        self._recorded.told[self.host.role][command].append(told)
        return answer

    def hold(self, command: str) -> Any:
        held = self._real.hold(command)
        line = held.read_line()
        self._recorded.told[self.host.role][command].append((line, "", 0, 0.0))
        return _HeldOnce(held, line)

    def close(self) -> None:
        self._real.close()


class _HeldOnce(_Held):
    """The real one, whose line was read already."""

    def __init__(self, real: Any, line: str) -> None:
        super().__init__(line)
        self._real = real

    def release(self) -> None:
        self._real.release()


class _Played(Connection):
    """A host that says what the recorded one said, and takes as long over it."""

    def __init__(self, host: Host, told: Mapping[str, list[Told]]) -> None:
        self.host = host
        self._told = told
        self._at: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def run(self, command: str, *, timeout_s: float = 30.0) -> CommandResult:
        stdout, stderr, code, seconds = self._next(command)
        time.sleep(seconds)
        return CommandResult(stdout=stdout, stderr=stderr, exit_code=code)

    def hold(self, command: str) -> Any:
        return _Held(self._next(command)[0])

    def close(self) -> None:
        """There is nothing to close."""

    def _next(self, command: str) -> Told:
        """What comes next of it; the last one again where the recorded bench asked less often."""
        with self._lock:
            told = self._told[command]
            at = min(self._at[command], len(told) - 1)
            self._at[command] += 1
            return told[at]


def plan(duration_s: float) -> BenchPlan:
    return BenchPlan(
        iterations=1, repeats=2, duration_s=duration_s, order="interleaved", seed=7, margin_pct=2, scenarios=(UDP,)
    )


def record(into: Path, *, duration_s: float) -> None:
    """Carries the plan out once, on a lab of the local target, and writes down what its hosts said."""
    from enaxp.commands.status import current_status
    from enaxp.options import Options
    from enaxp.session import open_session

    with tempfile.TemporaryDirectory() as folder:
        _enaxp("up", folder=folder)
        try:
            options = Options(state_dir=Path(folder, "state"), results_dir=Path(folder, "results"), target="local")
            with open_session(options) as session:
                hosts = session.hosts(current_status(session))
                recorded = Recorded(
                    addresses={role: (host.ena_ip, host.ena_express_ip) for role, host in hosts.items()}
                )
                with connected(hosts) as pair:
                    wrapped = Pair(server=_Recorder(pair.server, recorded), client=_Recorder(pair.client, recorded))
                    run = RunFolder.create(Path(folder, "results"), lab="driver", now=datetime.now(UTC))
                    carry_out(_setup(duration_s), pair=wrapped, folder=run, options=RunOptions(watch=_ignore))
                recorded.write(into)
        finally:
            _enaxp("down", "--force", folder=folder)


def play(path: Path, *, pairs: int, duration_s: float) -> dict[str, float]:
    """So many pairs at once. Seconds from the first trial's beginning to the last one's end, and the most memory held, in MB."""
    recorded = Recorded.read(path)
    with tempfile.TemporaryDirectory() as folder:
        fleet = FleetFolder.create(Path(folder), lab="driver", now=datetime.now(UTC))
        work = {
            f"main-{n}": partial(_measure, recorded, fleet.pair(f"main-{n}"), duration_s) for n in range(1, pairs + 1)
        }
        outcomes = side_by_side(work, at_once=pairs, stop=threading.Event())
        for error in outcomes.values():
            if error is not None:
                raise error
        spans = [_span(fleet.pair(name)) for name in work]
    return {
        "seconds": max(end for _, end in spans) - min(begin for begin, _ in spans),
        "rss_mb": most_memory_mb(Path("/proc/self/status").read_text()),
        "cpu_s": sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
    }


def most_memory_mb(status: str) -> float:
    """The most memory that a process has held, by what the kernel says of it in `/proc/PID/status`. getrusage has it with that of the
    process which started it, from before it was another program."""
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def _measure(recorded: Recorded, folder: RunFolder, duration_s: float) -> None:
    setup = _setup(duration_s)
    running = Running(setup.plan)

    def watch(progress: Progress) -> None:
        if progress.record is not None:
            running.add(progress.record, progress.histogram)

    pair = Pair(server=_played(recorded, "server"), client=_played(recorded, "client"))
    carry_out(setup, pair=pair, folder=folder, options=RunOptions(watch=watch))
    if not all(one.valid for one in folder.records()):
        raise SystemExit(f"a trial is not valid: {[one.reason for one in folder.records() if not one.valid][:1]}")


def _played(recorded: Recorded, role: str) -> _Played:
    ena, express = recorded.addresses[role]
    host = Host(
        role=cast(Any, role), name=role, address="127.0.0.1", port=22, user="nobody", private_key=Path("/dev/null"),
        known_hosts=Path("/dev/null"), ena_ip=ena, ena_express_ip=express,
    )  # fmt: skip
    return _Played(host, recorded.told[role])


def _setup(duration_s: float) -> RunSetup:
    return RunSetup(
        plan=plan(duration_s), lab="driver", target="local", isolation=None, argv=(), place={}, host_gbps=None
    )


def _span(folder: RunFolder) -> tuple[float, float]:
    begun = [(datetime.fromisoformat(one.started_at).timestamp(), one.wall_s) for one in folder.records()]
    return min(at for at, _ in begun), max(at + took for at, took in begun)


def _ignore(progress: Progress) -> None:
    """Nobody watches."""


def _enaxp(*arguments: str, folder: str) -> None:
    environment = {**os.environ, "ENAXP_TARGET": "local"}
    subprocess.run([sys.executable, "-m", "enaxp", *arguments], cwd=folder, env=environment, check=True)


@contextmanager
def _recording(asked: Path | None, *, duration_s: float) -> Iterator[Path]:
    """The file that was named, made where it is not there; else one for this time only."""
    with tempfile.TemporaryDirectory() as folder:
        path = asked or Path(folder, "recorded.json.gz")
        if not path.exists():
            record(path, duration_s=duration_s)
        yield path


def played_aside(path: Path, *, pairs: int, duration_s: float) -> dict[str, float]:
    """What `play` gives back, from a process of its own: its memory is what is asked."""
    command = [sys.executable, "-m", "selfcheck.driver", "--play", str(pairs), "--recorded", str(path)]
    done = subprocess.run([*command, "--duration", str(duration_s)], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def line_of(pairs: int, found: Mapping[str, float], *, first: Mapping[str, float]) -> str:
    """What so many pairs take, against the first number of them."""
    each = (found["rss_mb"] - first["rss_mb"]) / max(1, pairs - 1)
    more = "" if pairs == 1 else f", {each:.1f} MB a further pair (goal: {GOAL_MB:g})"
    return (
        f"driver: {pairs:>3} pairs, first to last trial {found['seconds']:.1f} s: ×{found['seconds'] / first['seconds']:.2f} of "
        f"one pair (goal: {GOAL:g}); {found['cpu_s']:.1f} s of CPU, at most {found['rss_mb']:.0f} MB{more}"
    )


def main(arguments: Sequence[str]) -> None:
    """Prints, for each number of pairs, how long it took against one pair, and the memory of each further pair."""
    parser = argparse.ArgumentParser(
        prog="python -m selfcheck.driver", description="What many pairs take of one computer."
    )
    parser.add_argument("--pairs", type=int, nargs="+", default=SCALES)
    parser.add_argument("--duration", type=float, default=10.0, help="of a trial, in s")
    parser.add_argument("--recorded", type=Path, help="what hosts said, kept for another time")
    parser.add_argument("--play", type=int, help=argparse.SUPPRESS)  # what `played_aside` starts
    asked = parser.parse_args(arguments)
    if asked.play:
        print(json.dumps(play(asked.recorded, pairs=asked.play, duration_s=asked.duration)))
        return
    with _recording(asked.recorded, duration_s=asked.duration) as path:
        first: dict[str, float] | None = None
        for pairs in asked.pairs:
            found = played_aside(path, pairs=pairs, duration_s=asked.duration)
            first = first or found
            print(line_of(pairs, found, first=first), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
