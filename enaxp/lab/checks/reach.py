"""Reach: whether this machine will reach the hosts, as far as that can be known before they are paid for."""

from __future__ import annotations

from collections.abc import Iterator

from enaxp.aws import Aws
from enaxp.config import Config
from enaxp.lab.checks.findings import Said

_EXPLICIT = "set network.ssh_cidr to the network from which you reach the hosts, for example 10.0.0.0/8"


def check_reach(config: Config, aws: Aws) -> list[Said]:
    """What keeps SSH from the hosts. Raises botocore's ClientError where AWS will not tell."""
    is_private = config.hosts.address == "private"
    said = list(_private(config) if is_private else _block_public_access(config, aws))
    return said or [
        Said("ok", f"hosts with {'private' if is_private else 'public'} addresses can be reached, as far as AWS tells")
    ]


def _private(config: Config) -> Iterator[Said]:
    """Hosts without public addresses are reached from inside their network, and not from this machine's public address."""
    if config.network.ssh_cidr == "auto":
        text = "hosts.address is private, and network.ssh_cidr: auto would let in this machine's public address alone"
        yield Said("failure", text, _EXPLICIT)
    if config.network.vpc_id is None:
        text = "hosts.address is private, and nothing leads into a VPC that the lab makes itself"
        yield Said("failure", text, "set network.vpc_id to a VPC that you reach, or hosts.address: auto")


def _block_public_access(config: Config, aws: Aws) -> Iterator[Said]:
    """VPC Block Public Access keeps traffic from every internet gateway of the region but those of excluded VPCs."""
    options = aws.ec2.describe_vpc_block_public_access_options()["VpcBlockPublicAccessOptions"]
    mode = options.get("InternetGatewayBlockMode", "off")
    if mode == "off":
        return
    text = f"VPC Block Public Access is on in {aws.region} ({mode}): nothing reaches public addresses"
    if config.network.vpc_id:
        yield Said("warning", f"{text}, unless {config.network.vpc_id} is excluded from it")
        return
    todo = "give a VPC that is excluded from it (network.vpc_id), or one that you reach from inside (hosts.address: private)"
    yield Said("failure", f"{text} of a VPC that the lab makes itself", todo)
