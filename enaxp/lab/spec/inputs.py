"""What a spec is made from, and how a resource gets its kind, layer and name from its key."""

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
    """What is resolved once for a lab. `isolation` is that of the local target, None on AWS.

    root_device: where the image has its root disk.  gateway: the internet gateway that a given VPC has already; it is used, never
    changed.  second_zone: of the subnet for clients that are placed across zones.  fleet: as `pin_fleet` gives it, with its images.
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
    """partition: `aws`, `aws-cn` and so on, for ARNs and the names of services.  expires_at: when the hosts end themselves, UTC."""

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
        """The resource with this key. name: its `Name` tag, and its name where AWS knows it by that; else the lab's unique name with
        what follows the kind in the key."""
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
        """Every pair of hosts. Raises UsageError when the subnet has no room for them."""
        return pairs_of(self.config, self.resolved.fleet)

    @property
    def addresses(self) -> Addresses:
        """Which addresses the hosts get besides their private ones."""
        return addresses_of(self.config, fleet=self.resolved.fleet is not None)

    @property
    def has_second_subnet(self) -> bool:
        return any(pair.placement == "zones" for pair in self.pairs)

    def image(self, pair: HostPair) -> tuple[str, str]:
        """The pair's image, and where it has its root disk."""
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
        """The port that a host is to tell its sshd; None where that listens already: on 22, and on this machine's hosts."""
        port = self.config.hosts.ssh_port
        return None if port == 22 or self.resolved.isolation is not None else port

    def role(self) -> RoleWant:
        """What the hosts' role is: assumed by EC2."""
        return RoleWant(policy_arns=self.policy_arns(), trusted=ec2_principals(self.partition))

    def policy_arns(self) -> tuple[str, ...]:
        """What a host's role may do: be managed by Systems Manager, or nothing."""
        if not self.config.hosts.ssm:
            return ()
        return (f"arn:{self.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore",)
