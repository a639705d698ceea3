"""Between zones: the cost of a bench's traffic between hosts in two zones, shown and confirmed before it begins."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from enaxp.bench.planning.between_zones import gigabytes_of
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.commands.doctor import host_gbps
from enaxp.errors import LabError
from enaxp.lab.cost import usd_between_zones
from enaxp.session import Session

if TYPE_CHECKING:
    from enaxp.lab.status import Status

ASKED_FROM_USD = 1.0
UNKNOWN_GBPS = 100.0  # taken for hosts of which AWS does not tell it: rather too much than too little


def confirm_traffic(session: Session, plan: BenchPlan, pairs: Iterable[Status]) -> None:
    """Prints the cost of a plan's traffic between zones, and asks for confirmation from 1 USD on. Does nothing within one zone and on the
    local target.

    pairs: for each pair to be measured, the status with this pair alone. Raises LabError when the user declines.
    """
    across = [pair for pair in pairs if _is_across(session, pair)]
    if session.target.name != "aws" or not across:
        return
    gigabytes = sum(gigabytes_of(plan, link_gbps=host_gbps(session, pair) or UNKNOWN_GBPS) for pair in across)
    usd = usd_between_zones(gigabytes)
    text = f"traffic between the zones: at most about {gigabytes:.0f} GB, {usd:.2f} USD"
    session.console.say(text)
    if usd >= ASKED_FROM_USD and not session.console.ask(
        f"Measure between two zones, for up to {usd:.2f} USD of traffic?"
    ):
        raise LabError("nothing was measured", todo="choose other scenarios, fewer iterations or shorter trials")


def _is_across(session: Session, status: Status) -> bool:
    """Whether the client of this pair is in the second subnet."""
    client = status.hosts.get("client")
    second = ipaddress.IPv4Network(session.config.network.second_subnet_cidr)
    return client is not None and client.ena is not None and ipaddress.IPv4Address(client.ena.ip) in second
