"""Which pairs a lab has, what they are called, and which addresses they get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from enaxp.config import Config, load_config
from enaxp.errors import UsageError
from enaxp.lab.fleet import (
    HostPair,
    PinnedFleet,
    addresses_of,
    eni_key,
    fleet_that_lives,
    pairs_of,
    pin_fleet,
    slot_of,
)
from enaxp.lab.model import Found

CASES = yaml.safe_load((Path(__file__).parent / "fleets.yaml").read_text())


def config_with(**overrides: Any) -> Config:
    return load_config(overrides={key.replace("__", "."): value for key, value in overrides.items()})


def fleet_after(*steps: dict[str, Any]) -> tuple[Config, PinnedFleet | None]:
    """What is pinned once each of these configs has been asked for, one after the other; and the last of them."""
    pinned: PinnedFleet | None = None
    config = load_config()
    for step in steps:
        config = load_config(overrides=step)
        pinned = pin_fleet(config, pinned)
    return config, pinned


def addresses(pair: HostPair) -> list[str]:
    return [ip for host in pair.hosts.values() for ip in (host.ena_ip, host.ena_express_ip)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_pairs_have_these_names_and_addresses(case: dict[str, Any]) -> None:
    config, pinned = fleet_after(*case["asked"])

    pairs = pairs_of(config, pinned)

    assert {pair.name: addresses(pair) for pair in pairs} == case["pairs"]


def test_a_lab_without_a_fleet_has_the_keys_that_it_always_had() -> None:
    [pair] = pairs_of(load_config(), pin_fleet(load_config(), None))

    assert [pair.key("placement-group"), pair.place("server"), pair.place("client")] == [
        "placement-group",
        "server",
        "client",
    ]
    assert pair.hosts["server"].name == "sockperf-server"


def test_names_of_hosts_in_a_fleet_are_distinguished_by_their_pair() -> None:
    config, pinned = fleet_after({"fleet.pairs": 2})

    names = [host.name for pair in pairs_of(config, pinned) for host in pair.hosts.values()]

    assert names == [
        "sockperf-server-main-1",
        "sockperf-client-main-1",
        "sockperf-server-main-2",
        "sockperf-client-main-2",
    ]


def test_no_two_hosts_of_the_largest_fleet_in_a_subnet_share_an_address() -> None:
    config, pinned = fleet_after({"fleet.pairs": 59})

    all_of_them = [ip for pair in pairs_of(config, pinned) for ip in addresses(pair)]

    assert len(set(all_of_them)) == 4 * 59
    assert all_of_them[-1] == "192.168.3.253"


def test_a_fleet_that_the_state_knows_and_the_subnet_has_no_room_for_is_refused_with_the_prefix_needed() -> None:
    pinned = pin_fleet(config_with(fleet__pairs=20), None)
    smaller = config_with(network__subnet_cidr="192.168.3.0/26")

    with pytest.raises(UsageError, match="/25 or larger"):
        pairs_of(smaller, pinned)


@pytest.mark.parametrize(
    ("asked", "fleet", "given"),
    [
        ("auto", False, "elastic"),
        ("auto", True, "assigned"),
        ("public", False, "elastic"),
        ("public", True, "elastic"),
        ("private", True, "private"),
    ],
)
def test_addresses_follow_from_what_is_asked_and_whether_it_is_a_fleet(asked: str, fleet: bool, given: str) -> None:
    assert addresses_of(config_with(hosts__address=asked), fleet=fleet) == given


def test_a_slot_is_read_back_from_an_address() -> None:
    config, pinned = fleet_after({"fleet.pairs": 9})

    read = [slot_of(config, pair.hosts["server"].ena_ip) for pair in pairs_of(config, pinned)]

    assert read == list(range(1, 10))
    assert slot_of(config, "192.168.4.10") is None


def test_a_fleet_that_is_read_back_gives_each_pair_that_is_gone_a_slot_of_its_own() -> None:
    # Given two variants, of each of which only the second pair is left
    config, pinned = fleet_after({"fleet": {"pairs": 2, "variants": {"a": {}, "b": {}}}})
    keys = {eni_key(pair.place("server"), "express"): pair for pair in pairs_of(config, pinned) if pair.slot > 2}
    found = {
        key: Found(key=key, kind="eni", id="eni-1", tags={}, facts={"address": pair.hosts["server"].ena_express_ip})
        for key, pair in keys.items()
    }

    fleet = fleet_that_lives(config, found)

    assert fleet
    assert {name: variant.slots for name, variant in fleet.items()} == {"a": (1, 3), "b": (2, 4)}


def test_a_variant_that_stays_keeps_its_image_and_one_of_another_type_does_not() -> None:
    from dataclasses import replace

    config = load_config(overrides={"fleet": {"pairs": 1, "variants": {"a": {}, "b": {}}}})
    known = {
        name: replace(one, ami="ami-1", root_device="/dev/sda1")
        for name, one in (pin_fleet(config, None) or {}).items()
    }

    again = pin_fleet(
        load_config(
            overrides={"fleet": {"pairs": 1, "variants": {"a": {}, "b": {"hosts": {"instance_type": "c7gn.16xlarge"}}}}}
        ),
        known,
    )

    assert again is not None
    assert (again["a"].ami, again["a"].root_device) == ("ami-1", "/dev/sda1")
    assert (again["b"].ami, again["b"].root_device) == (None, None)
