"""What a host tells of its network, and what of it is not as a lab needs it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from enaxp.hosts.network import faults
from enaxp.hosts.nic import HostNetwork, InterfaceProbe, network_command, read_counters, read_network, read_probe
from enaxp.traffic import Arm

RIGHT: dict[Arm, InterfaceProbe] = {
    "ena": InterfaceProbe(interface="ens5", leaves_by="ens5", driver="driver: ena", mtu=8900),
    "ena_express": InterfaceProbe(interface="ens6", leaves_by="ens6", driver="driver: ena", mtu=8900),
}
TOLD = """\
network boot 0c7e6a3e-1111-4222-8333-444444444444
network changes 2
network last 3: ens6: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9001 qdisc mq state UP
network mtu ens5 8900
network route ens5 192.168.3.10 from 192.168.3.20 dev ens5 table 1000 uid 1000 \\    cache
network mtu ens6 9001
network route ens6 192.168.3.11 from 192.168.3.21 dev ens5 uid 1000 \\    cache
interface ens5
statistics 1 2 3 4 8900
NIC statistics:
     ena_srd_mode: 0
"""


def probe(arm: Arm, **changes: object) -> dict[Arm, InterfaceProbe]:
    one = RIGHT[arm]
    values = {"interface": one.interface, "leaves_by": one.leaves_by, "driver": one.driver, "mtu": one.mtu, **changes}
    return {**RIGHT, arm: InterfaceProbe(**values)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("probes", "words"),
    [
        (RIGHT, []),
        (probe("ena_express", mtu=9001), ["the MTU of ens6 (ena_express) is 9001, more than 8900"]),
        (probe("ena_express", mtu=1500), []),
        (probe("ena", leaves_by="ens6"), ["ena traffic leaves by ens6, not by ens5"]),
        (probe("ena", leaves_by=None), ["ena traffic leaves by no interface, not by ens5"]),
        (
            probe("ena_express", interface=None, leaves_by=None, mtu=None),
            ["no interface has the address of ena_express yet"],
        ),
        (dict.fromkeys(RIGHT, InterfaceProbe(interface=None, leaves_by=None, driver=None, mtu=None)), []),
        (
            probe("ena", defaults=("ens5", "ens6")),
            [
                "the default routes by ens5 and ens6 have the same metric (amazon-ec2-net-utils before 2.4.0 sets them so for an "
                "interface that is attached later)"
            ],
        ),
    ],
)
def test_what_is_wrong_is_said_and_what_is_not_told_is_not(probes: dict[Arm, InterfaceProbe], words: list[str]) -> None:
    assert faults(probes) == words


@pytest.mark.parametrize(
    ("told", "interfaces"),
    [
        ([], ()),
        (["default via 192.168.3.1 dev ens5 proto dhcp src 192.168.3.20 metric 512 "], ("ens5",)),
        (["default via 10.0.0.1 dev ens5 metric 512", "default via 10.0.0.1 dev ens6 metric 513"], ("ens5",)),
        (["default via 10.0.0.1 dev ens6 metric 512", "default via 10.0.0.1 dev ens5 metric 512"], ("ens5", "ens6")),
        (["default dev ens6 scope link", "default via 10.0.0.1 dev ens5 metric 100"], ("ens6",)),
        (["unreachable default", "default via 10.0.0.1 dev ens5 metric 99999999999999999999"], ("ens5",)),
    ],
)
def test_the_first_of_the_default_routes_are_found(told: list[str], interfaces: tuple[str, ...]) -> None:
    text = "\n".join(["interface ens5", *(f"default_route {line}" for line in told), "mtu 8900"])

    assert read_probe(text).defaults == interfaces


def test_what_a_host_tells_is_read() -> None:
    assert read_network(TOLD) == HostNetwork(
        boot_id="0c7e6a3e-1111-4222-8333-444444444444",
        mtus={"ens5": 8900, "ens6": 9001},
        leaves_by={"ens5": "ens5", "ens6": "ens5"},
        changes=2,
        last_change="3: ens6: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9001 qdisc mq state UP",
    )
    assert read_counters(TOLD)["ens5"].mtu == 8900


def test_a_host_that_tells_nothing_is_unknown() -> None:
    assert read_network("interface ens5\nstatistics 1 2 3 4\n") is None
    assert read_counters("interface ens5\nstatistics 1 2 3 4\n")["ens5"].mtu is None


@pytest.mark.system
def test_the_command_is_sound_shell_and_runs_here(tmp_path: object) -> None:
    command = network_command([("lo", "127.0.0.1", "127.0.0.1")])
    if shutil.which("shellcheck"):
        checked = subprocess.run(
            ["shellcheck", "-s", "sh", "-S", "warning", "-"], input=command, capture_output=True, text=True, check=False
        )
        assert checked.stdout == ""

    ran = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={"ENAXP_ROOT": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )

    told = read_network(ran.stdout)
    assert told is not None
    assert (len(told.boot_id), told.leaves_by, told.changes) == (36, {"lo": "lo"}, None)
    assert told.mtus["lo"] > 1500
