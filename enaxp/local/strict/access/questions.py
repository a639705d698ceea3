"""What a call asks for: one question for each resource that AWS judges it on, with the condition keys that it knows there.

    call ─▶ its own action, on what it names and on what it makes
        ├─▶ the tagging that goes with a create (ec2:CreateTags, iam:TagRole …)
        └─▶ iam:PassRole, for a role that is given to EC2

What a call names without an id of its own (an address by its association, a subnet by an interface in it) is looked up in moto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from enaxp.local.strict.access.actions import NEW_TAGS, TAG_KEYS, TAGS, ResourceType, resource_types
from enaxp.local.strict.access.policies import Question, as_context
from enaxp.local.strict.resource_types import BY_NAME, MADE_BY, NAMED_BY, TYPE_BY_PREFIX, Standing

if TYPE_CHECKING:
    from enaxp.local.strict.ssm.runs import ScriptRuns

# Type → members of a request that name some, of the services without ids of EC2's form.
MEMBERS = {
    "association": ("AssociationId", "AssociationIds"),
    "document": ("Name",),
    "parameter": ("Name", "Names"),
    "role": ("RoleName",),
    "instance-profile": ("InstanceProfileName",),
    "repository": ("repositoryName", "repositoryNames"),
}
# A create with tags is also one of these, on what it makes.
TAGGING = {
    "iam:CreateRole": "iam:TagRole",
    "iam:CreateInstanceProfile": "iam:TagInstanceProfile",
    "ssm:CreateDocument": "ssm:AddTagsToResource",
    "ssm:CreateAssociation": "ssm:AddTagsToResource",
    "ecr:CreateRepository": "ecr:TagResource",
}
NEW = "*"  # the id of what does not exist yet


class Account(Standing, Protocol):
    """What the emulated account has besides moto's own, as far as the questions look at it."""

    runs: ScriptRuns


@dataclass(frozen=True, kw_only=True)
class JudgedCall:
    """A call as the service read it. get: a member by its path, such as `Placement.GroupName`; service and action as IAM calls them."""

    service: str
    action: str
    get: Callable[[str], Any]
    region: str
    account: str
    partition: str
    world: Account

    @property
    def name(self) -> str:
        return f"{self.service}:{self.action}"

    def all(self, *members: str) -> list[str]:
        """The ids that these members of the request name, each once."""
        given = (self.get(member) for member in members)
        listed = [one for value in given for one in (value if isinstance(value, list) else [value])]
        return list(dict.fromkeys(one for one in listed if isinstance(one, str) and one))

    def arn(self, service: str, resource: str, *, account: str | None = None, region: str | None = None) -> str:
        account, region = self.account if account is None else account, self.region if region is None else region
        return f"arn:{self.partition}:{service}:{region}:{account}:{resource}"


def questions_of(call: JudgedCall) -> list[Question]:
    """Everything that must be allowed for this call. Raises KeyError for an action of which nothing is known here."""
    resources = _Ec2(call) if call.service == "ec2" else _Named(call)
    return [*_of_the_action(call, resources), *resources.besides()]


def _of_the_action(call: JudgedCall, resources: _Named) -> Iterator[Question]:
    asked = [
        _question(call.name, known, resources, id)
        for known in resource_types(call.name)
        for id in resources.of(known) or ((NEW,) if known.required else ())
    ]
    yield from asked or [Question(action=call.name, resource="*", context=as_context(_everywhere(call)))]


def _question(action: str, known: ResourceType, resources: _Named, id: str) -> Question:
    call = resources.call
    keys = resources.keys(known.name, id, known.keys)
    return Question(
        action=action, resource=resources.arn(known.name, id), context=as_context({**_everywhere(call), **keys})
    )


def _everywhere(call: JudgedCall) -> dict[str, str]:
    """Keys of every request. A global service is asked in its one region."""
    region = "us-east-1" if call.service in {"iam", "sts"} else call.region
    own = {"ec2:Region": region} if call.service == "ec2" else {}
    return {
        "aws:RequestedRegion": region,
        "aws:PrincipalArn": f"arn:{call.partition}:iam::{call.account}:user/moto",
        **own,
    }


