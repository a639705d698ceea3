"""Every kind of AWS resource that enaxp can make, one class each: `KINDS` maps a kind's name to it.

    network.py   vpc, subnet, igw, route-table, security-group
    compute.py   placement-group, key-pair, eni, eip, instance
    identity.py  role, instance-profile
    monitoring.py ecr-repository
    software.py  ssm-document, ssm-association

To add a kind: write one class here, and the resources of it in `spec.py`.
"""

from enaxp.lab.kinds.compute import Eip, Eni, Instance, KeyPair, PlacementGroup
from enaxp.lab.kinds.identity import InstanceProfile, Role
from enaxp.lab.kinds.monitoring import EcrRepository
from enaxp.lab.kinds.network import Igw, RouteTable, SecurityGroup, Subnet, Vpc
from enaxp.lab.kinds.software import SsmAssociation, SsmDocument
from enaxp.lab.model import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Role(),
        InstanceProfile(),
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
        EcrRepository(),
        SsmDocument(),
        SsmAssociation(),
    )
}

__all__ = ["KINDS"]
