"""Quotas: whether the account has room for what is about to be made — limit, use and need of each, asked for now."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, code_of, in_parallel
from enaxp.lab.checks.findings import Said

WORKERS = 4
# EC2 counts the vCPUs of running on-demand instances by the first letters of their type.
VCPU_QUOTAS = {
    "L-1216C47A": ("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"),
    "L-DB2E81BA": ("g", "gr", "vt"),
    "L-417A185B": ("p",),
    "L-7295265B": ("x",),
    "L-F7808C92": ("hpc",),
    "L-43DA4232": ("u",),
    "L-1945791B": ("inf",),
    "L-2C3B7624": ("trn",),
    "L-74FC7D96": ("f",),
    "L-6E869C2A": ("dl",),
}


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A quota on how many of a kind there may be in a region, and how those in use are counted."""

    kind: str
    words: str
    service: str
    code: str
    count: Callable[[Aws], int]


COUNTED = (
    Counted(
        kind="eip",
        words="Elastic IPs",
        service="ec2",
        code="L-0263D0A3",
        count=lambda aws: len(aws.ec2.describe_addresses()["Addresses"]),
    ),
    Counted(
        kind="vpc",
        words="VPCs",
        service="vpc",
        code="L-F678F1CE",
        count=lambda aws: _pages(aws, "describe_vpcs", "Vpcs"),
    ),
    Counted(
        kind="igw",
        words="internet gateways",
        service="vpc",
        code="L-A4707A72",
        count=lambda aws: _pages(aws, "describe_internet_gateways", "InternetGateways"),
    ),
)


def check_quotas(aws: Aws, *, launching: Mapping[str, int], creating: Callable[[str], int]) -> list[Said]:
    """A line for each quota that what is about to be made counts against; one that may not be read is a warning.

    launching: how many instances of each type.
    """
    checks: list[tuple[str, Callable[[], Said]]] = [
        ("vCPUs", partial(_vcpus, aws, types)) for types in _by_quota(launching)
    ]
    for quota in COUNTED:
        need = creating(quota.kind)
        if need:
            checks.append((quota.words, partial(_counted, aws, quota, need)))
    with ThreadPoolExecutor(WORKERS) as pool:
        said = list(pool.map(lambda check: _safely(*check), checks))
    return said or [Said("ok", "nothing is made that counts against a quota")]


def vcpu_quota(instance_type: str) -> tuple[str, tuple[str, ...]] | None:
    """The quota that a type counts against, and the first letters of all that do; None when it is not known."""
    letters = _letters(instance_type)
    return next(((code, family) for code, family in VCPU_QUOTAS.items() if letters in family), None)


def _by_quota(launching: Mapping[str, int]) -> list[dict[str, int]]:
    """The types that count against one quota together."""
    groups: dict[object, dict[str, int]] = {}
    for name, count in launching.items():
        groups.setdefault(vcpu_quota(name), {})[name] = count
    return list(groups.values())


def _vcpus(aws: Aws, launching: Mapping[str, int]) -> Said:
    quota = vcpu_quota(next(iter(launching)))
    if quota is None:
        return Said("warning", f"vCPUs: which quota {', '.join(launching)} counts against is not known")
    code, family = quota
    limit, (used, each) = in_parallel(lambda: _limit(aws, "ec2", code), lambda: _vcpus_in_use(aws, family, launching))
    need = sum(each[name] * count for name, count in launching.items())
    return _compared("vCPUs", code, limit=limit, used=used, need=need)


def _vcpus_in_use(aws: Aws, family: tuple[str, ...], types: Iterable[str]) -> tuple[int, Mapping[str, int]]:
    """Of running on-demand instances of the family; and what one of each type has, of these types, too."""
    filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    pages = aws.ec2.get_paginator("describe_instances").paginate(Filters=filters)
    instances = [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]
    running = Counter(
        i["InstanceType"]
        for i in instances
        if _letters(i["InstanceType"]) in family and i.get("InstanceLifecycle") != "spot"
    )
    each = _vcpus_of(aws, {*running, *types})
    return sum(each[name] * count for name, count in running.items()), each


def _counted(aws: Aws, quota: Counted, need: int) -> Said:
    limit, used = in_parallel(lambda: _limit(aws, quota.service, quota.code), lambda: quota.count(aws))
    return _compared(quota.words, quota.code, limit=limit, used=used, need=need)


def _compared(words: str, code: str, *, limit: float, used: int, need: int) -> Said:
    text = f"{words}: {need} needed, {used} of {limit:g} in use"
    if used + need > limit:
        return Said("failure", text, f"free some, or ask AWS for a higher quota ({code})")
    return Said("ok", text)


def _safely(words: str, check: Callable[[], Said]) -> Said:
    try:
        return check()
    except (ClientError, BotoCoreError) as error:
        return Said("warning", f"{words}: could not be checked: {code_of(error) or error}")


def _limit(aws: Aws, service: str, code: str) -> float:
    """The account's own value, else AWS's default: one that was never changed is not always listed."""
    try:
        answer = aws.quotas.get_service_quota(ServiceCode=service, QuotaCode=code)
    except ClientError as error:
        if code_of(error) != "NoSuchResourceException":
            raise
        answer = aws.quotas.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)
    return float(answer["Quota"]["Value"])


def _vcpus_of(aws: Aws, types: set[str]) -> dict[str, int]:
    names = sorted(types)
    answers = [
        aws.ec2.describe_instance_types(InstanceTypes=names[start : start + 100])["InstanceTypes"]
        for start in range(0, len(names), 100)
    ]
    return {t["InstanceType"]: int(t["VCpuInfo"]["DefaultVCpus"]) for answer in answers for t in answer}


def _letters(instance_type: str) -> str:
    found = re.match(r"[a-z]+", instance_type)
    return found[0] if found else ""


def _pages(aws: Aws, call: str, items: str) -> int:
    return sum(len(page[items]) for page in aws.ec2.get_paginator(call).paginate())
