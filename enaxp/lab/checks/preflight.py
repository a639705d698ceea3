"""Preflight: checks before the first resource is created, so that a lab that cannot be built fails early.

    Snapshot ─▶ checks in parallel ─▶ Report: passes, warnings and failures, each with what to do

A check that cannot be made is a warning: a caller without permission to read quotas may still build a lab.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, code_of, text_of
from enaxp.config import Config
from enaxp.errors import EnaxpError, LabError
from enaxp.lab.checks.findings import Finding, Report, Said
from enaxp.lab.checks.given import check_given
from enaxp.lab.checks.permissions import probe, probes
from enaxp.lab.checks.quotas import check_quotas
from enaxp.lab.checks.reach import check_reach
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.compute import InstanceWant
from enaxp.lab.lifecycle import Snapshot
from enaxp.lab.model import TAG_LAB_ID
from enaxp.lab.resolved import check_type, offering_zones

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef

WORKERS = 8
CANONICAL = "099720109477"  # the account that publishes Ubuntu's images


def preflight_report(snapshot: Snapshot, *, config: Config, aws: Aws) -> Report:
    """Runs every check on the snapshot's plan. Changes nothing."""
    flight = Flight(snapshot=snapshot, config=config, aws=aws)
    with ThreadPoolExecutor(WORKERS) as pool:
        results = [pool.submit(_run, name, check, flight) for name, check in CHECKS.items()]
        return Report(findings=tuple(finding for result in results for finding in result.result()))


@dataclass(frozen=True, kw_only=True)
class Flight:
    """The input of the checks."""

    snapshot: Snapshot
    config: Config
    aws: Aws

    def creating(self) -> Counter[str]:
        """The number of resources of each kind that the plan creates."""
        return Counter(step.kind for step in self.snapshot.plan.with_action("create"))

    def launching(self) -> list[InstanceWant]:
        """The instances that the plan launches."""
        keys = {step.key for step in self.snapshot.plan.with_action("create")}
        wants = [resource.want for resource in self.snapshot.resources if resource.key in keys]
        return [want for want in wants if isinstance(want, InstanceWant)]

    def hosts(self) -> list[InstanceWant]:
        """The hosts of every wanted pair."""
        wants = [one.want for one in self.snapshot.resources if one.layer == "compute"]
        return [want for want in wants if isinstance(want, InstanceWant)]

    def types(self) -> list[str]:
        """The instance types of the pairs' hosts."""
        return list(dict.fromkeys(want.type for want in self.hosts())) or [self.config.hosts.instance_type]


def _run(name: str, check: Callable[[Flight], list[Said]], flight: Flight) -> list[Finding]:
    try:
        said = check(flight)
    except LabError as error:
        said = [Said("failure", error.in_one_line, error.todo)]
    except EnaxpError as error:
        said = [Said("warning", f"could not be checked: {error.in_one_line}")]
    except (ClientError, BotoCoreError) as error:
        said = [Said("warning", f"could not be checked: {code_of(error)}: {text_of(error)}")]
    return [Finding(check=name, level=level, text=text, todo=todo) for level, text, todo in said]


def _identity(flight: Flight) -> list[Said]:
    """The finding that names account and caller. (`aws.account` is enforced earlier: no snapshot is made for another account.)"""
    caller = flight.aws.caller
    guarded = "the one that aws.account allows" if flight.config.aws.account else "any (aws.account is not set)"
    return [Said("ok", f"{caller['Arn']} in account {caller['Account']}, {guarded}")]


def _instance_type(flight: Flight) -> list[Said]:
    architectures = {name: check_type(flight.aws, name) for name in flight.types()}
    return [Said("ok", f"{name} ({architecture}) supports ENA Express") for name, architecture in architectures.items()]


def _zone(flight: Flight) -> list[Said]:
    zone = flight.snapshot.resolved.availability_zone
    wants = [*flight.hosts(), *flight.launching()]
    asked = dict.fromkeys([*((want.type, want.zone) for want in wants)] or [(flight.types()[0], zone)])
    return [_offer(flight, name, in_zone) for name, in_zone in asked]


def _offer(flight: Flight, name: str, zone: str) -> Said:
    offered = offering_zones(flight.aws, name)
    if zone in offered:
        return Said("ok", f"{zone} offers {name}; so do {', '.join(z for z in offered if z != zone) or 'no others'}")
    where = ", ".join(offered) or "no zone"
    todo = "set network.availability_zone (or network.subnet_id) to one of these, after `enaxp down`"
    return Said("failure", f"{zone} does not offer {name}; offered in: {where}", todo)


def _quotas(flight: Flight) -> list[Said]:
    launching = Counter(want.type for want in flight.launching())
    return check_quotas(flight.aws, launching=launching, creating=flight.creating())


