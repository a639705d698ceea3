"""The exporter, over HTTP as Prometheus asks it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from enaxp.errors import UsageError
from enaxp.monitor.exporter import serving
from tests.support.monitoring import eventually, fetch, promtool, some_records, write_run


def samples(url: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """What a scrape gives: by name, by labels."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(fetch(url)):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def counts(url: str) -> dict[str, float]:
    return {labels[0][1]: value for labels, value in samples(url)["enaxp_exporter_runs"].items()}


@pytest.mark.system
def test_a_scrape_is_what_promtool_calls_good_metrics(tmp_path: Path) -> None:
    write_run(tmp_path)

    with serving(tmp_path, address="127.0.0.1", port=0) as url:
        done = promtool("check", "metrics", given=fetch(url))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_run_that_goes_on_is_seen_to_go_on(tmp_path: Path) -> None:
    trials = some_records()
    folder = write_run(tmp_path, trials[:4])

    with serving(tmp_path, address="127.0.0.1", port=0) as url:
        before = samples(url)["enaxp_run_ended_trials"][(("lab", "dev"),)]
        folder.append(trials[4])
        with (folder.path / "trials.jsonl").open("a") as file:
            file.write('{"half a li')
        after = samples(url)["enaxp_run_ended_trials"][(("lab", "dev"),)]

    assert (before, after) == (4, 5)


def test_the_newest_run_of_each_lab_is_served(tmp_path: Path) -> None:
    write_run(tmp_path, [], run_id="20250411-082610", lab="one")
    write_run(tmp_path, run_id="20250412-082610", lab="one")
    write_run(tmp_path, some_records()[:2], run_id="20240101-000000", lab="two")

    with serving(tmp_path, address="127.0.0.1", port=0) as url:
        ended = samples(url)["enaxp_run_ended_trials"]
        assert counts(url) == {"served": 2, "older": 1, "unreadable": 0}

    assert ended == {(("lab", "one"),): len(some_records()), (("lab", "two"),): 2}


def empty_folder(run: Path) -> None:
    for path in run.iterdir():
        path.unlink()


def no_json(run: Path) -> None:
    (run / "manifest.json").write_text('{"schema": 1, ')


def another_schema(run: Path) -> None:
    (run / "manifest.json").write_text(json.dumps({"schema": 99}))


def a_bad_line(run: Path) -> None:
    (run / "trials.jsonl").write_text('nonsense\n{"schema": 1}\n')


def a_bad_time(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "started_at": "yesterday"}))


@pytest.mark.parametrize("damage", [empty_folder, no_json, another_schema, a_bad_line, a_bad_time])
def test_a_broken_run_is_passed_over_and_counted(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    write_run(tmp_path, some_records()[:2], run_id="20250411-082610")
    damage(write_run(tmp_path, run_id="20250412-082610").path)

    with serving(tmp_path, address="127.0.0.1", port=0) as url:
        assert counts(url) == {"served": 1, "older": 0, "unreadable": 1}
        assert samples(url)["enaxp_run_ended_trials"] == {(("lab", "dev"),): 2}


def test_a_run_that_was_broken_is_served_once_it_is_whole(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    whole = (folder.path / "manifest.json").read_bytes()
    no_json(folder.path)

    with serving(tmp_path, address="127.0.0.1", port=0) as url:
        assert counts(url)["unreadable"] == 1
        (folder.path / "manifest.json").write_bytes(whole)
        assert counts(url) == {"served": 1, "older": 0, "unreadable": 0}


@pytest.mark.parametrize("which", ["results", "lab", "run"])
def test_any_folder_of_the_three_can_be_served(tmp_path: Path, which: str) -> None:
    run = write_run(tmp_path).path

    with serving({"results": tmp_path, "lab": run.parent, "run": run}[which], address="127.0.0.1", port=0) as url:
        assert counts(url) == {"served": 1, "older": 0, "unreadable": 0}


def test_scrapes_may_come_side_by_side(tmp_path: Path) -> None:
    write_run(tmp_path)

    with serving(tmp_path, address="127.0.0.1", port=0) as url, ThreadPoolExecutor(8) as pool:
        texts = set(pool.map(lambda _: fetch(url), range(16)))

    assert len(texts) == 1


def test_a_port_that_is_taken_is_reported(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UsageError, match="cannot listen"),
        serving(tmp_path, address="127.0.0.1", port=taken.getsockname()[1]),
    ):
        pass


def test_without_the_library_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(UsageError, match=r"enaxp\[monitor\]"), serving(tmp_path, address="127.0.0.1", port=0):
        pass


def test_the_command_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    write_run(tmp_path / "results")
    command = [sys.executable, "-m", "enaxp", "exporter", "--results", "results", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        assert "enaxp_trials_total" in eventually(lambda: fetch(url))
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)
        process.stderr.close()
    assert code == 0


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "enaxp", "exporter", "--results", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, "there is no folder nowhere" in done.stderr) == (2, True)
