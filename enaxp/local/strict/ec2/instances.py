"""Launching, stopping, starting and terminating: moto makes the instance, `world.py` gives it a life, `Machines` makes it real."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.responses._base_response import EC2BaseResponse

from enaxp.local.strict.ec2.network import machine_interface, set_ena_express
from enaxp.local.strict.life import Life
from enaxp.local.strict.machines import MachineInterface, MachineSpec
from enaxp.local.strict.rules.launches import SSM_IMAGE, group_name, user_data_bytes
from enaxp.local.strict.rules.request import RefusedByEc2, Request
from enaxp.local.strict.world import current

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceStateChangeTypeDef, InstanceStateTypeDef


CONSOLE_CHARACTERS = 64 * 1024
IMAGE_DISK_GB = 8  # of the root disk that an image has by itself


class InstanceActions(EC2BaseResponse):
    """Run, stop, start and terminate."""

    def run_instances(self) -> ActionResult:
        world, backend = current(), self.ec2_backend
        self._complete()
        request = Request(action="RunInstances", get=self._get_param, backend=backend, world=world)
        group, interfaces = group_name(request), request.interfaces
        result = super().run_instances()
        for instance in result.result.instances:
            instance.security_groups = [] if interfaces else instance.security_groups
            instance._placement.group_name = group or ""
            instance._placement.zone = instance.nics[0].subnet.availability_zone
            instance.disable_api_termination = bool(self._get_param("DisableApiTermination"))
            if not interfaces:
                instance.nics[0].delete_on_termination = True
            life = Life(instance=instance, backend=backend, group=group, launched_at=time.monotonic())
            world.set_state(life, "pending")
            for nic in interfaces:
                if nic.get("EnaSrdSpecification"):
                    set_ena_express(world, instance.nics[int(nic["DeviceIndex"])], nic["EnaSrdSpecification"])
            world.lives[instance.id] = life
            world.assign_address(life)
            self._tag_new_interfaces(instance)
            self._take_room(life)
            life.machine = self._machine(instance)
            world.machines.launch(life.machine)
        return result

    def _tag_new_interfaces(self, instance: Any) -> None:
        """Interfaces that the launch made have the tags that it gave for them; those that were there keep their own."""
        there = {
            nic["NetworkInterfaceId"]
            for nic in self._get_param("NetworkInterfaces") or []
            if "NetworkInterfaceId" in nic
        }
        for specification in self._get_param("TagSpecifications") or []:
            if specification.get("ResourceType") == "network-interface":
                tags = {tag["Key"]: tag["Value"] for tag in specification.get("Tags") or []}
                for eni in instance.nics.values():
                    if eni.id not in there:
                        eni.add_tags(tags)

    @staticmethod
    def _take_room(life: Life) -> None:
        """One that there is no room for has come this far only if its zone tells so late."""
        world, zone = current(), life.instance._placement.zone
        if not world.has_room(zone):
            life.launch_failure = (
                "Server.InsufficientInstanceCapacity",
                "Insufficient capacity to satisfy instance request",
            )
        world.taken[zone] += 1
        for device in life.instance.block_device_mapping.values():
            world.born[device.volume_id] = life.launched_at

    def _complete(self) -> None:
        """What AWS fills in: the image behind a parameter, as many instances as may be, new interfaces that end with theirs."""
        image = self.params.get("ImageId", "")
        if image.startswith(SSM_IMAGE):
            self.params["ImageId"] = self._image_of(image.removeprefix(SSM_IMAGE))
        self._map_the_root(self.params.get("ImageId", ""))
        self.params["MinCount"] = self.params["MaxCount"]
        for nic in self.params.get("NetworkInterfaces") or []:
            if not nic.get("NetworkInterfaceId"):
                nic.setdefault("DeleteOnTermination", True)

    def _map_the_root(self, image_id: str) -> None:
        """An instance has the root disk of its image; a mapping that names another device is a disk besides."""
        image = self.ec2_backend.amis.get(image_id)
        mappings = self.params.get("BlockDeviceMappings")
        if image and mappings and image.root_device_name not in [one.get("DeviceName") for one in mappings]:
            own = {"VolumeSize": IMAGE_DISK_GB, "VolumeType": "gp2", "Encrypted": False, "DeleteOnTermination": True}
            mappings.append({"DeviceName": image.root_device_name, "Ebs": own})

    def _image_of(self, parameter: str) -> str:
        from moto.ssm.models import ssm_backends

        found = ssm_backends[self.current_account][self.region].get_parameters([parameter])
        if parameter not in found:
            raise RefusedByEc2("InvalidParameterValue", f"The SSM parameter '{parameter}' does not exist")
        return str(found[parameter].value)

    def _machine(self, instance: Any) -> MachineSpec:
        key = self.ec2_backend.key_pairs.get(instance.key_name)
        return MachineSpec(
            instance_id=instance.id,
            image_id=instance.image_id,
            image_name=self.ec2_backend.amis[instance.image_id].name,
            instance_type=instance.instance_type,
            user_data=user_data_bytes(self._get_param("UserData")).decode("utf-8", "replace"),
            key_name=instance.key_name or "",
            public_key=key.public_key.strip() if key is not None else "",
            interfaces=_interfaces(instance),
            availability_zone=instance._placement.zone,
        )

    def stop_instances(self) -> ActionResult:
        """Idempotent. A stopped instance keeps all but its room in the zone."""
        return ActionResult({"StoppingInstances": self._moved(current().stop)})

    def start_instances(self) -> ActionResult:
        """Idempotent. Its host has the interfaces that are attached to it by now, and perhaps a new address."""
        return ActionResult({"StartingInstances": self._moved(_start)})

    def _moved(self, move: Callable[[Life], None]) -> list[InstanceStateChangeTypeDef]:
        """What each instance asked for was before, and is now."""
        changes: list[InstanceStateChangeTypeDef] = []
        for instance in self.ec2_backend.get_multi_instances_by_id(self._get_param("InstanceIds") or []):
            before = _state(instance)
            move(current().lives[instance.id])
            changes.append({"InstanceId": instance.id, "PreviousState": before, "CurrentState": _state(instance)})
        return changes

    def get_console_output(self) -> ActionResult:
        """The latest 64 KB, as a terminal has them; without any output at first."""
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        shown = current().machines.console(instance.id).replace("\n", "\r\n")[-CONSOLE_CHARACTERS:]
        told = {"Output": base64.b64encode(shown.encode()).decode()} if shown else {}
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), **told})

    def terminate_instances(self) -> ActionResult:
        """Idempotent. What follows is told by describes: shutting-down, and terminated once the machine is gone."""
        return ActionResult({"TerminatingInstances": self._moved(current().end)})


def _start(life: Life) -> None:
    if life.state == "stopped" and life.machine is not None:
        current().assign_address(life)
        life.machine = replace(life.machine, interfaces=_interfaces(life.instance))
    current().start(life)


def _interfaces(instance: Any) -> tuple[MachineInterface, ...]:
    return tuple(machine_interface(index, eni) for index, eni in sorted(instance.nics.items()))


def _state(instance: Any) -> InstanceStateTypeDef:
    return {"Code": instance._state.code, "Name": instance._state.name}
