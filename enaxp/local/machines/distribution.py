"""Distribution: which system a machine made of namespaces stands for, told by the name of its image. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from enaxp.local.machines.inside.messages import DistributionName


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A system that images have. user: who logs in, an ordinary user who may use sudo."""

    name: DistributionName
    user: str


AMAZON_LINUX = Distribution(name="amazon-linux", user="ec2-user")
UBUNTU = Distribution(name="ubuntu", user="ubuntu")


def distribution_of(image_name: str) -> Distribution:
    """The distribution of an image with this name; Amazon Linux, unless the name tells another."""
    return UBUNTU if "ubuntu" in image_name.lower() else AMAZON_LINUX
