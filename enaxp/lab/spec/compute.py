"""The layer compute: the two hosts, what they stand on, and the software on them."""

from __future__ import annotations

from enaxp.config import ROLES, Role
from enaxp.lab.kinds.compute import EipWant, EniWant, InstanceWant, KeyPairWant, PlacementGroupWant
from enaxp.lab.kinds.identity import InstanceProfileWant
from enaxp.lab.kinds.software import SsmAssociationWant, SsmDocumentWant
from enaxp.lab.model import Resource
from enaxp.lab.software import pieces
from enaxp.lab.spec.inputs import SpecInputs
from enaxp.lab.userdata import HostBoot, render_userdata


def compute_resources(inputs: SpecInputs) -> list[Resource]:
    below = [*_identity(inputs), _key_pair(inputs), *_placement_group(inputs), *_enis(inputs), *_addresses(inputs)]
    there = {resource.key for resource in below}
    return [*below, *_software(inputs), *(_instance(inputs, role, there=there) for role in ROLES)]


def eni_key(role: Role, arm: str) -> str:
    """arm: `ena`, the primary interface, or `express`."""
    return f"eni/{role}-{arm}"


def _identity(inputs: SpecInputs) -> list[Resource]:
    given = inputs.config.hosts.instance_profile
    if given:
        return [inputs.resource("instance-profile", given_id=given)]
    return [
        inputs.resource("role", inputs.role()),
        inputs.resource("instance-profile", InstanceProfileWant(), needs=("role",)),
    ]


def _key_pair(inputs: SpecInputs) -> Resource:
    given = inputs.config.hosts.key
    if given:
        return inputs.resource("key-pair", given_id=given.name)
    return inputs.resource("key-pair", KeyPairWant(public_key=inputs.public_key))


def _placement_group(inputs: SpecInputs) -> list[Resource]:
    if inputs.config.placement != "cluster":
        return []
    return [inputs.resource("placement-group", PlacementGroupWant(strategy="cluster"))]


def _enis(inputs: SpecInputs) -> list[Resource]:
    return [
        inputs.resource(eni_key(role, arm), EniWant(address=address), needs=("subnet", "security-group"))
        for role, host in inputs.config.hosts.by_role().items()
        for arm, address in (("ena", host.ena_ip), ("express", host.ena_express_ip))
    ]


def _addresses(inputs: SpecInputs) -> list[Resource]:
    """A public address for each primary interface; a given subnet has a gateway of its own."""
    if inputs.config.hosts.address != "public":
        return []
    way_out = ("igw",) if inputs.config.network.subnet_id is None else ()
    enis = {role: eni_key(role, "ena") for role in ROLES}
    return [inputs.resource(f"eip/{role}", EipWant(eni=eni), needs=(eni, *way_out)) for role, eni in enis.items()]


def _software(inputs: SpecInputs) -> list[Resource]:
    """A document and an association for each piece, where Systems Manager keeps the software. An association does not need the hosts:
    they run it as soon as they appear."""
    if not inputs.config.hosts.ssm:
        return []
    hosts = tuple(f"instance/{role}" for role in ROLES)
    resources = []
    for piece in pieces():
        document = f"ssm-document/{piece.name}"
        run = SsmAssociationWant(document=document, digest=piece.digest, hosts=hosts)
        resources += [
            inputs.resource(document, SsmDocumentWant(content=piece.document, digest=piece.digest)),
            inputs.resource(f"ssm-association/{piece.name}", run, needs=(document,)),
        ]
    return resources


def _instance(inputs: SpecInputs, role: Role, *, there: set[str]) -> Resource:
    """there: keys of the layer's resources below the instances."""
    config, resolved = inputs.config, inputs.resolved
    host = config.hosts.by_role()[role]
    boot = HostBoot(
        hostname=host.name,
        interfaces=(host.ena_ip, host.ena_express_ip),
        subnet_cidr=config.network.subnet_cidr,
        expires_at=inputs.expires_at,
        ssh_port=inputs.sshd_port,
    )
    enis = (eni_key(role, "ena"), eni_key(role, "express"))
    want = InstanceWant(
        role=role,
        type=config.hosts.instance_type,
        image=resolved.ami,
        root_device=resolved.root_device,
        zone=resolved.availability_zone,
        user_data=render_userdata(boot),
        enis=enis,
        express=(enis[1],),
        in_group=config.placement == "cluster",
    )
    below = ("instance-profile", "key-pair", "placement-group", *enis, f"eip/{role}")
    # User data downloads as soon as the host boots.
    way_out = ("route-table",) if config.network.subnet_id is None else ()
    needs = (*(key for key in below if key in there), *way_out)
    return inputs.resource(f"instance/{role}", want, name=host.name, needs=needs)
