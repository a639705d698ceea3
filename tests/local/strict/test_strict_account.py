"""Roles, profiles and zones: what belongs to the account."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from enaxp.local.strict import StrictServer
from tests.support.strict_lab import REGION, TRUST, ZONE_WITHOUT, Lab, clients, code_of

BAD_TRUST = {
    "empty": "{}",
    "not JSON": "{",
    "a list": "[]",
    "no statement": '{"Statement": []}',
    "no principal": '{"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}',
    "nonsense": '{"Statement": "all"}',
}


# -- roles and profiles ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def identity(fresh: Lab) -> Iterator[Any]:
    """A role `one` in a profile `one`."""
    fresh.identity("one")
    yield fresh.iam
    fresh.remove_identity("one")


@pytest.mark.parametrize("document", BAD_TRUST.values(), ids=BAD_TRUST)
def test_a_role_trusts_somebody(document: str, fresh: Lab) -> None:
    create = {"RoleName": "two", "AssumeRolePolicyDocument": document}

    assert code_of(lambda: fresh.iam.create_role(**create)) == "MalformedPolicyDocument"


@pytest.mark.parametrize(
    ("name", "code"), [("r" * 65, "ValidationError"), ("mine/", "ValidationError"), ("ONE", "EntityAlreadyExists")]
)
def test_a_role_has_a_name_of_its_own(name: str, code: str, identity: Any) -> None:
    client = identity
    client.meta.config.parameter_validation = False

    assert code_of(lambda: client.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)) == code
    if code == "EntityAlreadyExists":
        assert code_of(lambda: client.create_instance_profile(InstanceProfileName=name)) == code


def test_deletes_go_in_order(identity: Any) -> None:
    assert code_of(lambda: identity.delete_role(RoleName="one")) == "DeleteConflict"
    assert code_of(lambda: identity.delete_instance_profile(InstanceProfileName="one")) == "DeleteConflict"


def test_a_profile_has_one_role(identity: Any, fresh: Lab) -> None:
    fresh.iam.create_role(RoleName="two", AssumeRolePolicyDocument=TRUST)
    add = {"InstanceProfileName": "one", "RoleName": "two"}

    assert code_of(lambda: fresh.iam.add_role_to_instance_profile(**add)) == "LimitExceeded"
    fresh.iam.delete_role(RoleName="two")


def test_a_role_is_removed_once(identity: Any) -> None:
    remove = {"InstanceProfileName": "one", "RoleName": "one"}
    identity.remove_role_from_instance_profile(**remove)

    assert code_of(lambda: identity.remove_role_from_instance_profile(**remove)) == "NoSuchEntity"
    identity.add_role_to_instance_profile(**remove)


def test_policies_of_aws_are_known_and_no_others(identity: Any) -> None:
    attached = identity.list_attached_role_policies(RoleName="one")["AttachedPolicies"]
    unknown = {"RoleName": "one", "PolicyArn": "arn:aws:iam::aws:policy/AmazonNothing"}

    assert [policy["PolicyName"] for policy in attached] == ["AmazonSSMManagedInstanceCore"]
    assert code_of(lambda: identity.attach_role_policy(**unknown)) == "NoSuchEntity"
    version = identity.get_policy_version(PolicyArn=attached[0]["PolicyArn"], VersionId="v2")["PolicyVersion"]
    assert "ssm:UpdateInstanceInformation" in json.dumps(version["Document"])


# -- zones -----------------------------------------------------------------------------------------------------------------------


def test_a_region_has_a_zone_without_the_type_and_a_local_zone(fresh: Lab) -> None:
    zones = fresh.ec2.describe_availability_zones()["AvailabilityZones"]
    everything = fresh.ec2.describe_availability_zones(AllAvailabilityZones=True)["AvailabilityZones"]
    offered = fresh.ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["c6i.8xlarge"]}]
    )["InstanceTypeOfferings"]

    assert {zone["OptInStatus"] for zone in zones} == {"opt-in-not-required"}
    assert {zone["ZoneName"] for zone in zones} - {offer["Location"] for offer in offered} == {ZONE_WITHOUT}
    [local] = [zone for zone in everything if zone["ZoneType"] == "local-zone"]
    assert local["OptInStatus"] == "not-opted-in"


@pytest.mark.parametrize("region", [REGION, "eu-central-1"])
def test_no_region_has_a_default_vpc(region: str, server: StrictServer) -> None:
    ec2 = clients(server, region=region)("ec2")

    assert ec2.describe_vpcs()["Vpcs"] == []
    assert ec2.describe_subnets()["Subnets"] == []
    assert ec2.describe_security_groups()["SecurityGroups"] == []


# -- ids -------------------------------------------------------------------------------------------------------------------------


def test_no_id_is_given_twice_however_the_caller_seeds_python(fresh: Lab) -> None:
    ids = set[str]()
    for _ in range(3):
        random.seed(0)
        ids.add(fresh.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])
    for id in ids:
        fresh.ec2.delete_vpc(VpcId=id)

    assert len(ids) == 3
