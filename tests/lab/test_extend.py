"""More time for a lab: its tags, its state, and the timers of its hosts; and a new end for one whose time was over."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from enaxp.commands.labs import _duration
from enaxp.errors import HostError, UsageError
from enaxp.hosts.connection import Host
from enaxp.lab import extend
from enaxp.lab.model import LAYERS, TAG_EXPIRES, from_text
from enaxp.lab.userdata import TIMER_PATH, timer_command
from tests.support.crash_harness import Labs, deadly_cloud

ENDS = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
OLD_TIMER = "[Timer]\nOnCalendar=2026-01-01 00:00:00 UTC\nAccuracySec=1s\n"


@pytest.fixture
def labs(tmp_path: Path) -> Iterator[Labs]:
    with deadly_cloud() as cloud:
        labs = Labs(cloud, tmp_path, layers=LAYERS)
        labs.up()
        yield labs


def told_by_tags(labs: Labs) -> set[datetime]:
    """What the tags of everything say: roles, volumes and the repository included."""
    snapshot = labs.snapshot()
    return {from_text(found.tags[TAG_EXPIRES]) for found in snapshot.survey.all()}


def extended(labs: Labs, hours: float) -> datetime:
    snapshot = labs.snapshot()
    ends = extend.new_end(snapshot, labs.file(), by_s=hours * 3600, now=datetime.now(UTC))
    extend.remember(snapshot, aws=labs.aws(), file=labs.file(), ends=ends)
    return ends


def test_every_tag_and_the_state_tell_the_new_end(labs: Labs) -> None:
    before = labs.file().state.expires_at

    ends = extended(labs, 2)

    assert ends == before + timedelta(hours=2)
    assert told_by_tags(labs) == {ends}
    assert labs.file().state.expires_at == ends
    assert labs.changes_left() == []


def test_a_lost_state_costs_no_time(labs: Labs) -> None:
    """The tags tell the end, too."""
    before = labs.file().state.expires_at
    labs.file().path.unlink()
    labs.file().backup.unlink()

    assert extended(labs, 1) == before + timedelta(hours=1)


def test_an_end_that_is_past_is_no_beginning(labs: Labs) -> None:
    snapshot = labs.snapshot()
    much_later = labs.file().state.expires_at + timedelta(days=9)

    assert extend.new_end(snapshot, labs.file(), by_s=3600, now=much_later) == much_later + timedelta(hours=1)


def test_up_on_a_lab_whose_time_is_over_gives_it_a_new_end_everywhere(labs: Labs) -> None:
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    snapshot = labs.snapshot()
    extend.remember(snapshot, aws=labs.aws(), file=labs.file(), ends=past)

    labs.up()

    [ends] = told_by_tags(labs)
    assert ends == labs.file().state.expires_at
    assert ends > datetime.now(UTC)


def test_up_tags_nothing_again_when_all_is_well(labs: Labs) -> None:
    labs.cloud.server.forget_calls()

    labs.up()

    assert not {call.action for call in labs.cloud.server.calls} & {"CreateTags", "TagRole", "TagInstanceProfile"}


class Root:
    """A folder that stands for a host's file system, with a systemctl that only writes down what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.timer = folder / TIMER_PATH.lstrip("/")
        self.asked = folder / "asked"
        programs = folder / "bin"
        programs.mkdir()
        for name, body in {"systemctl": 'echo "$*" >> "$ASKED"', "sudo": 'shift; exec "$@"'}.items():
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "ENAXP_ROOT": str(self.folder),
            "ASKED": str(self.asked),
        }
        return subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)


def test_a_hosts_timer_is_set_again_and_nothing_else_of_it_changes(tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.timer.parent.mkdir(parents=True)
    root.timer.write_text(OLD_TIMER)

    done = root.run(timer_command(ENDS))

    assert done.returncode == 0, done.stderr
    assert root.timer.read_text() == OLD_TIMER.replace("2026-01-01 00:00:00 UTC", "2026-05-06 07:08:09 UTC")
    assert root.asked.read_text().splitlines() == ["daemon-reload", "restart enaxp-ttl.timer"]


def test_a_host_without_a_timer_says_so(tmp_path: Path) -> None:
    done = Root(tmp_path).run(timer_command(ENDS))

    assert done.returncode == 3
    assert "there is no" in done.stderr


def test_a_host_that_cannot_be_reached_is_reported_before_anything_is_changed(
    labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extend, "PATIENCE_S", 0.0)
    host = Host(
        role="server",
        name="s",
        address="127.0.0.1",
        port=9,
        user="nobody",
        private_key=labs.file().private_key,
        known_hosts=labs.file().known_hosts("i-0"),
        ena_ip="192.168.3.10",
        ena_express_ip="192.168.3.11",
    )

    with pytest.raises(HostError, match="connecting to the server"):
        extend.set_timers([host, replace(host, role="server")], ends=ENDS)

    assert told_by_tags(labs) == {labs.file().state.expires_at}


@pytest.mark.parametrize("text", ["", "soon", "-1h", "10s", "31d"])
def test_what_is_no_time_to_extend_by_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no time to extend by"):
        _duration(text)
