"""A lab whose commands run under exactly the policy that `enaxp policy` prints for its config, in the strict AWS.

    Variant (what the config names) ─▶ given resources, made by somebody who may do everything ─▶ policies on the caller ─▶ life()

What a command denies itself is seen in the calls: any that AWS refused for want of a permission is in `denied`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from enaxp.aws import Aws
from enaxp.commands import labs as lab_commands
from enaxp.commands.doctor import host_gbps, place_of
from enaxp.commands.lab import bring_up, preflight, remove_layers
from enaxp.commands.policy import policy_document
from enaxp.commands.status import current_status, look_at
from enaxp.config import load_config
from enaxp.lab import extend
from enaxp.lab.keys import load_or_generate, save
from enaxp.lab.lifecycle import Target
from enaxp.lab.model import TAG_BENCH, Layer
from enaxp.lab.plan import Plan
from enaxp.lab.policy import policies_of
from enaxp.lab.srd import set_srd
from enaxp.lab.state import StateFile
from enaxp.lab.state_manager import wait_for_software
from enaxp.lab.tags import put_tags
from enaxp.local.strict import Quotas, StrictServer, Timing, serve
from enaxp.options import Options
from enaxp.session import Session
from enaxp.terminal.console import Console
from tests.support.strict_lab import TRUST

DENIALS = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
GIVEN_PROFILE, GIVEN_ROLE, GIVEN_KEY = "theirs", "their-role", "their-key"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """values: of the config, by their path; `$vpc`, `$subnet`, `$key` stand for what is made beforehand."""

    name: str
    values: Mapping[str, object] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ("network", "compute", "monitoring")


def variants() -> list[Variant]:
    """Every way in which a config decides what enaxp calls."""
    given_vpc = {
        "network.vpc_id": "$vpc",
        "network.subnet_cidr": "10.0.3.0/24",
        "monitoring.subnet_cidr": "10.0.4.0/24",
    }
    given_vpc |= {f"hosts.{host}.{arm}": f"10.0.3.{n}" for host, arm, n in _ADDRESSES}
    subnet = {**given_vpc, "network.subnet_id": "$subnet", "monitoring.subnet_cidr": "auto"}
    hosts = {"hosts.instance_profile": GIVEN_PROFILE, "hosts.key": "$key"}
    private = {"hosts.address": "private", "network.ssh_cidr": "10.0.0.0/8"}
    built: tuple[Layer, ...] = ("network", "compute")
    return [
        Variant(name="as it comes"),
        Variant(name="without monitoring", layers=built),
        Variant(name="given VPC", values=given_vpc),
        Variant(name="given subnet", values=subnet, layers=built),
        Variant(name="given profile", values={"hosts.instance_profile": GIVEN_PROFILE}),
        Variant(name="given key", values={"hosts.key": "$key"}),
        Variant(name="no placement group", values={"placement": "none"}),
        Variant(name="private addresses", values={**given_vpc, **private}),
        Variant(name="another region", values={"aws.region": "eu-west-1", "lab": "far"}),
        Variant(name="without Systems Manager", values={"hosts.ssm": False}),
        Variant(
            name="a fleet across zones",
            values={"fleet": {"pairs": 1, "variants": {"near": {}, "far": {"placement": "zones"}}}},
            layers=built,
        ),
        Variant(name="a fleet in a given subnet", values={**subnet, "fleet.pairs": 1}, layers=built),
        Variant(name="everything given", values={**subnet, **hosts, **private, "placement": "none"}, layers=built),
    ]


_ADDRESSES = (
    ("server", "ena_ip", 10),
    ("server", "ena_express_ip", 11),
    ("client", "ena_ip", 20),
    ("client", "ena_express_ip", 21),
)


class PermittedLab:
    """One variant in one cloud."""

    def __init__(self, variant: Variant, server: StrictServer, folder: Path) -> None:
        self.variant = variant
        self.server = server
        self.folder = folder
        region = str(variant.values.get("aws.region", "us-east-1"))
        self.aws = Aws(
            region=region, endpoint_url=server.endpoint_url, access_key="x", secret_key="x", poll_s=0.02, grace_s=0.4
        )
        given = self._given()
        self.overrides = {path: given.get(str(value), value) for path, value in variant.values.items()}
        self.config = load_config(overrides=self.overrides)

    def _given(self) -> dict[str, Any]:
        """What is somebody else's, made with all permissions: by the sign that stands for it in a variant."""
        ec2, iam = self.aws.ec2, self.aws.iam
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.3.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        if "network.subnet_id" in self.variant.values:
            gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
            ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
            table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
            ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        else:
            ec2.delete_subnet(SubnetId=subnet)
        private_key = self.folder / "their.pem"
        save(load_or_generate(private_key), private_key)
        ec2.create_key_pair(KeyName=GIVEN_KEY)
        iam.create_role(RoleName=GIVEN_ROLE, AssumeRolePolicyDocument=TRUST)
        managed = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        iam.attach_role_policy(RoleName=GIVEN_ROLE, PolicyArn=managed)
        iam.create_instance_profile(InstanceProfileName=GIVEN_PROFILE)
        iam.add_role_to_instance_profile(InstanceProfileName=GIVEN_PROFILE, RoleName=GIVEN_ROLE)
        key = {"name": GIVEN_KEY, "private_key": str(private_key)}
        return {"$vpc": vpc, "$subnet": subnet, "$key": key}

    def restrict(self) -> None:
        """From now on the caller has the policies that `enaxp policy` prints, and nothing else."""
        self.of_others = self.server.resources()
        self.server.put_policies(policies_of(self.config, given_role=GIVEN_ROLE))
        self.server.forget_calls()

    def session(self, folder: str = "state") -> Session:
        """As a command has it, its state file read anew."""
        state = self.folder / folder
        state.mkdir(exist_ok=True)
        file = StateFile(state, self.config.lab)
        file.load()
        return Session(
            options=Options(state_dir=state),
            config=self.config,
            target=Target(name="aws"),
            aws=self.aws,
            file=file,
            console=Console(as_json=False),
        )

    @property
    def denied(self) -> list[str]:
        """Calls that were refused for want of a permission. What was only asked about named nothing that exists."""
        refused = (call for call in self.server.calls if call.code in DENIALS and not call.dry_run)
        return sorted({f"{call.service}:{call.action}" for call in refused})

    @contextlib.contextmanager
    def everything_allowed(self) -> Iterator[None]:
        """For what others do meanwhile."""
        policies = policies_of(self.config, given_role=GIVEN_ROLE)
        self.server.lift_policies()
        try:
            yield
        finally:
            self.server.put_policies(policies)

    # -- the life of a lab, command by command ---------------------------------------------------------------------------

    def plan(self) -> Plan:
        return look_at(self.session(), self.variant.layers).plan

    def up(self) -> None:
        session = self.session()
        built = bring_up(session, layers=self.variant.layers, assume_yes=True)
        if self.config.hosts.ssm:
            wait_for_software(
                built.snapshot,
                self.aws,
                changed=built.changed,
                log_of=lambda *_: "",
                restart_agent=lambda _role: None,
                say=lambda _text: None,
            )

    def status(self) -> None:
        current_status(self.session())

    def doctor_preflight(self) -> None:
        """Under the very policy that it prints nothing may be said to be missing."""
        said = [finding for finding in preflight(self.session()).findings if finding.check == "permissions"]
        assert [finding.level for finding in said] == ["ok"], said

    def doctor(self) -> None:
        """What `doctor` and a bench ask AWS about the hosts."""
        self.doctor_preflight()
        session = self.session()
        status = current_status(session)
        place_of(session, status)
        host_gbps(session, status)

    def bench(self) -> None:
        """What a bench calls: its hosts are marked, ENA Express goes to the other interfaces and back."""
        status = current_status(self.session())
        hosts = [found for key, found in look_at(self.session()).survey.found.items() if key.startswith("instance/")]
        put_tags(self.aws, hosts, {TAG_BENCH: "2026-01-31T12:00:00Z"})
        for host in status.hosts.values():
            assert host.ena is not None
            assert host.ena_express is not None
            for eni, on in ((host.ena_express.eni, False), (host.ena.eni, True), (host.ena.eni, False)):
                set_srd(self.aws, eni=eni, on=on)

    def extend(self) -> None:
        session = self.session()
        snapshot = look_at(session)
        ends = extend.new_end(snapshot, session.file, by_s=3600, now=snapshot.lab.created_at)
        extend.remember(snapshot, aws=self.aws, file=session.file, ends=ends)

    def ls(self) -> None:
        assert lab_commands.standing_labs(self.session(), everywhere=False)
        assert lab_commands.standing_labs(self.session(), everywhere=True)

    def policy(self) -> None:
        """`enaxp policy` itself, which asks which role is in a given profile."""
        printed = policy_document(self.config, self.aws, role=None, part=1, say=lambda _text: None)
        by_name = policies_of(self.config, given_role=f"arn:aws:iam::123456789012:role/{GIVEN_ROLE}")
        assert printed == by_name[0]

    def adopt(self) -> None:
        """Another computer, without the state: it looks, and the lab is found by its tags."""
        look_at(self.session("other-state"))

    def down(self, *layers: Layer) -> None:
        removal = remove_layers(self.session(), layers=layers)
        assert not removal.leftovers

    def down_by_id(self) -> None:
        session = self.session("third-state")
        [lab] = lab_commands.standing_labs(session, everywhere=False)
        [done] = lab_commands.remove_labs(session, lab_commands.labs_with_id(session, lab.lab_id), force=True)
        assert done.is_done, done

    def spoil(self) -> None:
        """Somebody changes what `up` then mends, one setting of each kind that has some."""
        with self.everything_allowed():
            found = look_at(self.session()).survey.found
            owned = {key for key, entry in self.session().file.state.resources.items() if entry.owned}
            for key, spoiling in _spoilings(found).items():
                if key in owned:
                    spoiling(self.aws)


