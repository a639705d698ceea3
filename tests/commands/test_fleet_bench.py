"""A bench of a fleet whose hosts nobody reaches: every pair is named, nothing is lost of what is known, and it can be resumed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from enaxp.local.strict import Timing, serve

CONFIG = """
fleet: {pairs: 1, variants: {near: {}, far: {placement: none}}}
hosts: {proxy_command: /bin/false}       # what leads to the hosts ends at once
network: {ssh_cidr: 192.168.0.0/16}
bench: {iterations: 2, repeats: 1, duration: 1s, seed: 7}
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def enaxp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with beside_hosts_that_nobody_reaches(tmp_path_factory.mktemp("fleet"), CONFIG) as run:
        yield run


@contextmanager
def beside_hosts_that_nobody_reaches(folder: Path, config: str) -> Iterator[Run]:
    """What runs a command in this folder, beside a lab of this config that is up, as far as AWS is concerned."""
    server = serve(timing=Timing.instant())
    (folder / "c.yaml").write_text(config)
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "ENAXP_CONFIG": "c.yaml",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "enaxp", *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip

    try:
        built = run("up", "--yes", "--no-wait")
        assert built.returncode == 0, built.stderr
        yield run
    finally:
        server.stop()


def test_pairs_that_nobody_reaches_are_named_each_and_can_be_measured_later(enaxp: Run) -> None:
    done = enaxp("bench", "--no-report")

    assert done.returncode == 4, done.stderr
    for name in ("near-1", "far-1"):
        assert f"pair {name} was lost: connecting to the server" in done.stderr
    assert "no pair of variant near is valid" in done.stderr
    assert "2 pairs of hosts, side by side: near-1, far-1" in done.stderr

    [line] = json.loads(enaxp("runs", "--json").stdout)
    run = Path(line["path"])
    assert (line["pairs"], line["verdicts"]) == (2, {"near": "invalid", "far": "invalid"})
    checked = enaxp("check", "latest")
    assert checked.returncode == 5
    assert "far-1 was lost" in checked.stdout

    again = enaxp("bench", "--resume", run.name, "--pair", "near-1")
    assert again.returncode == 4
    assert "1 pair of hosts, side by side: near-1" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--pair", "near-9"), "there is no pair near-9"), (("--pair", "main"), "there are: near-1, far-1")],
)
def test_a_pair_that_does_not_exist_is_reported_before_anything_is_begun(
    enaxp: Run, arguments: tuple[str, ...], said: str
) -> None:
    before = enaxp("runs", "--json").stdout

    done = enaxp("bench", *arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert enaxp("runs", "--json").stdout == before
