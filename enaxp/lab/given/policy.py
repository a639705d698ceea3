"""The IAM policy for given hosts: the read calls, and the one call that switches ENA Express on their interfaces. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from enaxp.aws import partition_of
from enaxp.lab.given.discovery import READS
from enaxp.lab.grants import Grant, PolicyDocument, Scope
from enaxp.lab.policy import document_of_grants


def given_policy(
    *, region: str, account: str | None, instances: Iterable[str], interfaces: Iterable[str]
) -> PolicyDocument:
    """The policy that allows the switch on these interfaces, and on the attachments of these instances."""
    scope = Scope(partition=partition_of(region), region=region, account=account or "*", lab="", name="")
    resources = [
        *(scope.arn("ec2", f"network-interface/{eni}") for eni in interfaces),
        *(scope.arn("ec2", f"instance/{instance}") for instance in instances),
    ]
    return document_of_grants(
        Grant(sid="Look", actions=tuple(READS)),
        Grant(sid="SwitchEnaExpress", actions=("ec2:ModifyNetworkInterfaceAttribute",), resources=tuple(resources)),
    )
