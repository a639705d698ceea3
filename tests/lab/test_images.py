"""Images and ports that are not Amazon Linux's: the root disk is where the image has it, and sshd where it was told to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from enaxp.config import load_config
from enaxp.errors import UsageError
from enaxp.lab.lifecycle import BUILT_LAYERS
from tests.support.crash_harness import DeadlyCloud, Labs
from tests.support.drift_cases import client


def image_with_root_at(labs: Labs, device: str) -> str:
    """One of AWS's own, for the default type's architecture."""
    images = client(labs, "ec2").describe_images()["Images"]
    return next(
        str(image["ImageId"])
        for image in images
        if image.get("RootDeviceName") == device and image["Architecture"] == "x86_64"
    )


def test_a_host_has_one_disk_of_enaxps_size_wherever_its_image_has_the_root(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path)
    ec2 = client(labs, "ec2")
    labs.config = load_config(
        overrides={"hosts.ami": image_with_root_at(labs, "/dev/sda1"), "hosts.ssh_user": "ubuntu"}
    )

    labs.up()

    volumes = ec2.describe_volumes()["Volumes"]
    assert [(one["Size"], one["Encrypted"], one["Attachments"][0]["Device"]) for one in volumes] == [
        (30, True, "/dev/sda1")
    ] * 2
    assert labs.file().state.pinned.root_device == "/dev/sda1"
    assert labs.changes_left() == []
    assert labs.down().lab_is_gone


def test_another_ssh_port_is_opened_and_configured_in_sshd(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path)
    ec2 = client(labs, "ec2")
    labs.config = load_config(overrides={"hosts.ssh_port": 2222})

    labs.up()

    ids = labs.file().state.ids()

    def open_ports() -> set[int]:
        [group] = ec2.describe_security_groups(GroupIds=[ids["security-group"]])["SecurityGroups"]
        return {rule["FromPort"] for rule in group["IpPermissions"] if rule["IpProtocol"] == "tcp"}

    assert open_ports() == {2222}
    request = ec2.describe_instance_attribute(InstanceId=ids["instance/server"], Attribute="userData")
    assert request["UserData"]
    assert labs.changes_left() == []

    # Another port shuts nobody out: it is refused while hosts are there that were told the old one, and opened once they are gone.
    labs.config = load_config(overrides={"hosts.ssh_port": 22})
    for layers in (BUILT_LAYERS, ("network",)):
        with pytest.raises(
            UsageError, match=r"hosts\.ssh_port is 22, and the hosts of lab dev listen for SSH on 2222"
        ) as refusal:
            labs.up(layers)
        assert "`enaxp down compute`" in refusal.value.todo
    assert open_ports() == {2222}
    labs.down(("compute",))
    labs.up()
    assert open_ports() == {22}
    assert labs.down().lab_is_gone


@pytest.mark.parametrize(("type", "architecture"), [("c7gn.16xlarge", "arm64"), ("c6i.8xlarge", "x86_64")])
def test_the_image_fits_the_types_architecture(
    cloud: DeadlyCloud, tmp_path: Path, type: str, architecture: str
) -> None:
    labs = Labs(cloud, tmp_path)
    labs.config = load_config(overrides={"hosts.instance_type": type})

    image = labs.snapshot().resolved.ami

    [described] = client(labs, "ec2").describe_images(ImageIds=[image])["Images"]
    assert described["Architecture"] == architecture
