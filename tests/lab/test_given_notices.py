"""Notices: what is refused and what is said before ENA Express of a given host is switched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from enaxp.hosts.watching import HostTold, read_told, watch_command
from enaxp.lab.given.discovery import GivenHostFound, GivenPairFound, Rule
from enaxp.lab.given.notices import notices_of_aws, notices_of_hosts
from enaxp.lab.given.saved import SavedSetting

CASES = yaml.safe_load(Path(__file__).with_name("given_notices.yaml").read_text(encoding="utf-8"))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OPEN = Rule(protocol="all", ports=None, cidrs=("0.0.0.0/0",))


def a_host(role: Any, **changes: Any) -> GivenHostFound:
    last = "a" if role == "server" else "b"
    host = GivenHostFound(
        role=role,
        instance_id=f"i-0000000000000000{last}",
        name=role,
        state="running",
        instance_type="c6i.8xlarge",
        image="ami-1",
        zone="us-east-1a",
        vpc="vpc-1",
        subnet="subnet-1",
        address="203.0.113.1",
        ip="10.0.0.11" if role == "server" else "10.0.0.21",
        setting=SavedSetting(
            instance_id=f"i-0000000000000000{last}", eni=f"eni-0000000000000000{last}", srd=False, srd_udp=False
        ),
        groups=(f"sg-{role[0]}",),
    )
    return replace(host, **changes)


def a_pair(case: dict[str, Any]) -> GivenPairFound:
    def rules(name: str) -> list[Rule]:
        return msgspec.convert(case[name], list[Rule]) if name in case else [OPEN]

    return GivenPairFound(
        server=a_host("server", **case.get("server", {})),
        client=a_host("client", **case.get("client", {})),
        supporting=frozenset({"c6i.8xlarge"}),
        ingress={"sg-s": rules("ingress"), "sg-c": []},
        egress={"sg-c": rules("egress"), "sg-s": []},
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_aws_says_of_a_pair(case: dict[str, Any]) -> None:
    fit = [one.text for one in notices_of_aws(a_pair({}), ports={"udp": [11111]}, now=NOON)]

    asked = [one for one in notices_of_aws(a_pair(case), ports={"udp": [11111]}, now=NOON) if one.text not in fit]

    if "says" not in case:
        assert asked == []
        return
    [one] = asked
    assert case["says"] in one.text
    assert (one.refuses, one.can_be_forced) == (case.get("refuses", False), case.get("forced", False))


def test_the_setting_found_and_what_a_switch_means_are_always_said() -> None:
    texts = [one.text for one in notices_of_aws(a_pair({}), ports={"udp": [11111]}, now=NOON)]

    assert (
        "the server's eni-0000000000000000a (10.0.0.11) has ENA Express off, UDP off now; it is put back so at the end"
        in texts
    )
    assert any("goes by SRD, too" in text for text in texts)


TOLD = HostTold(
    interface="ens5",
    mtu=8900,
    driver="driver: ena; version: 2.13.0",
    shows_srd=True,
    sockperf="3.10",
    machine="x86_64",
    seconds=10,
    gbps=0.001,
    packets=120,
    load=0.1,
    cores=8,
)


@pytest.mark.parametrize(
    ("changes", "says", "refuses", "forced"),
    [
        ({}, "the client is quiet: 0.001 Gbit/s in 120 packets a second over 10 s, load 0.10 on 8 cores", False, False),
        ({"gbps": 2.5}, "the client is busy: 2.500 Gbit/s", False, False),
        ({"packets": 50_000}, "the client is busy", False, False),
        ({"load": 6.0}, "the client is busy", False, False),
        ({"gbps": None, "packets": None}, "what else the interface carries is not told", False, False),
        ({"mtu": 9001}, "bulk TCP goes by plain ENA in both arms; nothing is changed without --fix", False, False),
        ({"shows_srd": False}, "no ena_srd counters", True, True),
        ({"driver": "driver: ixgbevf"}, "has another driver than ena", True, False),
        ({"interface": None}, "has no interface with its address", True, False),
    ],
)
def test_what_a_host_tells_of_itself(changes: dict[str, Any], says: str, refuses: bool, forced: bool) -> None:
    asked = notices_of_hosts({"client": replace(TOLD, **changes)}, has_tcp=True)

    [one] = [one for one in asked if says in one.text]
    assert (one.refuses, one.can_be_forced) == (refuses, forced)
    assert [other for other in asked if other.refuses and other is not one] == []


def test_what_an_interface_carries_is_counted_over_the_time_it_was_watched() -> None:
    probe = "interface ens5\nroute 10.0.0.11 from 10.0.0.21 dev ens5\nmtu 9001\ndriver driver: ena\n"

    def counters(packets: int, size: int) -> str:
        return f"interface ens5\nstatistics {packets} {packets} {size} {size} 9001\n     ena_srd_mode: 0\n     ena_srd_tx_pkts: 0\n"

    mark = "--8<-- enaxp watched\n"
    host = "sockperf 3.10\nmachine aarch64\nload 0.25 0.10 0.05 1/200 4242\ncores 16\n"

    told = read_told(probe, f"{counters(100, 1000)}{mark}{counters(1100, 1_251_000)}{mark}{host}", seconds=2)

    assert told == HostTold(
        interface="ens5",
        mtu=9001,
        driver="driver: ena",
        shows_srd=True,
        sockperf="3.10",
        machine="aarch64",
        seconds=2,
        gbps=pytest.approx(0.01),
        packets=pytest.approx(1000),
        load=0.25,
        cores=16,
    )
    assert "sleep 2;" in watch_command("ens5", seconds=2)


def test_a_host_without_such_an_interface_is_watched_anyway() -> None:
    told = read_told("interface \n", "--8<-- enaxp watched\n--8<-- enaxp watched\nload x\n", seconds=1)

    assert (told.interface, told.gbps, told.load, told.cores, told.shows_srd) == (None, None, None, None, False)
