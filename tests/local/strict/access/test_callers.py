"""The strict AWS judges each call by the policies on its caller: what they name, tag and make, in each service's own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from enaxp.local.strict import Quotas, StrictServer, Timing, serve
from enaxp.local.strict.access.policies import MalformedPolicyError
from tests.support.strict_lab import TAG, Lab, document, tags

EC2 = "arn:aws:ec2:us-east-1:123456789012"


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    running = serve(timing=Timing.instant(), quotas=Quotas(vpcs=20, addresses=20))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def lab(server: StrictServer) -> Lab:
    lab = Lab.at(server)
    lab.build()
    lab.document("hello", document("true"))
    lab.ids["hello_association"] = lab.association("hello")
    lab.ids["strange_vpc"] = lab.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return lab


@pytest.fixture(autouse=True)
def _anything_goes_afterwards(server: StrictServer) -> Iterator[None]:
    yield
    server.lift_policies()


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    filled = [{"Effect": "Allow", "Resource": "*", **statement} for statement in statements]
    return {"Version": "2012-10-17", "Statement": filled}


def tagged(key: str, value: str = TAG["Value"]) -> dict[str, Any]:
    return {"StringEquals": {f"{key}/{TAG['Key']}": value}}


def refusal(call: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def test_each_service_refuses_with_its_own_code(lab: Lab, server: StrictServer) -> None:
    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=server.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )

    server.put_policies([])

    code, status, text = refusal(lambda: lab.ec2.terminate_instances(InstanceIds=[lab.ids["server_host"]]))
    assert (code, status) == ("UnauthorizedOperation", 403)
    assert f"ec2:TerminateInstances on resource: {EC2}:instance/{lab.ids['server_host']}" in text
    assert "Encoded authorization failure message: " in text
    assert refusal(lambda: lab.iam.get_role(RoleName="enaxp"))[:2] == ("AccessDenied", 403)
    assert refusal(lambda: lab.ssm.list_documents())[:2] == ("AccessDeniedException", 400)
    assert refusal(lambda: client("ecr").describe_repositories(repositoryNames=["some"]))[:2] == (
        "AccessDeniedException",
        400,
    )
    quota = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
    assert refusal(lambda: client("service-quotas").get_service_quota(**quota))[:2] == ("AccessDeniedException", 400)
    assert client("sts").get_caller_identity()["Account"] == "123456789012"  # nobody needs a permission for it
    server.lift_policies()
    assert lab.state("server_host") == "running"


def test_what_a_resource_carries_decides(lab: Lab, server: StrictServer) -> None:
    server.put_policies([policy({"Action": "ec2:ModifyVpcAttribute", "Condition": tagged("aws:ResourceTag")})])

    lab.ec2.modify_vpc_attribute(VpcId=lab.ids["vpc"], EnableDnsHostnames={"Value": True})

    code, _, text = refusal(
        lambda: lab.ec2.modify_vpc_attribute(VpcId=lab.ids["strange_vpc"], EnableDnsHostnames={"Value": True})
    )
    assert code == "UnauthorizedOperation"
    assert lab.ids["strange_vpc"] in text


def test_a_create_is_judged_on_what_it_stands_on_and_on_its_tagging(lab: Lab, server: StrictServer) -> None:
    make = {"Action": "ec2:CreateSubnet", "Resource": f"{EC2}:subnet/*", "Condition": tagged("aws:RequestTag")}
    stand = {"Action": "ec2:CreateSubnet", "Resource": f"{EC2}:vpc/{lab.ids['vpc']}"}
    tag = {"Action": "ec2:CreateTags", "Condition": {"StringEquals": {"ec2:CreateAction": "CreateSubnet"}}}

    def create(vpc: str = "vpc", **more: Any) -> Any:
        asked = {"CidrBlock": "192.168.77.0/24", "DryRun": True, "TagSpecifications": tags("subnet"), **more}
        return refusal(lambda: lab.ec2.create_subnet(VpcId=lab.ids[vpc], **asked))

    server.put_policies([policy(make, stand)])
    assert "ec2:CreateTags" in create()[2]
    server.put_policies([policy(make, tag)])
    assert f"vpc/{lab.ids['vpc']}" in create()[2]
    server.put_policies([policy(make, stand, tag)])
    assert create()[0] == "DryRunOperation"
    assert create("strange_vpc")[0] == "UnauthorizedOperation"
    assert create(TagSpecifications=[])[0] == "UnauthorizedOperation"


def test_a_condition_on_a_key_that_the_action_does_not_know_allows_nothing(lab: Lab, server: StrictServer) -> None:
    """A launch's interface that exists already has no aws:ResourceTag; describes have none of any resource."""
    launch = lab.request("server")
    listing = {"Action": "ec2:DescribeVpcs", "Condition": tagged("aws:ResourceTag")}
    server.put_policies([policy(listing, {"Action": "ec2:RunInstances", "Condition": tagged("aws:ResourceTag")})])

    assert refusal(lambda: lab.ec2.describe_vpcs(VpcIds=[lab.ids["vpc"]]))[0] == "UnauthorizedOperation"
    assert refusal(lambda: lab.ec2.run_instances(**launch, DryRun=True))[0] == "UnauthorizedOperation"


