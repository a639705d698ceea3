"""Put back: restores the ENA Express setting of given interfaces, and reads it back.

SavedSettings ─▶ current settings ─▶ steps() ─▶ ModifyNetworkInterfaceAttribute, one after the other ─▶ read back as saved
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, is_gone, refused, wait_for
from enaxp.errors import AwsError
from enaxp.lab.given.saved import GivenFolder, SavedSetting, SavedSettings
from enaxp.lab.srd import Srd, srd_of, srd_specification

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import EnaSrdSpecificationTypeDef

PATIENCE_S = 60.0
AGAIN = "run `enaxp restore`: the settings found are kept until they are put back"


def steps(found: Srd, now: Srd) -> list[EnaSrdSpecificationTypeDef]:
    """The calls, in order, that change the current setting to the saved one; none if they are equal.

    AWS refuses to switch the UDP flag on while SRD is off, and switching only SRD off keeps the flag.
    """
    if now == found:
        return []
    if found["srd"] or not found["srd_udp"]:
        return [srd_specification(srd=found["srd"], udp=found["srd_udp"])]
    only_off: EnaSrdSpecificationTypeDef = {"EnaSrdEnabled": False}
    return [only_off] if now["srd_udp"] else [srd_specification(srd=True, udp=True), only_off]


def put_back(aws: Aws, folder: GivenFolder, saved: SavedSettings, *, say: Callable[[str], None]) -> None:
    """Restores the settings of both interfaces, and deletes the saved file once both read back as saved. Raises AwsError when one could
    not be restored, after trying the other; the saved file is kept then.
    """
    failed: list[AwsError] = []
    for one in saved.interfaces:
        try:
            _put_back(aws, one, say=say)
        except (ClientError, BotoCoreError) as error:
            failed.append(refused(f"putting ENA Express of {one.eni} back as it was found", error, todo=AGAIN))
        except AwsError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    folder.forget(saved)


def _put_back(aws: Aws, saved: SavedSetting, *, say: Callable[[str], None]) -> None:
    now = current(aws, saved)
    if now is None:
        say(f"{saved.eni} is no longer attached to {saved.instance_id}: its setting has gone with the attachment")
        return
    for step in steps(saved.setting, now):
        aws.ec2.modify_network_interface_attribute(NetworkInterfaceId=saved.eni, EnaSrdSpecification=step)
    wait_for(
        lambda: True if current(aws, saved) in (saved.setting, None) else None,
        aws=aws,
        what=f"AWS to read ENA Express of {saved.eni} back as it was found",
        timeout_s=PATIENCE_S,
        todo=AGAIN,
    )
    say(f"ENA Express of {saved.eni} is as it was found: {saved.in_words}")


def current(aws: Aws, saved: SavedSetting) -> Srd | None:
    """The interface's setting now; None where it is no longer attached to that instance. Raises ClientError and BotoCoreError."""
    try:
        described = aws.ec2.describe_network_interfaces(NetworkInterfaceIds=[saved.eni])["NetworkInterfaces"]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    attachment = described[0].get("Attachment") if described else None
    if attachment is None or attachment.get("InstanceId") != saved.instance_id:
        return None
    return srd_of(attachment)
