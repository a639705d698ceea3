"""The relay before a server on loopback: what it waits, what it records, how it ends; and how it comes before a host's sockperf."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enaxp.local.machines import inside
from enaxp.local.relay.placing import Hold, place_script, read_record, record_script
from enaxp.local.relay.program import BEHIND

ECHO = """#!{python}
import signal, socket, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as sockperf has one of its own: a test run in the background hands on none
if sys.argv[1] != "server":
    print("as it is", *sys.argv[1:]); sys.exit()
options = dict(zip(sys.argv, sys.argv[1:]))
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.bind((options["-i"], int(options["-p"])))
print("listens", flush=True)
while True:
    own.sendto(*own.recvfrom(100))
"""
WAIT_US = 2000


@pytest.fixture(params=["namespaces", "processes"])
def host(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """A host with a root of its own, a sudo that runs things as they are, and a sockperf that echoes: as plain processes, behind the
    stand-in that maps the lab's addresses."""
    beside = tmp_path / "beside"
    beside.mkdir()
    sudo = '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n'
    for name, text in {"sudo": sudo, "sockperf": ECHO.format(python=sys.executable)}.items():
        (beside / name).write_text(text)
        (beside / name).chmod(0o755)
    root = tmp_path / "a root"
    (root / "run/enaxp/bin").mkdir(parents=True)
    if request.param == "processes":
        front = (Path(inside.__file__).parent / "standins/processes/sockperf").read_text()
        for word, value in {"@ROOT@": str(root), "@SLOT@": "0", "@SOCKPERF@": str(beside / "sockperf")}.items():
            front = front.replace(word, value)
        (root / "run/enaxp/bin/sockperf").write_text(front)
        (root / "run/enaxp/bin/sockperf").chmod(0o755)
        (root / "run/enaxp/addresses").write_text("192.168.0.1 of an interface\n")
    return {
        "PATH": f"{root}/run/enaxp/bin:{beside}:{os.environ['PATH']}",
        "ENAXP_ROOT": str(root),
        "KIND": request.param,
    }


def run(host: dict[str, str], script: str) -> str:
    return subprocess.run(["sh", "-c", script], env=host, capture_output=True, text=True, check=True).stdout


def free_port() -> int:
    """Free itself, and so far above, where the server behind the relay is."""
    for port in range(21000 + os.getpid() % 9000, 31000):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        ):
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + BEHIND))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


@pytest.fixture
def served(host: dict[str, str]) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The port of a server that the relay stands before, and the process."""
    port = free_port()
    run(host, place_script({port: Hold(us=WAIT_US)}))
    ip = "192.168.0.1" if host["KIND"] == "processes" else "127.0.0.1"  # which is 127.0.0.1 here, too
    argv = ["sockperf", "server", "-i", ip, "-p", str(port)]
    process = subprocess.Popen(argv, env=host, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "listens\n"
        yield port, process
    finally:
        process.stdout.close()
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def test_each_message_waits_and_is_recorded_by_the_port_it_came_from(
    host: dict[str, str], served: tuple[int, subprocess.Popen[str]]
) -> None:
    port, process = served
    took, lasted = {}, {}
    for many in (3, 5):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.connect(("127.0.0.1", port))
            own = []
            first = time.perf_counter_ns()
            for _ in range(many):
                began = time.perf_counter_ns()
                client.send(b"x")
                assert client.recv(10) == b"x"
                own.append(time.perf_counter_ns() - began)
            took[port, client.getsockname()[1]] = own
            lasted[port, client.getsockname()[1]] = time.perf_counter_ns() - first
    process.send_signal(signal.SIGINT)
    process.wait(10)

    seen = read_record(run(host, record_script()))

    assert {place: sum(counts.values()) for place, counts in seen.items()} == {
        place: len(own) - 1 for place, own in took.items()
    }
    for place, own in took.items():
        assert min(own) >= 1000 * WAIT_US
        assert min(seen[place]) >= 1000 * WAIT_US, "no less than the wait"
        assert sum(ns * count for ns, count in seen[place].items()) <= lasted[place], "no more than the client saw"


def test_what_the_table_does_not_name_is_sockperf_as_it_is(host: dict[str, str]) -> None:
    run(host, place_script({}))

    assert run(host, "sockperf ping-pong -i 127.0.0.1 'a b'") == "as it is ping-pong -i 127.0.0.1 a b\n"


def test_placing_it_again_keeps_the_real_sockperf_and_begins_a_new_record(host: dict[str, str]) -> None:
    run(host, place_script({1: Hold()}))
    record = Path(host["ENAXP_ROOT"], "run/enaxp/relay/record/1.jsonl")
    record.write_text("old\n")

    run(host, place_script({2: Hold(us=7, loss=0.5)}))

    assert not record.exists()
    assert run(host, "sockperf --version").startswith("as it is")
    holds = json.loads(Path(host["ENAXP_ROOT"], "run/enaxp/relay/holds.json").read_text())
    assert holds == {"2": {"us": 7, "tail": 0.0, "tail_us": 0.0, "loss": 0.5, "until_s": 0.0}}


def test_lines_of_one_trial_add_up() -> None:
    lines = [{"port": 1, "client_port": 2, "bins": {"5": 1, "9": 2}}, {"port": 1, "client_port": 2, "bins": {"9": 4}}]

    assert read_record("\n".join(map(json.dumps, lines))) == {(1, 2): {500: 1, 900: 6}}
