"""Labs known by their tags alone: which stand, and the end of those whose time is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from enaxp.commands.labs import expired_labs, labs_with_id, remove_lab, remove_labs, standing_labs
from enaxp.lab.labs import StandingLab, list_labs
from enaxp.lab.model import TAG_EXPIRES, as_text
from enaxp.lab.tags import put_tags
from enaxp.options import Options
from enaxp.session import Session
from enaxp.terminal.console import Console
from enaxp.terminal.lab import labs_text
from tests.support.crash_harness import TARGET, DeadlyCloud, Labs, deadly_cloud

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as running:
        running.server._world.quotas = replace(running.server._world.quotas, vcpus=1024, addresses=20)
        yield running


def session(labs: Labs, folder: Path) -> Session:
    """A session of somebody who has no state file and no config of theirs, unless the folder says otherwise."""
    there = Labs(labs.cloud, folder, lab="dev")
    return Session(
        options=Options(state_dir=folder),
        config=there.config,
        target=TARGET,
        aws=there.aws(),
        file=there.file(),
        console=Console(as_json=True),
    )


def expire(labs: Labs) -> None:
    """As if its time were over long ago; its state file does not know."""
    snapshot = labs.snapshot()
    put_tags(labs.aws(), snapshot.survey.all(), {TAG_EXPIRES: as_text(NOW - timedelta(days=400))})


def test_a_lab_is_listed_with_what_its_tags_tell(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path)
    labs.up()

    [lab] = list_labs(labs.aws())

    state = labs.file().state
    assert (lab.lab, lab.lab_id, lab.region) == ("dev", state.lab_id, "us-east-1")
    assert (lab.created_at, lab.expires_at) == (state.created_at, state.expires_at)
    assert lab.instance_types == ("c6i.8xlarge", "c6i.8xlarge")
    assert lab.addresses == 2
    assert lab.owner == state.owner
    assert not lab.is_expired(state.created_at)
    labs.down()
    assert list_labs(labs.aws()) == []


def test_what_it_costs_an_hour_is_reported(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path / "theirs")
    labs.up()

    [shown] = standing_labs(session(labs, tmp_path / "mine"), everywhere=False)

    assert shown.usd_per_hour == pytest.approx(2 * (1.36 + 30 * 0.08 / 730) + 2 * 0.005, abs=1e-3)
    assert (shown.instances, shown.expired) == (2, False)
    assert shown.owner == labs.file().state.owner
    assert str(shown.owner) in labs_text([shown])
    assert shown.age_s is not None
    assert shown.age_s >= 0


def test_labs_of_every_region_are_listed(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path)
    labs.aws().in_region("eu-west-1").ec2.create_vpc(
        CidrBlock="10.0.0.0/16",
        TagSpecifications=[
            {
                "ResourceType": "vpc",
                "Tags": [{"Key": "enaxp:lab", "Value": "far"}, {"Key": "enaxp:lab-id", "Value": "far-id"}],
            }
        ],
    )

    shown = standing_labs(session(labs, tmp_path), everywhere=True)

    assert [(lab.lab, lab.region, lab.age_s, lab.expired) for lab in shown] == [("far", "eu-west-1", None, False)]


def test_only_labs_whose_time_is_over_are_swept(cloud: DeadlyCloud, tmp_path: Path) -> None:
    old, young = Labs(cloud, tmp_path / "old", lab="old"), Labs(cloud, tmp_path / "young", lab="young")
    old.up()
    young.up()
    expire(old)

    mine = session(old, tmp_path / "mine")
    [done] = remove_labs(mine, expired_labs(mine, everywhere=False).labs, force=False)

    assert done.removal is not None
    assert {found.kind for found in done.removal.removed} >= {"vpc", "role", "instance", "eip"}
    assert done.is_done
    assert [lab.lab for lab in list_labs(young.aws())] == ["young"]
    assert young.changes_left() == []
    young.down()
    assert cloud.server.resources() == []


def test_a_lab_is_removed_by_its_id_alone(cloud: DeadlyCloud, tmp_path: Path) -> None:
    """A lab of the same name in the state folder of whoever removes it is another one, and is left alone."""
    theirs = Labs(cloud, tmp_path / "theirs", lab="forgotten")
    theirs.up()
    lab_id = theirs.file().state.lab_id
    mine = session(theirs, tmp_path / "mine")

    [lab] = labs_with_id(mine, lab_id)
    removal = remove_lab(mine, lab, force=False)

    assert len(removal.removed) == len(theirs.file().state.resources)
    assert cloud.server.resources() == []
    assert labs_with_id(mine, lab_id) == []


def test_its_own_state_file_goes_with_it(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path)
    labs.up()

    mine = session(labs, tmp_path)
    [lab] = labs_with_id(mine, labs.file().state.lab_id)
    remove_lab(mine, lab, force=False)

    assert labs.file().load() is None


def test_a_role_that_is_left_alone_is_found_by_the_labs_name(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path / "theirs")
    labs.up()
    state = labs.file().state
    role = labs.snapshot().survey.found["role"]
    labs.down()
    trust = '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
    labs.aws().iam.create_role(
        RoleName=role.id,
        AssumeRolePolicyDocument=trust,
        Tags=[{"Key": key, "Value": value} for key, value in role.tags.items()],
    )

    mine = session(labs, tmp_path / "mine")
    [lab] = labs_with_id(mine, state.lab_id)
    removal = remove_lab(mine, lab, force=False)

    assert [found.kind for found in removal.removed] == ["role"]


def test_a_lab_that_does_not_tell_its_end_is_not_over() -> None:
    assert not StandingLab(lab="dev", lab_id="x", region="us-east-1", resources=1).is_expired(NOW)
