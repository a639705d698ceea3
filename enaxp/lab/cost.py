"""Cost: what a lab costs an hour and has cost so far, in USD, from on-demand list prices.

    instance type ─▶ find_prices() (price list of AWS, else the dated table `prices.yaml`) ─▶ Prices
    Prices × what each kind is billed for ─▶ usd_per_hour(), usd_so_far()

An estimate, and said to be one: hosts, their disks and public addresses are counted, traffic is not. Traffic between hosts in one zone
is free; between two it is billed at both ends (`usd_between_zones`). A price that is not known stays None; it is never taken for 0.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypedDict

import msgspec

from enaxp.aws import Aws, partition_of
from enaxp.files import FOR_ALL, read_capped, write_whole
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.compute import ROOT_VOLUME_GB
from enaxp.lab.model import TAG_CREATED, BilledPart, Found, Layer, from_text, kind_of
from enaxp.lab.spec import layer_of

TABLE = Path(__file__).with_name("prices.yaml")
HOURS_A_MONTH = 730
USD_A_GB_BETWEEN_ZONES = 0.02
KEPT_DAYS = 7  # how long an answer of the price list is used again
# The region whose endpoint answers questions about prices, by how a region's name begins. Other partitions have none that knows dollars.
PRICE_LISTS = {"eu-": "eu-central-1", "ap-": "ap-south-1", "": "us-east-1"}


@dataclass(frozen=True, kw_only=True)
class Prices:
    """USD an hour for one of each. source: where the price of an instance is from, in words; monitoring: the host of that layer, None
    where it is not known. hosts: of each host of a fleet with all that comes with it, by key: variants have types of their own."""

    instance: float
    disk: float
    address: float
    source: str
    monitoring: float | None = None
    hosts: Mapping[str, float | None] = field(default_factory=dict)

    def of(self, part: BilledPart, layer: Layer) -> float | None:
        """The price of what AWS bills; None where it is not known."""
        if part == "instance":
            return self.monitoring if layer == "monitoring" else self.instance
        return self.disk if part == "disk" else self.address


@dataclass(frozen=True, kw_only=True)
class KeptPrices:
    """An answer of the price list, and the day on which it was given."""

    on: date
    prices: Prices


@dataclass(frozen=True, kw_only=True)
class RegionPrices:
    """xlarge_hour: USD an hour by family."""

    dated: str
    xlarge_hour: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class PriceTable:
    """What `prices.yaml` holds."""

    address_hour: float
    disk_gb_month: Mapping[str, float]
    regions: Mapping[str, RegionPrices]


class PriceListAnswer(TypedDict):
    """What GetProducts answers, as far as it is read: JSON texts, one for each product."""

    PriceList: list[str]


def find_prices(aws: Aws, instance_type: str, *, kept_in: Path | None = None) -> Prices | None:
    """Prices of a type in the region of `aws`: of AWS's price list if it may be asked, else of the table; None when neither knows.

    kept_in: a file in which answers of the price list are kept, so that it is not asked each time.
    """
    kept = _read_kept(kept_in)
    key, today = f"{aws.region} {instance_type}", datetime.now(UTC).date()
    entry = kept.get(key)
    if entry and (today - entry.on).days < KEPT_DAYS:
        return entry.prices
    prices = _from_list(aws, instance_type) or from_table(aws.region, instance_type)
    if prices and kept_in:
        _keep(kept_in, {**kept, key: KeptPrices(on=today, prices=prices)})
    return prices


def from_table(region: str, instance_type: str) -> Prices | None:
    """Prices of the table in the package; None for what is not in it."""
    there = _table().regions.get(region)
    family, _, size = instance_type.partition(".")
    xlarge, factor = there.xlarge_hour.get(family) if there else None, _size_factor(size)
    if there is None or xlarge is None or factor is None:
        return None
    return _prices(region, xlarge * factor, source=f"enaxp's table of {there.dated}")


def usd_between_zones(gigabytes: float) -> float:
    """What moving so many GB (10⁹ bytes) from one zone of a region to another costs: 0.01 USD a GB at each end."""
    return gigabytes * USD_A_GB_BETWEEN_ZONES


def usd_per_hour(prices: Prices | None, keys: Iterable[str]) -> float | None:
    """What resources with these keys cost an hour; None when a price is not known."""
    rates = [] if prices is None else [_rate(prices, key) for key in keys]
    known = [rate for rate in rates if rate is not None]
    return None if prices is None or len(known) < len(rates) else round(sum(known), 4)


def usd_per_hour_of(
    aws: Aws, *, instance_types: Iterable[str], addresses: int, kept_in: Path | None = None
) -> float | None:
    """What hosts of these types and so many addresses cost an hour; None when the price of a type is not known."""
    prices = [find_prices(aws, name, kept_in=kept_in) for name in instance_types]
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None
    return round(sum(price.instance + price.disk for price in known) + addresses * _table().address_hour, 4)


def usd_so_far(prices: Prices | None, resources: Iterable[Found], *, now: datetime) -> float | None:
    """What these resources have cost since they were created; None when a price is not known. What is gone already is not in it."""
    rates = (
        [] if prices is None else [(_rate(prices, found.key or found.kind), _hours(found, now)) for found in resources]
    )
    costs = [rate * max(0.0, hours) for rate, hours in rates if rate is not None]
    return None if prices is None or len(costs) < len(rates) else round(sum(costs), 4)


def price_of(answer: PriceListAnswer) -> float | None:
    """USD an hour in an answer of GetProducts; None when it tells no price, or several."""
    prices = set()
    for text in answer["PriceList"]:
        product = json.loads(text)
        for term in product.get("terms", {}).get("OnDemand", {}).values():
            for dimension in term["priceDimensions"].values():
                usd = float(dimension["pricePerUnit"].get("USD", 0))
                if usd > 0 and dimension.get("unit") == "Hrs":
                    prices.add(usd)
    return prices.pop() if len(prices) == 1 else None


def _from_list(aws: Aws, instance_type: str) -> Prices | None:
    """Prices of AWS's price list, asked once; None for whoever may not ask, or is offline: the table has to do then."""
    from botocore.exceptions import BotoCoreError, ClientError

    if partition_of(aws.region) != "aws":
        return None
    where = next(region for prefix, region in PRICE_LISTS.items() if aws.region.startswith(prefix))
    wanted = {
        "instanceType": instance_type,
        "regionCode": aws.region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "licenseModel": "No License required",
    }
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    try:
        answer = aws.in_region(where).once("pricing").get_products(ServiceCode="AmazonEC2", Filters=filters)
        usd = price_of(answer)
    except (ClientError, BotoCoreError, ValueError, KeyError, TypeError):
        return None
    today = datetime.now(UTC).date().isoformat()
    return None if usd is None else _prices(aws.region, usd, source=f"AWS's price list, asked on {today}")


