"""The stand-ins of a host: they really do the little they know, and fail loudly at the rest."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from enaxp.local.machines.inside import place as machine_place
from enaxp.local.machines.inside.place import Place, prepare
from enaxp.local.machines.inside.processes import end_all, is_marked, marked
from tests.support.local_machines import wait_until

SOURCES = Path(machine_place.__file__).parent / "standins"
Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen not found")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A root with stand-ins, whose sockperf tells what it was called with, and whose first process is a sleep."""
    sockperf = tmp_path / "real-sockperf"
    sockperf.write_text('#!/bin/sh\necho "$@"\n')
    sockperf.chmod(0o755)
    first = subprocess.Popen(["sleep", "1000"])
    place = Place(root=tmp_path / "root", kind="processes", init=first.pid)
    prepare(place, marker="i-1", public_key_file="none", words={"@SLOT@": "64", "@SOCKPERF@": str(sockperf)})
    place.path("/run/enaxp/addresses").write_text("192.168.3.11 of one interface\n10.1.2.4 of another\n")
    yield place
    end_all(lambda: marked(tmp_path), lambda pid: is_marked(pid, tmp_path))
    first.kill()
    first.wait()


@pytest.fixture
def run(place: Place) -> Run:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": place.search_path, "ENAXP_ROOT": place.prefix}
        return subprocess.run(
            [str(place.bin / words[0]), *words[1:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            stdin=subprocess.DEVNULL,
            env=environment,
        )

    return call


def unit(place: Place, name: str, text: str) -> Path:
    path = place.path(f"/etc/systemd/system/{name}")
    path.write_text(text)
    return path


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck not found")
def test_shellcheck_finds_nothing() -> None:
    scripts = [str(path) for path in SOURCES.glob("*/*")]
    assert len(scripts) > 8
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["systemctl"],
        ["systemctl", "mask", "x.service"],
        ["systemctl", "--user", "start", "x.service"],
        ["systemctl", "start", "absent.service"],
        ["systemctl", "is-active", "absent.service"],
        ["systemctl", "enable", "absent.timer"],
        ["systemd-run"],
        ["systemd-run", "--scope", "true"],
        ["systemd-run", "--on-calendar=daily", "--unit=x", "true"],
        ["shutdown", "-r", "now"],
        ["shutdown"],
        ["poweroff", "--force"],
        ["reboot", "--force"],
        ["hostnamectl", "set-chassis", "vm"],
        ["sudo"],
        ["sudo", "-u", "nobody", "true"],
        ["ethtool", "-S", "ens5"],
    ],
    ids=" ".join,
)
def test_what_is_not_known_fails_and_says_so(run: Run, words: list[str]) -> None:
    done = run(*words)
    assert done.returncode != 0
    assert done.stderr or words[1:2] == ["is-active"]


def test_a_oneshot_service_has_run_when_start_returns(run: Run, place: Place) -> None:
    unit(place, "one.service", f"[Service]\nType=oneshot\nExecStart=/bin/mkdir '{place.root}/a $HOME b'\n")
    assert run("systemctl", "start", "one").returncode == 0
    assert (place.root / "a $HOME b").is_dir(), "no shell comes between"
    assert run("systemctl", "is-active", "one.service").stdout == "inactive\n"
    failed = run("systemctl", "start", "one")
    assert failed.returncode != 0
    assert "File exists" in failed.stderr


def test_a_service_that_remains_is_active_and_one_that_is_enabled_shows_it(run: Run, place: Place) -> None:
    unit(
        place,
        "net.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n[Install]\nWantedBy=multi-user.target\n",
    )
    assert run("systemctl", "is-enabled", "net.service").stdout == "disabled\n"
    assert run("systemctl", "enable", "--now", "net.service").returncode == 0
    assert run("systemctl", "is-enabled", "net.service").stdout == "enabled\n"
    assert run("systemctl", "is-active", "net.service").returncode == 0
    assert run("systemctl", "disable", "--now", "net.service").returncode == 0
    assert run("systemctl", "is-enabled", "net.service").stdout == "disabled\n"
    assert run("systemctl", "is-active", "net.service").returncode == 3


