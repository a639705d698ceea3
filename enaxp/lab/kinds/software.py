"""The kinds for software on the hosts by State Manager: ssm-document (the script of a piece of software), ssm-association (the hosts that
run it).

Each content of a document is a version named by its digest. An association refers to one version by number, and has the digest in its own
name: so one listing shows what the hosts should run, and one call changes it and makes each host run it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError

from enaxp.aws import Aws, code_of, is_gone
from enaxp.lab.grants import TAG_LAB, Grant, Scope
from enaxp.lab.kinds.base import OF_THE_LAB, BaseKind, remove, want_of
from enaxp.lab.model import (
    TAG_KEY,
    TAG_LAB_ID,
    TAG_VARIANT,
    Change,
    Facts,
    Found,
    Ids,
    Lab,
    Resource,
    Tag,
    Want,
    as_tag_list,
    change,
    from_tag_list,
)

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import (
        AssociationDescriptionTypeDef,
        AssociationTypeDef,
        CreateAssociationRequestTypeDef,
        CreateDocumentRequestTypeDef,
        DocumentDescriptionTypeDef,
        DocumentIdentifierTypeDef,
        DocumentKeyValuesFilterTypeDef,
    )

SSM_KINDS = frozenset({"ssm-document", "ssm-association"})
PAGE = 50
SIDE_BY_SIDE = 8
_KNOWN_ALREADY = frozenset({"DuplicateDocumentContent", "DuplicateDocumentVersionName"})
_TAGGING = "ssm:AddTagsToResource"


@dataclass(frozen=True, kw_only=True)
class SsmDocumentWant(Want):
    """The desired document. content: JSON of schema 2.2. digest: of the content; the name of its version."""

    content: str
    digest: str


class SsmDocument(BaseKind):
    """An SSM document. Setting: the default version, which must have the wanted content."""

    name = "ssm-document"
    layer = "compute"
    unique_by_name = True
    taken = ("DocumentAlreadyExists",)
    hidden = ("content",)
    reads = ("ssm:DescribeDocument", "ssm:ListDocuments")
    writes = (
        "ssm:CreateDocument",
        _TAGGING,
        "ssm:UpdateDocument",
        "ssm:UpdateDocumentDefaultVersion",
        "ssm:DeleteDocument",
    )

    def grants(self, resources: Sequence[Resource], scope: Scope) -> Iterator[Grant]:
        """Grants on the lab's own documents, by name; the names differ between labs. An association needs a grant on its document too."""
        if owned := [resource for resource in resources if resource.owned]:
            documents = tuple(scope.arn("ssm", f"document/{resource.name}") for resource in owned)
            yield Grant(sid="OwnDocuments", actions=self.writes, resources=documents)

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        """The lab's documents. A listing does not have the status; `look` reads it."""
        filters: list[DocumentKeyValuesFilterTypeDef] = [
            {"Key": f"tag:{TAG_LAB_ID}", "Values": [lab.lab_id]},
            {"Key": "Owner", "Values": ["Self"]},
        ]
        listing = aws.ssm.get_paginator("list_documents")
        pages = listing.paginate(Filters=filters, PaginationConfig={"PageSize": PAGE})
        found = [_document(item) for page in pages for item in page["DocumentIdentifiers"]]
        return [one if one.facts["digest"] else self.look(aws, one.id) or one for one in found]

    def look(self, aws: Aws, id: str) -> Found | None:
        try:
            return _document(aws.ssm.describe_document(Name=id)["Document"])
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateDocumentRequestTypeDef:
        want = want_of(resource, SsmDocumentWant)
        return {
            "Name": resource.name,
            "Content": want.content,
            "VersionName": want.digest,
            "DocumentType": "Command",
            "DocumentFormat": "JSON",
            "TargetType": "/AWS::EC2::Instance",
            "Tags": as_tag_list(lab.tags_for(resource)),
        }

    def create(self, aws: Aws, request: CreateDocumentRequestTypeDef, token: str) -> str:
        return aws.once("ssm").create_document(**request)["DocumentDescription"]["Name"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {"digest": want_of(resource, SsmDocumentWant).digest}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        want = want_of(resource, SsmDocumentWant)
        if found.facts["digest"] != want.digest:
            act = partial(_put_content, name=found.id, content=want.content, digest=want.digest)
            yield change("content", have=found.facts["digest"], want=want.digest, act=act)

    def tag(self, aws: Aws, resources: Sequence[Found], tags: Sequence[Tag]) -> None:
        _tag(aws, "Document", resources, tags)

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ssm.delete_document(Name=found.id), where=f"deleting {found.key} {found.id}")


