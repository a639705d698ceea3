"""What a fleet costs, needs and how long it stands: every host of every pair counts, and none is taken away unless that is meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from enaxp.commands import labs as lab_commands
from enaxp.commands.lab import bring_up
from enaxp.commands.labs import extend_lab, standing_labs
from enaxp.commands.status import current_status
from enaxp.config import load_config
from enaxp.errors import UsageError
from enaxp.hosts.connection import Host
from enaxp.lab import extend
from enaxp.lab.lifecycle import BUILT_LAYERS
from enaxp.lab.model import TAG_EXPIRES, from_text
from enaxp.local.strict import Quotas
from enaxp.session import Session
from tests.lab.checks.test_preflight import flight, texts
from tests.lab.test_ls import session
from tests.support.crash_harness import DeadlyCloud, Labs, deadly_cloud

DISK_USD, ADDRESS_USD = 30 * 0.08 / 730, 0.005
# Of the dated table, in us-east-1: two pairs, of which one has hosts twice as large.
HOSTS_USD = {"near": 1.36, "far": 2.72}
FLEET_USD = sum(2 * (usd + DISK_USD + ADDRESS_USD) for usd in HOSTS_USD.values())
TWO_TYPES = {
    "pairs": 1,
    "variants": {
        "near": {"hosts": {"instance_type": "c6i.8xlarge"}},
        "far": {"hosts": {"instance_type": "c6i.16xlarge"}},
    },
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as running:
        running.server._world.quotas = Quotas(vcpus=1024, addresses=20)
        yield running


@pytest.fixture(scope="module")
def standing(cloud: DeadlyCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    """A fleet of two variants with one pair each, for tests that leave it as it is."""
    labs = Labs(cloud, tmp_path_factory.mktemp("state"), overrides={"fleet": TWO_TYPES, "hosts.ssm": False})
    labs.up()
    yield labs
    labs.down()


def of(labs: Labs) -> Session:
    return replace(session(labs, labs.folder), config=labs.config, file=labs.file())


def test_each_host_of_each_variant_costs_what_its_type_does(standing: Labs) -> None:
    assert current_status(of(standing)).usd_per_hour == pytest.approx(FLEET_USD, abs=1e-3)
    [listed] = standing_labs(of(standing), everywhere=False)
    assert (listed.instances, listed.usd_per_hour) == (4, pytest.approx(FLEET_USD, abs=1e-3))


@pytest.mark.parametrize("limit", [FLEET_USD - 0.01, 0.01])
def test_a_fleet_that_costs_more_than_is_allowed_is_refused_and_nothing_is_made(
    cloud: DeadlyCloud, tmp_path: Path, limit: float
) -> None:
    labs = Labs(cloud, tmp_path, lab="dear", overrides={"fleet": TWO_TYPES, "hosts.ssm": False})
    before = cloud.server.resources()

    with pytest.raises(UsageError, match=rf"about {FLEET_USD:.2f} USD an hour, more than"):
        bring_up(of(labs), layers=BUILT_LAYERS, assume_yes=True, max_usd_per_hour=limit)

    assert cloud.server.resources() == before


def test_the_quotas_are_asked_for_all_hosts_together(
    cloud: DeadlyCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud.server._world, "quotas", Quotas(vcpus=191, addresses=3))
    labs, asked = Labs(cloud, tmp_path, lab="asked"), {"lab": "asked", "fleet": TWO_TYPES}

    assigned = texts(flight(labs, load_config(overrides=asked)), "failure")
    public = texts(flight(labs, load_config(overrides={**asked, "hosts.address": "public"})), "failure")

    assert re.search(r"quotas: vCPUs: 192 needed, \d+ of 191 in use", assigned)
    assert "Elastic IPs" not in assigned
    assert "quotas: Elastic IPs: 4 needed, 0 of 3 in use" in public


def test_more_time_reaches_each_host_and_each_tag(standing: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def remember(hosts: list[Host], *, ends: object) -> None:
        told.extend(host.role for host in hosts)

    monkeypatch.setattr(lab_commands.extend, "set_timers", remember)
    before = standing.file().state.expires_at

    status = extend_lab(of(standing), by="2h")

    assert sorted(told) == ["far-1/client", "far-1/server", "near-1/client", "near-1/server"]
    assert status.expires_at == standing.file().state.expires_at == before + timedelta(hours=2)
    tags = {
        from_text(found.tags[TAG_EXPIRES]) for found in extend.ours(standing.snapshot()) if TAG_EXPIRES in found.tags
    }
    assert tags == {before + timedelta(hours=2)}


def test_pairs_are_taken_away_only_when_that_is_meant(cloud: DeadlyCloud, tmp_path: Path) -> None:
    two = Labs(cloud, tmp_path, lab="pairs", overrides={"fleet": {"pairs": 2}, "hosts.ssm": False})
    two.up()
    fewer = Labs(cloud, tmp_path, lab="pairs", overrides={"fleet": {"pairs": 1}, "hosts.ssm": False})
    before = cloud.server.resources()

    with pytest.raises(UsageError, match="1 pair of hosts would be removed: main-2") as refused:
        bring_up(of(fewer), layers=BUILT_LAYERS, assume_yes=True)

    assert "give --replace" in refused.value.todo
    assert cloud.server.resources() == before
    bring_up(of(fewer), layers=BUILT_LAYERS, assume_yes=True, may_replace=True)
    assert list(current_status(of(fewer)).each_pair()) == ["main-1"]
    fewer.down()
