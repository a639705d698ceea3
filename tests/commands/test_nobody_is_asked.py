"""Where nobody can be asked, nobody is: stdin that is closed, or is no terminal."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from enaxp.local.strict import StrictServer
from tests.support.on_aws import OnAws, strict_aws


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    with strict_aws() as running:
        yield running


@pytest.mark.parametrize("streams", ["<&-", "</dev/null", "<&- 2>&-", "<&- >&- 2>&-"])
def test_a_network_is_built_and_removed(server: StrictServer, tmp_path: Path, streams: str) -> None:
    person = OnAws(server, tmp_path)
    server.forget_calls()

    codes = [
        subprocess.run(
            ["sh", "-c", f"exec {shlex.join([*person.command, *arguments])} {streams}"],
            cwd=tmp_path,
            env=person.environment,
            stdout=subprocess.PIPE,
            timeout=180,
            check=False,
        ).returncode
        for arguments in (("up", "network"), ("down",))
    ]

    # A plan that cannot be shown to anybody is not carried out.
    assert codes == [1 if ">&-" in streams.split() else 0, 0]
    assert ("CreateVpc" in person.mutations()) == (codes[0] == 0)
    assert server_is_empty(person)


def server_is_empty(person: OnAws) -> bool:
    return person.run("ls", "--json").stdout.strip() == "[]"
