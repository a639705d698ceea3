"""What is private stays private: files from their first byte on, what a run tells of a computer, and a bench that is told to end."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.bench.run_folder.environment import without_this_computer
from enaxp.bench.run_folder.records import RunFolder
from enaxp.files import holding, write_whole, writing_whole
from enaxp.lab.keys import write_secret
from enaxp.report.redact import RedactedFleet, RedactedRun, without_private_words
from selfcheck.made_run import Made, make_fleet
from tests.commands.test_runs import Ran, make_run

RUN = "dev/20250411-082610"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def generous() -> object:
    """A umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_private_file_is_private_whatever_lies_there(tmp_path: Path, generous: object) -> None:
    """A file of the name that earlier versions used for the new one, made by somebody else, open to all."""
    path, elsewhere = tmp_path / "dev.pem", tmp_path / "elsewhere"
    elsewhere.write_text("")
    for planted in (tmp_path / f"dev.{os.getpid()}.new", tmp_path / ".dev.pem.new"):
        planted.symlink_to(elsewhere)

    write_secret(path, "secret")

    assert (path.read_text(), mode_of(path), elsewhere.read_text()) == ("secret", 0o600, "")


def test_nobody_else_can_hold_a_lock_since_its_file_is_private(tmp_path: Path, generous: object) -> None:
    """A file that others can read is one that they can lock, for as long as they like. One of an earlier version becomes private."""
    fresh, earlier = tmp_path / "dev.lock", tmp_path / "old.lock"
    earlier.touch(mode=0o644)

    with holding(fresh, who="me"), holding(earlier, who="me"):
        modes = [mode_of(fresh), mode_of(earlier)]

    assert modes == [0o600, 0o600]


def test_it_is_private_before_anything_is_in_it(tmp_path: Path, generous: object) -> None:
    with writing_whole(tmp_path / "dev.json") as file:
        [fresh] = tmp_path.iterdir()
        assert mode_of(fresh) == 0o600
        file.write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["dev.json"]


def test_nothing_is_left_of_a_file_that_failed(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text("before")
    half = writing_whole(tmp_path / "dev.json")
    half.__enter__().write(b"half")

    assert half.__exit__(RuntimeError, RuntimeError(), None) is False

    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("dev.json", "before")]


def test_a_link_in_its_place_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "dev.json").symlink_to(tmp_path / "victim")

    write_whole(tmp_path / "dev.json", b"new")

    assert (tmp_path / "victim").read_text() == "mine"
    assert (tmp_path / "dev.json").read_text() == "new"


def test_a_local_run_does_not_tell_of_the_computer() -> None:
    facts = {
        "kernel": "6.1",
        "command_line": "root=UUID=x secret=y",
        "routes": "default via 198.51.100.1",
        "rules": "x",
    }

    assert without_this_computer({"client": facts}) == {"client": {"kernel": "6.1"}}
    asked = [
        "bench",
        "--config",
        "/home/me/x.yaml",
        "--profile=boss",
        "--iterations",
        "3",
        "--results-dir",
        "r",
        "~/x",
        "./y",
    ]
    assert without_private_words(asked) == [
        *("bench", "--config", "…", "--profile=…", "--iterations", "3", "--results-dir", "…", "…", "…")
    ]


PRIVATE = {
    "i-0123456789abcdef0": "i-1",
    "eni-0fedcba9876543210": "eni-1",
    "eni-0fedcba9876543211": "eni-2",
    "198.51.100.7": "192.0.2.",
    "123456789012": "000000000001",
    "0a:1b:2c:3d:4e:5f": "02:00:00:00:00:01",
    "/home/me/secret.yaml": "…",
}


@pytest.fixture
def told(folder: Path) -> RunFolder:
    """A run whose documents are full of what is nobody's concern."""
    run = make_run(folder / "results" / RUN)
    text = " ".join(PRIVATE)
    manifest = run.read_manifest()
    before = {"client": {"link": text, "routes": text, "command_line": text}, "server": {"link": text}}
    environment = replace(manifest.environment, before=before)
    arn = "arn:aws:iam::123456789012:user/x"
    argv = ("bench", "--config", "/home/me/secret.yaml", "--profile", "boss")
    place = {"instance_type": "c6i.8xlarge", "server": "i-0123456789abcdef0", "caller": arn}
    run.write_manifest(replace(manifest, environment=environment, argv=argv, place=place, forced=(text,)))
    return run


