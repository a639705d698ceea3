"""Marks: the lock on a host is one bench's, tells whose, and goes with the connection, whose other end is standard input here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from enaxp.hosts.marks import mark_command

pytestmark = pytest.mark.system


def holder(folder: Path, who: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", "-c", mark_command("eni-1", who=who)],
        env={"PATH": os.environ["PATH"], "ENAXP_ROOT": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_is_one_bench_s_until_its_connection_ends_and_nothing_is_left(tmp_path: Path) -> None:
    with holder(tmp_path, "a bench from here") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with holder(tmp_path, "another") as second:
            said, _ = second.communicate()
        assert (second.returncode, said) == (3, "taken by a bench from here\n")
        first.communicate()
    assert list((tmp_path / "tmp/enaxp-bench").iterdir()) == []

    with holder(tmp_path, "a third") as third:
        assert third.stdout is not None
        assert third.stdout.readline() == "held\n"
        third.communicate()
    assert third.returncode == 0
