"""A lab of two hosts in the strict AWS, made and removed call by call in the order that works on AWS."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from enaxp.local.strict import StrictServer

REGION, ZONE, OTHER_ZONE, ZONE_WITHOUT = "us-east-1", "us-east-1a", "us-east-1b", "us-east-1e"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp5bJhNNyhr8ySv14wfPNQJuwHyFSxaWoqKnF3Ru1bv lab"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
)
IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{}"
TAG = {"Key": "enaxp:lab-id", "Value": "lab-1"}
TAGGED = [{"Name": "tag:enaxp:lab-id", "Values": ["lab-1"]}]
PATIENCE_S = 20.0


def code_of(call: Callable[[], object]) -> str:
    """The error code that a call is refused with; empty when it is not."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def eventually(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.02)


def retried(call: Callable[[], object], *codes: str) -> None:
    """Repeats a call while it is refused with one of these codes."""
    eventually(lambda: code_of(call) not in codes, f"anything but {codes}")


def drive(server: StrictServer, method: str, path: str, body: Any = None) -> Any:
    """As another process drives the server."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.endpoint_url}/enaxp/{path}", data=data, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return json.load(answer)


def document(*lines: str, **more: Any) -> str:
    """The content of an SSM document with one step, which has a parameter `Word`."""
    step = {
        "action": "aws:runShellScript",
        "name": "only",
        "inputs": {"runCommand": list(lines), "timeoutSeconds": "60"},
    }
    word = {"type": "String", "default": "hello", "allowedPattern": "[a-z]+"}
    return json.dumps({"schemaVersion": "2.2", "parameters": {"Word": word}, "mainSteps": [step], **more})


def tags(resource: str) -> list[dict[str, Any]]:
    return [{"ResourceType": resource, "Tags": [TAG]}]


def clients(
    server: StrictServer, *, region: str = REGION, attempts: int = 1, checked: bool = True, path: str = ""
) -> Callable[[str], Any]:
    """Makes clients that never repeat a call, unless told to, and that check what they are given before they ask."""
    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(retries=retries, max_pool_connections=32, parameter_validation=checked)
    return lambda service: _session(region).client(service, endpoint_url=server.endpoint_url + path, config=config)


@cache
def _session(region: str) -> Any:
    return boto3.Session(aws_access_key_id="key", aws_secret_access_key="secret", region_name=region)


@dataclass
class Lab:
    """ids of what was made, by what it is."""

    ec2: Any
    iam: Any
    ssm: Any
    ids: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def at(cls, server: StrictServer) -> Lab:
        client = clients(server)
        return cls(client("ec2"), client("iam"), client("ssm"))

    # -- make ----------------------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Everything, up to two running hosts with ENA Express on their second interface."""
        self.identity("enaxp")
        self.network()
        self.group("placement")
        self.ec2.import_key_pair(KeyName="enaxp", PublicKeyMaterial=KEY.encode(), TagSpecifications=tags("key-pair"))
        for last, name in ((10, "server"), (11, "server_express"), (20, "client"), (21, "client_express")):
            self.interface(name, f"192.168.3.{last}")
        for host in ("server", "client"):
            self.address(host)
        for host in ("server", "client"):
            self.launch(host)
        for host in ("server", "client"):
            self.wait_attached(host)
            self.express(f"{host}_express")

    def identity(self, name: str) -> None:
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, Tags=[TAG])
        policy = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        self.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        self.iam.create_instance_profile(InstanceProfileName=name, Tags=[TAG])
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)

    def network(self) -> None:
        ec2, ids = self.ec2, self.ids
        ids["vpc"] = ec2.create_vpc(CidrBlock="192.168.0.0/16", TagSpecifications=tags("vpc"))["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=ids["vpc"], EnableDnsHostnames={"Value": True})
        ids["subnet"] = self.subnet(ids["vpc"], "192.168.3.0/24", ZONE)
        gateway = ec2.create_internet_gateway(TagSpecifications=tags("internet-gateway"))["InternetGateway"]
        ids["gateway"] = gateway["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=ids["gateway"], VpcId=ids["vpc"])
        ids["table"] = self.table(ids["vpc"])
        ec2.create_route(RouteTableId=ids["table"], DestinationCidrBlock="0.0.0.0/0", GatewayId=ids["gateway"])
        associated = ec2.associate_route_table(RouteTableId=ids["table"], SubnetId=ids["subnet"])
        ids["association"] = associated["AssociationId"]
        ids["security"] = self.security(ids["vpc"], "enaxp")
        for rule in (
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": ids["security"]}]},
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "127.0.0.0/8"}]},
        ):
            ec2.authorize_security_group_ingress(GroupId=ids["security"], IpPermissions=[rule])

    def subnet(self, vpc: str, cidr: str, zone: str) -> str:
        made = self.ec2.create_subnet(
            VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone, TagSpecifications=tags("subnet")
        )
        return str(made["Subnet"]["SubnetId"])

    def table(self, vpc: str) -> str:
        return str(
            self.ec2.create_route_table(VpcId=vpc, TagSpecifications=tags("route-table"))["RouteTable"]["RouteTableId"]
        )

    def security(self, vpc: str, name: str) -> str:
        made = self.ec2.create_security_group(
            GroupName=name, Description="hosts", VpcId=vpc, TagSpecifications=tags("security-group")
        )
        return str(made["GroupId"])

    def group(self, name: str, strategy: str = "cluster") -> None:
        self.ids[name] = name
        self.ec2.create_placement_group(GroupName=name, Strategy=strategy, TagSpecifications=tags("placement-group"))
        eventually(lambda: self.group_state(name) == "available", f"{name} available")

    def group_state(self, name: str) -> str:
        return str(self.ec2.describe_placement_groups(GroupNames=[name])["PlacementGroups"][0]["State"])

    def interface(self, name: str, address: str, **more: Any) -> str:
        request = {"SubnetId": self.ids["subnet"], "Groups": [self.ids["security"]], **more}
        made = self.ec2.create_network_interface(
            **request, PrivateIpAddress=address, TagSpecifications=tags("network-interface")
        )
        self.ids[name] = str(made["NetworkInterface"]["NetworkInterfaceId"])
        return self.ids[name]

    def address(self, name: str) -> None:
        """An Elastic IP, on the interface of this name."""
        made = self.ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip"))
        self.ids[f"{name}_ip"] = made["AllocationId"]
        associated = self.ec2.associate_address(
            AllocationId=made["AllocationId"], NetworkInterfaceId=self.ids[name], AllowReassociation=False
        )
        self.ids[f"{name}_ip_association"] = associated["AssociationId"]

    def image(self, architecture: str = "x86_64") -> str:
        return str(self.ssm.get_parameter(Name=IMAGE_PARAMETER.format(architecture))["Parameter"]["Value"])

    def request(self, host: str, **more: Any) -> dict[str, Any]:
        """What RunInstances is asked for one host."""
        base = {
            "ImageId": self.image(),
            "InstanceType": "c6i.8xlarge",
            "MinCount": 1,
            "MaxCount": 1,
            "KeyName": "enaxp",
            "IamInstanceProfile": {"Name": "enaxp"},
            "Placement": {"AvailabilityZone": ZONE, "GroupName": "placement"},
            "NetworkInterfaces": [
                {"DeviceIndex": index, "NetworkInterfaceId": self.ids[name]}
                for index, name in enumerate((host, f"{host}_express"))
                if name in self.ids
            ],
            "UserData": "#!/bin/sh\necho hello\n",
            "InstanceInitiatedShutdownBehavior": "terminate",
            "TagSpecifications": [*tags("instance"), *tags("volume")],
        }
        return {member: value for member, value in {**base, **more}.items() if value is not None}

    def launch(self, host: str, **more: Any) -> str:
        """Repeats while EC2 does not know the profile yet, as AWS's own advice is."""

        def run() -> None:
            made = self.ec2.run_instances(**self.request(host, **more))
            self.ids[f"{host}_host"] = made["Instances"][0]["InstanceId"]

        retried(run, "InvalidParameterValue")
        return self.ids[f"{host}_host"]

    def wait_attached(self, host: str) -> None:
        enis = [eni for eni in (self.ids[host], self.ids.get(f"{host}_express")) if eni]
        eventually(lambda: self.state(f"{host}_host") == "running", f"{host} running")
        eventually(lambda: all(self.attachment(eni).get("Status") == "attached" for eni in enis), f"{host} attached")

    def express(self, name: str, *, on: bool = True, udp: bool = True) -> None:
        specification = {"EnaSrdEnabled": on, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": udp}}
        self.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=self.ids[name], EnaSrdSpecification=specification
        )

    def document(self, name: str, content: str) -> None:
        """One that can be used."""
        self.ssm.create_document(Name=name, Content=content, DocumentType="Command", Tags=[TAG])
        eventually(lambda: self.ssm.describe_document(Name=name)["Document"]["Status"] == "Active", f"{name} active")

    def association(self, name: str, **more: Any) -> str:
        """Of a document with the hosts that have the lab's tag."""
        request = {"Targets": [{"Key": f"tag:{TAG['Key']}", "Values": [TAG["Value"]]}], "Tags": [TAG], **more}
        return str(self.ssm.create_association(Name=name, **request)["AssociationDescription"]["AssociationId"])

    # -- look ----------------------------------------------------------------------------------------------------------

    def instance(self, name: str) -> dict[str, Any]:
        found = self.ec2.describe_instances(InstanceIds=[self.ids[name]])["Reservations"]
        return dict(found[0]["Instances"][0])

    def state(self, name: str) -> str:
        return str(self.instance(name)["State"]["Name"])

    def eni(self, eni_id: str) -> dict[str, Any]:
        found = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni_id])["NetworkInterfaces"]
        return dict(found[0])

    def attachment(self, eni_id: str) -> dict[str, Any]:
        return dict(self.eni(eni_id).get("Attachment") or {})

    def express_of(self, name: str) -> tuple[bool, bool] | None:
        """SRD and its UDP flag as the attachment tells them."""
        given = self.attachment(self.ids[name]).get("EnaSrdSpecification")
        return (given["EnaSrdEnabled"], given["EnaSrdUdpSpecification"]["EnaSrdUdpEnabled"]) if given else None

    # -- remove --------------------------------------------------------------------------------------------------------

    def remove(self) -> None:
        """Everything that `build` made, waiting for what takes its time."""
        ec2, ids = self.ec2, self.ids
        hosts = [ids["server_host"], ids["client_host"]]
        ec2.terminate_instances(InstanceIds=hosts)
        eventually(lambda: {self.state(f"{host}_host") for host in ("server", "client")} == {"terminated"}, "the end")
        for host in ("server", "client"):
            ec2.disassociate_address(AssociationId=ids[f"{host}_ip_association"])
            ec2.release_address(AllocationId=ids[f"{host}_ip"])
        for name in ("server", "server_express", "client", "client_express"):
            retried(
                lambda name=name: ec2.delete_network_interface(NetworkInterfaceId=ids[name]), "InvalidParameterValue"
            )
        retried(lambda: ec2.delete_placement_group(GroupName="placement"), "InvalidPlacementGroup.InUse")
        retried(lambda: ec2.delete_security_group(GroupId=ids["security"]), "DependencyViolation")
        retried(
            lambda: ec2.detach_internet_gateway(InternetGatewayId=ids["gateway"], VpcId=ids["vpc"]),
            "DependencyViolation",
        )
        ec2.delete_internet_gateway(InternetGatewayId=ids["gateway"])
        ec2.disassociate_route_table(AssociationId=ids["association"])
        ec2.delete_route_table(RouteTableId=ids["table"])
        ec2.delete_subnet(SubnetId=ids["subnet"])
        ec2.delete_vpc(VpcId=ids["vpc"])
        ec2.delete_key_pair(KeyName="enaxp")
        self.remove_identity("enaxp")

    def remove_identity(self, name: str) -> None:
        self.iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
        self.iam.delete_instance_profile(InstanceProfileName=name)
        policy = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        self.iam.detach_role_policy(RoleName=name, PolicyArn=policy)
        self.iam.delete_role(RoleName=name)


def filled(template: Any, ids: Mapping[str, Any]) -> Any:
    """A call's arguments out of a case file: `$name` stands for an id."""
    if isinstance(template, Mapping):
        return {member: filled(value, ids) for member, value in template.items()}
    if isinstance(template, list):
        return [filled(value, ids) for value in template]
    if isinstance(template, str) and template.startswith("$"):
        return ids[template[1:]]
    return template
