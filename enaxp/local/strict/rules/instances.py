"""Rules for instances that are there, placement groups and key pairs."""

from __future__ import annotations

import base64
import re

from enaxp.local.strict.rules.everywhere import only_one_of
from enaxp.local.strict.rules.request import RefusedByEc2, Request, unknown_group
from enaxp.local.strict.rules.rule import rule

# -- keys ----------------------------------------------------------------------------------------------------------------------


@rule("ImportKeyPair")
def key_is_importable(request: Request) -> None:
    name = request.get("KeyName") or ""
    if not 0 < len(name) <= 255 or name != name.strip() or not name.isascii():
        raise RefusedByEc2("InvalidParameterValue", f"Value ({name}) for parameter keyName is invalid.")
    material = request.get("PublicKeyMaterial")
    text = material if isinstance(material, bytes) else base64.b64decode(material or "")
    if not re.match(rb"(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]+", text):
        raise RefusedByEc2("InvalidKey.Format", "Key is not in valid OpenSSH public key format")


# -- placement groups ----------------------------------------------------------------------------------------------------------


@rule("CreatePlacementGroup")
def placement_group_name_is_free(request: Request) -> None:
    name = request.get("GroupName") or ""
    if not 0 < len(name) <= 255 or not name.isascii():
        raise RefusedByEc2("InvalidParameterValue", f"Value ({name}) for parameter groupName is invalid.")
    if (request.region, name) in request.world.groups:
        raise RefusedByEc2("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")


@rule("DeletePlacementGroup")
def placement_group_is_unused(request: Request) -> None:
    """Instances count until they have been gone for a while (Timing.placement_group_release)."""
    name, world = request.get("GroupName"), request.world
    group = world.groups.get((request.region, name))
    if group is None or group.deleting_at is not None:
        raise unknown_group(name)
    if world.members(name, request.backend):
        message = f"The placement group '{name}' is in use and may not be deleted."
        raise RefusedByEc2("InvalidPlacementGroup.InUse", message)


# -- instances -----------------------------------------------------------------------------------------------------------------


@rule("StartInstances", "StopInstances")
def instances_are_alive(request: Request) -> None:
    for instance_id in request.get("InstanceIds") or []:
        state = request.backend.get_instance(instance_id)._state.name
        if state in {"shutting-down", "terminated"} or (request.action == "StartInstances" and state == "stopping"):
            message = f"This instance '{instance_id}' is not in a state from which it can be started or stopped."
            raise RefusedByEc2("IncorrectInstanceState", message)


@rule("ModifyInstanceAttribute")
def one_instance_attribute_a_call(request: Request) -> None:
    members = ("InstanceInitiatedShutdownBehavior", "DisableApiTermination", "DisableApiStop", "EbsOptimized")
    only_one_of(request, (*members, "UserData", "InstanceType", "SourceDestCheck", "Groups"))


@rule("TerminateInstances")
def termination_is_allowed(request: Request) -> None:
    """One protected instance in the batch, and none is terminated. Protection from being stopped protects from this, too."""
    for instance_id in request.get("InstanceIds") or []:
        instance = request.backend.get_instance(instance_id)
        by = {"disableApiTermination": instance.disable_api_termination, "disableApiStop": instance.disable_api_stop}
        for attribute in (attribute for attribute, is_set in by.items() if is_set):
            message = (
                f"The instance '{instance_id}' may not be terminated. Modify its '{attribute}' instance attribute "
                "and try again."
            )
            raise RefusedByEc2("OperationNotPermitted", message)


@rule("StopInstances")
def stopping_is_allowed(request: Request) -> None:
    for instance_id in request.get("InstanceIds") or []:
        if request.backend.get_instance(instance_id).disable_api_stop:
            message = (
                f"The instance '{instance_id}' may not be stopped. Modify its 'disableApiStop' instance attribute "
                "and try again."
            )
            raise RefusedByEc2("OperationNotPermitted", message)
