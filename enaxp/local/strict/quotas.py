"""Quotas of the account: what AWS gives a new one, unless the owner of the server says otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class Quotas:
    """How many of each there may be in a region; rules_per_group for each direction of a security group."""

    vpcs: int = 5
    internet_gateways: int = 5
    addresses: int = 5
    interfaces: int = 5000
    placement_groups: int = 500
    rules_per_group: int = 60
    vcpus: int = 256


class Listed(NamedTuple):
    """A quota as Service Quotas lists it."""

    service: str
    code: str
    name: str
    field: str


# Those that Service Quotas tells.
LISTED = (
    Listed("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", "vcpus"),
    Listed("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", "addresses"),
    Listed("vpc", "L-F678F1CE", "VPCs per Region", "vpcs"),
    Listed("vpc", "L-A4707A72", "Internet gateways per Region", "internet_gateways"),
    Listed("vpc", "L-DF5E4CA3", "Network interfaces per Region", "interfaces"),
)
