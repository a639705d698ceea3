"""A lab that does without Systems Manager: the same scripts, brought to the hosts over SSH, from a copy of enaxp that can be edited."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from enaxp.local.machines.programs import missing_programs
from tests.support.driver import Driver

pytestmark = [pytest.mark.namespaces, pytest.mark.system]
SOURCE = Path(__file__).parents[2]
PUTTING = "putting utilities in place"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A lab with `hosts.ssm: false`, made by a copy of enaxp."""
    assert missing_programs() == []
    folder = tmp_path_factory.mktemp("by-ssh")
    for name in ("enaxp", "templates", "config", "monitor"):
        shutil.copytree(SOURCE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    config = folder / "config/bench.yaml"
    config.write_text(config.read_text().replace("  ssm: true ", "  ssm: false"))
    driver = Driver(folder, "namespaces")
    try:
        driver.ok("up")
        yield driver
    finally:
        driver.end()


def edit(lab: Driver, more: str) -> None:
    """Puts a line at the beginning of the script of `utilities`."""
    text = (SOURCE / "templates/software/utilities.sh").read_text()
    first, options, rest = text.partition("\nset -Eeuo pipefail\n")
    (lab.folder / "templates/software/utilities.sh").write_text(f"{first}{options}{more}\n{rest}")


def test_nothing_of_systems_manager_is_made_or_asked(lab: Driver) -> None:
    status = lab.ok("status", "--json").document

    assert not [resource for resource in status["resources"] if resource["kind"].startswith("ssm-")]
    asked = lab.cloud("calls")["counts"]
    assert not [
        action for action in asked if ("ssociation" in action and "Address" not in action) or "Document" in action
    ]
    assert lab.run("plan", "--check").code == 0


def test_a_changed_script_is_run_once_on_each_host_and_a_failure_says_where(lab: Driver) -> None:
    edit(lab, "echo 'no such mirror' >&2; exit 3")
    failed = lab.run("up")
    assert failed.code == 1
    assert "utilities could not be put in place on the" in failed.stderr
    assert "no such mirror" in failed.stderr

    edit(lab, "touch /tmp/changed")
    mended = lab.run("up")
    assert (mended.code, mended.stderr.count(PUTTING)) == (0, 2)
    for role in ("server", "client"):
        assert lab.on_host(role, "test -e /tmp/changed").code == 0
    status = lab.ok("up", "--json").document
    assert {one["status"] for host in status["hosts"].values() for one in host["software"].values()} == {"Success"}
    assert PUTTING not in lab.run("up").stderr