def test_a_launch_is_judged_on_everything_in_it_and_on_the_role_that_it_passes(lab: Lab, server: StrictServer) -> None:
    passing = {
        "Action": "iam:PassRole",
        "Resource": "arn:aws:iam::123456789012:role/enaxp",
        "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    }
    rest = [{"Action": ["ec2:RunInstances", "ec2:CreateTags", "ec2:CreateNetworkInterface"]}]
    free = {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": lab.ids["subnet"], "Groups": [lab.ids["security"]]}]}

    request = lab.request("server", **free)

    def launch(**more: Any) -> tuple[str, int, str]:
        return refusal(lambda: lab.ec2.run_instances(**request, **more, DryRun=True))

    server.put_policies([policy(*rest)])
    assert "iam:PassRole on resource: arn:aws:iam::123456789012:role/enaxp" in launch()[2]
    server.put_policies([policy(*rest, passing)])
    assert launch()[0] == "DryRunOperation"
    no_disk_in_clear = {
        "Effect": "Deny",
        "Action": "ec2:RunInstances",
        "Resource": f"{EC2}:volume/*",
        "Condition": {"Bool": {"ec2:Encrypted": "false"}},
    }
    server.put_policies([policy(*rest, passing)], organisation=[policy(no_disk_in_clear)])
    code, _, text = launch()
    assert code == "UnauthorizedOperation"
    assert "explicit deny in a service control policy" in text
    encrypted = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "Encrypted": True}}]
    assert launch(BlockDeviceMappings=encrypted)[0] == "DryRunOperation"


def test_what_a_call_names_by_its_association_alone_is_looked_up(lab: Lab, server: StrictServer) -> None:
    mine = {
        "Action": ["ec2:DisassociateAddress", "ec2:DisassociateRouteTable"],
        "Condition": tagged("aws:ResourceTag", "x"),
    }
    server.put_policies([policy(mine)])

    address = refusal(lambda: lab.ec2.disassociate_address(AssociationId=lab.ids["server_ip_association"]))
    table = refusal(lambda: lab.ec2.disassociate_route_table(AssociationId=lab.ids["association"]))

    assert lab.ids["server_ip"] in address[2]
    assert lab.ids["table"] in table[2]


def test_systems_manager_judges_documents_and_associations(lab: Lab, server: StrictServer) -> None:
    named = {"Action": "ssm:*", "Resource": "arn:aws:ssm:us-east-1:123456789012:document/hello"}
    server.put_policies([policy(named)])

    lab.ssm.describe_document(Name="hello")
    assert "association/" in refusal(lambda: lab.ssm.delete_association(AssociationId=lab.ids["hello_association"]))[2]
    targets = [{"Key": "InstanceIds", "Values": [lab.ids["server_host"]]}]
    created = refusal(lambda: lab.ssm.create_association(Name="hello", Targets=targets))
    assert "association/*" in created[2]


def test_policies_may_be_on_one_caller_alone(lab: Lab, server: StrictServer) -> None:
    server.put_policies([], access_key="somebody else")
    lab.ec2.describe_vpcs()

    server.put_policies([], access_key="key")
    assert refusal(lambda: lab.ec2.describe_vpcs())[0] == "UnauthorizedOperation"
    for key in ("key", "somebody else"):
        server.lift_policies(key)


def test_a_policy_that_is_too_long_is_not_taken(server: StrictServer) -> None:
    long = policy({"Action": [f"ec2:Action{number}" for number in range(500)]})

    with pytest.raises(MalformedPolicyError, match="6144"):
        server.put_policies([long])
