"""Cost: what a lab costs per hour and has cost so far, in USD, from on-demand list prices.

    instance type ─▶ find_prices() (price list of AWS, else the dated table `prices.yaml`) ─▶ Prices
    Prices × what each kind is billed for ─▶ usd_per_hour(), usd_so_far()

It is an estimate, and shown as one: hosts, their disks and public addresses are counted, traffic is not. Traffic between hosts in one
zone is free; between two zones it is billed at both ends (`usd_between_zones`). An unknown price is None, never 0.
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
    """Prices in USD per hour for one of each. source: where the instance price comes from, in words. monitoring: the price of the
    monitoring host, None if unknown. hosts: in a fleet, the price of each host with everything billed with it, by key, because variants
    have different types."""

    instance: float
    disk: float
    address: float
    source: str
    monitoring: float | None = None
    hosts: Mapping[str, float | None] = field(default_factory=dict)

    def of(self, part: BilledPart, layer: Layer) -> float | None:
        """The price of one billed item; None if unknown."""
        if part == "instance":
            return self.monitoring if layer == "monitoring" else self.instance
        return self.disk if part == "disk" else self.address


@dataclass(frozen=True, kw_only=True)
class KeptPrices:
    """A cached answer of the price list, and its date."""

    on: date
    prices: Prices


@dataclass(frozen=True, kw_only=True)
class RegionPrices:
    """Prices of one region in `prices.yaml`, in USD. xlarge_hour: per hour of an xlarge, by family. disk_gb_month: per GB of disk."""

    dated: str
    disk_gb_month: float
    xlarge_hour: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class PriceTable:
    """The content of `prices.yaml`."""

    address_hour: float
    regions: Mapping[str, RegionPrices]


class PriceListAnswer(TypedDict):
    """The part of GetProducts' answer that is read: one JSON text per product."""

    PriceList: list[str]


def find_prices(aws: Aws, instance_type: str, *, kept_in: Path | None = None) -> Prices | None:
    """The prices of a type in the region of `aws`: from AWS's price list if permitted, else from the table; None if neither has the type.

    kept_in: a cache file for answers of the price list.
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
    """The prices in the package's table; None for a type or region that is not in it."""
    there = _table().regions.get(region)
    family, _, size = instance_type.partition(".")
    xlarge, factor = there.xlarge_hour.get(family) if there else None, _size_factor(size)
    if there is None or xlarge is None or factor is None:
        return None
    return _prices(region, xlarge * factor, source=f"enaxp's table of {there.dated}")


def usd_between_zones(gigabytes: float) -> float:
    """The cost in USD of moving this many GB (10⁹ bytes) between two zones of a region: 0.01 USD per GB at each end."""
    return gigabytes * USD_A_GB_BETWEEN_ZONES


def usd_per_hour(prices: Prices | None, keys: Iterable[str]) -> float | None:
    """The cost of the resources with these keys in USD per hour; None if a price is unknown."""
    rates = [] if prices is None else [_rate(prices, key) for key in keys]
    known = [rate for rate in rates if rate is not None]
    return None if prices is None or len(known) < len(rates) else round(sum(known), 4)


def usd_per_hour_of(
    aws: Aws, *, instance_types: Iterable[str], addresses: int, kept_in: Path | None = None
) -> float | None:
    """The cost in USD per hour of one host of each of these types and this many addresses; None if the price of a type is unknown."""
    prices = [find_prices(aws, name, kept_in=kept_in) for name in instance_types]
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None
    return round(sum(price.instance + price.disk for price in known) + addresses * _table().address_hour, 4)


def usd_so_far(prices: Prices | None, resources: Iterable[Found], *, now: datetime) -> float | None:
    """The cost in USD of these resources since they were created; None if a price is unknown. Resources already deleted are not
    included; those that AWS does not bill, and those whose creation time cannot be read, count 0."""
    rates = (
        [] if prices is None else [(_rate(prices, found.key or found.kind), _hours(found, now)) for found in resources]
    )
    costs = [rate * max(0.0, hours) for rate, hours in rates if rate is not None]
    return None if prices is None or len(costs) < len(rates) else round(sum(costs), 4)


def price_of(answer: PriceListAnswer) -> float | None:
    """The USD per hour in an answer of GetProducts; None if it has no price, or several."""
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
    """The prices from AWS's price list, requested once; None without permission or network: the table is used then."""
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
    there = table.regions.get(region)
    # What the table does not know is as dear as the dearest that it does know.
    gb_month = there.disk_gb_month if there else max(one.disk_gb_month for one in table.regions.values())
    disk = gb_month * ROOT_VOLUME_GB / HOURS_A_MONTH
    return Prices(instance=round(instance, 6), disk=disk, address=table.address_hour, source=source)


def _size_factor(size: str) -> float | None:
    """The size as a multiple of xlarge; None for metal, whose price has no fixed ratio (in some families it costs a tenth more than its
    size)."""
    halves = {"small": 0.125, "medium": 0.25, "large": 0.5, "xlarge": 1.0}
    found = re.fullmatch(r"(\d+)xlarge", size)
    return float(found[1]) if found else halves.get(size)


def _rate(prices: Prices, key: str) -> float | None:
    """USD per hour of the resource with this key; 0 if AWS does not bill it, None if its price is unknown."""
    if key in prices.hosts:
        return prices.hosts[key]
    kind = KINDS.get(kind_of(key))
    parts = [prices.of(part, layer_of(key)) for part in (kind.billed if kind else ())]
    known = [price for price in parts if price is not None]
    return sum(known) if len(known) == len(parts) else None


def _hours(found: Found, now: datetime) -> float:
    """Hours since the resource was launched, or, if AWS stores no such time, since the time in its tag; 0 if that cannot be read."""
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
    """Writes the cache file. A failure is ignored: the price list is requested again next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, msgspec.json.format(msgspec.json.encode(kept)) + b"\n", mode=FOR_ALL)
    except OSError:
        return
