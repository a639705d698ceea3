"""What is different about the pair that stands out: what it has and no other pair of its variant has."""

from __future__ import annotations

from typing import Any

import pytest

from enaxp.bench.records import Manifest, RunEnvironment
from enaxp.report.fleet.data import alone_in
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
    assert [str(one) for one in alone_in(own, [on(), on(), on()])] == expected


def test_what_another_pair_has_too_is_not_told() -> None:
    away = on(availability_zone="us-east-1c")

    assert alone_in(away, [on(), away, on()]) == ()
