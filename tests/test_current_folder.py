"""The current folder is a person's own: nothing in it is imported, whatever its files are called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "bench/fixtures/run-schema-1"
OTHERS = (
    "yaml",
    "boto3",
    "botocore",
    "moto",
    "msgspec",
    "werkzeug",
    "altair",
    "vl_convert",
    "numpy",
    "enaxp",
    "jinja2",
)


@pytest.fixture
def crowded(folder: Path) -> Path:
    """A folder with a file of the name of every module of Python's own, and of others that enaxp uses. Each tells when it is run."""
    for name in (*sys.stdlib_module_names, *OTHERS):
        (folder / f"{name}.py").write_text(
            f"open({str(folder / 'imported')!r}, 'a').write({name!r} + '\\n')\nraise SystemExit\n"
        )
    return folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As the installed command runs: Python itself puts the current folder first for `python -m` alone."""
    command = [sys.executable, "-P", "-m", "enaxp", *arguments]
    return subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=180, check=False)


def test_the_local_target_imports_nothing_of_it(crowded: Path, local_target: None) -> None:
    ran = run("status", "--target", "local", "--isolation", "processes")

    assert (ran.returncode, (crowded / "imported").exists()) == (0, False), ran.stderr


def test_a_report_imports_nothing_of_it(crowded: Path) -> None:
    shutil.copytree(RUN, crowded / "results/dev/20250411-082610")

    ran = run("report", "20250411", "--format", "html")

    assert (ran.returncode, (crowded / "imported").exists()) == (0, False), ran.stderr