@dataclass(frozen=True, kw_only=True)
class SsmAssociationWant(Want):
    """The desired association. document: its key. digest: of the content to run. hosts: the keys of the instances; or variants: all hosts
    of these variants (a State Manager target takes at most 50 values, and a fleet may have more hosts)."""

    document: str
    digest: str
    hosts: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()


class SsmAssociation(BaseKind):
    """A State Manager association. Settings: the content that is run, and on which hosts.

    Names are not unique and the API has no client token: an association whose create answer was lost is found by its tags.
    """

    name = "ssm-association"
    layer = "compute"
    needs = ("ssm-document",)
    reads = (
        "ssm:DescribeAssociation",
        "ssm:ListAssociations",
        "ssm:ListTagsForResource",
        "ssm:DescribeInstanceAssociationsStatus",
        "ssm:DescribeInstanceInformation",
    )
    _creating = "ssm:CreateAssociation"
    writes = (_creating, "ssm:UpdateAssociation", "ssm:StartAssociationsOnce", _TAGGING, "ssm:DeleteAssociation")

    def grants(self, resources: Sequence[Resource], scope: Scope) -> Iterator[Grant]:
        """Grants on associations, which have only ids: new ones must get the lab's tag, and those with it may be changed and deleted.
        Hosts targeted by id must have the tag too; for hosts targeted by tags AWS checks no host."""
        if not any(resource.owned for resource in resources):
            return
        yield Grant(sid=OF_THE_LAB, actions=self.writes, conditions=scope.of_the_lab)
        yield Grant(
            sid="NewAssociations",
            actions=(self._creating, _TAGGING),
            resources=(scope.arn("ssm", "association/*"),),
            conditions={
                **scope.for_the_lab,
                "Null": {f"aws:ResourceTag/{TAG_LAB}": "true"},
            },  # only the lab's own carry its tags
        )
        documents = tuple(f"{scope.arn('ssm', 'document/')}{resource.name}" for resource in resources)
        using = tuple(action for action in self.writes if action != "ssm:StartAssociationsOnce")
        yield Grant(sid="OwnDocuments", actions=using, resources=documents)

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        """The lab's associations. There is no listing by tag: it lists those that run a document of the lab's name, and reads the tags of
        each, in parallel if the id is known."""
        known = [id for key, id in lab.ids.items() if key.startswith(f"{self.name}/")]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            tags = {id: pool.submit(_tags_of, aws, id) for id in known}
            pages = aws.ssm.get_paginator("list_associations").paginate(PaginationConfig={"PageSize": PAGE})
            listed = [item for page in pages for item in page["Associations"]]
            named = [item for item in listed if str(item.get("Name", "")).startswith(f"{lab.unique_name}-")]
            for id in {item["AssociationId"] for item in named} - set(known):
                tags[id] = pool.submit(_tags_of, aws, id)
            found = [_association(item, tags[item["AssociationId"]].result()) for item in named]
        return [one for one in found if one.tags.get(TAG_LAB_ID) == lab.lab_id]

    def look(self, aws: Aws, id: str) -> Found | None:
        try:
            item = aws.ssm.describe_association(AssociationId=id)["AssociationDescription"]
            return _association(item, _tags_of(aws, id))
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateAssociationRequestTypeDef:
        want = want_of(resource, SsmAssociationWant)
        run = _run(document=ids[want.document], digest=want.digest, targets=_targets(lab.lab_id, want))
        return {**run, "Tags": as_tag_list(lab.tags_for(resource))}

    def create(self, aws: Aws, request: CreateAssociationRequestTypeDef, token: str) -> str:
        version = _version(aws, document=request["Name"], association=request["AssociationName"])
        asked: CreateAssociationRequestTypeDef = {**request, "DocumentVersion": version}
        return aws.once("ssm").create_association(**asked)["AssociationDescription"]["AssociationId"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        """Its facts as created: there is nothing to settle."""
        return {}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        want = want_of(resource, SsmAssociationWant)
        document, lab_id = ids.get(want.document), found.tags.get(TAG_LAB_ID)
        if document is None or lab_id is None:
            return
        targets = _targets(lab_id, want)
        act = partial(_update, id=found.id, run=_run(document=document, digest=want.digest, targets=targets))
        if found.facts["digest"] != want.digest:
            yield change("content", have=found.facts["digest"], want=want.digest, act=act)
        elif found.facts["targets"] != targets:
            yield change("targets", have=found.facts["targets"], want=targets, act=act)

    def tag(self, aws: Aws, resources: Sequence[Found], tags: Sequence[Tag]) -> None:
        _tag(aws, "Association", resources, tags)

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ssm.delete_association(AssociationId=found.id), where=f"deleting {found.key} {found.id}")