class _Named:
    """What a call of IAM, SSM, ECR or Service Quotas names."""

    def __init__(self, call: JudgedCall) -> None:
        self.call = call

    def of(self, known: ResourceType) -> list[str]:
        """Ids (or names) of this type that the call names."""
        call = self.call
        if known.name == "managed-instance":
            return [id for id in call.all("InstanceId", "ResourceId") if id.startswith("mi-")]
        if call.action in {"AddTagsToResource", "ListTagsForResource"} and call.service == "ssm":
            return call.all("ResourceId") if known.name == str(call.get("ResourceType")).lower() else []
        if known.name == "instance":
            targets = [target for target in call.get("Targets") or [] if target.get("Key") == "InstanceIds"]
            return [*call.all("InstanceId"), *(id for target in targets for id in target.get("Values", []))]
        named = call.all(*MEMBERS.get(known.name, ()))
        if known.name == "document" and not named:
            associations = call.world.runs.associations
            named = [associations[id].document for id in call.all("AssociationId") if id in associations]
        if known.name == "repository" and not named:
            named = [arn.partition("repository/")[2] for arn in call.all("resourceArn")]
        return named

    def arn(self, kind: str, id: str) -> str:
        call = self.call
        if kind in {"role", "instance-profile"}:
            return call.arn("iam", f"{kind}/{id}", region="")
        if kind == "instance":
            return call.arn("ec2", f"instance/{id}")
        if kind == "parameter":
            return call.arn("ssm", f"parameter/{id.lstrip('/')}", account="" if id.startswith("/aws/") else None)
        return call.arn(call.service, f"{kind}/{id}")

    def keys(self, kind: str, id: str, known: frozenset[str]) -> dict[str, str | list[str]]:
        """The condition keys that this action knows of this type, with their values here."""
        facts: dict[str, str | list[str] | None] = {"iam:PolicyARN": self.call.get("PolicyArn")}
        if kind == "document":
            facts["ssm:DocumentType"] = "Command"
        return {**_told(facts, known), **_tag_keys(known, self.tags(kind, id), self.new_tags(kind))}

    def new_tags(self, kind: str) -> dict[str, str]:
        """The tags that the request puts on what it creates or tags."""
        return _as_tags(self.call.get("Tags") or self.call.get("tags"))

    def tags(self, kind: str, id: str) -> dict[str, str]:
        """The tags of a resource; empty if there is no such resource."""
        from moto.ec2.models import ec2_backends
        from moto.ecr.models import ecr_backends
        from moto.iam.models import iam_backends
        from moto.ssm.models import ssm_backends

        call = self.call
        account = call.account
        if kind == "role":
            roles = iam_backends[account][call.partition].roles.values()
            return next((_as_tags(role.tags) for role in roles if role.name == id), {})
        if kind == "instance-profile":
            profiles = iam_backends[account][call.partition].instance_profiles.values()
            return next((_as_tags(profile.tags) for profile in profiles if profile.name == id), {})
        if kind == "instance":
            return dict(ec2_backends[account][call.region].tags.get(id, {}))
        if kind in {"document", "association"}:
            return dict(ssm_backends[account][call.region]._resource_tags.get(kind.capitalize(), {}).get(id, {}))
        if kind == "repository":
            arn = self.arn(kind, id)
            return dict(ecr_backends[account][call.region].tagger.get_tag_dict_for_resource(arn))
        return {}

    def besides(self) -> Iterator[Question]:
        """The tagging of what is made, and a role that is put into an instance profile."""
        call = self.call
        if (tagging := TAGGING.get(call.name)) and self.new_tags(""):
            made = {"CreateRole": "role", "CreateInstanceProfile": "instance-profile", "CreateDocument": "document"}
            kind = {**made, "CreateAssociation": "association", "CreateRepository": "repository"}[call.action]
            [known] = [one for one in resource_types(tagging) if one.name == kind]
            for id in self.of(known) or (NEW,):
                yield _question(tagging, known, self, id)
        if call.name == "iam:AddRoleToInstanceProfile":
            yield from _passing(call, call.all("RoleName"))


