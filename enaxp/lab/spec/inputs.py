"""What a spec is made from, and how a resource gets its kind, layer and name from its key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from enaxp.aws import ec2_principals
from enaxp.config import Config
from enaxp.lab.kinds.identity import RoleWant
from enaxp.lab.model import Resource, Want, kind_of, unique_name
from enaxp.lab.spec.layers import layer_of


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What is resolved once for a lab. `isolation` is that of the local target, None on AWS.

    root_device: where the image has its root disk.  gateway: the internet gateway that a given VPC has already; it is used, never
    changed.
    """

    ami: str
    availability_zone: str
    ssh_cidr: str
    isolation: str | None = None
    root_device: str = "/dev/xvda"
    gateway: str | None = None


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
        )

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