def test_a_redacted_report_shows_no_id_and_no_address(told: RunFolder) -> None:
    assert Ran("report", RUN).code == 0
    assert any(private in (told.path / "report.html").read_text() for private in PRIVATE)

    ran = Ran("report", RUN, "--redact")

    page = (told.path / "redacted-report.html").read_text()
    assert "redacted-report.html" in ran.stderr
    assert [private for private in [*PRIVATE, "boss"] if private in page] == []
    assert "udp-latency" in page


def test_what_was_one_thing_stays_one(told: RunFolder) -> None:
    place = RedactedRun(told.path).read_manifest().place
    forced = RedactedRun(told.path).read_manifest().forced

    assert place["server"] == "i-1"
    assert forced[0].split()[:3] == ["i-1", "eni-1", "eni-2"]
    assert RedactedRun(told.path).read_manifest().connections["ena"].source_ip.startswith("192.0.2.")


def test_a_redacted_fleet_shows_no_id_in_any_of_its_files(folder: Path) -> None:
    """Its own page, document, summary and charts, and the page of each pair, by one table of stand-ins."""
    places = {"main-1": "i-0123456789abcdef0", "main-2": "i-0123456789abcdef0", "main-3": "i-0123456789abcdef1"}
    small = Made(iterations=2, repeats=1, observations=200)
    pairs = {name: replace(small, seed=int(name[-1]), place={"server": id}) for name, id in places.items()}
    fleet = make_fleet(folder / "results", pairs, lab="dev")
    lost = fleet.read_manifest().with_lost({"main-3": f"no answer {' '.join(PRIVATE)}"})
    fleet.write_manifest(replace(lost, argv=("bench", "--profile", "boss")))
    assert Ran("report", fleet.run_id).code == 0
    assert all(private in (fleet.path / "summary.txt").read_text() for private in PRIVATE)
    as_it_is = (fleet.path / "fleet.json").read_bytes()

    ran = Ran("report", fleet.run_id, "--redact", "--charts", "pictures", *OF_ALL, "--json")

    assert ran.code == 0, ran.stderr
    written = json.loads(ran.stdout)["written"]
    assert [Path(path).resolve().relative_to(fleet.path.resolve()) for path in written if path.endswith(".html")] == [
        Path(above) / "redacted-report.html" for above in ("", *(f"pairs/{name}" for name in places))
    ]
    files = {path.name: path for path in map(Path, written)}
    assert {"udp-latency-p50-forest.svg", "udp-latency-p99-forest.svg"} <= files.keys()
    told = [fleet.path / f"redacted-{name}" for name in ("fleet.json", "summary.txt")]
    for path in [*map(Path, written), *told]:
        content = path.read_bytes().decode("utf-8", "replace")
        assert [private for private in [*PRIVATE, "boss", *places.values()] if private in content] == [], path
    assert [private for private in PRIVATE if private in ran.stdout] == []
    assert "no answer i-1 eni-1" in told[1].read_text()
    redacted = RedactedFleet(fleet.path)
    servers = [redacted.open_pair(name).read_manifest().place["server"] for name in places]
    assert servers == ["i-1", "i-1", "i-2"]  # what was one thing stays one
    assert (fleet.path / "fleet.json").read_bytes() == as_it_is


OF_ALL = ("--format", "html", "--format", "md", "--format", "svg")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cleans_up_as_ctrl_c_does(number: signal.Signals, tmp_path: Path) -> None:
    """The same clean-up for all three: whatever is to be done at the end of a command is done."""
    code = (
        "import sys, time; from unittest.mock import patch; import enaxp.cli\n"
        "def run(_):\n"
        "    try: print('begun', flush=True); time.sleep(60)\n"
        "    finally: print('cleaned up', flush=True)\n"
        "enaxp.cli.run = run\n"
        "from enaxp.__main__ import main; main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: (
            [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGTERM, signal.SIGHUP)]
            and signal.signal(signal.SIGINT, signal.default_int_handler)
        ),
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)

    assert said == "cleaned up\n"
    assert process.returncode == 130
    assert "interrupted" in errors


def test_nohup_still_holds(tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from enaxp.ending import as_by_ctrl_c; as_by_ctrl_c(); print(signal.getsignal(signal.SIGHUP).name)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "SIG_IGN\n"
    )
