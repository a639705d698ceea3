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
    assert "next: give another one (--state-dir)" in ran.stderr


@pytest.mark.parametrize(
    ("files", "has_pip", "said"),
    [
        ({}, True, "'/opt/my tools/python' -m pip install 'enaxp[local]'"),
        (
            {"pipx_metadata.json": '{"main_package": {"package_or_url": "/tmp/a b.whl"}}'},
            True,
            "pipx install --force '/tmp/a b.whl[local]'",
        ),
        ({"pipx_metadata.json": "[]"}, False, "pipx install --force 'enaxp[local]'"),
        ({"uv-receipt.toml": ""}, False, "uv tool install --force 'enaxp[local]'"),
        ({}, False, "uvx --from 'enaxp[local]' enaxp, or the same of where this enaxp is from"),
    ],
    ids=["pip", "pipx", "pipx that does not tell", "uv", "uvx"],
)
def test_what_is_missing_is_added_as_enaxp_was_installed(
    files: dict[str, str], has_pip: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/opt/my tools/python")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object() if has_pip else None)

    assert how_to_add("local") == said
