"""What became of a host's network during a trial, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enaxp.bench.quiet import changes_of
from enaxp.hosts.nic import HostNetwork, InterfaceProbe
from enaxp.traffic import Arm

PROBES: dict[Arm, InterfaceProbe] = {
    "ena": InterfaceProbe(interface="ens5", leaves_by="ens5", driver="driver: ena", mtu=8900),
    "ena_express": InterfaceProbe(interface="ens6", leaves_by="ens6", driver="driver: ena", mtu=8900),
}
AS_IT_WAS = HostNetwork(
    boot_id="one",
    mtus={"ens5": 8900, "ens6": 8900},
    leaves_by={"ens5": "ens5", "ens6": "ens6"},
    changes=3,
    last_change="",
)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (AS_IT_WAS, ()),
        (replace(AS_IT_WAS, mtus={"ens5": 8900, "ens6": 9001}), ("the MTU of the client's ens6 is 9001, it was 8900",)),
        (replace(AS_IT_WAS, mtus={"ens5": 8900}), ("the MTU of the client's ens6 is unknown, it was 8900",)),
        (
            replace(AS_IT_WAS, leaves_by={"ens5": "ens5", "ens6": "ens5"}),
            ("the client's ena_express traffic leaves by ens5, it left by ens6",),
        ),
        (replace(AS_IT_WAS, boot_id="two"), ("the client restarted",)),
        (
            replace(AS_IT_WAS, changes=5, last_change="Deleted 1001: from 192.168.3.21 lookup 1001"),
            (
                "links or rules of the client were changed by somebody, 2 times: Deleted 1001: from 192.168.3.21 lookup 1001",
            ),
        ),
        (replace(AS_IT_WAS, changes=None), ()),
    ],
)
def test_each_change_is_named(after: HostNetwork, words: tuple[str, ...]) -> None:
    assert changes_of("client", PROBES, AS_IT_WAS, after) == words


def test_a_change_between_two_trials_is_named_too() -> None:
    """The MTU was 8900 when the bench began; both looks of this trial find another."""
    now = replace(AS_IT_WAS, mtus={"ens5": 8900, "ens6": 9001})

    assert changes_of("server", PROBES, now, now) == ("the MTU of the server's ens6 is 9001, it was 8900",)


def test_a_host_without_interfaces_of_its_own_tells_nothing() -> None:
    assert changes_of("client", PROBES, None, None) is None