def _permissions(flight: Flight) -> list[Said]:
    """The findings on permissions. All missing ones are listed together, so that they can be requested at once."""
    answers = probe(flight.aws, probes(flight.snapshot))
    by = {verdict: [a for a in answers if a.verdict == verdict] for verdict in {a.verdict for a in answers}}
    said: list[Said] = []
    if by.get("denied"):
        names = ", ".join(sorted(answer.action for answer in by["denied"]))
        said.append(
            Said("failure", f"not allowed: {names}", "ask for these; `enaxp policy` prints all that enaxp needs")
        )
    if by.get("perhaps denied"):
        names = ", ".join(sorted(answer.action for answer in by["perhaps denied"]))
        said.append(Said("warning", f"perhaps not allowed (asked about an id of nothing): {names}"))
    said += [Said("failure", f"{answer.action} would be refused: {answer.said}") for answer in by.get("refused", [])]
    told = len(by.get("allowed", []))
    rest = f"; of {len(by['unknown'])} others nothing can be told before" if by.get("unknown") else ""
    said.append(Said("ok", f"{told} EC2 actions are allowed{rest}; IAM cannot be asked"))
    return said


def _names(flight: Flight) -> list[Said]:
    taken: list[Said] = []
    snapshot = flight.snapshot
    missing = [one for one in snapshot.resources if one.owned and one.key not in snapshot.survey.found]
    named = [resource for resource in missing if KINDS[resource.kind].unique_by_name]
    with ThreadPoolExecutor(WORKERS) as pool:
        looks = list(pool.map(lambda resource: KINDS[resource.kind].look(flight.aws, resource.name), named))
    for resource, found in zip(named, looks, strict=True):
        if found is not None and found.tags.get(TAG_LAB_ID) != snapshot.lab.lab_id:
            whose = f"lab-id {found.tags[TAG_LAB_ID]}" if TAG_LAB_ID in found.tags else "nothing of enaxp's"
            text = f"the {resource.kind} {resource.name} is there already and is not this lab's ({whose})"
            taken.append(Said("failure", text, "use another --lab, or remove it if it is yours"))
    return taken or [Said("ok", "no name that the lab needs is taken")]


def _image(flight: Flight) -> list[Said]:
    images = dict.fromkeys((want.image, want.type) for want in flight.hosts())
    asked = images or {(flight.snapshot.resolved.ami, flight.config.hosts.instance_type): None}
    return [said for image, instance_type in asked for said in _one_image(flight, image, instance_type)]


def _one_image(flight: Flight, image: str, instance_type: str) -> list[Said]:
    todo = "set hosts.ami to another one"
    try:
        images = flight.aws.ec2.describe_images(ImageIds=[image])["Images"]
    except ClientError as error:
        if not code_of(error).startswith("InvalidAMIID"):
            raise
        images = []
    if not images:
        return [Said("failure", f"{image} is not to be had in {flight.aws.region}", todo)]
    found, wanted = images[0], check_type(flight.aws, instance_type)
    said: list[Said] = []
    if found.get("State", "available") != "available":
        said.append(Said("failure", f"{image} is {found['State']}", todo))
    if found["Architecture"] != wanted:
        text = f"{image} is for {found['Architecture']}, {instance_type} is {wanted}"
        said.append(Said("failure", text, todo))
    if not found.get("EnaSupport", True):
        said.append(Said("failure", f"{image} has no ENA driver", todo))
    if _is_ubuntu(found, ssh_user=flight.config.hosts.ssh_user) and _attaches_later(flight, image):
        text = f"{image} is Ubuntu, whose first boot does not configure an interface that is attached while it runs, and waits for it"
        said.append(
            Said("failure", text, "set hosts.address: public, so that both interfaces are there from the launch")
        )
    return said or [Said("ok", f"{image}: {found.get('Name') or 'no name'}")]


def _is_ubuntu(image: ImageTypeDef, *, ssh_user: str) -> bool:
    """Whether an image is Canonical's, or one made from it: that keeps its user, and mostly its name."""
    return image.get("OwnerId") == CANONICAL or "ubuntu" in image.get("Name", "").lower() or ssh_user == "ubuntu"


def _attaches_later(flight: Flight, image: str) -> bool:
    """Whether hosts with this image get their second interface while they run, because AWS assigns their public address."""
    return any(want.image == image and want.primary is not None for want in flight.hosts())


def _given(flight: Flight) -> list[Said]:
    return check_given(flight.config, flight.snapshot, flight.aws)


def _reach(flight: Flight) -> list[Said]:
    return check_reach(flight.config, flight.aws)


CHECKS: dict[str, Callable[[Flight], list[Said]]] = {
    "identity": _identity,
    "instance type": _instance_type,
    "zone": _zone,
    "quotas": _quotas,
    "permissions": _permissions,
    "names": _names,
    "image": _image,
    "given resources": _given,
    "reach": _reach,
}
