"""SRD is changed over while the hosts run: to either pair of interfaces, or off on both, as AWS reads it back."""

from __future__ import annotations

import pytest

from enaxp.errors import AwsError
from enaxp.lab.srd import SrdSwitch
from enaxp.local.strict import Fault, FaultPlan
from tests.support.crash_harness import Labs
from tests.support.drift_cases import client


@pytest.fixture
def switch(labs: Labs) -> SrdSwitch:
    labs.up()
    return labs.srd_switch()


def with_srd(labs: Labs) -> set[str]:
    """The keys of the interfaces that have ENA Express, and its flag for UDP."""
    key_of = {id: key for key, id in labs.file().state.ids().items()}
    has = set()
    for one in client(labs, "ec2").describe_network_interfaces()["NetworkInterfaces"]:
        srd = one["Attachment"]["EnaSrdSpecification"]
        assert srd["EnaSrdEnabled"] == srd["EnaSrdUdpSpecification"]["EnaSrdUdpEnabled"]
        if srd["EnaSrdEnabled"]:
            has.add(key_of[one["NetworkInterfaceId"]])
    return has


def test_it_is_on_the_interfaces_that_were_asked_for_and_up_puts_it_back(labs: Labs, switch: SrdSwitch) -> None:
    switch("first")
    assert with_srd(labs) == {"eni/server-ena", "eni/client-ena"}
    switch("none")
    assert with_srd(labs) == set()
    assert labs.changes_left() != []

    labs.up()

    assert with_srd(labs) == {"eni/server-express", "eni/client-express"}
    assert labs.changes_left() == []


def test_a_refusal_is_named_with_what_to_do(labs: Labs, switch: SrdSwitch) -> None:
    fault = {"action": "ModifyNetworkInterfaceAttribute", "code": "UnauthorizedOperation", "status": 403}
    labs.cloud.server.set_faults(FaultPlan([Fault(**fault, message="no", probability=1.0)]))  # type: ignore[arg-type]

    with pytest.raises(AwsError, match="changing over which interfaces have ENA Express") as refusal:
        switch("none")

    assert "ask for this permission" in refusal.value.todo
