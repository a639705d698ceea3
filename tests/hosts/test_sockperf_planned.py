"""Latency from the planned send time, reduced by the real tools from logs whose plan is known."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from enaxp.bench.run_folder.histogram import Histogram
from enaxp.hosts.sockperf import Pace, PlannedLog, read_planned, reduce_planned_command

PERIOD_US = 1000.0


def planned(tmp_path: Path, sends_us: list[float], *, latency_us: float = 5.0) -> PlannedLog:
    """The reduced log of a client that sent at these times, each message with the same latency."""
    head = ["Valid Duration: 1", "------------------------------", "packet, txTime(sec), rxTime(sec), latency(usec)"]
    rows = [
        f"{number}, {2.4 + at / 1e6:.9f}, {2.4 + (at + 2 * latency_us) / 1e6:.9f}, {latency_us:.3f}"
        for number, at in enumerate(sends_us)
    ]
    log = tmp_path / "full.log"
    log.write_text("\n".join([*head, *rows, "------------------------------", ""]))
    command = reduce_planned_command(str(log), Pace(rate=round(1e6 / PERIOD_US)))
    text = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    return read_planned(text)


def reduced(tmp_path: Path, sends_us: list[float]) -> Histogram:
    return Histogram.from_rows(planned(tmp_path, sends_us).histogram_rows, separator=b" ")


def test_messages_on_time_have_the_latency_they_have(tmp_path: Path) -> None:
    histogram = reduced(tmp_path, [number * PERIOD_US for number in range(1000)])

    assert (histogram.count, histogram.values.tolist()) == (1000, [5000])


def test_a_stall_counts_for_every_message_it_held_up(tmp_path: Path) -> None:
    on_time = [number * PERIOD_US for number in range(100)]
    held_up = [max(at, 59_500.0 + number) if 50 <= number < 60 else at for number, at in enumerate(on_time)]

    histogram = reduced(tmp_path, held_up)

    late = histogram.values[histogram.values > 6000]
    assert len(late) == 10  # planned at 50 000 µs to 59 000 µs, sent from 59 550 µs on
    assert late[0] == pytest.approx(5_000 + 559_000, abs=10_000)
    assert late[-1] == pytest.approx(5_000 + 9_550_000, abs=20_000)


def test_lost_messages_make_the_others_no_later(tmp_path: Path) -> None:
    sends = [number * PERIOD_US for number in range(200) if number % 7 and not 90 <= number < 95]

    assert reduced(tmp_path, sends).values.tolist() == [5000]


def test_a_period_that_sockperf_rounds_down_does_not_add_up(tmp_path: Path) -> None:
    assert reduced(tmp_path, [number * (PERIOD_US - 0.001) for number in range(20_000)]).max == 5000


def test_messages_sent_after_the_next_one_was_due_are_counted(tmp_path: Path) -> None:
    on_time = [number * PERIOD_US for number in range(100)]
    held_up = [max(at, 59_500.0 + number) if 50 <= number < 60 else at for number, at in enumerate(on_time)]

    assert planned(tmp_path, on_time).late_sends == 0
    assert planned(tmp_path, held_up).late_sends == 9  # the tenth was due at 59 000 µs: less than a period late


def test_a_log_without_rows_is_none() -> None:
    with pytest.raises(ValueError, match="end"):
        read_planned("late 0\nend 0\n")
