"""`up --max-usd-per-hour`: what costs more is refused before anything is made; and where prices are kept no lab is in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from enaxp.local.strict import StrictServer
from tests.support.on_aws import OnAws, strict_aws

pytestmark = pytest.mark.thorough

# Of the dated table: two c6i.8xlarge at 1.36, two addresses at 0.005, two disks of 30 GB at 0.08 a month.
HOSTS_USD = 2 * 1.36 + 2 * 0.005 + 2 * 30 * 0.08 / 730


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    with strict_aws() as running:
        yield running


@pytest.fixture
def person(server: StrictServer, tmp_path: Path) -> Iterator[OnAws]:
    server.forget_calls()
    person = OnAws(server, tmp_path)
    yield person
    assert person.run("down", "--yes").code == 0


@pytest.mark.parametrize("limit", ["2.7", "0.01"])
def test_a_lab_that_costs_more_is_refused_and_nothing_is_made(person: OnAws, limit: str) -> None:
    ran = person.run("up", "--yes", "--no-wait", "--max-usd-per-hour", limit)

    assert (ran.code, ran.stdout) == (2, "")
    assert f"about {HOSTS_USD:.2f} USD an hour, more than the {limit} that are allowed: nothing was made" in ran.stderr
    assert person.mutations() == []
    assert not (person.folder / "state/dev.json").exists()


def test_a_lab_that_costs_no_more_is_made(person: OnAws) -> None:
    ran = person.run("up", "--yes", "--no-wait", "--json", variables={"ENAXP_MAX_USD_PER_HOUR": "2.75"})

    assert ran.code == 0
    assert json.loads(ran.stdout)["usd_per_hour"] == pytest.approx(HOSTS_USD, abs=0.005)


def test_what_stands_already_counts(person: OnAws) -> None:
    assert person.run("up", "--yes", "--no-wait").code == 0
    hosts_alone = person.run("up", "monitoring", "--yes", "--no-wait", "--max-usd-per-hour", "2.74")

    assert hosts_alone.code == 2
    assert "more than the 2.74 that are allowed" in hosts_alone.stderr


def test_what_nobody_knows_the_price_of_is_refused(person: OnAws) -> None:
    (person.folder / "odd.yaml").write_text("hosts: {instance_type: c6i.metal}\n")

    ran = person.run("up", "--yes", "--no-wait", "--max-usd-per-hour", "100", "--config", "odd.yaml")

    assert "what c6i.metal costs in us-east-1 is not known: the lab cannot be held to 100 USD an hour" in ran.stderr
    assert ran.code == 2
    assert person.mutations() == []


def test_a_limit_of_nothing_is_no_limit(person: OnAws) -> None:
    assert person.run("up", "--yes", "--max-usd-per-hour", "0").code == 2
    assert person.mutations() == []


def test_a_lab_may_be_called_as_the_prices_are(person: OnAws) -> None:
    lab = {"ENAXP_LAB": "prices"}
    assert person.run("up", "--yes", "--no-wait", variables=lab).code == 0

    seen = json.loads(person.run("status", "--json", variables=lab).stdout)
    removed = person.run("down", "--yes", variables=lab)

    assert (seen["lab"], len(seen["hosts"]), removed.code) == ("prices", 2, 0)
    assert "cannot be read" not in removed.stderr


def test_the_state_folder_is_kept_out_of_a_repository_from_its_beginning(person: OnAws) -> None:
    person.run("plan")

    assert (person.folder / "state/.gitignore").exists()
