"""The exporter as the real Prometheus sees it: an exporter and a Prometheus that are killed come back, and a gap stays a gap."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from enaxp.bench.run_folder.records import RunFolder
from enaxp.monitor.files import prometheus_config, text_of
from tests.support.monitoring import eventually, query, query_range, some_records, write_run

pytestmark = pytest.mark.system

ENDED = 'enaxp_run_ended_trials{lab="dev"}'


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed, as nothing but SIGKILL kills, at the end of the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def ports() -> dict[str, int]:
    return {"exporter": free_port(), "prometheus": free_port()}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return write_run(tmp_path / "results", some_records()[:3])


@pytest.fixture
def exporter(tmp_path: Path, ports: dict[str, int]) -> tuple[str, ...]:
    results, port = str(tmp_path / "results"), str(ports["exporter"])
    return (sys.executable, "-m", "enaxp", "exporter", "--results", results, "--port", port)


@pytest.fixture
def prometheus(tmp_path: Path, ports: dict[str, int]) -> tuple[str, ...]:
    rules, config = tmp_path / "rules.yml", tmp_path / "prometheus.yml"
    rules.write_text(text_of("rules.yml"))
    config.write_text(prometheus_config([], exporters=[f"127.0.0.1:{ports['exporter']}"], rules=str(rules)))
    return (
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
    )


def test_what_is_killed_comes_back_and_a_gap_is_a_gap(
    run: RunFolder, exporter: tuple[str, ...], prometheus: tuple[str, ...], ports: dict[str, int]
) -> None:
    url, began = f"http://127.0.0.1:{ports['prometheus']}", time.time()

    def shown() -> float:
        found = query(url, ENDED)
        return float(found[0]["value"][1]) if found else 0.0

    with running(*prometheus):
        with running(*exporter):
            eventually(lambda: shown() == 3)
        eventually(lambda: query(url, "up == 0"))
        gap = time.time()
        run.append(some_records()[3])
        with running(*exporter):
            eventually(lambda: shown() == 4)
    run.append(some_records()[4])
    with running(*prometheus), running(*exporter):
        eventually(lambda: shown() == 5)
        before = query_range(url, ENDED, start=began, end=gap)
        assert query(url, ENDED, at=gap) == []
        assert {value for series in before for _, value in series["values"]} == {"3"}
