"""One interface given at launch with a public address, another attached while the instance runs, and what a stop takes away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from enaxp.local.strict import MachineInterface, MachineSpec, NoMachines, StrictServer, Timing, serve
from tests.support.strict_lab import Lab, code_of, drive, eventually, tags

LONG = 3600.0


class Told(NoMachines):
    """Machines that remember what they were told of interfaces."""

    def __init__(self) -> None:
        self.launched: list[MachineSpec] = []
        self.attached: list[MachineInterface] = []
        self.detached: list[int] = []

    def launch(self, machine: MachineSpec) -> None:
        self.launched.append(machine)

    def attach(self, instance_id: str, interface: MachineInterface) -> None:
        self.attached.append(interface)

    def detach(self, instance_id: str, *, device_index: int) -> None:
        self.detached.append(device_index)


@pytest.fixture
def machines() -> Told:
    return Told()


@pytest.fixture
def server(machines: Told) -> Iterator[StrictServer]:
    running = serve(timing=Timing.instant(), machines=machines)
    yield running
    running.stop()


@pytest.fixture
def lab(server: StrictServer) -> Lab:
    made = Lab.at(server)
    made.identity("enaxp")
    made.network()
    made.group("placement")
    made.ec2.import_key_pair(KeyName="enaxp", PublicKeyMaterial=KEY_TEXT, TagSpecifications=tags("key-pair"))
    made.interface("second", "192.168.3.11")
    return made


KEY_TEXT = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp5bJhNNyhr8ySv14wfPNQJuwHyFSxaWoqKnF3Ru1bv lab"


def launch(lab: Lab) -> str:
    """An instance whose first interface the launch makes, with a public address and tags of its own."""
    first = {
        "DeviceIndex": 0,
        "SubnetId": lab.ids["subnet"],
        "PrivateIpAddress": "192.168.3.10",
        "Groups": [lab.ids["security"]],
        "AssociatePublicIpAddress": True,
    }
    given = [*tags("instance"), *tags("network-interface")]
    return lab.launch("only", NetworkInterfaces=[first], TagSpecifications=given)


def running(lab: Lab) -> None:
    eventually(lambda: lab.state("only_host") == "running", "running")


def attach(lab: Lab, **more: Any) -> dict[str, Any]:
    asked = {"NetworkInterfaceId": lab.ids["second"], "InstanceId": lab.ids["only_host"], "DeviceIndex": 1, **more}
    return dict(lab.ec2.attach_network_interface(**asked))


def test_the_interface_that_a_launch_makes_has_its_address_its_tags_and_a_public_address(lab: Lab) -> None:
    launch(lab)

    [nic] = lab.instance("only_host")["NetworkInterfaces"]
    assert nic["PrivateIpAddress"] == "192.168.3.10"
    assert lab.instance("only_host")["PublicIpAddress"] == nic["Association"]["PublicIp"]
    assert nic["Association"]["IpOwnerId"] == "amazon"
    assert nic["Attachment"]["DeleteOnTermination"]
    assert lab.eni(nic["NetworkInterfaceId"])["TagSet"] == [{"Key": "enaxp:lab-id", "Value": "lab-1"}]


def test_an_interface_is_attached_to_what_runs_and_not_to_what_is_pending(
    lab: Lab, server: StrictServer, machines: Told
) -> None:
    server.set_timing(replace(Timing.instant(), instance_running=LONG))
    launch(lab)
    assert code_of(lambda: attach(lab)) == "IncorrectState"
    server.set_timing(replace(Timing.instant(), attach=LONG))
    running(lab)

    attach(lab, EnaSrdSpecification={"EnaSrdEnabled": True, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": True}})

    attachment = lab.attachment(lab.ids["second"])
    assert (attachment["Status"], attachment["DeleteOnTermination"]) == ("attaching", False)
    assert lab.express_of("second") == (True, True)
    assert [(one.device_index, one.private_ip) for one in machines.attached] == [(1, "192.168.3.11")]
    assert code_of(lambda: attach(lab)) == "InvalidNetworkInterface.InUse"
    lab.interface("third", "192.168.3.12")
    assert code_of(lambda: attach(lab, NetworkInterfaceId=lab.ids["third"])) == "InvalidParameterValue"
    server.set_timing(Timing.instant())
    assert lab.attachment(lab.ids["second"])["Status"] == "attached"


def test_a_stop_takes_the_public_address_and_a_start_with_two_interfaces_brings_none(lab: Lab, machines: Told) -> None:
    launch(lab)
    running(lab)
    attach(lab)
    instance = [lab.ids["only_host"]]
    lab.ec2.stop_instances(InstanceIds=instance)
    eventually(lambda: lab.state("only_host") == "stopped", "stopped")
    assert "PublicIpAddress" not in lab.instance("only_host")

    lab.ec2.start_instances(InstanceIds=instance)
    running(lab)

    assert "PublicIpAddress" not in lab.instance("only_host")
    assert len(machines.launched[-1].interfaces) == 2


def test_a_start_with_one_interface_brings_another_public_address(lab: Lab, machines: Told) -> None:
    launch(lab)
    running(lab)
    attached = attach(lab)
    instance = [lab.ids["only_host"]]
    lab.ec2.stop_instances(InstanceIds=instance)
    eventually(lambda: lab.state("only_host") == "stopped", "stopped")
    lab.ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])

    lab.ec2.start_instances(InstanceIds=instance)
    running(lab)

    [told] = machines.launched[-1].interfaces
    assert lab.instance("only_host")["PublicIpAddress"] == told.public_ip
    assert machines.detached == [1]
    attach(lab)
    assert lab.instance("only_host")["PublicIpAddress"] == told.public_ip


def test_an_attachment_that_is_to_end_with_its_instance_takes_the_interface_along(lab: Lab) -> None:
    launch(lab)
    running(lab)
    attached = attach(lab)
    change = {"AttachmentId": attached["AttachmentId"], "DeleteOnTermination": True}
    lab.ec2.modify_network_interface_attribute(NetworkInterfaceId=lab.ids["second"], Attachment=change)

    lab.ec2.terminate_instances(InstanceIds=[lab.ids["only_host"]])

    gone = lambda: code_of(lambda: lab.eni(lab.ids["second"])) == "InvalidNetworkInterfaceID.NotFound"  # noqa: E731
    eventually(gone, "the second interface is gone")


def test_an_account_that_throttles_refuses_a_sixth_launch_at_once_and_takes_it_later(
    lab: Lab, server: StrictServer
) -> None:
    drive(server, "POST", "throttling", {"on": True})
    start = {"InstanceIds": ["i-0123456789abcdef0"]}

    codes = [code_of(lambda: lab.ec2.start_instances(**start)) for _ in range(7)]

    assert codes[:5] == ["InvalidInstanceID.NotFound"] * 5
    assert "RequestLimitExceeded" in codes[5:]
    eventually(lambda: code_of(lambda: lab.ec2.start_instances(**start)) == "InvalidInstanceID.NotFound", "a token")
