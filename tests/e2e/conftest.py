"""Labs for the end-to-end tests, on both kinds of hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.driver import Driver, machine

BOTH = [pytest.param("namespaces", marks=pytest.mark.namespaces), "processes"]


@pytest.fixture(scope="module", params=BOTH)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A lab that is up, for all tests of a module; taken down afterwards, which must leave nothing on this machine."""
    require_programs()
    before = machine()
    driver = Driver(tmp_path_factory.mktemp(request.param), request.param)
    try:
        driver.ok("up")
        yield driver
        family = driver.family()
    finally:
        driver.end()
    assert driver.living(family) == []
    assert machine() == before


@pytest.fixture(params=BOTH)
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    """A folder without a lab, for tests that build their own; what they leave is taken down."""
    require_programs()
    fresh = Driver(tmp_path, request.param)
    try:
        yield fresh
    finally:
        fresh.end()


def require_programs() -> None:
    from enaxp.local.machines.programs import missing_programs

    missing = missing_programs()
    if missing:
        pytest.skip(f"the local target needs {', '.join(program for program, _ in missing)}")