def _prices(region: str, instance: float, *, source: str) -> Prices:
    table = _table()
    disk = table.disk_gb_month.get(region, max(table.disk_gb_month.values())) * ROOT_VOLUME_GB / HOURS_A_MONTH
    return Prices(instance=round(instance, 6), disk=disk, address=table.address_hour, source=source)


def _size_factor(size: str) -> float | None:
    """How many xlarge a size is; None for metal, which costs a tenth more than its size in some families and not in others."""
    halves = {"small": 0.125, "medium": 0.25, "large": 0.5, "xlarge": 1.0}
    found = re.fullmatch(r"(\d+)xlarge", size)
    return float(found[1]) if found else halves.get(size)


def _rate(prices: Prices, key: str) -> float | None:
    """USD an hour for the resource with this key; 0 for what AWS does not bill, None where a price is not known."""
    if key in prices.hosts:
        return prices.hosts[key]
    kind = KINDS.get(kind_of(key))
    parts = [prices.of(part, layer_of(key)) for part in (kind.billed if kind else ())]
    known = [price for price in parts if price is not None]
    return sum(known) if len(known) == len(parts) else None


def _hours(found: Found, now: datetime) -> float:
    """Hours since it was launched, or, where AWS keeps no such time, since the time in its tag; 0 where that cannot be read."""
    try:
        began = datetime.fromisoformat(found.created) if found.created else from_text(found.tags[TAG_CREATED])
    except (KeyError, ValueError):
        return 0.0
    return (now - began).total_seconds() / 3600


@functools.lru_cache(maxsize=1)
def _table() -> PriceTable:
    import yaml

    return msgspec.convert(yaml.safe_load(TABLE.read_text(encoding="utf-8")), PriceTable)


def _read_kept(path: Path | None) -> dict[str, KeptPrices]:
    try:
        return msgspec.json.decode(read_capped(path, most_bytes=1 << 20), type=dict[str, KeptPrices]) if path else {}
    except (OSError, ValueError, RecursionError):  # nothing there, or nothing that enaxp wrote
        return {}


def _keep(path: Path, kept: Mapping[str, KeptPrices]) -> None:
    """Writes the answers. A failure does no harm: the list is asked again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, msgspec.json.format(msgspec.json.encode(kept)) + b"\n", mode=FOR_ALL)
    except OSError:
        return
