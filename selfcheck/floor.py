"""The floor: the same lab in raw boto3, nothing read back, nothing kept, nothing checked. Run as a program of its own, like enaxp.

python -m selfcheck.floor up|look|down sequential|threaded
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3

NAME = "floor"
TAGS = [{"Key": "floor", "Value": "yes"}]
ZONE = "us-east-1a"
ADDRESSES = {"server": ("192.168.3.10", "192.168.3.11"), "client": ("192.168.3.20", "192.168.3.21")}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMuYu2J9ujPs8VztirTMBUubZ6br9uZ0IuVBQiSmJ7Qv floor"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
SOFTWARE = ("tuning", "utilities", "sockperf", "node-exporter")
STEP = {"action": "aws:runShellScript", "name": "step", "inputs": {"runCommand": ["true"]}}
CONTENT = json.dumps({"schemaVersion": "2.2", "description": NAME, "mainSteps": [STEP]})
Run = Callable[..., list[Any]]


def sequential(*calls: Callable[[], Any]) -> list[Any]:
    return [call() for call in calls]


def threaded(*calls: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(max(1, len(calls))) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def tagged(resource: str) -> list[dict[str, Any]]:
    return [{"ResourceType": resource, "Tags": TAGS}]


def up(run: Run) -> None:
    """Every call in the order AWS wants; those that do not need each other side by side."""
    ec2, iam, ssm = boto3.client("ec2"), boto3.client("iam"), boto3.client("ssm")

    def identity() -> None:
        iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=TAGS)
        iam.attach_role_policy(RoleName=NAME, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
        iam.create_instance_profile(InstanceProfileName=NAME, Tags=TAGS)
        iam.add_role_to_instance_profile(InstanceProfileName=NAME, RoleName=NAME)

    def software(name: str) -> None:
        document = f"{NAME}-{name}"
        ssm.create_document(Name=document, Content=CONTENT, DocumentType="Command", DocumentFormat="JSON", Tags=TAGS)
        ssm.create_association(Name=document, Targets=[{"Key": "tag:floor", "Values": ["yes"]}], Tags=TAGS)

    def network() -> tuple[list[str], list[str]]:
        vpc = ec2.create_vpc(CidrBlock="192.168.0.0/16", TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
        subnet, gateway, group, _ = run(
            lambda: ec2.create_subnet(
                VpcId=vpc, CidrBlock="192.168.3.0/24", AvailabilityZone=ZONE, TagSpecifications=tagged("subnet")
            )["Subnet"]["SubnetId"],
            lambda: make_gateway(vpc),
            lambda: make_group(vpc),
            lambda: ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True}),
        )
        made = run(
            lambda: make_routes(vpc, subnet, gateway),
            *(lambda ip=ip: make_interface(subnet, group, ip) for pair in ADDRESSES.values() for ip in pair),
            *(make_address for _ in ADDRESSES),
        )
        enis, addresses = made[1:5], made[5:]
        run(
            *(
                lambda address=address, eni=eni: ec2.associate_address(AllocationId=address, NetworkInterfaceId=eni)
                for address, eni in zip(addresses, (enis[0], enis[2]), strict=True)
            )
        )
        return enis, addresses

    def make_gateway(vpc: str) -> str:
        gateway = ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway"))["InternetGateway"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc)
        return str(gateway["InternetGatewayId"])

    def make_group(vpc: str) -> str:
        group = ec2.create_security_group(
            GroupName=NAME, Description=NAME, VpcId=vpc, TagSpecifications=tagged("security-group")
        )["GroupId"]
        inside = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
        ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "127.0.0.0/8"}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[inside, ssh])
        return str(group)

    def make_routes(vpc: str, subnet: str, gateway: str) -> None:
        table = ec2.create_route_table(VpcId=vpc, TagSpecifications=tagged("route-table"))["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)

    def make_interface(subnet: str, group: str, ip: str) -> str:
        made = ec2.create_network_interface(
            SubnetId=subnet, PrivateIpAddress=ip, Groups=[group], TagSpecifications=tagged("network-interface")
        )
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def make_address() -> str:
        return str(ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip"))["AllocationId"])

    parameter = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    _, (enis, _), image, *_ = run(
        identity,
        network,
        lambda: ssm.get_parameter(Name=parameter)["Parameter"]["Value"],
        *(lambda name=name: software(name) for name in SOFTWARE),
        lambda: ec2.import_key_pair(KeyName=NAME, PublicKeyMaterial=KEY, TagSpecifications=tagged("key-pair")),
        lambda: ec2.create_placement_group(
            GroupName=NAME, Strategy="cluster", TagSpecifications=tagged("placement-group")
        ),
    )

    def launch(first: str, second: str) -> None:
        instance = ec2.run_instances(
            ImageId=image,
            InstanceType="c6i.8xlarge",
            MinCount=1,
            MaxCount=1,
            KeyName=NAME,
            IamInstanceProfile={"Name": NAME},
            Placement={"AvailabilityZone": ZONE, "GroupName": NAME},
            NetworkInterfaces=[
                {"DeviceIndex": 0, "NetworkInterfaceId": first},
                {"DeviceIndex": 1, "NetworkInterfaceId": second},
            ],
            TagSpecifications=tagged("instance"),
        )["Instances"][0]["InstanceId"]
        while (
            ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]
            != "running"
        ):
            pass
        srd = {"EnaSrdEnabled": True, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": True}}
        ec2.modify_network_interface_attribute(NetworkInterfaceId=second, EnaSrdSpecification=srd)

    run(lambda: launch(enis[0], enis[1]), lambda: launch(enis[2], enis[3]))


def look(run: Run) -> list[Any]:
    """One describe of each kind."""
    ec2, iam, ssm = boto3.client("ec2"), boto3.client("iam"), boto3.client("ssm")
    mine = {"Filters": [{"Name": "tag:floor", "Values": ["yes"]}]}
    return run(
        lambda: ec2.describe_vpcs(**mine),
        lambda: ec2.describe_subnets(**mine),
        lambda: ec2.describe_internet_gateways(**mine),
        lambda: ec2.describe_route_tables(**mine),
        lambda: ec2.describe_security_groups(**mine),
        lambda: ec2.describe_placement_groups(**mine),
        lambda: ec2.describe_key_pairs(**mine),
        lambda: ec2.describe_network_interfaces(**mine),
        lambda: ec2.describe_addresses(**mine),
        lambda: ec2.describe_instances(**mine),
        lambda: iam.get_role(RoleName=NAME),
        lambda: iam.get_instance_profile(InstanceProfileName=NAME),
        lambda: ssm.list_documents(Filters=[{"Key": "tag:floor", "Values": ["yes"]}]),
        ssm.list_associations,
    )


def down(run: Run) -> None:
    """Every delete in the order AWS wants."""
    ec2, iam, ssm = boto3.client("ec2"), boto3.client("iam"), boto3.client("ssm")
    vpcs, subnets, gateways, tables, groups, _, _, enis, addresses, reservations, _, _, _, listed = look(run)
    instances = [i["InstanceId"] for r in reservations["Reservations"] for i in r["Instances"]]
    ec2.terminate_instances(InstanceIds=instances)
    while any(
        i["State"]["Name"] != "terminated"
        for r in ec2.describe_instances(InstanceIds=instances)["Reservations"]
        for i in r["Instances"]
    ):
        pass

    def identity() -> None:
        iam.remove_role_from_instance_profile(InstanceProfileName=NAME, RoleName=NAME)
        iam.delete_instance_profile(InstanceProfileName=NAME)
        iam.detach_role_policy(RoleName=NAME, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
        iam.delete_role(RoleName=NAME)

    def release(address: dict[str, Any]) -> None:
        ec2.disassociate_address(AssociationId=address["AssociationId"])
        ec2.release_address(AllocationId=address["AllocationId"])

    def unroute() -> None:
        table = tables["RouteTables"][0]
        ec2.disassociate_route_table(AssociationId=table["Associations"][0]["RouteTableAssociationId"])
        ec2.delete_route_table(RouteTableId=table["RouteTableId"])

    def forget(association: dict[str, Any]) -> None:
        ssm.delete_association(AssociationId=association["AssociationId"])
        ssm.delete_document(Name=association["Name"])

    run(
        identity,
        unroute,
        *(lambda a=a: forget(a) for a in listed["Associations"]),
        *(lambda a=a: release(a) for a in addresses["Addresses"]),
        lambda: ec2.delete_placement_group(GroupName=NAME),
        lambda: ec2.delete_key_pair(KeyName=NAME),
    )
    vpc, gateway = vpcs["Vpcs"][0]["VpcId"], gateways["InternetGateways"][0]["InternetGatewayId"]

    def remove_gateway() -> None:
        ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        ec2.delete_internet_gateway(InternetGatewayId=gateway)

    def delete_interface(eni: str) -> None:
        ec2.delete_network_interface(NetworkInterfaceId=eni)

    run(remove_gateway, *(lambda e=e: delete_interface(e["NetworkInterfaceId"]) for e in enis["NetworkInterfaces"]))
    run(
        lambda: ec2.delete_security_group(GroupId=groups["SecurityGroups"][0]["GroupId"]),
        lambda: ec2.delete_subnet(SubnetId=subnets["Subnets"][0]["SubnetId"]),
    )
    ec2.delete_vpc(VpcId=vpc)


if __name__ == "__main__":
    verb = {"up": up, "look": look, "down": down}[sys.argv[1]]
    verb({"sequential": sequential, "threaded": threaded}[sys.argv[2]])
