"""Which system a machine stands for follows from its image, and each system has all that a machine needs to stand for it."""

from __future__ import annotations

import pytest

from enaxp.local.machines.inside import place
from enaxp.local.machines.inside.distributions import DISTRIBUTIONS, distribution_of


@pytest.mark.parametrize(
    ("image_name", "name", "user"),
    [
        ("al2023-ami-2023.6.20250107.0-kernel-6.1-x86_64", "amazon-linux", "ec2-user"),
        ("ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server", "ubuntu", "ubuntu"),
        ("Ubuntu made with Amazon's tools", "ubuntu", "ubuntu"),
        ("a name that tells nothing", "amazon-linux", "ec2-user"),
    ],
)
def test_the_name_of_an_image_tells_its_system(image_name: str, name: str, user: str) -> None:
    told = distribution_of(image_name)

    assert (told.name, told.user) == (name, user)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_system_has_stand_ins_of_its_own(name: str) -> None:
    assert place._STAND_INS[name]
    assert not set(place._STAND_INS[name]) & set(DISTRIBUTIONS[name].not_on)