class _Ec2(_Named):
    """What a call of EC2 names, and what it makes."""

    def __init__(self, call: JudgedCall) -> None:
        from moto.ec2.models import ec2_backends

        super().__init__(call)
        self._backend = ec2_backends[call.account][call.region]

    def of(self, known: ResourceType) -> list[str]:
        call, kind = self.call, known.name
        if call.action in {"CreateTags", "DeleteTags"}:
            return [id for id in call.all("Resources") if TYPE_BY_PREFIX.get(id.partition("-")[0]) == kind]
        if kind in MADE_BY.get(call.action, ()):
            return call.all(*names) if (names := BY_NAME[kind].names) else [NEW]
        if kind == "security-group-rule":
            return [NEW] if self.new_tags(kind) else []
        named = [*call.all(*NAMED_BY.get(kind, ())), *self._of_association(kind), *self._of_attachment(kind)]
        return [*named, *self._of_launch(kind)] if call.action == "RunInstances" else named

    def _of_association(self, kind: str) -> list[str]:
        """What an address or a route table is associated with, where the call names the association alone."""
        association = self.call.get("AssociationId")
        if not association:
            return []
        found: dict[str, list[str]] = {"elastic-ip": [], "network-interface": [], "route-table": [], "subnet": []}
        for address in self._backend.addresses:
            if address.association_id == association:
                found["elastic-ip"].append(address.allocation_id)
                found["network-interface"] += [address.eni.id] if address.eni else []
        for table in self._backend.route_tables.values():
            if association in table._associations:
                found["route-table"].append(table.id)
                found["subnet"].append(table._associations[association])
        return found.get(kind, [])

    def _of_attachment(self, kind: str) -> list[str]:
        """The interface and its instance, where a detachment names the attachment alone."""
        attachment = self.call.get("AttachmentId")
        attached = [eni for eni in self._backend.enis.values() if attachment and eni.attachment_id == attachment]
        found = {"network-interface": [eni.id for eni in attached], "instance": [eni.instance.id for eni in attached]}
        return found.get(kind, [])

    def _of_launch(self, kind: str) -> list[str]:
        """The interfaces that a launch is given, their subnets and security groups."""
        interfaces = self.call.get("NetworkInterfaces") or []
        enis = [
            self._backend.enis[i] for nic in interfaces if (i := nic.get("NetworkInterfaceId")) in self._backend.enis
        ]
        found = {
            "network-interface": [nic.get("NetworkInterfaceId") or NEW for nic in interfaces],
            "subnet": [*(nic["SubnetId"] for nic in interfaces if nic.get("SubnetId")), *(e.subnet.id for e in enis)],
            "security-group": [
                *(group for nic in interfaces for group in nic.get("Groups") or ()),
                *(group.id for eni in enis for group in eni.group_set),
            ],
        }
        return list(dict.fromkeys(found.get(kind, [])))

    def arn(self, kind: str, id: str) -> str:
        if kind == "image":
            return self.call.arn("ec2", f"image/{id}", account="")
        name = next((name for name, own in self._ids_by_name(kind).items() if own == id), id)
        return self.call.arn("ec2", f"{kind}/{name}")

    def _ids_by_name(self, kind: str) -> Mapping[str, str]:
        """Those of a type that goes by its name; none of any other."""
        known = BY_NAME.get(kind)
        return known.by_name(self._backend, self.call.world) if known and known.by_name else {}

    def keys(self, kind: str, id: str, known: frozenset[str]) -> dict[str, str | list[str]]:
        made = kind in MADE_BY.get(self.call.action, ()) or id == NEW
        facts = self._facts(kind, None if made else id)
        return {**_told(facts, known), **_tag_keys(known, {} if made else self.tags(kind, id), self.new_tags(kind))}

    def _facts(self, kind: str, id: str | None) -> dict[str, str | list[str] | None]:
        call = self.call
        vpc, subnet = self._place_of(id) if id else (None, None)
        facts: dict[str, str | list[str] | None] = {
            "ec2:Vpc": call.arn("ec2", f"vpc/{vpc}") if vpc else None,
            "ec2:Subnet": call.arn("ec2", f"subnet/{subnet}") if subnet else None,
        }
        if call.action == "RunInstances" and kind == "instance":
            facts["ec2:InstanceType"] = call.get("InstanceType")
            facts["ec2:MetadataHttpTokens"] = (call.get("MetadataOptions") or {}).get("HttpTokens") or "optional"
        if call.action == "RunInstances" and kind == "volume":
            disks = [mapping.get("Ebs") or {} for mapping in call.get("BlockDeviceMappings") or []]
            facts["ec2:Encrypted"] = str(any(disk.get("Encrypted") for disk in disks)).lower()
        if call.action == "RunInstances" and kind == "network-interface" and id is None:
            asked = [nic.get("AssociatePublicIpAddress") for nic in call.get("NetworkInterfaces") or []]
            facts["ec2:AssociatePublicIpAddress"] = str(any(asked)).lower()
        return facts

    def _place_of(self, id: str) -> tuple[str | None, str | None]:
        """The VPC and the subnet that a resource lies in."""
        if id in self._backend.enis:
            subnet = self._backend.enis[id].subnet
            return subnet.vpc_id, subnet.id
        for subnets in self._backend.subnets.values():
            if id in subnets:
                return subnets[id].vpc_id, None
        if id in self._backend.route_tables:
            return self._backend.route_tables[id].vpc_id, None
        return next((vpc for vpc, groups in self._backend.groups.items() if id in groups), None), None

    def new_tags(self, kind: str) -> dict[str, str]:
        if self.call.action in {"CreateTags", "DeleteTags"}:
            return _as_tags(self.call.get("Tags"))
        specifications = self.call.get("TagSpecifications") or []
        return _as_tags(
            tag for one in specifications if one.get("ResourceType") == kind for tag in one.get("Tags") or ()
        )

    def tags(self, kind: str, id: str) -> dict[str, str]:
        return dict(self._backend.tags.get(self._ids_by_name(kind).get(id, id), {}))

    def besides(self) -> Iterator[Question]:
        """CreateTags on what is made with tags, and the role that a launch gives to its instances."""
        call = self.call
        if call.action not in {"CreateTags", "DeleteTags"}:
            for specification in call.get("TagSpecifications") or []:
                kind = specification["ResourceType"]
                yield Question(
                    action="ec2:CreateTags",
                    resource=self.arn(kind, NEW),
                    context=as_context(
                        {
                            **_everywhere(call),
                            "ec2:CreateAction": call.action,
                            **_tag_keys(frozenset({NEW_TAGS, TAG_KEYS}), {}, _as_tags(specification.get("Tags"))),
                        }
                    ),
                )
        profile = call.get("IamInstanceProfile") if call.action == "RunInstances" else None
        if profile:
            yield from _passing(call, _roles_in(call, profile))


