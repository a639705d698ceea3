"""What nobody expected: a sentence of its own, and a next step that fits."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
import yaml

from enaxp.installed import how_to_add
from enaxp.unforeseen import told
from tests.support.on_aws import COMMAND

CASES = yaml.safe_load((Path(__file__).parent / "unforeseen.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"][:60])
def test_an_error_has_advice_that_fits_it(case: dict[str, Any]) -> None:
    kind = getattr(builtins, case["raise"], None) or getattr(botocore.exceptions, case["raise"])
    error = kind(*case.get("of", ()), **case.get("with", {}))

    assert case["says"] in told(error)


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(folder: Path, local_target: None) -> None:
    command = [*COMMAND, "status", "--target", "local", "--state-dir", "/proc/enaxp"]

    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)

    assert ran.returncode == 1
    assert "/proc/enaxp cannot be used" in ran.stderr
    assert "next: choose other folders (--state-dir, --results-dir)" in ran.stderr


def test_what_is_missing_is_added_to_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/my tools/python")

    assert how_to_add("local") == "'/opt/my tools/python' -m pip install 'enaxp[local]'"


def test_where_there_is_no_pip_uv_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    assert how_to_add("local").startswith("uv tool install 'enaxp[local]'")
