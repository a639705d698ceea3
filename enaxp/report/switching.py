"""Switching: how to switch ENA Express on after a convincing verdict, verify that it is used, and switch it off again. Pure; for page and
Markdown.

Manifest ─▶ steps: what to do and why, with AWS CLI commands and host commands

The commands can be pasted: values that differ between accounts are in variables that the first one sets. Rules:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ena-express.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from enaxp.bench.run_folder.records import Manifest
from enaxp.config import REGION
from enaxp.traffic import SRD_MTU

ON, ON_UDP, OFF = "EnaSrdEnabled=true", ",EnaSrdUdpSpecification={EnaSrdUdpEnabled=true}", "EnaSrdEnabled=false"
OFF_UDP = ",EnaSrdUdpSpecification={EnaSrdUdpEnabled=false}"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: heading, why and where, and the commands."""

    title: str
    words: str
    commands: tuple[str, ...]


def steps(manifest: Manifest) -> tuple[Step, ...]:
    """The steps in order; the last one reverts all of them."""
    udp = any(scenario.protocol == "udp" for scenario in manifest.plan.scenarios)
    region = manifest.place.get("region") or ""
    # What a file says gets into a command only as far as it is a region's name.
    in_region = f" --region {region}" if re.fullmatch(REGION, region) else ""
    return (
        Step(
            title="Name both ends",
            words="ENA Express works between two network interfaces of supported instance types in one region, with nothing in between "
            "that forwards packets. Each type must answer true.",
            commands=(
                "server=i-… client=i-…            # your instances",
                "server_eni=eni-… client_eni=eni-…  # the interfaces between which your traffic goes",
                f"for type in $(aws ec2 describe-instances{in_region} --instance-ids $server $client "
                "--query 'Reservations[].Instances[].InstanceType' --output text); do",
                f"  aws ec2 describe-instance-types{in_region} --instance-types $type "
                "--query 'InstanceTypes[0].NetworkInfo.EnaSrdSupported'",
                "done",
            ),
        ),
        Step(
            title=f"On both hosts: an MTU of {SRD_MTU}",
            words=f"A larger packet goes by plain ENA, and Amazon Linux sets 9001. The command lasts until the link is configured anew; "
            f"MTUBytes={SRD_MTU} in a drop-in of systemd-networkd (Amazon Linux) or mtu: {SRD_MTU} in netplan (Ubuntu) keeps it. "
            "The ENA driver must be 2.2.9 or newer, and 2.8 for its counters.",
            commands=(
                "device=ens5  # the interface's name on this host: see `ip address`",
                f"sudo ip link set dev $device mtu {SRD_MTU}",
                "ethtool -i $device",
            ),
        ),
        Step(
            title="Switch it on, at both ends",
            words="With one end off all traffic goes by plain ENA, and nothing says so. "
            + (
                "UDP has a flag of its own; without it only TCP goes by SRD. "
                if udp
                else f"This is for TCP; UDP has a flag of its own: add {ON_UDP}. "
            )
            + "Nothing restarts. It belongs to the attachment: lost with the instance, so put it into your launch template, too.",
            commands=_at_both_ends(ON + (ON_UDP if udp else ""), in_region),
        ),
        Step(
            title="See that it is used",
            words=f"AWS tells what is configured, and the device what is done: ena_srd_mode must be {3 if udp else '1 (3 with UDP)'}, and "
            "while traffic flows ena_srd_tx_pkts must grow as ena_srd_eligible_tx_pkts does. Absent counters mean unknown, not off.",
            commands=(
                f"aws ec2 describe-network-interfaces{in_region} --network-interface-ids $server_eni $client_eni "
                "--query 'NetworkInterfaces[].Attachment.EnaSrdSpecification'",
                "ethtool -S $device | grep ena_srd  # on both hosts",
            ),
        ),
        Step(
            title="Take it back",
            words="From then on the traffic goes by plain ENA; the MTU may stay.",
            commands=(
                *_at_both_ends(OFF + OFF_UDP, in_region),
                "sudo ip link set dev $device mtu 9001  # on both hosts, as it was on Amazon Linux",
            ),
        ),
    )


def steps_in_short(manifest: Manifest) -> tuple[str, ...]:
    """The steps as lines of Markdown: what to do and undo, for experienced readers."""
    _, _, switched, _, back = steps(manifest)
    return (
        f"<details><summary>How to switch ENA Express on, and back</summary>\n\nOn both hosts an MTU of {SRD_MTU}. {switched.words}\n",
        "```sh",
        *switched.commands,
        "# and back",
        *back.commands[: len(switched.commands)],
        "```",
        "\n</details>",
    )


def _at_both_ends(setting: str, in_region: str) -> tuple[str, ...]:
    return tuple(
        f"aws ec2 modify-network-interface-attribute{in_region} --network-interface-id {eni} --ena-srd-specification '{setting}'"
        for eni in ("$server_eni", "$client_eni")
    )
