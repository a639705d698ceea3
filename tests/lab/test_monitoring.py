"""The layer monitoring as it is wanted: apart from what is measured, open to nobody, sound at its first boot."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from enaxp.config import Config, load_config
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.compute import EniWant, Instance, InstanceWant
from enaxp.lab.model import Found, Lab, Resource
from enaxp.lab.spec import Resolved, layer_of, of_layers, wanted
from enaxp.lab.userdata import HostBoot, render_monitoring_userdata

PINS = Resolved(ami="ami-1", availability_zone="us-east-1a", ssh_cidr="198.51.100.7/32")
ENDS = datetime(2026, 1, 31, 16, tzinfo=UTC)
LAB = Lab(name="dev", lab_id="1-2-3", region="us-east-1", created_at=ENDS, expires_at=ENDS)
SOME = [
    {},
    {"network.vpc_cidr": "10.0.0.0/16", "network.subnet_cidr": "10.0.255.0/24", "hosts.address": "private"}
    | {f"hosts.{role}.{arm}_ip": f"10.0.255.{n}" for n, (role, arm) in enumerate(
        [("server", "ena"), ("server", "ena_express"), ("client", "ena"), ("client", "ena_express")], start=10)},
]  # fmt: skip


def resources_of(overrides: Mapping[str, Any], *, resolved: Resolved = PINS) -> tuple[Config, tuple[Resource, ...]]:
    config = load_config(overrides=overrides)
    return config, wanted(config, resolved, public_key="ssh-ed25519 AAAA enaxp", partition="aws", expires_at=ENDS)


class Recorder:
    """EC2 to whom everything may be said: it keeps the rules of security groups."""

    def __init__(self) -> None:
        self.ingress: list[dict[str, Any]] = []
        self.ec2 = self

    def authorize_security_group_ingress(self, *, GroupId: str, IpPermissions: list[dict[str, Any]]) -> None:  # noqa: N803
        self.ingress += IpPermissions

    def authorize_security_group_egress(self, **_: Any) -> None:
        """Ways out are not doors."""


def rules_of(group: Resource) -> list[dict[str, Any]]:
    """Every rule by which a new group of this resource lets something in."""
    new = Found(
        key=group.key,
        kind=group.kind,
        id="sg-1",
        tags={},
        facts={"from_itself": False, "ssh": {}, "open": [], "egress": True},
    )
    recorder = Recorder()
    for change in KINDS[group.kind].settle(group, new, {}):
        change.act(recorder)  # type: ignore[arg-type]
    return recorder.ingress


@pytest.mark.parametrize("overrides", SOME, ids=["as it is", "another network"])
def test_no_port_is_open_to_the_world(overrides: Mapping[str, Any]) -> None:
    groups = [resource for resource in resources_of(overrides)[1] if resource.kind == "security-group"]
    rules = [rule for group in groups for rule in rules_of(group)]

    assert len(groups) == 2
    assert len(rules) == 4
    for rule in rules:
        if "UserIdGroupPairs" in rule:
            assert {pair["GroupId"] for pair in rule["UserIdGroupPairs"]} == {"sg-1"}, "only from itself"
            assert "IpRanges" not in rule
            continue
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 22, 22)
        assert [entry["CidrIp"] for entry in rule["IpRanges"]] == [PINS.ssh_cidr]
        assert "Ipv6Ranges" not in rule
        assert "PrefixListIds" not in rule


@pytest.mark.parametrize("overrides", SOME, ids=["as it is", "another network"])
def test_it_stands_beside_the_hosts_and_not_among_them(overrides: Mapping[str, Any]) -> None:
    config, resources = resources_of(overrides)
    by_key = {resource.key: resource for resource in resources}
    host, subnet = by_key["instance/monitoring"], ipaddress.IPv4Network(config.monitoring.subnet_cidr)

    assert isinstance(host.want, InstanceWant)
    assert host.want.group is None
    assert subnet.subnet_of(ipaddress.IPv4Network(config.network.vpc_cidr))
    assert not subnet.overlaps(ipaddress.IPv4Network(config.network.subnet_cidr))
    eni = by_key["eni/monitoring"].want
    assert isinstance(eni, EniWant)
    assert eni.groups == ("security-group/monitoring", "security-group")
    assert ("eip/monitoring" in by_key) == (config.hosts.address != "private")
    request = Instance().request(host, LAB, {key: key for key in by_key})
    assert (request["KeyName"], request["IamInstanceProfile"]["Name"]) == (
        "key-pair/monitoring",
        "instance-profile/monitoring",
    )


def test_a_layer_can_be_had_without_the_other() -> None:
    _, resources = resources_of({})

    for layers, absent in ((["monitoring"], "compute"), (["compute"], "monitoring")):
        chosen = of_layers(resources, layers)  # type: ignore[arg-type]
        keys = {resource.key for resource in chosen}
        assert {layer_of(key) for key in keys} == {"network", *layers}
        beyond = {need for resource in chosen for need in resource.needs if need not in keys}
        assert beyond <= {"role"}, f"something of {layers} stands on {absent}"


@pytest.mark.parametrize(
    ("overrides", "subnet"),
    [
        ({}, "192.168.4.0/24"),
        (SOME[1], "10.0.254.0/24"),
        ({"network.vpc_cidr": "192.168.3.0/24"}, ""),
        ({"monitoring.subnet_cidr": "192.168.9.0/28"}, "192.168.9.0/28"),
    ],
    ids=["the next one", "the one before at the end", "no room", "as asked"],
)
def test_its_subnet_is_found_where_there_is_room(overrides: Mapping[str, Any], subnet: str) -> None:
    config, resources = resources_of(overrides)

    assert config.monitoring.subnet_cidr == subnet
    assert any(resource.layer == "monitoring" for resource in resources) == bool(subnet)


def test_in_a_given_subnet_there_is_none() -> None:
    _, resources = resources_of({"network.vpc_id": "vpc-0123", "network.subnet_id": "subnet-0123"})

    assert not [resource.key for resource in resources if resource.layer == "monitoring"]


@pytest.mark.parametrize(
    ("hosts", "type"), [("c6i.8xlarge", "t3.small"), ("c7gn.4xlarge", "t4g.small"), ("im4gn.4xlarge", "t4g.small")]
)
def test_it_can_boot_the_hosts_image(hosts: str, type: str) -> None:
    assert load_config(overrides={"hosts.instance_type": hosts}).monitoring.instance_type == type


BOOT = HostBoot(
    hostname="monitoring-dev",
    interfaces=("192.168.4.10",),
    subnet_cidr="192.168.4.0/24",
    expires_at=ENDS,
)


@pytest.mark.system
@pytest.mark.parametrize("grafana", [True, False])
@pytest.mark.parametrize("boot", [BOOT, replace(BOOT, expires_at=None)], ids=["with a ttl", "without"])
def test_its_first_boot_is_sound_bash_and_fits(boot: HostBoot, grafana: bool) -> None:
    script = render_monitoring_userdata(boot, grafana=grafana)

    checked = subprocess.run(["shellcheck", "-"], input=script, capture_output=True, text=True, check=False)

    assert checked.stdout == ""
    assert len(script.encode()) < 16 * 1024
    assert ("begin grafana" in script) == grafana
    assert "begin sockperf" not in script
