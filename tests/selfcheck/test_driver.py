"""The driver's scale: what further pairs take is told against the first one."""

from __future__ import annotations

import subprocess
import sys

from selfcheck.driver import line_of, most_memory_mb

ONE = {"seconds": 60.0, "rss_mb": 120.0, "cpu_s": 3.0}


def test_what_many_pairs_take_is_reported_against_one() -> None:
    found = line_of(64, {"seconds": 66.0, "rss_mb": 435.0, "cpu_s": 50.0}, first=ONE)

    assert "64 pairs" in found
    assert "×1.10 of one pair (goal: 1.3)" in found
    assert "5.0 MB a further pair (goal: 10)" in found


def test_of_one_pair_no_further_one_is_reported() -> None:
    assert "further" not in line_of(1, ONE, first=ONE)


def test_the_memory_is_that_of_the_program_and_not_of_what_started_it() -> None:
    held = bytearray(b"x" * 100_000_000)  # of this process alone

    status = subprocess.run(
        [sys.executable, "-c", "print(open('/proc/self/status').read())"], capture_output=True, text=True, check=True
    ).stdout

    assert len(held) == 100_000_000
    assert 1 < most_memory_mb(status) < 60
