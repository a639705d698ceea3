"""The layer compute: the host pairs, the resources they depend on, and the software on them."""

from __future__ import annotations

from enaxp.config import ROLES, Role
from enaxp.lab.fleet import HostPair, eni_key, instance_key, places_of
from enaxp.lab.kinds.compute import EipWant, EniWant, InstanceWant, KeyPairWant, PlacementGroupWant, PrimaryWant
from enaxp.lab.kinds.identity import InstanceProfileWant
from enaxp.lab.kinds.software import SsmAssociationWant, SsmDocumentWant
from enaxp.lab.model import TAG_VARIANT, Resource
from enaxp.lab.software import pieces
from enaxp.lab.spec.inputs import SpecInputs
from enaxp.lab.spec.network import SECOND_SUBNET, SECOND_TABLE
from enaxp.lab.userdata import HostBoot, render_userdata


def compute_resources(inputs: SpecInputs) -> list[Resource]:
    below = [*_identity(inputs), _key_pair(inputs), *_placement_groups(inputs), *_enis(inputs), *_addresses(inputs)]
    there = {resource.key for resource in below}
    hosts = [_instance(inputs, pair, role, there=there) for pair in inputs.pairs for role in ROLES]
    return [*below, *_software(inputs), *hosts]


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


def _placement_groups(inputs: SpecInputs) -> list[Resource]:
    """The placement groups: one per pair, so that pairs are placed independently of each other."""
    want = PlacementGroupWant(strategy="cluster")
    return [inputs.resource(pair.key("placement-group"), want) for pair in inputs.pairs if pair.placement == "cluster"]


def _subnet_of(pair: HostPair, role: Role) -> str:
    return SECOND_SUBNET if pair.crosses_zones(role) else "subnet"


def _enis(inputs: SpecInputs) -> list[Resource]:
    """The interfaces, except primary ones with a public address assigned by AWS: the launch creates those."""
    with_primary = inputs.addresses != "assigned"
    return [
        inputs.resource(
            eni_key(pair.place(role), arm),
            EniWant(address=address, subnet=_subnet_of(pair, role)),
            needs=(_subnet_of(pair, role), "security-group"),
        )
        for pair in inputs.pairs
        for role, host in pair.hosts.items()
        for arm, address in (("ena", host.ena_ip), ("express", host.ena_express_ip))
        if arm == "express" or with_primary
    ]


def _addresses(inputs: SpecInputs) -> list[Resource]:
    """An Elastic IP for each primary interface. It needs the lab's internet gateway, unless the subnet is given."""
    if inputs.addresses != "elastic":
        return []
    way_out = ("igw",) if inputs.config.network.subnet_id is None else ()
    enis = {place: eni_key(place, "ena") for place in places_of(inputs.pairs)}
    return [inputs.resource(f"eip/{place}", EipWant(eni=eni), needs=(eni, *way_out)) for place, eni in enis.items()]


def _software(inputs: SpecInputs) -> list[Resource]:
    """A document and an association for each piece, if Systems Manager installs the software. An association does not depend on the
    hosts: they run it as soon as they register."""
    if not inputs.config.hosts.ssm:
        return []
    hosts = tuple(instance_key(pair, role) for pair in inputs.pairs for role in ROLES)
    variants = tuple(dict.fromkeys(pair.variant for pair in inputs.pairs if pair.variant))
    resources = []
    for piece in pieces():
        document = f"ssm-document/{piece.name}"
        run = SsmAssociationWant(
            document=document, digest=piece.digest, hosts=() if variants else hosts, variants=variants
        )
        resources += [
            inputs.resource(document, SsmDocumentWant(content=piece.document, digest=piece.digest)),
            inputs.resource(f"ssm-association/{piece.name}", run, needs=(document,)),
        ]
    return resources


def _instance(inputs: SpecInputs, pair: HostPair, role: Role, *, there: set[str]) -> Resource:
    """An instance. there: the keys of the layer's other resources, on which it may depend."""
    config, host, place, subnet = inputs.config, pair.hosts[role], pair.place(role), _subnet_of(pair, role)
    is_first = subnet == "subnet"
    boot = HostBoot(
        hostname=host.name,
        interfaces=(host.ena_ip, host.ena_express_ip),
        subnet_cidr=config.network.subnet_cidr if is_first else config.network.second_subnet_cidr,
        expires_at=inputs.expires_at,
        ssh_port=inputs.sshd_port,
    )
    image, root_device = inputs.image(pair)
    enis = (eni_key(place, "ena"), eni_key(place, "express"))
    group = pair.key("placement-group")
    want = InstanceWant(
        role=role,
        type=pair.instance_type,
        image=image,
        root_device=root_device,
        zone=inputs.zone(pair, role),
        user_data=render_userdata(boot),
        enis=enis,
        express=(enis[1],),
        group=group if group in there else None,
        primary=PrimaryWant(address=host.ena_ip, subnet=subnet) if inputs.addresses == "assigned" else None,
    )
    below = ("instance-profile", "key-pair", group, *enis, f"eip/{place}")
    tables = "route-table" if is_first else SECOND_TABLE
    # User data downloads as soon as the host boots.
    way_out = (tables,) if config.network.subnet_id is None else ()
    on_its_own = ("subnet", "security-group") if is_first else (SECOND_SUBNET, "security-group")
    needs = (*(key for key in below if key in there), *way_out, *(on_its_own if want.primary else ()))
    tags = {TAG_VARIANT: pair.variant} if pair.variant else {}
    return inputs.resource(instance_key(pair, role), want, name=host.name, needs=needs, tags=tags)