def _passing(call: JudgedCall, roles: Iterable[str]) -> Iterator[Question]:
    """iam:PassRole: EC2 is the one to whom a role in an instance profile is passed."""
    service = "ec2.amazonaws.com.cn" if call.partition == "aws-cn" else "ec2.amazonaws.com"
    for role in roles:
        context = as_context({**_everywhere(call), "iam:PassedToService": service})
        arn = call.arn("iam", f"role/{role}", region="")
        yield Question(action="iam:PassRole", resource=arn, context=context)


def _roles_in(call: JudgedCall, profile: Mapping[str, str]) -> list[str]:
    from moto.iam.models import iam_backends

    name = profile.get("Name") or str(profile.get("Arn", "")).rpartition("/")[2]
    profiles = iam_backends[call.account][call.partition].instance_profiles.values()
    return [role.name for one in profiles if one.name == name for role in one.roles]


def _tag_keys(known: frozenset[str], have: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | list[str]]:
    """The keys about tags, one for each tag."""
    keys: dict[str, str | list[str]] = {}
    for name in (key for key in known if key == TAGS or key.lower().endswith(":resourcetag")):
        keys |= {f"{name}/{tag}": value for tag, value in have.items()}
    if NEW_TAGS in known:
        keys |= {f"{NEW_TAGS}/{tag}": value for tag, value in new.items()}
    if TAG_KEYS in known and new:
        keys[TAG_KEYS] = sorted(new)
    return keys


def _told(facts: Mapping[str, str | list[str] | None], known: frozenset[str]) -> dict[str, str | list[str]]:
    return {key: value for key, value in facts.items() if value and key in known}


def _as_tags(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    return {str(tag["Key"]): str(tag.get("Value") or "") for tag in tags or ()}
