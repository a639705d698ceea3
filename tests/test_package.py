"""The wheel: complete in itself, and enough for everything that is done against AWS, wherever it is installed."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from email import message_from_string
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from enaxp import __version__
from tests.support.on_aws import OnAws, strict_aws

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


def test_the_wheel_holds_every_file_of_the_program_as_it_is_and_nothing_else(wheel: Path) -> None:
    there = {
        path if path.parts[0] == "enaxp" else Path("enaxp/_data") / path: (ROOT / path).read_bytes()
        for top in ("enaxp", "config", "templates", "monitor")
        for path in (found.relative_to(ROOT) for found in (ROOT / top).rglob("*"))
        if (ROOT / path).is_file() and "__pycache__" not in path.parts
    }

    with zipfile.ZipFile(wheel) as archive:
        held = {Path(n): archive.read(n) for n in archive.namelist() if ".dist-info/" not in n}

    assert sorted(held) == sorted(there)
    assert [name for name, content in held.items() if content != there[name]] == []


def test_the_wheel_says_of_itself_what_an_index_shows(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        licences = [n for n in archive.namelist() if n.endswith(".dist-info/licenses/LICENSE")]
    told = message_from_string(metadata)
    pythons = [name.rpartition(" ")[2] for name in told.get_all("Classifier", []) if re.search(r":: 3\.\d+$", name)]

    assert (told["Version"], told["License-Expression"]) == (__version__, "Apache-2.0")
    assert licences
    assert told["Description-Content-Type"] == "text/markdown"
    assert told.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
    assert told["Requires-Python"] == f"<3.{int(pythons[-1][2:]) + 1},>={pythons[0]}"


# Who may import what an extra brings: nothing else of the program needs it.
OF_EXTRAS = {"query": ("dataset/",), "trend": ("bench/statistics/changes.py",)}


def test_what_is_imported_without_the_local_target_is_declared_without_an_extra(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
    required = [
        line.removeprefix("Requires-Dist: ") for line in metadata.splitlines() if line.startswith("Requires-Dist:")
    ]
    brought_by = packages_distributions()

    def declared(path: Path) -> set[str]:
        """The packages that a module may import: those of no extra, and those of the extras that it is one of."""
        inside = str(path.relative_to(ROOT / "enaxp"))
        extras = [extra for extra, rooms in OF_EXTRAS.items() if inside.startswith(rooms)]
        return {
            re.split(r"[^A-Za-z0-9-]", line)[0].lower()
            for line in required
            if "extra ==" not in line or any(f"extra == '{extra}'" in line for extra in extras)
        }

    undeclared = {
        (name, str(path.relative_to(ROOT)))
        for path in (ROOT / "enaxp").rglob("*.py")
        if "local" not in path.parts
        for name in _imported_at_work(path)
        if name not in {*sys.stdlib_module_names, "enaxp"}
        and not declared(path) & {distribution.lower().replace("_", "-") for distribution in brought_by.get(name, ())}
    }

    assert undeclared == set()


def _imported_at_work(path: Path) -> Iterator[str]:
    """The packages that a module imports when it is used: not those that only a type checker looks at."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnAws]:
    """enaxp as pipx installs it: in an environment of its own, outside of the tree. What it needs is taken from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=120)
    quiet = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    subprocess.run([folder / "venv/bin/python", "-m", "pip", "install", *quiet, wheel], check=True, timeout=120)
    [site] = (folder / "venv/lib").glob("*/site-packages")
    (site / "needed.pth").write_text(
        sysconfig.get_path("purelib") + "\n"
    )  # a path alone: its own .pth files are not followed
    (folder / "work").mkdir()
    with strict_aws() as server:
        yield OnAws(server, folder / "work", command=(str(folder / "venv/bin/enaxp"),))


def test_the_installed_program_is_that_of_the_wheel(installed: OnAws) -> None:
    python = Path(installed.command[0]).with_name("python")

    where = subprocess.check_output([python, "-P", "-c", "import enaxp; print(enaxp.__file__)"], text=True)

    assert where.startswith(str(python.parent.parent))


def test_a_lab_is_built_looked_at_and_removed_by_the_installed_program(installed: OnAws) -> None:
    ran = [
        installed.run(*arguments)
        for arguments in (
            ("init",),
            ("plan",),
            ("up", "--all", "--yes", "--no-wait"),
            ("status", "--json"),
            ("plan", "network", "compute", "monitoring", "--check"),
            ("doctor", "--preflight"),
            ("ls",),
            ("policy",),
            ("down", "--yes"),
        )
    ]

    assert [(one.code, one.stderr if one.code else "") for one in ran] == [(0, "")] * len(ran)
    assert "dev" in ran[6].stdout


def test_runs_are_read_and_drawn_by_the_installed_program(installed: OnAws) -> None:
    run = installed.folder / "results/dev/20260302-093000"
    shutil.copytree(ROOT / "tests/bench/fixtures/run-schema-1", run)
    kept = ROOT / "tests/hosts/fixtures/sockperf/3.10/ping-pong-udp.txt"

    ran = [
        installed.run(*arguments)
        for arguments in (
            ("report", "latest"),
            ("report", "latest", "--format", "md"),
            ("compare", "latest", "latest"),
            ("runs",),
            ("parse", str(kept)),
        )
    ]

    assert [(one.code, one.stderr if one.code else "") for one in ran] == [(0, "")] * len(ran)
    assert (run / "report.html").exists()


def test_the_wheel_holds_the_stand_ins_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert any(name.endswith("/ethtool") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "selfcheck/"))]
