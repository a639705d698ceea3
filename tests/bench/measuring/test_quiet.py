"""What became of a host's network during a trial, in words."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.bench.measuring.quiet import HOLD, changes_of
from enaxp.hosts.nic import HostNetwork, InterfaceProbe
from enaxp.traffic import Arm

PROBES: dict[Arm, InterfaceProbe] = {
    "ena": InterfaceProbe(interface="ens5", leaves_by="ens5", driver="driver: ena", mtu=8900),
    "ena_express": InterfaceProbe(interface="ens6", leaves_by="ens6", driver="driver: ena", mtu=8900),
}
AS_IT_WAS = HostNetwork(
    boot_id="one",
    mtus={"ens5": 8900, "ens6": 8900},
    leaves_by={"ens5": "ens5", "ens6": "ens6"},
    changes=3,
    last_change="",
)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (AS_IT_WAS, ()),
        (replace(AS_IT_WAS, mtus={"ens5": 8900, "ens6": 9001}), ("the MTU of the client's ens6 is 9001, it was 8900",)),
        (replace(AS_IT_WAS, mtus={"ens5": 8900}), ("the MTU of the client's ens6 is unknown, it was 8900",)),
        (
            replace(AS_IT_WAS, leaves_by={"ens5": "ens5", "ens6": "ens5"}),
            ("the client's ena_express traffic leaves by ens5, it left by ens6",),
        ),
        (replace(AS_IT_WAS, boot_id="two"), ("the client restarted",)),
        (
            replace(AS_IT_WAS, changes=5, last_change="Deleted 1001: from 192.168.3.21 lookup 1001"),
            (
                "links or rules of the client were changed by somebody, 2 times: Deleted 1001: from 192.168.3.21 lookup 1001",
            ),
        ),
        (replace(AS_IT_WAS, changes=None), ()),
    ],
)
def test_each_change_is_named(after: HostNetwork, words: tuple[str, ...]) -> None:
    assert changes_of("client", PROBES, AS_IT_WAS, after) == words


def test_a_change_between_two_trials_is_named_too() -> None:
    """The MTU was 8900 when the bench began; both looks of this trial find another."""
    now = replace(AS_IT_WAS, mtus={"ens5": 8900, "ens6": 9001})

    assert changes_of("server", PROBES, now, now) == ("the MTU of the server's ens6 is 9001, it was 8900",)


def test_a_host_without_interfaces_of_its_own_tells_nothing() -> None:
    assert changes_of("client", PROBES, None, None) is None


SYSTEMCTL = """#!/bin/bash
# Two timers, of which a file says whether they rest.
case $1 in
  list-units) [ -e "$ROOT/rest" ] || printf '%s loaded active running\\n' refresh-policy-routes@ens{5,6}.timer ;;
  stop) [ "${*:2}" = "refresh-policy-routes@ens5.timer refresh-policy-routes@ens6.timer" ] && touch "$ROOT/rest" ;;
  start) [ "${*:2}" = "refresh-policy-routes@ens5.timer refresh-policy-routes@ens6.timer" ] && rm "$ROOT/rest" ;;
esac
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder with the files of a host, whose timers run."""
    for name, text in (("systemctl", SYSTEMCTL), ("sudo", '#!/bin/bash\nshift\nexec "$@"\n')):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    return tmp_path


@contextmanager
def held(host: Path) -> Iterator[subprocess.Popen[str]]:
    """What a bench runs on a host for as long as its connection lasts, from when it says so on."""
    path = f"{host}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {**os.environ, "PATH": path, "ENAXP_ROOT": str(host), "ROOT": str(host)}
    with subprocess.Popen(
        ["bash", "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


@pytest.mark.system
def test_timers_rest_for_as_long_as_the_connection_lasts(host: Path) -> None:
    with held(host):
        assert (host / "rest").exists()

    assert not (host / "rest").exists()


@pytest.mark.system
def test_what_a_connection_left_that_ended_without_a_word_is_taken_over(host: Path) -> None:
    # given one that the host takes for alive
    with held(host) as left:
        # when the next bench begins, then the first one ends and starts nothing in the middle of it
        with held(host):
            assert left.wait(timeout=30) != 0
            assert (host / "rest").exists()

        # and the timers run again at its end
        assert not (host / "rest").exists()
