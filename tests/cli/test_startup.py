"""What is imported before a command does anything: enaxp answers `--help` and Tab at once, so it must be little."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Heavy parts of the standard library, which come with networking, logging and thread pools.
HEAVY = {
    "asyncio",
    "concurrent",
    "email",
    "http",
    "logging",
    "multiprocessing",
    "socket",
    "ssl",
    "unittest",
    "urllib.request",
}


def imported_by(program: str, **environment: str) -> set[str]:
    """The modules that an interpreter has imported when it has run a program and leaves."""
    at_exit = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
    ran = subprocess.run(
        [sys.executable, "-c", at_exit + program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stderr.split())


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """What an interpreter imports that does nothing."""
    return imported_by("pass")


@pytest.fixture(
    scope="module", params=[{}, {"_ENAXP_COMPLETE": "bash_complete", "COMP_WORDS": "enaxp check ", "COMP_CWORD": "2"}]
)
def imported(request: pytest.FixtureRequest, bare: set[str]) -> set[str]:
    """What `enaxp --help`, and completion of a run's name, import besides."""
    program = "sys.argv = ['enaxp', '--help']; from enaxp.__main__ import main; main()"
    return imported_by(program, **request.param) - bare


def test_nothing_but_click_is_imported_from_other_projects(imported: set[str]) -> None:
    others = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names

    assert others == {"click", "enaxp"}


def test_nothing_heavy_is_imported_from_the_standard_library(imported: set[str]) -> None:
    assert imported & HEAVY == set()


def test_of_enaxp_only_the_command_line_itself_is_imported(imported: set[str]) -> None:
    own = {name for name in imported if name.startswith("enaxp.") and not name.startswith("enaxp.cli")}
    small = {
        "__main__",
        "errors",
        "ending",
        "options",
        "traffic",
        "bench",
        "bench.run_folder",
        "bench.run_folder.names",
        "terminal",
        "terminal.streams",
    }

    assert own <= {f"enaxp.{name}" for name in small}
