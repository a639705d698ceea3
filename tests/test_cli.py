"""The command line: what it refuses before anything is called, where its words go, and how it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "hosts/fixtures/sockperf"


def enaxp(
    *arguments: str, folder: Path | str = ".", stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "enaxp", *arguments],
        cwd=folder,
        input=stdin,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_names_every_command() -> None:
    text = enaxp("--help").stdout

    for command in (
        "init",
        "plan",
        "up",
        "status",
        "bench",
        "parse",
        "down",
        "ssh",
        "demo",
        "compare",
        "check",
        "runs",
        "query",
        "export",
    ):
        assert f"\n  {command} " in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("up", "--lab", "Not A Name"), "lab: 'Not A Name' is not allowed"),
        (("bench", "--iterations", "0"), "bench.iterations: 0 is not allowed"),
        (("bench", "--duration", "soon"), "bench.duration: 'soon' is not allowed"),
        (("bench", "--scenario", "udp"), "bench.scenarios: 'udp' is not allowed"),
        (("plan", "--config", "absent.yaml"), "absent.yaml is not there"),
        (("up", "--region", "virginia"), "aws.region: 'virginia' is not allowed"),
        (("up", "--ttl", "1s"), "ttl: '1s' is not allowed"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_called(
    folder: Path, arguments: tuple[str, ...], says: str
) -> None:
    ran = enaxp(*arguments, folder=folder)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("up", "monitor"),
        ("bench", "--iterations", "ten"),
        ("bench", "--order", "random"),
        ("ssh", "both"),
        ("frob",),
        ("up", "--target", "moon"),
    ],
)
def test_a_wrong_option_is_a_usage_error(folder: Path, arguments: tuple[str, ...]) -> None:
    ran = enaxp(*arguments, folder=folder)

    assert ran.returncode == 2
    assert "Usage:" in ran.stderr


@pytest.mark.parametrize("other", [("--expired",), ("--lab-id", "1-2-3")])
def test_what_is_foreign_is_removed_from_one_lab_that_is_named(folder: Path, other: tuple[str, ...]) -> None:
    ran = enaxp("down", "--with-foreign", *other, folder=folder)

    assert ran.returncode == 2
    assert "--with-foreign is for one lab" in ran.stderr
    assert list(folder.iterdir()) == []


def test_without_credentials_it_says_what_to_do(folder: Path) -> None:
    ran = enaxp("plan", folder=folder)

    assert ran.returncode == 1
    assert "asking AWS who we are" in ran.stderr
    assert "configure credentials" in ran.stderr


def test_a_traceback_is_shown_only_with_debug(folder: Path) -> None:
    assert "Traceback" not in enaxp("plan", folder=folder).stderr
    assert "Traceback" in enaxp("plan", "--debug", folder=folder).stderr


def test_an_option_can_come_from_the_environment(folder: Path) -> None:
    ran = enaxp("plan", folder=folder, ENAXP_LAB="Not A Name")

    assert ran.returncode == 2
    assert "'Not A Name'" in ran.stderr


def test_init_writes_the_commented_defaults(folder: Path) -> None:
    first, second = enaxp("init", folder=folder), enaxp("init", folder=folder)

    assert (first.returncode, second.returncode) == (0, 2)
    assert "iterations: 10" in (folder / "config/bench.yaml").read_text()
    assert "is there already" in second.stderr


def test_a_lab_that_is_not_there_has_no_hosts(folder: Path, local_target: None) -> None:
    for arguments in (("ssh", "client"), ("bench",)):
        ran = enaxp(*arguments, "--target", "local", "--isolation", "processes", folder=folder)
        assert (ran.returncode, "run `enaxp up` first" in ran.stderr) == (2, True)


def test_status_and_down_of_nothing_are_no_errors(folder: Path, local_target: None) -> None:
    local = ("--target", "local", "--isolation", "processes", "--json")

    status, down = enaxp("status", *local, folder=folder), enaxp("down", *local, folder=folder)

    assert (status.returncode, json.loads(status.stdout)["lab_id"]) == (0, None)
    assert (down.returncode, json.loads(down.stdout)) == (0, {"removed": [], "leftovers": []})


def test_parse_reads_files_and_stdin() -> None:
    good, bad = FIXTURES / "3.10/ping-pong-udp.txt", FIXTURES / "3.7/fail-no-server-udp.txt"

    one = enaxp("parse", str(good))
    both = enaxp("parse", "-", str(bad), stdin=good.read_text())

    [document] = json.loads(one.stdout)
    assert (one.returncode, document["ok"], document["version"]) == (0, True, "3.10")
    first, second = json.loads(both.stdout)
    assert (both.returncode, first["file"], first["ok"], second["ok"]) == (1, "-", True, False)
    assert second["reason"]
    assert {**document, "file": "-"} == first


def test_parse_names_a_file_that_cannot_be_read(folder: Path) -> None:
    ran = enaxp("parse", "absent.txt", folder=folder)

    assert ran.returncode == 2
    assert "absent.txt cannot be read" in ran.stderr
