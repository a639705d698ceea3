"""The wheel: complete in itself, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    [built] = folder.glob("*.whl")
    return built


def test_an_installed_wheel_finds_its_own_files_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    site, folder = tmp_path / "site", tmp_path / "empty"
    folder.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    script = f"""
import enaxp
from enaxp.config import load_config
from enaxp.lab.lifecycle import wanted_for_survey

assert enaxp.__file__.startswith({str(site)!r}), enaxp.__file__
resources = wanted_for_survey(load_config(), gateway=None)
print(len(resources), "#!/bin/bash" in resources[-1].want.user_data)
from enaxp.monitor.files import dashboards, text_of
assert len(dashboards()) == 2 and "groups:" in text_of("rules.yml")
"""
    environment = {**os.environ, "PYTHONPATH": str(site)}

    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    started = subprocess.run(
        [sys.executable, "-m", "enaxp", "init"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.stdout, ran.stderr) == ("35 True\n", "")
    assert started.returncode == 0, started.stderr
    assert (folder / "config/bench.yaml").read_text() == (ROOT / "config/bench.yaml").read_text()


def test_the_wheel_holds_the_stand_ins_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert any(name.endswith("/ethtool") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "selfcheck/"))]
