"""Inputs: the inputs of a spec, and how kind, layer and name of a resource follow from its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from enaxp.aws import ec2_principals
from enaxp.config import Addresses, Config, Role
from enaxp.lab.fleet import HostPair, PinnedFleet, addresses_of, pairs_of
from enaxp.lab.kinds.identity import RoleWant
from enaxp.lab.model import Resource, Want, kind_of, unique_name
from enaxp.lab.spec.layers import layer_of


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The values that are resolved once for a lab. `isolation`: that of the local target, None on AWS.

    root_device: the device name of the image's root disk. gateway: the internet gateway that a given VPC already has; it is used, never
    changed. second_zone: the zone of the subnet for clients placed across zones. fleet: the value of `pin_fleet`, with its images.
    """

    ami: str
    availability_zone: str
    ssh_cidr: str
    isolation: str | None = None
    root_device: str = "/dev/xvda"
    gateway: str | None = None
    second_zone: str | None = None
    fleet: PinnedFleet | None = None


@dataclass(frozen=True, kw_only=True)
class SpecInputs:
    """The inputs of a spec. partition: `aws`, `aws-cn` and so on, for ARNs and service names. expires_at: when the hosts terminate
    themselves, UTC."""

    config: Config
    resolved: Resolved
    public_key: str
    partition: str
    expires_at: datetime

    def resource(
        self,
        key: str,
        want: Want | None = None,
        *,
        name: str = "",
        needs: tuple[str, ...] = (),
        given_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Resource:
        """The resource with this key. name: its `Name` tag, and its name if AWS identifies it by name; by default the lab's unique name
        with the rest of the key."""
        unique = unique_name(self.config.lab, self.config.aws.region, key.partition("/")[2])
        return Resource(
            key=key,
            kind=kind_of(key),
            layer=layer_of(key),
            name=name or unique,
            want=want or Want(),
            needs=needs,
            given_id=given_id,
            tags=tags or {},
        )

    @cached_property
    def pairs(self) -> tuple[HostPair, ...]:
        """Every host pair. Raises UsageError when the subnet is too small for them."""
        return pairs_of(self.config, self.resolved.fleet)

    @property
    def addresses(self) -> Addresses:
        """The kind of the hosts' public addresses."""
        return addresses_of(self.config, fleet=self.resolved.fleet is not None)

    @property
    def has_second_subnet(self) -> bool:
        return any(pair.placement == "zones" for pair in self.pairs)

    def image(self, pair: HostPair) -> tuple[str, str]:
        """The pair's image, and the device name of its root disk."""
        fleet, resolved = self.resolved.fleet, self.resolved
        variant = fleet[pair.variant] if fleet and pair.variant else None
        if variant is None:
            return resolved.ami, resolved.root_device
        return variant.ami or resolved.ami, variant.root_device or resolved.root_device

    def zone(self, pair: HostPair, role: Role) -> str:
        resolved = self.resolved
        return resolved.second_zone or "" if pair.crosses_zones(role) else resolved.availability_zone

    @property
    def sshd_port(self) -> int | None:
        """The port to configure in a host's sshd; None if nothing needs configuring: for port 22, and for local hosts."""
        port = self.config.hosts.ssh_port
        return None if port == 22 or self.resolved.isolation is not None else port

    def role(self) -> RoleWant:
        """The desired role of the hosts, assumed by EC2."""
        return RoleWant(policy_arns=self.policy_arns(), trusted=ec2_principals(self.partition))

    def policy_arns(self) -> tuple[str, ...]:
        """The managed policies of a host's role: that of Systems Manager, or none."""
        if not self.config.hosts.ssm:
            return ()
        return (f"arn:{self.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore",)
