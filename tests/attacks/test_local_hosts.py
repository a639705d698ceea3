"""What another user of the computer can reach of the hosts of a local lab: that their SSH answers, and nothing more."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.attacks.conftest import a_reachable_folder
from tests.attacks.test_local_cloud import as_nobody
from tests.e2e.conftest import BOTH, require_programs
from tests.support.driver import Driver

pytestmark = [pytest.mark.long, pytest.mark.system]


# Tries all of it on each process, and prints what worked.
LOOK = r"""
for p; do
  for f in environ mem root/etc/hostname fd/0 maps; do head -c 1 "/proc/$p/$f" > /dev/null && echo "read $p $f"; done
  kill -0 "$p" && echo "signal $p"
done 2> /dev/null
"""


@pytest.fixture(scope="module", params=BOTH)
def lab(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """A lab that is up, in a folder that every user of the computer can go into."""
    require_programs()
    with a_reachable_folder() as folder:
        driver = Driver(folder, request.param)
        try:
            driver.ok("up")
            yield driver
        finally:
            driver.end()


def test_another_user_reads_no_file_of_a_lab_and_writes_none(lab: Driver) -> None:
    state = lab.folder / "state"
    assert len([path for path in state.rglob("*") if path.is_file()]) > 10

    for asked in ("-readable -type f -not -name .gitignore", "-writable"):
        found = as_nobody("bash", "-c", f"find {state} {asked} 2>/dev/null")
        assert found.stdout == "", asked


def test_another_user_looks_into_no_process_of_a_lab_and_ends_none(lab: Driver) -> None:
    pids = [pid for pid, _ in lab.family()]
    assert len(pids) >= 3

    ran = as_nobody("bash", "-c", LOOK, "look", *pids)

    assert ran.stdout == ""


def test_what_every_user_sees_of_the_processes_holds_no_secret(lab: Driver) -> None:
    """The command lines are for all to read."""
    cloud = lab.local_cloud
    [key] = (lab.folder / "state").glob("*.pem")
    secrets = [cloud.secret_key, *key.read_text().splitlines()[1:3]]

    lines = as_nobody(
        "bash", "-c", 'for p; do tr "\\0" " " < /proc/$p/cmdline; echo; done', "x", *[p for p, _ in lab.family()]
    )

    assert "enaxp" in lines.stdout
    assert [secret for secret in secrets if secret in lines.stdout] == []


def test_a_hosts_ssh_takes_keys_alone_and_lets_another_user_not_in(lab: Driver) -> None:
    status = lab.ok("status", "--json").document
    for host in status["hosts"].values():
        ssh = host["ssh"]
        options = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
        for user in (ssh["user"], "root", "nobody"):
            ran = as_nobody("ssh", "-F", "none", *options, "-p", str(ssh["port"]), f"{user}@{ssh['host']}", "id")

            assert (ran.returncode, ran.stdout) == (255, "")
            assert re.search(r"Permission denied \(publickey\)", ran.stderr), ran.stderr


def test_nothing_of_a_lab_listens_but_its_cloud_and_its_hosts_ssh(lab: Driver) -> None:
    """While no bench runs. Sockets of the file system lie where nobody else comes; those without a path would be for everybody."""
    status = lab.ok("status", "--json").document
    expected = {f"{host['ssh']['host']}:{host['ssh']['port']}" for host in status["hosts"].values()}
    expected.add(lab.endpoint.partition("//")[2])
    pids = {pid for pid, _ in lab.family()}

    listening = {socket for socket, pid in sockets("-ltn") if pid in pids}
    abstract = {socket for socket, pid in sockets("-lx") if pid in pids and socket.startswith("@")}

    assert listening == expected
    assert abstract == set()


def sockets(kind: str) -> list[tuple[str, str]]:
    """The listening sockets of this computer's own network, each with a process that holds it."""
    lines = subprocess.run(["ss", "-H", "-p", kind], capture_output=True, text=True, check=True).stdout.splitlines()
    place = 3 if "t" in kind else 4
    return [(line.split()[place], pid) for line in lines for pid in re.findall(r"pid=(\d+)", line)]