def _tag(aws: Aws, what: Literal["Document", "Association"], resources: Sequence[Found], tags: Sequence[Tag]) -> None:
    for found in resources:
        aws.ssm.add_tags_to_resource(ResourceType=what, ResourceId=found.id, Tags=tags)


def _targets(lab_id: str, want: SsmAssociationWant) -> dict[str, list[str]]:
    """The target's tags. All must match, because the hosts of another layer have the lab's id too."""
    if want.variants:
        return {TAG_LAB_ID: [lab_id], TAG_VARIANT: sorted(want.variants)}
    return {TAG_LAB_ID: [lab_id], TAG_KEY: sorted(want.hosts)}


def _run(*, document: str, digest: str, targets: Mapping[str, list[str]]) -> CreateAssociationRequestTypeDef:
    """The parameters of an association except the version number. A failing host does not keep others from running it."""
    return {
        "Name": document,
        "AssociationName": f"{document}.{digest}",
        "Targets": [{"Key": f"tag:{tag}", "Values": values} for tag, values in targets.items()],
        "MaxConcurrency": "100%",
        "MaxErrors": "100%",
        "ComplianceSeverity": "UNSPECIFIED",
    }


def _version(aws: Aws, *, document: str, association: str) -> str:
    """The number of the document's version with the content that the association's name refers to. A number is fixed, while `$DEFAULT`
    may change meanwhile."""
    digest = association.rpartition(".")[2]
    return aws.ssm.describe_document(Name=document, VersionName=digest)["Document"]["DocumentVersion"]


def _put_content(aws: Aws, *, name: str, content: str, digest: str) -> None:
    """Makes this content the document's default version. A version is added only if this content has none yet."""
    try:
        aws.ssm.update_document(
            Name=name,
            Content=content,
            VersionName=digest,
            DocumentVersion="$LATEST",
            DocumentFormat="JSON",
            TargetType="/AWS::EC2::Instance",
        )
    except ClientError as error:
        if code_of(error) not in _KNOWN_ALREADY:
            raise
    version = aws.ssm.describe_document(Name=name, VersionName=digest)["Document"]["DocumentVersion"]
    aws.ssm.update_document_default_version(Name=name, DocumentVersion=version)


def _update(aws: Aws, *, id: str, run: CreateAssociationRequestTypeDef) -> None:
    """Updates the association with every parameter: an update resets a parameter that it omits."""
    aws.ssm.update_association(
        AssociationId=id,
        Name=run["Name"],
        AssociationName=run["AssociationName"],
        Targets=run["Targets"],
        MaxConcurrency=run["MaxConcurrency"],
        MaxErrors=run["MaxErrors"],
        ComplianceSeverity=run["ComplianceSeverity"],
        DocumentVersion=_version(aws, document=run["Name"], association=run["AssociationName"]),
    )


def _document(item: DocumentIdentifierTypeDef | DocumentDescriptionTypeDef) -> Found:
    """The Found of a document, from a listing or a description: both have the default version."""
    own = from_tag_list(item.get("Tags"))
    status = str(item.get("Status", "Active"))
    return Found(
        key=own.get(TAG_KEY, ""),
        kind=SsmDocument.name,
        id=item["Name"],
        tags=own,
        facts={"digest": item.get("VersionName")},
        pending="" if status in {"Active", "Failed"} else status.lower(),
        gone=f"AWS could not make it: {item.get('StatusInformation') or 'no reason given'}"
        if status == "Failed"
        else "",
    )


def _association(item: AssociationTypeDef | AssociationDescriptionTypeDef, tags: Mapping[str, str]) -> Found:
    targets = {target["Key"].removeprefix("tag:"): sorted(target["Values"]) for target in item.get("Targets") or []}
    return Found(
        key=tags.get(TAG_KEY, ""),
        kind=SsmAssociation.name,
        id=item["AssociationId"],
        tags=tags,
        facts={
            "digest": str(item.get("AssociationName", "")).rpartition(".")[2],
            "targets": targets,
            "version": item.get("AssociationVersion"),
        },
    )


def _tags_of(aws: Aws, id: str) -> dict[str, str]:
    """The tags of a resource; empty if it no longer exists."""
    try:
        answer = aws.ssm.list_tags_for_resource(ResourceType="Association", ResourceId=id)
    except ClientError as error:
        if is_gone(error):
            return {}
        raise
    return from_tag_list(answer.get("TagList"))
