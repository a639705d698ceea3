"""A running local cloud, in a folder that every user of the computer can reach."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from enaxp.aws import Aws
from enaxp.lab.state import make_state_folder
from enaxp.local.cloud import LocalCloud, running
from enaxp.local.machines.programs import missing_programs


@dataclass(frozen=True)
class Standing:
    """A cloud with one VPC in it, and its state folder."""

    cloud: LocalCloud
    state: Path
    vpc: str

    @property
    def port(self) -> int:
        return int(self.cloud.endpoint_url.rpartition(":")[2])

    def ec2(self) -> Any:
        """As its owner calls it."""
        cloud = self.cloud
        keys = {"access_key": cloud.access_key, "secret_key": cloud.secret_key}
        return Aws(region="us-east-1", endpoint_url=cloud.endpoint_url, **keys).once("ec2")

    def is_whole(self) -> bool:
        """Whether what was in it is still in it, and nothing else."""
        return self.cloud.resources() == [self.vpc]


@pytest.fixture
def reachable_folder() -> Iterator[Path]:
    with a_reachable_folder() as folder:
        yield folder


@pytest.fixture
def standing(reachable_folder: Path) -> Iterator[Standing]:
    with a_standing_cloud(reachable_folder) as found:
        yield found


@pytest.fixture(scope="module")
def shared_standing() -> Iterator[Standing]:
    """One for all tests of a module, none of which may do it any harm."""
    with a_reachable_folder() as folder, a_standing_cloud(folder) as found:
        yield found


@contextlib.contextmanager
def a_reachable_folder() -> Iterator[Path]:
    """A folder that other users can go into, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="enaxp-attacked-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextlib.contextmanager
def a_standing_cloud(folder: Path) -> Iterator[Standing]:
    missing = missing_programs()
    if missing:
        pytest.skip(f"the local target needs {', '.join(program for program, _ in missing)}")
    state = folder / "state"
    make_state_folder(state)
    with running(state, isolation="processes", say=lambda _: None) as cloud:
        found = Standing(cloud, state, "")
        vpc = found.ec2().create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
        try:
            yield Standing(cloud, state, vpc)
        finally:
            if cloud.resources():
                found.ec2().delete_vpc(VpcId=vpc)
    assert not (state / "local-cloud/cloud.json").exists()
