"""What Tab completes: commands, options, choices, and the names of labs and runs that the folders hold."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from enaxp.cli import app
from enaxp.cli.completion import COMPLETE_VARIABLE, PROGRAM, RUNS_OFFERED

RUNS = ("dev/20250101-120000", "big/20250202-130000", "dev/20260303-140000")


def items(line: str) -> list[CompletionItem]:
    """What is offered at the end of a line."""
    _, *words = shlex.split(line + "|")
    return ShellComplete(app, {}, PROGRAM, COMPLETE_VARIABLE).get_completions(words[:-1], words[-1].removesuffix("|"))


def offered(line: str) -> list[str]:
    return [item.value for item in items(line)]


@pytest.fixture
def labs_and_runs(folder: Path) -> Path:
    """Two labs with their state files, other files beside those, and three runs."""
    state = folder / "state"
    state.mkdir()
    for lab in ("dev", "big"):
        (state / f"{lab}.json").write_text(json.dumps({"schema": 2, "lab": lab}))
        (state / f"{lab}.json.bak").write_text("{}")
    (state / "prices.json").write_text('{"us-east-1": {}}')
    (state / "broken.json").write_text('{"lab": ')
    for run in RUNS:
        (folder / "results" / run).mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("enaxp comp", ["compare", "completion"]),
        ("enaxp up --t", ["--ttl", "--target"]),
        ("enaxp up --target ", ["aws", "local"]),
        ("enaxp up --target=l", ["local"]),
        ("enaxp down ", ["network", "compute", "monitoring"]),
        ("enaxp up network c", ["compute"]),
        ("enaxp ssh ", ["server", "client", "monitoring"]),
        ("enaxp bench --order ", ["interleaved", "parallel", "toggled"]),
        ("enaxp completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_commands_options_and_choices_are_completed(folder: Path, line: str, values: list[str]) -> None:
    assert offered(line) == values


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("enaxp up --lab ", ["big", "dev"]),
        ("enaxp up --lab d", ["dev"]),
        ("enaxp up --state-dir elsewhere --lab ", []),
        ("enaxp check ", ["latest", "20260303-140000", "20250202-130000", "20250101-120000"]),
        ("enaxp check 2025", ["20250202-130000", "20250101-120000"]),
        ("enaxp check --lab big ", ["latest", "20250202-130000"]),
        ("enaxp compare latest 2026", ["20260303-140000"]),
        ("enaxp report la", ["latest"]),
        ("enaxp bench --resume 2026", ["20260303-140000"]),
    ],
)
def test_labs_and_runs_are_completed_from_their_folders(labs_and_runs: Path, line: str, values: list[str]) -> None:
    assert offered(line) == values


def test_folders_can_be_named_in_the_environment(labs_and_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENAXP_STATE_DIR", "elsewhere")

    assert offered("enaxp up --lab ") == []


def test_a_run_is_reported_with_its_lab(labs_and_runs: Path) -> None:
    assert [(item.value, item.help) for item in items("enaxp check 202502")] == [("20250202-130000", "of lab big")]


def test_what_begins_no_run_may_be_a_folder(labs_and_runs: Path) -> None:
    assert [item.type for item in items("enaxp check results/")] == ["dir"]


def test_of_many_runs_the_newest_are_offered(folder: Path) -> None:
    for second in range(RUNS_OFFERED + 5):
        (folder / f"results/dev/20250101-1200{second:02}").mkdir(parents=True)

    assert offered("enaxp check ")[:2] == ["latest", "20250101-120034"]
    assert len(offered("enaxp check ")) == RUNS_OFFERED


@pytest.mark.parametrize(("shell", "registers"), [("bash", "complete -"), ("zsh", "compdef "), ("fish", "complete --")])
def test_a_script_is_printed_for_each_shell(folder: Path, shell: str, registers: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "enaxp", "completion", shell], capture_output=True, text=True, check=True
    )

    assert registers in ran.stdout
    assert f"{COMPLETE_VARIABLE}={shell}_complete" in ran.stdout


def test_bash_completes_with_the_script(labs_and_runs: Path) -> None:
    program = labs_and_runs / "enaxp"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m enaxp "$@"\n')
    program.chmod(0o755)
    at_tab = """
        eval "$(enaxp completion bash)"
        COMP_WORDS=(enaxp status --lab d) COMP_CWORD=3
        _enaxp_completion enaxp
        echo "${COMPREPLY[@]}"
    """

    ran = subprocess.run(
        ["bash", "--norc", "-c", at_tab],
        env={**os.environ, "PATH": f"{labs_and_runs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.stdout, ran.stderr) == ("dev\n", "")
