"""What a lab costs: by the table, by AWS's price list, and by what is there."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from enaxp.aws import Aws
from enaxp.lab.cost import Prices, find_prices, from_table, price_of, usd_per_hour, usd_so_far
from enaxp.lab.model import TAG_CREATED, Found

ROUND = Prices(instance=1.0, disk=0.25, address=0.125, source="a test")


@pytest.mark.parametrize(
    ("region", "type", "usd"),
    [
        ("us-east-1", "c6i.8xlarge", 1.36),
        ("us-west-2", "c7gn.16xlarge", 3.9936),
        ("us-east-1", "c8gn.48xlarge", 11.376),
        ("us-east-1", "c6i.large", 0.085),
        ("eu-central-1", "m6i.8xlarge", 1.84),
    ],
)
def test_the_table_knows_sizes_by_their_family(region: str, type: str, usd: float) -> None:
    prices = from_table(region, type)

    assert prices is not None
    assert prices.instance == pytest.approx(usd)
    assert prices.source.startswith("enaxp's table of 20")


@pytest.mark.parametrize(
    ("region", "type"),
    [
        ("us-east-1", "x9z.8xlarge"),
        ("mars-north-1", "c6i.8xlarge"),
        ("us-east-1", "c6i.metal"),
        ("us-east-1", "c7i.metal-24xl"),
    ],
)
def test_what_is_not_in_the_table_is_not_known(region: str, type: str) -> None:
    assert from_table(region, type) is None


def test_a_disk_costs_what_it_costs_in_its_region() -> None:
    prices = {region: from_table(region, "c6i.xlarge") for region in ("us-east-1", "eu-west-1")}

    gb_month = {region: price.disk * 730 / 30 for region, price in prices.items() if price}
    assert gb_month == {"us-east-1": pytest.approx(0.08), "eu-west-1": pytest.approx(0.088)}


def test_hosts_and_addresses_cost_and_nothing_else_does() -> None:
    kinds = ["vpc", "subnet", "igw", "eni", "role", "eip", "eip", "instance", "instance"]

    assert usd_per_hour(ROUND, kinds) == 2 * 1.25 + 2 * 0.125
    assert usd_per_hour(None, kinds) is None


def test_the_monitoring_host_has_a_price_of_its_own_and_what_is_not_known_makes_no_sum() -> None:
    keys = ["instance/server", "instance/monitoring", "eip/monitoring"]

    assert usd_per_hour(replace(ROUND, monitoring=0.5), keys) == 1.25 + (0.5 + 0.25) + 0.125
    assert usd_per_hour(ROUND, keys) is None


def test_cost_so_far_counts_each_resource_from_its_own_beginning() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    resources = [
        Found(key="instance/server", kind="instance", id="i-1", tags={}, created="2026-01-01 10:00:00+00:00"),
        Found(key="eip/server", kind="eip", id="eipalloc-1", tags={TAG_CREATED: "2026-01-01T08:00:00Z"}),
        Found(key="vpc", kind="vpc", id="vpc-1", tags={TAG_CREATED: "2026-01-01T00:00:00Z"}),
    ]

    assert usd_so_far(ROUND, resources, now=now) == 2 * 1.25 + 4 * 0.125
    assert usd_so_far(None, resources, now=now) is None


def listed(*usd: str, unit: str = "Hrs") -> dict[str, Any]:
    """An answer of GetProducts, in which each entry is a text of its own."""
    dimensions = [{"d": {"unit": unit, "pricePerUnit": {"USD": price}}} for price in usd]
    return {"PriceList": [json.dumps({"terms": {"OnDemand": {"t": {"priceDimensions": d}}}}) for d in dimensions]}


@pytest.mark.parametrize(
    ("answer", "usd"),
    [
        (listed("1.3600000000"), 1.36),
        (listed("1.36", "0.0000000000"), 1.36),
        (listed("1.36", "2.72"), None),
        (listed("1.36", unit="Quantity"), None),
        (listed(), None),
    ],
)
def test_a_price_is_taken_only_when_there_is_one(answer: dict[str, Any], usd: float | None) -> None:
    assert price_of(answer) == usd


class Listing:
    """Stands for AWS in a region whose price list gives these answers, one a call, or an error for None."""

    def __init__(self, region: str, *answers: dict[str, Any] | None) -> None:
        self.region = region
        self.asked_in: list[str] = []
        self.client = boto3.client("pricing", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        stub = Stubber(self.client)
        for answer in answers:
            if answer is None:
                stub.add_client_error("get_products", "AccessDeniedException")
            else:
                stub.add_response("get_products", answer, {"ServiceCode": "AmazonEC2", "Filters": ANY})
        stub.activate()

    def in_region(self, region: str) -> Listing:
        self.asked_in.append(region)
        return self

    def once(self, service: str) -> Any:
        assert service == "pricing"
        return self.client


def test_the_price_list_comes_before_the_table_and_is_asked_once(tmp_path: Path) -> None:
    aws: Any = Listing("eu-west-1", listed("1.50"))

    first = find_prices(aws, "c6i.8xlarge", kept_in=tmp_path / "prices.json")
    again = find_prices(aws, "c6i.8xlarge", kept_in=tmp_path / "prices.json")

    assert first is not None
    assert first.instance == 1.5
    assert first.source.startswith("AWS's price list")
    assert again == first
    assert aws.asked_in == ["eu-central-1"]


def test_who_may_not_ask_for_prices_has_the_table() -> None:
    aws: Any = Listing("us-east-1", None)

    assert find_prices(aws, "c6i.8xlarge") == from_table("us-east-1", "c6i.8xlarge")


def test_regions_without_prices_in_dollars_are_not_asked() -> None:
    aws = Aws(region="cn-north-1", endpoint_url="http://127.0.0.1:9", access_key="x", secret_key="x")

    assert find_prices(aws, "c6i.8xlarge") is None
