"""What is different about the pair that stands out: what it has and no other pair of its variant has."""

from __future__ import annotations

from typing import Any

import pytest

from enaxp.bench.run_folder.environment import differences_from_all
from enaxp.bench.run_folder.records import Manifest, RunEnvironment
from tests.support.factories import a_manifest

HERE = {"availability_zone": "us-east-1a", "placement": "cluster"}


def on(kernel: str = "6.1.109", **place: str) -> Manifest:
    """A pair's manifest, of hosts with this kernel in this place."""
    facts: dict[str, Any] = {"server": {"kernel": kernel}, "client": {"kernel": kernel}}
    return a_manifest(place={**HERE, **place}, environment=RunEnvironment(before=facts))


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (on(availability_zone="us-east-1c"), ["availability zone of the lab: us-east-1a → us-east-1c"]),
        (on(placement="none"), ["placement of the lab: cluster → none"]),
        (on(kernel="6.1.112"), ["kernel of both hosts: 6.1.109 → 6.1.112"]),
        (on(), []),
    ],
    ids=["zone", "placement", "environment", "nothing"],
)
def test_what_only_one_pair_has_is_reported(own: Manifest, expected: list[str]) -> None:
    assert [str(one) for one in differences_from_all(own, [on(), on(), on()])] == expected


def test_what_another_pair_has_too_is_not_told() -> None:
    away = on(availability_zone="us-east-1c")

    assert differences_from_all(away, [on(), away, on()]) == ()


def booted(server: str, client: str) -> Manifest:
    """A pair's manifest, of hosts with these kernel command lines."""
    facts = {"server": {"command_line": server}, "client": {"command_line": client}}
    return a_manifest(place=HERE, environment=RunEnvironment(before=facts))


def test_a_setting_that_one_pair_alone_has_is_told_whatever_else_differs_among_the_others() -> None:
    own = booted("quiet isolcpus=4", "quiet")

    found = differences_from_all(own, [booted("quiet", "quiet"), booted("quiet nosmt", "quiet")])

    assert [str(one) for one in found] == ["command_line of the server: quiet → quiet isolcpus=4"]


def test_what_one_host_alone_has_is_told_where_the_other_host_shares_its_setting_with_another_pair() -> None:
    own = booted("isolcpus=4", "isolcpus=4")

    found = differences_from_all(own, [booted("nosmt", "nosmt"), booted("nosmt", "isolcpus=4")])

    assert [str(one) for one in found] == ["command_line of the server: nosmt → isolcpus=4"]
