"""SRD: reads and sets ENA Express on the attachment of an interface, and switches it between the trials of a bench.

attachment ─▶ srd_of() ─▶ Srd ─▶ srd_specification() ─▶ ModifyNetworkInterfaceAttribute
interfaces of the status ─▶ SrdSwitch ─▶ called by a bench with a crossover or a control ─▶ read back as wanted
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, refused, wait_for
from enaxp.traffic import Arm, SrdOn, has_srd

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        EnaSrdSpecificationTypeDef,
        InstanceNetworkInterfaceAttachmentTypeDef,
        NetworkInterfaceAttachmentTypeDef,
    )

PATIENCE_S = 60.0


class Srd(TypedDict):
    """ENA Express and its UDP flag on an attachment."""

    srd: bool
    srd_udp: bool


def srd_of(attachment: NetworkInterfaceAttachmentTypeDef | InstanceNetworkInterfaceAttachmentTypeDef) -> Srd:
    """The ENA Express setting of an attachment; a value that AWS omits is off."""
    specification = attachment.get("EnaSrdSpecification", {})
    udp = specification.get("EnaSrdUdpSpecification", {})
    return {"srd": specification.get("EnaSrdEnabled", False), "srd_udp": udp.get("EnaSrdUdpEnabled", False)}


def srd_specification(*, srd: bool, udp: bool) -> EnaSrdSpecificationTypeDef:
    """The argument of a call that sets it."""
    return {"EnaSrdEnabled": srd, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": udp}}


def set_srd(aws: Aws, *, eni: str, on: bool) -> None:
    """Switches ENA Express and its UDP flag, together, on the interface's attachment. It takes effect without a restart."""
    aws.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=eni, EnaSrdSpecification=srd_specification(srd=on, udp=on)
    )


@dataclass(frozen=True, kw_only=True)
class SrdSwitch:
    """A function that switches ENA Express on for some interfaces and off for the others.

    home: the arm of each interface, by interface id. todo: the advice in the error if switching fails.
    """

    aws: Aws
    home: Mapping[str, Arm]
    todo: str = "run `enaxp up`"

    def __call__(self, srd_on: SrdOn) -> None:
        """Returns when AWS reads back the wanted settings. Raises AwsError when AWS refuses, or that takes longer than PATIENCE_S."""
        wanted = {eni: has_srd(home, srd_on=srd_on) for eni, home in self.home.items()}
        try:
            for eni, on in sorted(wanted.items(), key=lambda item: item[1]):  # off first: never both
                set_srd(self.aws, eni=eni, on=on)
            wait_for(
                lambda: True if self._reads(wanted) else None,
                aws=self.aws,
                what="AWS to read ENA Express back as it was changed over",
                timeout_s=PATIENCE_S,
                todo=self.todo,
            )
        except (ClientError, BotoCoreError) as error:
            raise refused("changing over which interfaces have ENA Express", error) from error

    def _reads(self, wanted: Mapping[str, bool]) -> bool:
        """Whether ENA Express and its UDP flag read back as wanted on every attachment."""
        described = self.aws.ec2.describe_network_interfaces(NetworkInterfaceIds=list(wanted))["NetworkInterfaces"]
        have = {interface["NetworkInterfaceId"]: srd_of(interface.get("Attachment", {})) for interface in described}
        return all(have.get(eni) == {"srd": on, "srd_udp": on} for eni, on in wanted.items())
