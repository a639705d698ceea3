"""Every kind of AWS resource that enaxp can create, one class each: `KINDS` maps a kind's name to it.

    network.py     vpc, subnet, igw, route-table, security-group
    compute.py     placement-group, key-pair, eni, eip, instance; disk, which AWS creates with an instance
    software.py    ssm-document, ssm-association
    monitoring.py  ecr-repository
    identity.py    role, instance-profile

To add a kind: write its class and its desired state (a `Want`) in one file here, register it below, and add its resources to
`spec`. Plan, apply, tags, policy, checks, cost and sweep find everything that they need in the class.
"""

from enaxp.lab.kinds.compute import Disk, Eip, Eni, Instance, KeyPair, PlacementGroup
from enaxp.lab.kinds.identity import InstanceProfile, Role
from enaxp.lab.kinds.monitoring import EcrRepository
from enaxp.lab.kinds.network import Igw, RouteTable, SecurityGroup, Subnet, Vpc
from enaxp.lab.kinds.software import SsmAssociation, SsmDocument
from enaxp.lab.model import Kind, Removable

_REGISTERED: tuple[Kind, ...] = (
    Vpc(),
    Subnet(),
    Igw(),
    RouteTable(),
    SecurityGroup(),
    KeyPair(),
    PlacementGroup(),
    Eni(),
    Eip(),
    Instance(),
    SsmDocument(),
    SsmAssociation(),
    EcrRepository(),
    Role(),
    InstanceProfile(),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _REGISTERED}
# What comes along with the resources of a lab, and may stay behind: looked for and removed, never made.
COMES_ALONG: dict[str, Removable] = {Disk.name: Disk()}


def removable(kind: str) -> Removable:
    """The view of this kind that a survey and a sweep use."""
    return COMES_ALONG.get(kind) or KINDS[kind]


__all__ = ["COMES_ALONG", "KINDS", "removable"]
