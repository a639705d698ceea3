"""A run folder made to attack: reading it does nothing but say why it is refused."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import RunFolder
from enaxp.config import load_config
from enaxp.errors import BenchError, ConfigError
from tests.commands.test_fleet_bench import Run, beside_hosts_that_nobody_reaches
from tests.commands.test_runs import Ran, make_run

RUN = "dev/20250411-082610"
SHELL = "x; touch sprung; y"
ONE_PAIR = "hosts: {proxy_command: /bin/false}\nnetwork: {ssh_cidr: 192.168.0.0/16}\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    above = tmp_path_factory.mktemp("made")
    make_run(above / RUN)
    return above


@pytest.fixture
def run(folder: Path, made: Path) -> Path:
    return Path(shutil.copytree(made, folder / "results")) / RUN


def change(run: Path, name: str, path: str, value: Any) -> None:
    """Puts a value into one of the run's documents, in every line where there are several."""
    file = run / name
    lines = (
        [json.loads(line) for line in file.read_text().splitlines()]
        if name.endswith("l")
        else [json.loads(file.read_text())]
    )
    for line in lines:
        *above, last = (int(part) if part.isdigit() else part for part in path.split("."))
        place = line
        for part in above:
            place = place[part]
        place[last] = value
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


HOSTILE: dict[str, tuple[str, str, Any]] = {
    "a command for a scenario": ("manifest.json", "plan.scenarios.0.name", SHELL),
    "a substitution for a scenario": ("manifest.json", "plan.scenarios.0.name", "$(touch sprung)"),
    "a path for a scenario": ("manifest.json", "plan.scenarios.0.name", "../../../sprung"),
    "a line break after a scenario": ("manifest.json", "plan.scenarios.0.name", "udp-latency\n"),
    "an escape for a scenario": ("manifest.json", "plan.scenarios.0.name", "udp\x1b[2J"),
    "a command for a mode": ("manifest.json", "plan.scenarios.0.mode", SHELL),
    "a command for a protocol": ("manifest.json", "plan.scenarios.0.protocol", SHELL),
    "a command for a size": ("manifest.json", "plan.scenarios.0.message_size", SHELL),
    "no size": ("manifest.json", "plan.scenarios.0.message_size", 0),
    "a million flows": ("manifest.json", "plan.scenarios.0.flows", 1_000_000),
    "a command for a rate": ("manifest.json", "plan.scenarios.0.rate", SHELL),
    "a formula for a test": ("manifest.json", "plan.scenarios.0.csv_name", "=HYPERLINK(1)"),
    "a formula with an at": ("manifest.json", "plan.scenarios.0.csv_name", "@SUM(1)"),
    "a formula with a minus": ("manifest.json", "plan.scenarios.0.csv_name", "-1+1"),
    "iterations without end": ("manifest.json", "plan.iterations", 10**9),
    "trials without end": ("manifest.json", "plan.repeats", 10_000),
    "a path for a lab": ("manifest.json", "lab", "../../x"),
    "a path for a run": ("manifest.json", "run_id", "../x"),
    "a command for an address": ("manifest.json", "connections.ena.source_ip", SHELL),
    "half a character": ("manifest.json", "versions.enaxp", "\ud800"),
    "a duration without end": ("manifest.json", "plan.duration_s", 1e12),
    "a path for a histogram": ("trials.jsonl", "histogram_file", "../../../../etc/passwd"),
    "an absolute path for a histogram": ("trials.jsonl", "histogram_file", "/etc/passwd"),
    "a command for a trial's scenario": ("trials.jsonl", "scenario", SHELL),
}


@pytest.mark.parametrize(("name", "path", "value"), HOSTILE.values(), ids=HOSTILE)
def test_it_is_refused_with_the_reason(run: Path, name: str, path: str, value: Any) -> None:
    change(run, name, path, value)
    for made in ("result.json", "report.html"):
        (run / made).unlink(missing_ok=True)
    before = sorted(Path().rglob("*"))

    for arguments in (["report", RUN], ["check", RUN], ["compare", RUN, RUN]):
        ran = Ran(*arguments)

        assert ran.code in (1, 2), arguments
        assert "Traceback" not in ran.stderr
        assert name in ran.stderr
        assert "\x1b" not in ran.stderr
    assert sorted(Path().rglob("*")) == before


