"""Sixteen pairs that cross over at once keep within the rates of the account: whoever is too quick for AWS is refused there."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from enaxp.bench.fleet.side_by_side import side_by_side
from enaxp.lab.srd import SrdSwitch
from enaxp.local.strict import Timing
from enaxp.local.strict.calls import Call
from enaxp.traffic import Arm, SrdOn
from tests.support.crash_harness import DeadlyCloud, Labs
from tests.support.strict_lab import KEY, Lab, eventually

PAIRS = 16
A_HOST = 8  # interfaces of a c6i.8xlarge: for AWS's rates it does not matter on how many hosts they are
# Burst and calls a second, of AWS's documentation: "Request throttling for the Amazon EC2 API".
RATES = {"ModifyNetworkInterfaceAttribute": (100, 5), "DescribeNetworkInterfaces": (100, 20)}
LATE = 3  # calls that come late on a busy computer, and the next then too early


@pytest.fixture
def interfaces(cloud: DeadlyCloud) -> list[str]:
    """Four attached interfaces for each pair."""
    cloud.server.set_timing(Timing.instant())
    lab = Lab.at(cloud.server)
    lab.identity("enaxp")
    lab.network()
    lab.group("placement")
    lab.ec2.import_key_pair(KeyName="enaxp", PublicKeyMaterial=KEY.encode())
    made = [lab.interface(f"eni-{at}", f"192.168.3.{10 + at}") for at in range(4 * PAIRS)]
    for at in range(0, len(made), A_HOST):
        cards = [{"DeviceIndex": i, "NetworkInterfaceId": eni} for i, eni in enumerate(made[at : at + A_HOST])]
        lab.launch(f"host-{at}", NetworkInterfaces=cards)
    eventually(lambda: all(lab.attachment(eni).get("Status") == "attached" for eni in made), "all attached")
    return made


def switches(labs: Labs, interfaces: Sequence[str]) -> Iterator[SrdSwitch]:
    """One for each pair, all with the clients of one session, as a bench has them."""
    arms: tuple[Arm, ...] = ("ena", "ena_express", "ena", "ena_express")
    for at in range(0, len(interfaces), 4):
        home = dict(zip(interfaces[at : at + 4], arms, strict=True))
        yield SrdSwitch(aws=labs.aws(), home=home)


def most_above_the_rate(calls: Sequence[Call], *, burst: int, per_s: float) -> float:
    """How many calls more there were between any two moments than a full bucket and what comes back give."""
    at = sorted(call.at for call in calls)
    between = itertools.combinations(range(len(at)), 2)
    return max(last - first + 1 - burst - per_s * (at[last] - at[first]) for first, last in between)


def test_it_is_seen_where_calls_are_above_the_rate() -> None:
    calls = [Call(service="ec2", action="any", status=200, at=at) for at in (0.0, 0.1, 0.2, 2.0)]

    assert most_above_the_rate(calls, burst=2, per_s=1) == pytest.approx(3 - 2 - 0.2)


def test_sixteen_pairs_that_cross_over_and_back_at_once_are_within_the_rates(
    cloud: DeadlyCloud, interfaces: list[str], tmp_path: Path
) -> None:
    each = list(switches(Labs(cloud, tmp_path), interfaces))
    cloud.server.set_throttling(on=True)
    cloud.server.forget_calls()

    def cross(to: SrdOn) -> None:
        work = {str(at): lambda one=one: one(to) for at, one in enumerate(each)}  # type: ignore[misc]
        raised = side_by_side(work, at_once=PAIRS, stop=threading.Event())
        assert raised == dict.fromkeys(work)

    cross("first")
    cross("second")

    made = {action: [call for call in cloud.server.calls if call.action == action] for action in RATES}
    assert (
        len(made["ModifyNetworkInterfaceAttribute"])
        >= 2 * len(interfaces)
        > RATES["ModifyNetworkInterfaceAttribute"][0]
    )
    for action, (burst, per_s) in RATES.items():
        assert most_above_the_rate(made[action], burst=burst, per_s=per_s) <= LATE, action
    refused = [call for call in cloud.server.calls if call.code]
    assert {call.code for call in refused} <= {"RequestLimitExceeded"}
    assert len(refused) <= LATE
    ec2 = Lab.at(cloud.server).ec2
    cloud.server.set_throttling(on=False)
    told = ec2.describe_network_interfaces(NetworkInterfaceIds=interfaces)["NetworkInterfaces"]
    on = {one["NetworkInterfaceId"]: one["Attachment"]["EnaSrdSpecification"]["EnaSrdEnabled"] for one in told}
    assert [on[eni] for eni in interfaces] == [False, True, False, True] * PAIRS
