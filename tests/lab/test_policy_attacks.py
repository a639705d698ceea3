"""What somebody can do who has one lab's policy and nothing else: not touch another lab, another role, or anything of somebody else's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from enaxp.aws import Aws
from enaxp.config import load_config
from enaxp.lab.policy import policies_of
from enaxp.local.strict import StrictServer, serve
from enaxp.local.strict.timing import Timing
from tests.support.crash_harness import Labs
from tests.support.strict_lab import TRUST
from tests.support.under_policy import DENIALS

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


class Account(NamedTuple):
    """An account with this lab, `dev`, another lab, `prod`, and things of somebody else's. Ids by lab and key; mine, theirs: EC2's."""

    aws: Aws
    ids: dict[str, dict[str, str]]
    server: StrictServer

    @property
    def mine(self) -> dict[str, str]:
        return self.ids["dev"]

    @property
    def theirs(self) -> dict[str, str]:
        return self.ids["prod"]


class _Cloud(NamedTuple):
    server: StrictServer


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    server = serve(timing=Timing.instant())
    ids = {}
    for name in ("dev", "prod"):
        labs = Labs(_Cloud(server), tmp_path_factory.mktemp(name), lab=name)  # type: ignore[arg-type]
        labs.up()
        ids[name] = labs.file().state.ids()
    aws = labs.aws()
    aws.iam.create_role(RoleName="admin", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="admin")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="admin", RoleName="admin")
    ids["nobody"] = {
        "vpc": aws.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"],
        "eip": aws.ec2.allocate_address(Domain="vpc")["AllocationId"],
    }
    server.put_policies(policies_of(load_config()))
    yield Account(aws, ids, server)
    server.stop()


def _tag_specifications(kind: str, lab: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "enaxp:lab", "Value": lab}]}]


def _launch(account: Account, **more: Any) -> Any:
    image = account.aws.ssm.get_parameter(Name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64")[
        "Parameter"
    ]["Value"]
    nic = {"DeviceIndex": 0, "SubnetId": account.mine["subnet"], "Groups": [account.mine["security-group"]]}
    request = {
        "ImageId": image,
        "InstanceType": "c6i.8xlarge",
        "MinCount": 1,
        "MaxCount": 1,
        "NetworkInterfaces": [nic],
        "TagSpecifications": _tag_specifications("instance", "dev") + _tag_specifications("volume", "dev"),
        "DryRun": True,
    }
    return account.aws.ec2.run_instances(**{**request, **more})


def _nic(**more: Any) -> dict[str, Any]:
    return {"NetworkInterfaces": [{"DeviceIndex": 0, **more}]}


RULE = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
Attack = Callable[[Account], Any]
ATTACKS: dict[str, Attack] = {
    # another lab's resources
    "terminate another lab's host": lambda a: a.aws.ec2.terminate_instances(InstanceIds=[a.theirs["instance/server"]]),
    "release another lab's address": lambda a: a.aws.ec2.release_address(AllocationId=a.theirs["eip/server"]),
    "delete another lab's key": lambda a: a.aws.ec2.delete_key_pair(KeyName=a.theirs["key-pair"]),
    "delete another lab's group": lambda a: a.aws.ec2.delete_placement_group(GroupName=a.theirs["placement-group"]),
    "delete another lab's interface": lambda a: a.aws.ec2.delete_network_interface(
        NetworkInterfaceId=a.theirs["eni/server-ena"]
    ),
    "switch another lab's SRD": lambda a: a.aws.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=a.theirs["eni/server-express"], EnaSrdSpecification={"EnaSrdEnabled": False}
    ),
    "put another lab's interface into this lab's group": lambda a: a.aws.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=a.theirs["eni/server-ena"], Groups=[a.mine["security-group"]]
    ),
    "open another lab's security group": lambda a: a.aws.ec2.authorize_security_group_ingress(
        GroupId=a.theirs["security-group"], IpPermissions=RULE
    ),
    "close another lab's security group": lambda a: a.aws.ec2.revoke_security_group_ingress(
        GroupId=a.theirs["security-group"], IpPermissions=RULE
    ),
    "detach another lab's gateway": lambda a: a.aws.ec2.detach_internet_gateway(
        InternetGatewayId=a.theirs["igw"], VpcId=a.theirs["vpc"]
    ),
    "reroute another lab": lambda a: a.aws.ec2.replace_route(
        RouteTableId=a.theirs["route-table"], DestinationCidrBlock="0.0.0.0/0", GatewayId=a.mine["igw"]
    ),
    "put this lab's address onto another lab's interface": lambda a: a.aws.ec2.associate_address(
        AllocationId=a.mine["eip/server"], NetworkInterfaceId=a.theirs["eni/client-ena"]
    ),
    "make an interface in another lab's subnet": lambda a: a.aws.ec2.create_network_interface(
        SubnetId=a.theirs["subnet"], TagSpecifications=_tag_specifications("network-interface", "dev")
    ),
    "make a subnet in another lab's VPC": lambda a: a.aws.ec2.create_subnet(
        VpcId=a.theirs["vpc"], CidrBlock="192.168.9.0/24", TagSpecifications=_tag_specifications("subnet", "dev")
    ),
    "launch into another lab's subnet": lambda a: _launch(
        a, **_nic(SubnetId=a.theirs["subnet"], Groups=[a.mine["security-group"]])
    ),
    "launch with another lab's security group": lambda a: _launch(
        a, **_nic(SubnetId=a.mine["subnet"], Groups=[a.theirs["security-group"]])
    ),
    "launch with another lab's key": lambda a: _launch(a, KeyName=a.theirs["key-pair"]),
    "delete another lab's role": lambda a: a.aws.iam.delete_role(RoleName=a.theirs["role"]),
    "change another lab's script": lambda a: a.aws.ssm.update_document(
        Name=a.theirs["ssm-document/sockperf"], Content="{}", DocumentVersion="$LATEST"
    ),
    "delete another lab's association": lambda a: a.aws.ssm.delete_association(
        AssociationId=a.theirs["ssm-association/sockperf"]
    ),
    "run another lab's association": lambda a: a.aws.ssm.start_associations_once(
        AssociationIds=[a.theirs["ssm-association/sockperf"]]
    ),
    "have this lab's association run another document": lambda a: a.aws.ssm.update_association(
        AssociationId=a.mine["ssm-association/sockperf"], Name="AWS-RunShellScript"
    ),
    "run a document of somebody else's": lambda a: a.aws.ssm.create_association(
        Name="AWS-RunShellScript",
        Targets=[{"Key": "tag:enaxp:lab", "Values": ["dev"]}],
        Tags=[{"Key": "enaxp:lab", "Value": "dev"}],
    ),
    "run this lab's document on another lab's host by its id": lambda a: a.aws.ssm.create_association(
        Name=a.mine["ssm-document/sockperf"],
        Targets=[{"Key": "InstanceIds", "Values": [a.theirs["instance/server"]]}],
        Tags=[{"Key": "enaxp:lab", "Value": "dev"}],
    ),
    # making another lab's, or somebody else's, this lab's own
    "tag another lab's host as this lab's": lambda a: a.aws.ec2.create_tags(
        Resources=[a.theirs["instance/server"]], Tags=[{"Key": "enaxp:lab", "Value": "dev"}]
    ),
    "tag a stranger's VPC as this lab's": lambda a: a.aws.ec2.create_tags(
        Resources=[a.ids["nobody"]["vpc"]], Tags=[{"Key": "enaxp:lab", "Value": "dev"}]
    ),
    "tag another lab's association as this lab's": lambda a: a.aws.ssm.add_tags_to_resource(
        ResourceType="Association",
        ResourceId=a.theirs["ssm-association/sockperf"],
        Tags=[{"Key": "enaxp:lab", "Value": "dev"}],
    ),
    "release a stranger's address": lambda a: a.aws.ec2.release_address(AllocationId=a.ids["nobody"]["eip"]),
    # making what is not the lab's
    "make a VPC without the lab's tag": lambda a: a.aws.ec2.create_vpc(CidrBlock="10.0.0.0/16"),
    "make a VPC of another lab": lambda a: a.aws.ec2.create_vpc(
        CidrBlock="10.0.0.0/16", TagSpecifications=_tag_specifications("vpc", "prod")
    ),
    "launch a host without the lab's tag": lambda a: _launch(a, TagSpecifications=[]),
    "make a VPC in another region": lambda a: a.aws.in_region("eu-west-1").ec2.create_vpc(
        CidrBlock="10.0.0.0/16", TagSpecifications=_tag_specifications("vpc", "dev")
    ),
    # roles
    "launch a host with another role": lambda a: _launch(a, IamInstanceProfile={"Name": "admin"}),
    "launch a host with another lab's role": lambda a: _launch(
        a, IamInstanceProfile={"Name": a.theirs["instance-profile"]}
    ),
    "put another role into the lab's profile": lambda a: a.aws.iam.add_role_to_instance_profile(
        InstanceProfileName=a.mine["instance-profile"], RoleName="admin"
    ),
    "let the lab's role do everything": lambda a: a.aws.iam.attach_role_policy(
        RoleName=a.mine["role"], PolicyArn=ADMINISTRATOR
    ),
    "give the lab's role a policy in line": lambda a: a.aws.iam.put_role_policy(
        RoleName=a.mine["role"], PolicyName="all", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
    ),
    "make another role": lambda a: a.aws.iam.create_role(
        RoleName="enaxp-prod-us-west-2", AssumeRolePolicyDocument=TRUST
    ),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_it_is_refused(account: Account, attack: Attack) -> None:
    before = account.server.resources()

    with pytest.raises(ClientError) as caught:
        attack(account)

    assert caught.value.response["Error"]["Code"] in DENIALS, caught.value
    assert account.server.resources() == before


def test_the_same_launch_of_the_lab_itself_is_allowed(account: Account) -> None:
    """So that an attack is refused for what makes it one."""
    with pytest.raises(ClientError, match="DryRunOperation"):
        _launch(
            account, IamInstanceProfile={"Name": account.mine["instance-profile"]}, KeyName=account.mine["key-pair"]
        )


def test_what_aws_cannot_narrow_is_possible_anyway(account: Account) -> None:
    """As docs/aws.md says: an association may name hosts by any tag, and the lab's own documents may say anything."""
    made = account.aws.ssm.create_association(
        Name=account.mine["ssm-document/sockperf"],
        Targets=[{"Key": "tag:enaxp:lab", "Values": ["prod"]}],
        Tags=[{"Key": "enaxp:lab", "Value": "dev"}],
    )
    account.aws.ssm.delete_association(AssociationId=made["AssociationDescription"]["AssociationId"])