@pytest.fixture(scope="module")
def beside_a_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, Path]]:
    """What runs a command beside a lab whose hosts nobody reaches, and the folder in which it does."""
    folder = tmp_path_factory.mktemp("lab")
    with beside_hosts_that_nobody_reaches(folder, ONE_PAIR) as enaxp:
        yield enaxp, folder


def resumed(beside_a_lab: tuple[Run, Path], run: Path) -> subprocess.CompletedProcess[str]:
    """`bench --resume` of that run, beside the lab."""
    enaxp, _ = beside_a_lab
    return enaxp("bench", "--resume", run.name, "--results-dir", str(run.parent.parent.resolve()))


def test_a_run_that_is_whole_is_resumed_as_far_as_the_hosts(beside_a_lab: tuple[Run, Path], run: Path) -> None:
    done = resumed(beside_a_lab, run)

    assert done.returncode == 1
    assert "connecting to the server" in done.stderr


@pytest.mark.parametrize(("name", "path", "value"), HOSTILE.values(), ids=HOSTILE)
def test_to_resume_it_is_refused_before_the_hosts_are_asked(
    beside_a_lab: tuple[Run, Path], run: Path, name: str, path: str, value: Any
) -> None:
    change(run, name, path, value)
    _, folder = beside_a_lab
    before = {place: sorted(place.rglob("*")) for place in (Path(), folder)}

    done = resumed(beside_a_lab, run)

    assert done.returncode in (1, 2)
    assert name in done.stderr
    assert "connecting" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    assert {place: sorted(place.rglob("*")) for place in before} == before


def test_a_link_in_it_leads_nowhere(run: Path, folder: Path) -> None:
    """What is written into a run would be written where the link leads."""
    (folder / "victim").write_text("mine\nno newline")
    (run / "trials.jsonl").unlink()
    (run / "trials.jsonl").symlink_to(folder / "victim")

    with pytest.raises(BenchError, match="holds links"):
        RunFolder.open(run)
    with pytest.raises(BenchError, match="holds links"):
        RunFolder.find(folder / "results", lab=None, run=str(run))

    assert (folder / "victim").read_text() == "mine\nno newline"


@pytest.mark.parametrize("name", ["trials.jsonl", "histograms/0004.csv.gz"])
def test_a_pipe_in_it_is_not_waited_for(run: Path, name: str) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)

    ran = Ran("check", RUN)

    assert ran.code != 0
    assert "Traceback" not in ran.stderr


def _packed(row: bytes, times: int) -> bytes:
    return gzip.compress(b"value_ns,count\n" + row * times, compresslevel=9)


BOMBS: dict[str, Callable[[], bytes]] = {
    "a thousand times its size": lambda: _packed(b"1,1\n", 50_000_000),
    "nothing but zeros": lambda: _packed(b"0" * 1000, 300_000),
    "sums beyond every number": lambda: _packed(b"9223372036854775807,9223372036854775807\n", 2),
    "no end": lambda: _packed(b"1,1\n", 1000)[:-8],
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_histogram_that_unfolds_is_not_unfolded(bomb: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(bomb())
    code = (
        "import resource, sys; from enaxp.bench.run_folder.histogram import Histogram; content = open(sys.argv[1], 'rb').read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: Histogram.from_bytes(content)\n"
        "except ValueError as error: print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bomb")], capture_output=True, text=True, check=True
    )
    grown_mb, _, said = done.stdout.partition(" ")
    assert said
    assert int(grown_mb) < 400


def test_an_honest_histogram_is_read_back() -> None:
    histogram = Histogram.of(range(20_000, 420_000), [3] * 400_000)
    assert Histogram.from_bytes(histogram.to_bytes()) == histogram


ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
)


@pytest.mark.parametrize(
    "text",
    [
        ALIASES,
        "? [a, b]\n: c\n",
        "lab: !!python/object/apply:os.system ['touch sprung']\n",
        "[" * 100_000,
        "lab: \x1b[2J\n",
    ],
    ids=["a bomb of aliases", "a list for a key", "a command", "brackets without end", "an escape"],
)
def test_a_config_made_to_attack_is_refused(text: str, folder: Path) -> None:
    (folder / "bench.yaml").write_text(text)

    with pytest.raises(ConfigError):
        load_config(folder / "bench.yaml", overrides={})

    assert not (folder / "sprung").exists()
