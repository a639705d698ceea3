"""Reach: whether this machine will be able to connect to the hosts, as far as can be known before they are launched."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator

from enaxp.aws import Aws
from enaxp.config import NOBODY, Config
from enaxp.lab.checks.findings import Said

_A_WAY_IN = "set hosts.proxy_command (docs/how-to/no-inbound-port.md), or network.ssh_cidr to who may reach the hosts"
_EXPLICIT = "set network.ssh_cidr to the network from which you reach the hosts, for example 10.0.0.0/8"


def check_reach(config: Config, aws: Aws) -> list[Said]:
    """The findings on what would block SSH to the hosts. Raises botocore's ClientError when AWS refuses a describe call."""
    is_private = config.hosts.address == "private"
    by_gateway = () if is_private else _block_public_access(config, aws)
    if config.hosts.proxy_command is not None:
        said = [*_program(config.hosts.proxy_command), *by_gateway]
    elif config.network.ssh_cidr == NOBODY:
        said = [Said("failure", "network.ssh_cidr is none, and no hosts.proxy_command leads to the hosts", _A_WAY_IN)]
    else:
        said = list(_private(config) if is_private else by_gateway)
    return said or [
        Said("ok", f"hosts with {'private' if is_private else 'public'} addresses can be reached, as far as AWS tells")
    ]


def _program(proxy_command: str) -> Iterator[Said]:
    """The finding on `hosts.proxy_command`: its program must exist on this machine. Where it connects to cannot be checked."""
    program = shlex.split(proxy_command)[0]
    if shutil.which(program) is None:
        text = f"hosts.proxy_command: there is no program {program!r} on this machine"
        yield Said(
            "failure", text, "install it, or correct the command: no shell reads it, so it begins with a program"
        )


def _private(config: Config) -> Iterator[Said]:
    """The finding on hosts without public addresses: they are reached from inside their network, not from this machine's public
    address."""
    if config.network.ssh_cidr == "auto":
        text = "hosts.address is private, and network.ssh_cidr: auto would let in this machine's public address alone"
        yield Said("failure", text, _EXPLICIT)
    if config.network.vpc_id is None:
        text = "hosts.address is private, and nothing leads into a VPC that the lab makes itself"
        yield Said("failure", text, "set network.vpc_id to a VPC that you reach, or hosts.address: auto")


def _block_public_access(config: Config, aws: Aws) -> Iterator[Said]:
    """The finding on VPC Block Public Access, which blocks the internet gateways of all VPCs in the region except excluded ones."""
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