def test_a_service_that_dies_is_started_again_until_it_is_stopped(run: Run, place: Place) -> None:
    log = place.root / "starts"
    program = place.root / "program"
    program.write_text(f"#!/bin/sh\necho started >> '{log}'\nsleep 0.1\n")
    program.chmod(0o755)
    unit(place, "again.service", f"[Service]\nType=simple\nRestart=always\nExecStart={program}\n")
    run("systemctl", "start", "again.service")
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) > 2, "it was started again")
    assert run("systemctl", "is-active", "again.service").stdout == "active\n"
    assert run("systemctl", "stop", "again.service").returncode == 0
    count = len(log.read_text().splitlines())
    time.sleep(0.5)
    assert len(log.read_text().splitlines()) == count


def test_a_timer_fires_at_its_time_and_not_when_it_was_stopped(run: Run, place: Place) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=4)
    for name in ("fires", "stopped"):
        unit(place, f"{name}.service", f"[Service]\nType=oneshot\nExecStart=touch {place.root}/{name}\n")
        unit(place, f"{name}.timer", f"[Timer]\nOnCalendar={soon:%Y-%m-%d %H:%M:%S} UTC\n")
        assert run("systemctl", "start", f"{name}.timer").returncode == 0
        assert run("systemctl", "is-active", f"{name}.timer").returncode == 0
    assert run("systemctl", "stop", "stopped.timer").returncode == 0
    wait_until((place.root / "fires").exists, "the timer has fired")
    assert (place.root / "fires").stat().st_mtime >= soon.replace(microsecond=0).timestamp()
    assert not (place.root / "stopped").exists()


def test_a_timer_whose_time_has_passed_does_not_fire(run: Run, place: Place) -> None:
    unit(place, "past.service", f"[Service]\nType=oneshot\nExecStart=touch {place.root}/past\n")
    unit(place, "past.timer", "[Timer]\nOnCalendar=2020-01-01 00:00:00 UTC\nPersistent=true\n")
    assert run("systemctl", "start", "past.timer").returncode == 0
    time.sleep(0.5)
    assert not (place.root / "past").exists()


def test_systemd_run_makes_a_timer_of_a_command(run: Run, place: Place) -> None:
    done = run("systemd-run", "--on-active=1", "--unit=later", "touch", f'{place.root}/it is "later"')
    assert done.returncode == 0, done.stderr
    wait_until((place.root / 'it is "later"').exists, "the command has run")


def test_shutdown_tells_the_first_process(run: Run, place: Place) -> None:
    assert run("sudo", "-n", "shutdown", "-h", "now").returncode == 0
    wait_until(lambda: os.waitid(os.P_PID, place.init, os.WEXITED | os.WNOHANG | os.WNOWAIT), "it has ended")
    ended = os.waitid(os.P_PID, place.init, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    assert ended.si_status == signal.SIGPWR


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ("server -i 192.168.3.11 -p 11111", "server -i 127.64.3.11 -p 11111"),
        ("pp --ip 10.1.2.3 --client_ip 10.1.2.4", "pp --ip 127.64.2.3 --client_ip 127.64.2.4"),
        ("pp --ip=10.1.2.3 --client_addr=10.1.2.4", "pp --ip=127.64.2.3 --client_addr=127.64.2.4"),
        ("pp -i 127.0.0.1 -m 64 --client_port 192.168.3.1", "pp -i 127.0.0.1 -m 64 --client_port 192.168.3.1"),
        ("server -i 0.0.0.0", "server -i 0.0.0.0"),
        ("--version", "--version"),
    ],
)
def test_sockperf_is_given_addresses_of_loopback(run: Run, given: str, passed_on: str) -> None:
    assert run("sockperf", *given.split()).stdout.strip() == passed_on


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("-y install bash gcc-c++ tar", 0, "Package bash is already installed."),
        ("install -y no-such-resource", 1, "No match for argument: no-such-resource"),
        ("remove -y bash", 1, "only knows"),
        ("--enablerepo=x install bash", 1, "does not know"),
    ],
)
def test_dnf_has_what_exists_already(words: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "g++").symlink_to("/bin/true")
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = ["bash", str(SOURCES / "amazon-linux" / "dnf"), *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    assert done.returncode == code
    assert said in done.stdout + done.stderr