def _spoilings(found: Mapping[str, Any]) -> dict[str, Callable[[Aws], object]]:
    """By key: what changes a setting of that resource."""
    anywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    spoilings: dict[str, Callable[[Aws], object]] = {}
    if (vpc := found.get("vpc")) is not None:
        off = {"Value": False}
        spoilings["vpc"] = lambda aws: aws.ec2.modify_vpc_attribute(VpcId=vpc.id, EnableDnsHostnames=off)
    if (group := found.get("security-group")) is not None:
        spoilings["security-group"] = lambda aws: aws.ec2.revoke_security_group_egress(
            GroupId=group.id, IpPermissions=[anywhere]
        )
    if (table := found.get("route-table")) is not None and table.facts["associations"]:
        spoilings["route-table"] = lambda aws: aws.ec2.disassociate_route_table(
            AssociationId=table.facts["associations"][0]
        )
    if (address := found.get("eip/client")) is not None:
        spoilings["eip/client"] = lambda aws: aws.ec2.disassociate_address(AssociationId=address.facts["association"])
    if (role := found.get("role")) is not None:
        spoilings["role"] = lambda aws: [
            aws.iam.detach_role_policy(RoleName=role.id, PolicyArn=arn) for arn in role.facts["policies"]
        ]
    if (profile := found.get("instance-profile")) is not None:
        spoilings["instance-profile"] = lambda aws: aws.iam.remove_role_from_instance_profile(
            InstanceProfileName=profile.id, RoleName=profile.facts["role"]
        )
    if (eni := found.get("eni/server-express")) is not None:
        spoilings["eni/server-express"] = partial(_spoil_interface, eni=eni.id)
    for key in ("instance/main-1/client", "instance/far-1/client"):
        if (host := found.get(key)) is not None:
            spoilings[key] = partial(_stop, instance=host.id)
    if (host := found.get("instance/near-1/server")) is not None:
        attachment = host.facts["attachments"][1]
        spoilings[host.key] = lambda aws: aws.ec2.detach_network_interface(AttachmentId=attachment)
    return spoilings


def _stop(aws: Aws, *, instance: str) -> None:
    """As somebody's scheduler does, and starts it again, by which it loses its public address for good."""
    aws.ec2.stop_instances(InstanceIds=[instance])
    aws.ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
    aws.ec2.start_instances(InstanceIds=[instance])
    aws.ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})


def _spoil_interface(aws: Aws, *, eni: str) -> None:
    set_srd(aws, eni=eni, on=False)
    [described] = aws.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
    groups = aws.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [described["VpcId"]]}])
    [default] = [group["GroupId"] for group in groups["SecurityGroups"] if group["GroupName"] == "default"]
    aws.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[default])


@contextlib.contextmanager
def permitted_lab(variant: Variant, folder: Path) -> Iterator[PermittedLab]:
    """The variant in a cloud of its own, restricted already."""
    server = serve(timing=Timing.instant(), quotas=Quotas(vpcs=20, addresses=20, internet_gateways=20))
    try:
        lab = PermittedLab(variant, server, folder)
        lab.restrict()
        yield lab
    finally:
        server.stop()


__all__ = ["PermittedLab", "Variant", "permitted_lab", "variants"]
