"""A real bench at a real terminal, and what is read of it afterwards: listed, checked, mended by going on, compared with itself."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.driver import COMMAND, Driver

pytestmark = [pytest.mark.long, pytest.mark.system]

BENCH = ("bench", "--iterations", "1", "--repeats", "1", "--duration", "1s")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A lab of process groups: what is shown and read does not depend on what the hosts are."""
    driver = Driver(tmp_path_factory.mktemp("reading"), "processes")
    try:
        driver.ok("up")
        yield driver
    finally:
        driver.end()


@pytest.fixture(scope="module")
def screen(lab: Driver) -> str:
    """What a terminal was sent during a bench, whose result went elsewhere."""
    leader, follower = pty.openpty()
    with (lab.folder / "result.json").open("wb") as result:
        process = subprocess.Popen(
            [*COMMAND, *BENCH, "--json"],
            cwd=lab.folder,
            env={**lab.environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
            stdin=subprocess.DEVNULL,
            stdout=result,
            stderr=follower,
        )
    os.close(follower)
    content = b""
    try:
        while chunk := os.read(leader, 65536):
            content += chunk
    except OSError:  # nobody holds the terminal any more
        pass
    os.close(leader)
    assert process.wait(timeout=60) == 0, content.decode()
    return content.decode()


def run_of(lab: Driver) -> Path:
    return max((lab.folder / "results/dev").iterdir())


def test_at_a_terminal_a_bench_shows_what_it_comes_to_and_leaves_stdout_alone(lab: Driver, screen: str) -> None:
    result = json.loads((lab.folder / "result.json").read_text())

    assert "local, not ENA" in screen
    assert "udp-latency 1/1" in screen
    figures = result["scenarios"]["udp-latency"]["arms"]
    for arm in ("ena", "ena_express"):
        assert f"{figures[arm]['p50_us']:.2f} µs" in screen
    effect = result["scenarios"]["udp-latency"]["effects"]["p50"]
    assert f"{effect['estimate_pct']:+.1f}%" in screen


def test_the_run_is_listed_with_its_verdict_and_compared_with_itself_the_same(lab: Driver, screen: str) -> None:
    result = json.loads((lab.folder / "result.json").read_text())

    [line] = lab.ok("runs", "--json").document
    compared = lab.ok("compare", "latest", "latest", "--fail-if", "p99 different 1%", "--json").document

    assert line["run_id"] == result["run_id"]
    assert line["verdicts"] == {"udp-latency": result["scenarios"]["udp-latency"]["verdict"]["code"]}
    arms = compared["comparisons"][0]["scenarios"]["udp-latency"]["arms"]
    assert {arm["code"] for arm in arms.values()} == {"same"}
    assert {one["outcome"] for one in compared["conditions"]} == {"not shown"}


def test_a_trial_whose_histogram_is_lost_is_missing_until_the_run_is_resumed(lab: Driver, screen: str) -> None:
    records = [json.loads(line) for line in (run_of(lab) / "trials.jsonl").read_text().splitlines()]
    last = [record for record in records if record["valid"]][-1]  # a pair that lost a message was run again
    (run_of(lab) / last["histogram_file"]).unlink()

    lost = lab.run("check", "latest", "--json")
    lab.ok("bench", "--resume", "latest")
    mended = lab.run("check", "latest", "--json").document

    assert lost.code == 5
    assert "udp-latency: 0 of 1 pairs of trials count" in lost.document["missing"]
    assert [line for line in mended["missing"] if "pairs of trials count" in line] == []
