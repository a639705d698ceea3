"""Quotas: whether the account's quotas allow what the plan creates: limit, usage and need of each, read now."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, code_of, in_batches, in_parallel, matching
from enaxp.lab.checks.findings import Said
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.base import Ec2Kind, Quota

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import InstanceTypeType

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


def check_quotas(aws: Aws, *, launching: Mapping[str, int], creating: Mapping[str, int]) -> list[Said]:
    """A finding for each quota that the plan counts against; a quota that may not be read is a warning.

    launching: the number of instances to launch, by type. creating: the number of resources to create, by kind.
    """
    checks: list[tuple[str, Callable[[], Said]]] = [
        ("vCPUs", partial(_vcpus, aws, types)) for types in _by_quota(launching)
    ]
    counted = [(kind.quota, kind) for kind in KINDS.values() if isinstance(kind, Ec2Kind) and kind.quota]
    for quota, kind in sorted(counted, key=lambda one: one[0].words):
        need = creating.get(kind.name, 0)
        if need:
            checks.append((quota.words, partial(_counted, aws, quota, kind, need)))
    with ThreadPoolExecutor(WORKERS) as pool:
        said = list(pool.map(lambda check: _safely(*check), checks))
    return said or [Said("ok", "nothing is made that counts against a quota")]


def vcpu_quota(instance_type: str) -> tuple[str, tuple[str, ...]] | None:
    """The quota that an instance type counts against, and the family letters of all types that do; None if unknown."""
    letters = _letters(instance_type)
    return next(((code, family) for code, family in VCPU_QUOTAS.items() if letters in family), None)


def _by_quota(launching: Mapping[str, int]) -> list[dict[str, int]]:
    """The types grouped by the quota that they count against."""
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
    """The vCPUs of running on-demand instances that count against the quota, and the vCPUs of one instance of each type, `types`
    included."""
    living = matching({"instance-state-name": ["pending", "running"]})
    pages = aws.ec2.get_paginator("describe_instances").paginate(Filters=living)
    instances = [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]
    running = Counter(
        i["InstanceType"]
        for i in instances
        if _letters(i["InstanceType"]) in family and i.get("InstanceLifecycle") != "spot"
    )
    each = _vcpus_of(aws, {*running, *types})
    return sum(each[name] * count for name, count in running.items()), each


def _counted(aws: Aws, quota: Quota, kind: Ec2Kind, need: int) -> Said:
    limit, used = in_parallel(lambda: _limit(aws, quota.service, quota.code), lambda: kind.count(aws))
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
    """The account's value, else AWS's default: a quota that was never changed is not always listed for the account."""
    try:
        return aws.quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]
    except ClientError as error:
        if code_of(error) != "NoSuchResourceException":
            raise
    return aws.quotas.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]


def _vcpus_of(aws: Aws, types: set[str]) -> dict[str, int]:
    names = cast("list[InstanceTypeType]", sorted(types))
    answers = [aws.ec2.describe_instance_types(InstanceTypes=some)["InstanceTypes"] for some in in_batches(names, 100)]
    return {t["InstanceType"]: t["VCpuInfo"]["DefaultVCpus"] for answer in answers for t in answer}


def _letters(instance_type: str) -> str:
    found = re.match(r"[a-z]+", instance_type)
    return found[0] if found else ""
