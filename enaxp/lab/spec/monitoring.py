"""The layer monitoring: one host in its own subnet, so that its work does not disturb the measurement.

It is also in the hosts' security group, whose members may reach each other on all ports: so it can scrape their exporters.
"""

from __future__ import annotations

from enaxp.lab.kinds.compute import EipWant, EniWant, InstanceWant, KeyPairWant
from enaxp.lab.kinds.identity import InstanceProfileWant
from enaxp.lab.kinds.monitoring import repository_name
from enaxp.lab.kinds.network import RouteTableWant, SecurityGroupWant, SubnetWant
from enaxp.lab.model import Resource
from enaxp.lab.spec.inputs import SpecInputs
from enaxp.lab.spec.layers import MONITORING
from enaxp.lab.userdata import HostBoot, render_monitoring_userdata

ROLE, PROFILE, KEY_PAIR = f"role/{MONITORING}", f"instance-profile/{MONITORING}", f"key-pair/{MONITORING}"
SUBNET, TABLE, GROUP = f"subnet/{MONITORING}", f"route-table/{MONITORING}", f"security-group/{MONITORING}"
ENI, ADDRESS, INSTANCE = f"eni/{MONITORING}", f"eip/{MONITORING}", f"instance/{MONITORING}"


def monitoring_resources(inputs: SpecInputs) -> list[Resource]:
    """The resources of the layer; none in a given subnet, and none if the VPC has no space for another subnet."""
    config = inputs.config
    if config.network.subnet_id or not config.monitoring.subnet_cidr:
        return []
    repository = inputs.resource("ecr-repository", name=repository_name(config.lab, config.aws.region))
    address = [inputs.resource(ADDRESS, EipWant(eni=ENI), needs=(ENI, "igw", TABLE))]
    return [
        *_role(inputs),
        *_network(inputs),
        _key_pair(inputs),
        _eni(inputs),
        _profile(inputs),
        repository,
        *(address if config.hosts.address != "private" else ()),
        _instance(inputs),
    ]


def _role(inputs: SpecInputs) -> list[Resource]:
    if inputs.config.hosts.instance_profile:
        return []
    return [inputs.resource(ROLE, inputs.role())]


def _profile(inputs: SpecInputs) -> Resource:
    given = inputs.config.hosts.instance_profile
    return inputs.resource(PROFILE, InstanceProfileWant(role=ROLE), needs=() if given else (ROLE,), given_id=given)


def _key_pair(inputs: SpecInputs) -> Resource:
    given = inputs.config.hosts.key
    want = KeyPairWant(public_key=inputs.public_key)
    return inputs.resource(KEY_PAIR, want, given_id=given.name if given else None)


def _network(inputs: SpecInputs) -> list[Resource]:
    config, resolved = inputs.config, inputs.resolved
    subnet = SubnetWant(cidr=config.monitoring.subnet_cidr, zone=resolved.availability_zone)
    description = f"enaxp lab {config.lab}: monitoring, SSH from outside"
    group = SecurityGroupWant(ssh_cidr=resolved.ssh_cidr, ssh_port=config.hosts.ssh_port, description=description)
    return [
        inputs.resource(SUBNET, subnet, needs=("vpc",)),
        inputs.resource(TABLE, RouteTableWant(subnet=SUBNET), needs=("vpc", SUBNET, "igw")),
        inputs.resource(GROUP, group, needs=("vpc",)),
    ]


def _eni(inputs: SpecInputs) -> Resource:
    want = EniWant(address=inputs.config.monitoring.address, subnet=SUBNET, groups=(GROUP, "security-group"))
    return inputs.resource(ENI, want, needs=(SUBNET, GROUP, "security-group"))


def _instance(inputs: SpecInputs) -> Resource:
    config, resolved = inputs.config, inputs.resolved
    boot = HostBoot(
        hostname=f"{MONITORING}-{config.lab}",
        interfaces=(config.monitoring.address,),
        subnet_cidr=config.monitoring.subnet_cidr,
        expires_at=inputs.expires_at,
        ssh_port=inputs.sshd_port,
    )
    want = InstanceWant(
        role=MONITORING,
        type=config.monitoring.instance_type,
        image=resolved.ami,
        root_device=resolved.root_device,
        zone=resolved.availability_zone,
        user_data=render_monitoring_userdata(boot, grafana=resolved.isolation is None),
        enis=(ENI,),
        express=(),
        key_pair=KEY_PAIR,
        profile=PROFILE,
    )
    address = (ADDRESS,) if config.hosts.address != "private" else ()
    return inputs.resource(INSTANCE, want, needs=(KEY_PAIR, ENI, PROFILE, *address))
