"""Marks: the lock on a host is one bench's, tells whose, and goes with the connection, whose other end is standard input here."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from enaxp.errors import HostError
from enaxp.hosts.connection import Connection
from enaxp.hosts.marks import REMOVE_FOLDER, folder_removed, held, mark_command
from tests.support.local_machines import lab, wait_until, why_not

pytestmark = pytest.mark.system


@pytest.fixture(params=["bash", "sh"])
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class HostFolder:
    """A host as far as marks are concerned: a shell, and a folder in place of its root."""

    def __init__(self, shell: str, root: Path) -> None:
        self.shell = shell
        self.root = root
        self.work = root / "tmp/enaxp-bench"

    def holder(self, *names: str, who: str = "a bench", token: str = "t1") -> subprocess.Popen[str]:
        return self.start(mark_command(names or ["eni-1"], who=who, token=token))

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.shell, "-c", command],
            env={"PATH": os.environ["PATH"], "ENAXP_ROOT": str(self.root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def remove_folder(self) -> None:
        assert self.start(REMOVE_FOLDER).communicate()[0] == ""


@pytest.fixture
def host(shell: str, tmp_path: Path) -> HostFolder:
    return HostFolder(shell, tmp_path)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


@pytest.mark.parametrize("wanted", [["eni-1"], ["eni-2"], ["eni-3", "eni-1"]])
def test_it_is_one_bench_s_until_its_connection_ends_and_nothing_is_left(
    host: HostFolder, wanted: Sequence[str]
) -> None:
    with host.holder("eni-1", "eni-2", who="a bench from here") as first:
        assert first_line(first) == "held"
        with host.holder(*wanted, who="another", token="t2") as second:
            said, _ = second.communicate()
        assert (second.returncode, said) == (3, f"taken by a bench from here; process {first.pid} there holds it\n")
        first.communicate()
    assert sorted(path.name for path in host.work.iterdir()) == [f"{name}.lock" for name in wanted if name == "eni-3"]

    with host.holder(*wanted, token="t3") as third:
        assert first_line(third) == "held"
        third.communicate()
    assert (third.returncode, list(host.work.iterdir())) == (0, [])


def test_a_bench_takes_over_its_own_lock_of_a_connection_that_was_lost_unnoticed(host: HostFolder) -> None:
    with host.holder() as earlier:
        assert first_line(earlier) == "held"
        with host.holder() as later:
            assert first_line(later) == "held"
            assert earlier.wait() != 0
            with host.holder(who="another", token="t2") as third:
                assert f"process {later.pid} there" in first_line(third)
            later.communicate()


def test_the_folder_stays_as_long_as_a_bench_works_in_it(host: HostFolder) -> None:
    with host.holder() as bench:
        assert first_line(bench) == "held"
        (host.work / "of-a-trial.out").touch()
        host.remove_folder()
        assert host.work.exists()
        bench.communicate()
    (host.work / "eni-9.lock").touch()  # of a host that restarted
    host.remove_folder()
    assert not host.work.exists()
    host.remove_folder()


def test_a_folder_of_another_user_is_told(host: HostFolder) -> None:
    host.work.parent.mkdir()
    host.work.touch()

    with host.holder() as process:
        assert first_line(process) == f"{host.work} there is not a folder of this user's"


def test_nobody_holds_a_lock_that_another_has_however_they_come_and_go(host: HostFolder) -> None:
    alone, times_held = threading.Lock(), 0

    def come_and_go(number: int) -> None:
        nonlocal times_held
        for _ in range(6):
            with host.holder(token=f"t{number}") as process:
                if first_line(process) == "held":
                    assert alone.acquire(blocking=False)
                    times_held += 1
                    host.remove_folder()
                    alone.release()
                process.communicate()
            host.remove_folder()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(come_and_go, range(6)))

    assert times_held
    assert not host.work.exists()


BENCH = """
import sys
from pathlib import Path
from enaxp.hosts.connection import Host, connect
from enaxp.hosts.marks import held
address, port, user, folder = sys.argv[1:]
host = Host(
    role="server", name="server", address=address, port=int(port), user=user, private_key=Path(folder, "key"),
    known_hosts=Path(folder, "known"), ena_ip=address, ena_express_ip=address,
)
connection = connect(host)
with held(lambda: {"server": connection}, {"server": ["eni-1", "eni-2"]}, who="the first bench, since noon"):
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Connection]:
    """A real sshd."""
    with lab("processes", tmp_path) as machines:
        machines.launch("server", user_data="#!/bin/sh\n")
        machines.wait_up("server")
        with machines.ssh("server") as connection:
            yield connection


@contextmanager
def another_bench(server: Connection, folder: Path) -> Iterator[subprocess.Popen[str]]:
    host = server.host
    words = [sys.executable, "-c", BENCH, host.address, str(host.port), host.user, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert first_line(process) == "held"
        yield process
        process.kill()


def measure(server: Connection) -> None:
    with (
        folder_removed(lambda: {"server": server}),
        held(lambda: {"server": server}, {"server": ["eni-2"]}, who="the second"),
    ):
        pass


def is_free(server: Connection) -> bool:
    with contextlib.suppress(HostError):
        measure(server)
        return True
    return False


@pytest.mark.skipif(bool(why_not("processes")), reason=why_not("processes"))
def test_a_bench_refuses_others_from_anywhere_until_it_is_killed_or_has_ended(
    server: Connection, tmp_path: Path
) -> None:
    with another_bench(server, tmp_path) as first:
        with pytest.raises(HostError, match="the server is measured by another bench") as refused:
            measure(server)
        assert refused.value.said.startswith("taken by the first bench, since noon; process ")
        first.kill()
        wait_until(lambda: is_free(server), "the lock has ended with who held it")

    with another_bench(server, tmp_path) as first:
        assert first.stdin is not None
        first.stdin.write("\n")
        first.stdin.flush()
        assert first_line(first) == "released"
        measure(server)
    assert server.run('[ -e "$ENAXP_ROOT/tmp/enaxp-bench" ]').exit_code == 1
