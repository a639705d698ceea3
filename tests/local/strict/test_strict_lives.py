"""Instances, interfaces and groups take their time, and the machines behind the instances have a say in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from enaxp.local.strict import MachineSpec, NoMachines, StrictServer, Timing, serve
from tests.support.strict_lab import KEY, REGION, TAGGED, Lab, code_of, drive, eventually, tags

LONG = 3600.0


class ScriptedMachines(NoMachines):
    """Machines that do what a test tells them to, and remember what they were told."""

    def __init__(self) -> None:
        self.launched: dict[str, MachineSpec] = {}
        self.told: list[tuple[object, ...]] = []
        self.up = self.gone = True
        self.failed: dict[str, str] = {}
        self.off: set[str] = set()
        self.lock = threading.Lock()

    def launch(self, machine: MachineSpec) -> None:
        with self.lock:
            self.launched[machine.instance_id] = machine

    def is_up(self, instance_id: str) -> bool:
        return self.up

    def is_gone(self, instance_id: str) -> bool:
        return self.gone

    def failure(self, instance_id: str) -> str | None:
        return self.failed.get(instance_id)

    def has_shut_down(self, instance_id: str) -> bool:
        return instance_id in self.off

    def terminate(self, instance_id: str) -> None:
        self.told.append(("terminate", instance_id))

    def set_srd(self, instance_id: str, *, device_index: int, srd: bool, udp: bool) -> None:
        self.told.append(("srd", instance_id, device_index, srd, udp))

    def set_public_ip(self, instance_id: str, *, device_index: int, public_ip: str | None) -> None:
        self.told.append(("public ip", instance_id, device_index, public_ip))


@pytest.fixture
def machines() -> ScriptedMachines:
    return ScriptedMachines()


class Cloud:
    """One server with its lab, whose time a test sets."""

    def __init__(self, machines: ScriptedMachines, timing: Timing) -> None:
        self.server: StrictServer = serve(timing=timing, machines=machines, public_addresses=iter(ADDRESSES).__next__)
        self.lab = Lab.at(self.server)

    def prepare(self) -> Lab:
        self.lab.identity("enaxp")
        self.lab.network()
        self.lab.group("placement")
        self.lab.ec2.import_key_pair(
            KeyName="enaxp", PublicKeyMaterial=KEY.encode(), TagSpecifications=tags("key-pair")
        )
        self.lab.interface("server", "192.168.3.10")
        self.lab.interface("server_express", "192.168.3.11")
        return self.lab


ADDRESSES = [f"127.8.0.{last}" for last in range(1, 50)]


@pytest.fixture
def clouds(machines: ScriptedMachines) -> Iterator[list[Cloud]]:
    """Clouds of one test, ended with it."""
    made: list[Cloud] = []
    yield made
    for cloud in made:
        cloud.server.stop()


@pytest.fixture
def lab(machines: ScriptedMachines, clouds: list[Cloud]) -> Lab:
    clouds.append(Cloud(machines, Timing.instant()))
    return clouds[0].prepare()


# -- machines --------------------------------------------------------------------------------------------------------------------


def test_a_machine_is_told_everything_it_needs(lab: Lab, machines: ScriptedMachines) -> None:
    lab.address("server")
    instance = lab.launch("server", UserData="#!/bin/sh\necho µ\n")

    machine = machines.launched[instance]

    assert machine.user_data == "#!/bin/sh\necho µ\n"
    assert machine.public_key == KEY
    assert (machine.instance_type, machine.availability_zone, machine.key_name) == (
        "c6i.8xlarge",
        "us-east-1a",
        "enaxp",
    )
    assert [(one.device_index, one.private_ip, one.public_ip) for one in machine.interfaces] == [
        (0, "192.168.3.10", ADDRESSES[0]),
        (1, "192.168.3.11", None),
    ]
    assert {one.subnet_cidr for one in machine.interfaces} == {"192.168.3.0/24"}
    assert [one.eni_id for one in machine.interfaces] == [lab.ids["server"], lab.ids["server_express"]]


def test_an_instance_runs_only_when_its_machine_is_up(lab: Lab, machines: ScriptedMachines) -> None:
    machines.up = False
    lab.launch("server")
    assert lab.state("server_host") == "pending"
    assert lab.attachment(lab.ids["server"])["Status"] == "attaching"

    machines.up = True

    assert lab.state("server_host") == "running"
    assert lab.attachment(lab.ids["server"])["Status"] == "attached"


def test_an_instance_is_terminated_only_when_its_machine_is_gone(lab: Lab, machines: ScriptedMachines) -> None:
    instance = lab.launch("server")
    assert lab.state("server_host") == "running"
    machines.gone = False
    lab.ec2.terminate_instances(InstanceIds=[instance])
    lab.ec2.terminate_instances(InstanceIds=[instance])
    assert machines.told == [("terminate", instance)]
    assert lab.state("server_host") == "shutting-down"
    assert lab.attachment(lab.ids["server"])["Status"] == "detaching"

    machines.gone = True

    assert lab.state("server_host") == "terminated"
    assert lab.eni(lab.ids["server"])["Status"] == "available"


def test_an_instance_whose_machine_fails_ends_and_says_why(lab: Lab, machines: ScriptedMachines) -> None:
    machines.up = False
    instance = lab.launch("server")

    machines.failed[instance] = "no room"

    assert lab.state("server_host") in {"shutting-down", "terminated"}
    eventually(lambda: lab.state("server_host") == "terminated", "the end")
    reason = lab.instance("server_host")["StateReason"]
    assert reason["Code"] == "Server.InternalError"
    assert "no room" in reason["Message"]


@pytest.mark.parametrize(("behavior", "state"), [("terminate", "terminated"), ("stop", "stopped")])
def test_shutting_down_inside_ends_an_instance_as_it_was_launched_to(
    behavior: str, state: str, lab: Lab, machines: ScriptedMachines
) -> None:
    instance = lab.launch("server", InstanceInitiatedShutdownBehavior=behavior)
    assert lab.state("server_host") == "running"

    machines.off.add(instance)

    eventually(lambda: lab.state("server_host") == state, state)
    assert lab.instance("server_host")["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_time_passes_without_anybody_looking(lab: Lab, machines: ScriptedMachines, clouds: list[Cloud]) -> None:
    instance = lab.launch("server", InstanceInitiatedShutdownBehavior="terminate")
    server = clouds[0].server
    server.tick()
    machines.off.add(instance)

    eventually(lambda: server.tick() is None and ("terminate", instance) in machines.told, "told to end")
    server.tick()

    assert instance not in server.resources()


def test_a_machine_hears_of_ena_express(lab: Lab, machines: ScriptedMachines) -> None:
    instance = lab.launch("server")
    lab.wait_attached("server")

    lab.express("server_express", udp=False)
    lab.express("server_express")

    assert machines.told == [("srd", instance, 1, True, False), ("srd", instance, 1, True, True)]


def test_a_machine_hears_of_its_addresses(lab: Lab, machines: ScriptedMachines) -> None:
    instance = lab.launch("server")
    lab.wait_attached("server")

    lab.address("server")
    lab.ec2.disassociate_address(AssociationId=lab.ids["server_ip_association"])

    assert machines.told == [("public ip", instance, 0, ADDRESSES[0]), ("public ip", instance, 0, None)]


def test_a_pending_instance_takes_no_address_and_no_interface(lab: Lab, machines: ScriptedMachines) -> None:
    machines.up = False
    instance = lab.launch("server")
    late = lab.interface("late", "192.168.3.12")
    allocation = lab.ec2.allocate_address(Domain="vpc")["AllocationId"]
    associate = {"AllocationId": allocation, "NetworkInterfaceId": lab.ids["server"]}
    attach = {"NetworkInterfaceId": late, "InstanceId": instance, "DeviceIndex": 2}

    assert code_of(lambda: lab.ec2.associate_address(**associate)) == "InvalidInstanceID"
    assert code_of(lambda: lab.ec2.attach_network_interface(**attach)) == "IncorrectState"
    machines.up = True
    lab.wait_attached("server")

    assert not code_of(lambda: lab.ec2.associate_address(**associate))
    assert not code_of(lambda: lab.ec2.attach_network_interface(**attach))


def test_an_instance_with_one_interface_takes_an_address_itself(lab: Lab) -> None:
    lab.ids.pop("server_express")
    instance = lab.launch("server")
    lab.wait_attached("server")
    allocation = lab.ec2.allocate_address(Domain="vpc")["AllocationId"]

    lab.ec2.associate_address(AllocationId=allocation, InstanceId=instance)

    [address] = lab.ec2.describe_addresses()["Addresses"]
    assert (address["InstanceId"], address["NetworkInterfaceId"]) == (instance, lab.ids["server"])


# -- what is left ----------------------------------------------------------------------------------------------------------------


def test_a_terminated_instance_has_no_interfaces_and_no_addresses(lab: Lab) -> None:
    lab.address("server")
    instance = lab.launch("server")
    lab.wait_attached("server")

    lab.ec2.terminate_instances(InstanceIds=[instance])
    eventually(lambda: lab.state("server_host") == "terminated", "the end")

    again = {"InstanceIds": [instance]}
    assert code_of(lambda: lab.ec2.start_instances(**again)) == "IncorrectInstanceState"
    left = lab.instance("server_host")
    assert not left.get("NetworkInterfaces")
    assert not left.get("PublicIpAddress")
    assert lab.ec2.describe_instance_status()["InstanceStatuses"] == []


def test_interfaces_and_their_addresses_outlive_the_instance(lab: Lab) -> None:
    lab.address("server")
    instance = lab.launch("server")
    lab.wait_attached("server")
    lab.express("server_express")
    [address] = lab.ec2.describe_addresses()["Addresses"]
    assert address["InstanceId"] == instance

    lab.ec2.terminate_instances(InstanceIds=[instance])
    eventually(lambda: lab.eni(lab.ids["server"])["Status"] == "available", "interface free")

    [address] = lab.ec2.describe_addresses()["Addresses"]
    assert address["NetworkInterfaceId"] == lab.ids["server"]
    assert not address.get("InstanceId")
    again = lab.launch("server")
    lab.wait_attached("server")
    assert again != instance
    assert lab.express_of("server_express") is None  # it belonged to the attachment


def test_an_interface_ends_with_its_instance_if_it_is_told_to(lab: Lab) -> None:
    lab.address("server")
    instance = lab.launch("server")
    lab.wait_attached("server")
    attachment = lab.attachment(lab.ids["server"])
    assert attachment["DeleteOnTermination"] is False
    lab.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=lab.ids["server"],
        Attachment={"AttachmentId": attachment["AttachmentId"], "DeleteOnTermination": True},
    )

    lab.ec2.terminate_instances(InstanceIds=[instance])
    eventually(lambda: code_of(lambda: lab.eni(lab.ids["server"])), "interface gone")

    [address] = lab.ec2.describe_addresses()["Addresses"]
    assert not address.get("NetworkInterfaceId")
    assert not address.get("AssociationId")
    assert lab.eni(lab.ids["server_express"])["Status"] == "available"


def test_interfaces_that_a_launch_makes_end_with_it(lab: Lab) -> None:
    made = {"DeviceIndex": 0, "SubnetId": lab.ids["subnet"], "Groups": [lab.ids["security"]]}
    lab.launch("server", NetworkInterfaces=[made])

    [interface] = lab.instance("server_host")["NetworkInterfaces"]

    assert interface["Attachment"]["DeleteOnTermination"] is True


def test_a_launch_may_make_several_at_once(lab: Lab) -> None:
    request = lab.request("server", NetworkInterfaces=None, SubnetId=lab.ids["subnet"], MinCount=1, MaxCount=3)

    made = lab.ec2.run_instances(**request)["Instances"]

    assert len(made) == 3


def test_an_image_can_be_named_by_its_parameter(lab: Lab) -> None:
    parameter = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    lab.launch("server", ImageId=f"resolve:ssm:{parameter}")

    assert lab.instance("server_host")["ImageId"] == lab.image()
    [image] = lab.ec2.describe_images(ImageIds=[lab.image()])["Images"]
    assert image["EnaSupport"] is True


# -- time ------------------------------------------------------------------------------------------------------------------------

# What is still refused or shown while one resource takes for ever.
WAITING = {
    "pending": ({"instance_running": LONG}, lambda lab: lab.state("server_host"), "pending"),
    "attaching": ({"attach": LONG}, lambda lab: lab.attachment(lab.ids["server"])["Status"], "attaching"),
    "initializing": (
        {"status_checks": LONG},
        lambda lab: lab.ec2.describe_instance_status()["InstanceStatuses"][0]["InstanceStatus"]["Status"],
        "initializing",
    ),
    "pending interface": (
        {"network_pending": LONG},
        lambda lab: lab.eni(lab.interface("x", "192.168.3.99"))["Status"],
        "pending",
    ),
    "pending network": (
        {"network_pending": LONG},
        lambda lab: {lab.ec2.describe_vpcs()["Vpcs"][0]["State"], lab.ec2.describe_subnets()["Subnets"][0]["State"]},
        {"pending"},
    ),
}


@pytest.mark.parametrize(("slow", "look", "seen"), WAITING.values(), ids=WAITING)
def test_it_takes_its_time(
    slow: dict[str, float], look: object, seen: object, machines: ScriptedMachines, clouds: list[Cloud]
) -> None:
    clouds.append(Cloud(machines, replace(Timing.instant(), **slow)))
    lab = clouds[0].prepare()
    lab.launch("server")

    assert callable(look)
    assert look(lab) == seen


def test_a_running_instance_passes_its_checks(lab: Lab) -> None:
    lab.launch("server")
    eventually(lambda: lab.state("server_host") == "running", "running")

    [status] = lab.ec2.describe_instance_status()["InstanceStatuses"]

    assert (status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"]) == ("ok", "ok")


def test_interfaces_and_groups_are_in_use_for_a_while_after_the_end(
    machines: ScriptedMachines, clouds: list[Cloud]
) -> None:
    timing = replace(Timing.instant(), eni_release=LONG, placement_group_release=LONG)
    clouds.append(Cloud(machines, timing))
    lab = clouds[0].prepare()
    instance = lab.launch("server")
    lab.ec2.terminate_instances(InstanceIds=[instance])
    eventually(lambda: lab.state("server_host") == "terminated", "the end")

    ec2, ids = lab.ec2, lab.ids
    assert code_of(lambda: ec2.delete_network_interface(NetworkInterfaceId=ids["server"])) == "InvalidParameterValue"
    assert code_of(lambda: ec2.delete_security_group(GroupId=ids["security"])) == "DependencyViolation"
    assert code_of(lambda: ec2.delete_placement_group(GroupName="placement")) == "InvalidPlacementGroup.InUse"
    assert code_of(lambda: ec2.run_instances(**lab.request("server"))) == "InvalidNetworkInterface.InUse"


def test_a_gateway_stays_busy_for_a_while(machines: ScriptedMachines, clouds: list[Cloud]) -> None:
    clouds.append(Cloud(machines, replace(Timing.instant(), gateway_busy=LONG)))
    lab = clouds[0].prepare()
    lab.address("server")
    lab.ec2.disassociate_address(AssociationId=lab.ids["server_ip_association"])

    detach = {"InternetGatewayId": lab.ids["gateway"], "VpcId": lab.ids["vpc"]}

    assert code_of(lambda: lab.ec2.detach_internet_gateway(**detach)) == "DependencyViolation"


def test_a_pending_group_takes_no_instance(machines: ScriptedMachines, clouds: list[Cloud]) -> None:
    clouds.append(Cloud(machines, Timing.instant()))
    lab = clouds[0].prepare()
    clouds[0].server.set_timing(replace(Timing.instant(), placement_group=LONG))
    lab.ec2.create_placement_group(GroupName="new", Strategy="cluster")
    assert lab.group_state("new") == "pending"

    launch = lab.request("server", Placement={"GroupName": "new"})

    assert code_of(lambda: lab.ec2.run_instances(**launch)) == "InvalidPlacementGroup.Unknown"
    lab.ec2.delete_placement_group(GroupName="new")
    assert lab.group_state("new") == "deleting"


def test_ec2_hears_late_of_a_profile(machines: ScriptedMachines, clouds: list[Cloud]) -> None:
    clouds.append(Cloud(machines, replace(Timing.instant(), profile_visible=LONG)))
    lab = clouds[0].prepare()

    assert code_of(lambda: lab.ec2.run_instances(**lab.request("server"))) == "InvalidParameterValue"
    assert lab.iam.get_instance_profile(InstanceProfileName="enaxp")["InstanceProfile"]["Roles"]


def test_a_terminated_instance_fades(machines: ScriptedMachines, clouds: list[Cloud]) -> None:
    clouds.append(Cloud(machines, replace(Timing.instant(), tags_of_terminated=0.0, entry_of_terminated=LONG)))
    lab = clouds[0].prepare()
    instance = lab.launch("server")
    lab.wait_attached("server")
    lab.ec2.terminate_instances(InstanceIds=[instance])

    eventually(lambda: not lab.instance("server_host").get("Tags"), "tags gone")
    clouds[0].server.set_timing(replace(Timing.instant(), tags_of_terminated=0.0, entry_of_terminated=0.0))
    eventually(lambda: code_of(lambda: lab.state("server_host")) == "InvalidInstanceID.NotFound", "entry gone")


def test_new_ids_are_unknown_at_first(machines: ScriptedMachines, clouds: list[Cloud]) -> None:
    clouds.append(Cloud(machines, replace(Timing.instant(), ids_unknown=LONG)))
    lab = clouds[0].lab
    vpc = lab.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    lab.ec2.create_placement_group(GroupName="new", Strategy="cluster")
    lab.iam.create_role(RoleName="new", AssumeRolePolicyDocument='{"Statement": {"Principal": "*"}}')

    assert code_of(lambda: lab.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")) == "InvalidVpcID.NotFound"
    assert code_of(lambda: lab.ec2.describe_vpcs(VpcIds=[vpc])) == "InvalidVpcID.NotFound"
    assert code_of(lambda: lab.group_state("new")) == "InvalidPlacementGroup.Unknown"
    assert code_of(lambda: lab.iam.get_role(RoleName="new")) == "NoSuchEntity"
    assert vpc in clouds[0].server.resources()


def test_listings_by_tag_miss_what_is_new(machines: ScriptedMachines, clouds: list[Cloud]) -> None:
    clouds.append(Cloud(machines, Timing.instant()))
    lab = clouds[0].prepare()
    lab.address("server")
    lab.launch("server")
    tag = [{"Name": "tag:enaxp:lab-id", "Values": ["lab-1"]}]
    ec2 = lab.ec2
    listings = {
        "Vpcs": ec2.describe_vpcs,
        "Subnets": ec2.describe_subnets,
        "InternetGateways": ec2.describe_internet_gateways,
        "RouteTables": ec2.describe_route_tables,
        "SecurityGroups": ec2.describe_security_groups,
        "NetworkInterfaces": ec2.describe_network_interfaces,
        "Reservations": ec2.describe_instances,
        "PlacementGroups": ec2.describe_placement_groups,
        "KeyPairs": ec2.describe_key_pairs,
        "Addresses": ec2.describe_addresses,
        "Volumes": ec2.describe_volumes,
    }
    assert all(list_by_tag(Filters=tag)[member] for member, list_by_tag in listings.items())

    clouds[0].server.set_timing(replace(Timing.instant(), tags_blind=LONG))

    assert not any(list_by_tag(Filters=tag)[member] for member, list_by_tag in listings.items())
    assert not ec2.describe_tags()["Tags"]
    assert ec2.describe_vpcs(VpcIds=[lab.ids["vpc"]])["Vpcs"]
    assert ec2.meta.region_name == REGION


def test_what_is_known_may_be_missed_again_for_a_while(machines: ScriptedMachines, clouds: list[Cloud]) -> None:
    clouds.append(Cloud(machines, replace(Timing.instant(), flapping=0.5, flapping_for=LONG)))
    lab, server = clouds[0].lab, clouds[0].server
    vpc = lab.ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags("vpc"))["Vpc"]["VpcId"]

    by_id = [code_of(lambda: lab.ec2.describe_vpcs(VpcIds=[vpc])) for _ in range(40)]
    by_tag = [len(lab.ec2.describe_vpcs(Filters=TAGGED)["Vpcs"]) for _ in range(40)]

    assert set(by_id) == {"", "InvalidVpcID.NotFound"}
    assert set(by_tag) == {0, 1}
    drive(server, "POST", "timing", {"flapping_for": 0})
    assert lab.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    assert lab.ec2.describe_vpcs(Filters=TAGGED)["Vpcs"]
