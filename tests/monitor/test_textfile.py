"""What a run publishes on the client: by a real shell, into a real folder, and never at the cost of a trial."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from enaxp.bench.measuring.runner import Progress, RunOptions
from enaxp.bench.run_folder.records import RunFolder, TrialRecord
from enaxp.errors import HostError
from enaxp.monitor.textfile import FOLDER, NAME, published, write_command
from tests.support.monitoring import promtool, some_records, write_run


def shell(command: str, root: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ENAXP_ROOT": str(root)}
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)


def text_folder(root: Path) -> Path:
    folder = root / FOLDER.lstrip("/")
    folder.mkdir(parents=True)
    return folder


class Client:
    """The client host of a run, as a folder of this machine. `lost`: the connection is."""

    def __init__(self, root: Path) -> None:
        self.root, self.lost, self.tried = root, False, 0

    def check(self, command: str, *, timeout_s: float = 30.0) -> str:
        self.tried += 1
        if self.lost:
            raise HostError("running on the client", said="the connection was lost")
        return shell(command, self.root).stdout


def progress(record: TrialRecord | None = None) -> Progress:
    return Progress(done=0, total=1, seconds_left=1.0, record=record)


def watched(client: Client, folder: RunFolder, told: list[Progress]) -> Any:
    return published(RunOptions(watch=told.append), pair=SimpleNamespace(client=client), folder=folder)  # type: ignore[arg-type]


def test_a_file_is_replaced_whole_and_the_collector_reads_no_half_of_it(tmp_path: Path) -> None:
    folder = text_folder(tmp_path)
    (folder / NAME).write_text("old 1\n")
    (folder / NAME).chmod(0o600)

    done = shell(write_command('metric{a="\'$HOME`id`"} 1\n'), tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / NAME).read_text() == 'metric{a="\'$HOME`id`"} 1\n'
    assert [path.name for path in folder.iterdir()] == [NAME], "what node_exporter reads ends with .prom"
    assert (folder / NAME).stat().st_mode & 0o777 == 0o644


def test_a_host_without_the_folder_is_left_as_it_is(tmp_path: Path) -> None:
    done = shell(write_command("metric 1\n"), tmp_path)

    assert (done.returncode, list(tmp_path.iterdir())) == (0, [])


@pytest.mark.system
def test_every_trial_is_published_as_it_ends_and_once_more_at_the_end(tmp_path: Path) -> None:
    text, told = text_folder(tmp_path) / NAME, list[Progress]()
    trials, folder = some_records(), write_run(tmp_path / "results", [])

    with watched(Client(tmp_path), folder, told) as ways:
        ways.watch(progress())
        seen = [text.read_text()]
        for trial in trials[:2]:
            folder.append(trial)
            ways.watch(progress(trial))
            seen.append(text.read_text())

    assert ["ended_trials{" in one for one in seen] == [True, True, True]
    assert [f'enaxp_run_ended_trials{{lab="dev"}} {n}' in one for n, one in enumerate(seen)] == [True, True, True]
    assert promtool("check", "metrics", given=text.read_text()).returncode == 0
    assert len(told) == 3


def test_what_cannot_be_written_is_reported_once_costs_no_trial_and_is_made_up_for(tmp_path: Path) -> None:
    text, told, client = text_folder(tmp_path) / NAME, list[Progress](), Client(tmp_path)
    trials, folder = some_records(), write_run(tmp_path / "results", [])

    with watched(client, folder, told) as ways:
        client.lost = True
        for trial in trials[:3]:
            ways.watch(progress(trial))
        client.lost = False
        ways.watch(progress(trials[3]))

    notes = [one.note for one in told if one.note]
    assert len(notes) == 1
    assert "the connection was lost" in notes[0]
    assert 'enaxp_run_ended_trials{lab="dev"} 4' in text.read_text()


@pytest.mark.parametrize("fault", [HostError("no answer"), OSError("no room"), KeyError("a fault of ours")])
def test_no_fault_of_publishing_reaches_the_run(tmp_path: Path, fault: Exception) -> None:
    def broken(*_: object, **__: object) -> str:
        raise fault

    client, folder = SimpleNamespace(check=broken), write_run(tmp_path, [])
    ways = RunOptions(watch=lambda _: None)

    with published(ways, pair=SimpleNamespace(client=client), folder=folder) as ways:  # type: ignore[arg-type]
        ways.watch(progress(some_records()[0]))


def test_trials_that_end_side_by_side_are_all_there(tmp_path: Path) -> None:
    text = text_folder(tmp_path) / NAME
    trials, folder = some_records()[:4], write_run(tmp_path / "results", [])

    with watched(Client(tmp_path), folder, []) as ways:
        threads = [threading.Thread(target=ways.watch, args=(progress(trial),)) for trial in trials]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert 'enaxp_run_ended_trials{lab="dev"} 4' in text.read_text()
