"""What State Manager keeps on the hosts: ssm-document (the script of a piece of software), ssm-association (who is to run it).

A document's content has a version whose name is its digest; an association names one version by its number, and carries the digest
in its own name: what the hosts are to run is read in one listing, and changed in one call that makes each of them run it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from enaxp.aws import Aws, code_of, is_gone
from enaxp.lab.kinds.base import BaseKind, remove
from enaxp.lab.model import (
    TAG_KEY,
    TAG_LAB_ID,
    Change,
    Found,
    Ids,
    Lab,
    Resource,
    as_tag_list,
    change,
    from_tag_list,
)

PAGE = 50
SIDE_BY_SIDE = 8
_KNOWN_ALREADY = frozenset({"DuplicateDocumentContent", "DuplicateDocumentVersionName"})


class SsmDocument(BaseKind):
    """want: content (JSON of schema 2.2), digest. Setting: the default version, which is the one that has the content wanted."""

    name = "ssm-document"
    actions = (
        "ssm:CreateDocument",
        "ssm:DescribeDocument",
        "ssm:ListDocuments",
        "ssm:AddTagsToResource",
        "ssm:UpdateDocument",
        "ssm:UpdateDocumentDefaultVersion",
        "ssm:DeleteDocument",
    )

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        """A listing does not tell the status: that is for `look`."""
        filters = [{"Key": f"tag:{TAG_LAB_ID}", "Values": [lab.lab_id]}, {"Key": "Owner", "Values": ["Self"]}]
        pages = aws.ssm.get_paginator("list_documents").paginate(Filters=filters, MaxResults=PAGE)
        found = [_document(item) for page in pages for item in page["DocumentIdentifiers"]]
        return [one if one.facts["digest"] else self.look(aws, one.id) or one for one in found]

    def look(self, aws: Aws, id: str) -> Found | None:
        try:
            return _document(aws.ssm.describe_document(Name=id)["Document"])
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {
            "Name": resource.name,
            "Content": resource.want["content"],
            "VersionName": resource.want["digest"],
            "DocumentType": "Command",
            "DocumentFormat": "JSON",
            "TargetType": "/AWS::EC2::Instance",
            "Tags": as_tag_list(lab.tags_for(resource)),
        }

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.once("ssm").create_document(**request)["DocumentDescription"]["Name"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {"digest": resource.want["digest"]}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        digest = resource.want["digest"]
        if found.facts["digest"] != digest:
            act = partial(_put_content, name=found.id, content=resource.want["content"], digest=digest)
            yield change("content", have=found.facts["digest"], want=digest, act=act)

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ssm.delete_document(Name=found.id), where=f"deleting {found.key} {found.id}")


class SsmAssociation(BaseKind):
    """want: document (its key), digest, hosts (the keys of the instances). Settings: the content that is run, and on which hosts.

    No two of them are kept apart by their name, and no token is taken: a create whose answer was lost is found by its tags.
    """

    name = "ssm-association"
    needs = ("ssm-document",)
    actions = (
        "ssm:CreateAssociation",
        "ssm:DescribeAssociation",
        "ssm:ListAssociations",
        "ssm:ListTagsForResource",
        "ssm:AddTagsToResource",
        "ssm:UpdateAssociation",
        "ssm:DeleteAssociation",
        "ssm:DescribeInstanceAssociationsStatus",
        "ssm:StartAssociationsOnce",
    )

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        """There is no listing by tag: all that run a document of the lab's name, and the tags of each, side by side with the listing
        where the id is known."""
        known = [id for key, id in lab.ids.items() if key.startswith(f"{self.name}/")]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            tags = {id: pool.submit(_tags_of, aws, id) for id in known}
            pages = aws.ssm.get_paginator("list_associations").paginate(MaxResults=PAGE)
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

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        document, digest = ids[resource.want["document"]], resource.want["digest"]
        run = _run(document=document, digest=digest, targets=_targets(lab.lab_id, resource))
        return {**run, "Tags": as_tag_list(lab.tags_for(resource))}

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        answer = aws.once("ssm").create_association(**request, DocumentVersion=_version(aws, request))
        return str(answer["AssociationDescription"]["AssociationId"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {}  # made with all that it has

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        document, lab_id, digest = (
            ids.get(resource.want["document"]),
            found.tags.get(TAG_LAB_ID),
            resource.want["digest"],
        )
        if document is None or lab_id is None:
            return
        targets = _targets(lab_id, resource)
        act = partial(_update, id=found.id, run=_run(document=document, digest=digest, targets=targets))
        if found.facts["digest"] != digest:
            yield change("content", have=found.facts["digest"], want=digest, act=act)
        elif found.facts["targets"] != targets:
            yield change("targets", have=found.facts["targets"], want=targets, act=act)

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ssm.delete_association(AssociationId=found.id), where=f"deleting {found.key} {found.id}")


def _targets(lab_id: str, resource: Resource) -> dict[str, list[str]]:
    """Values by tag. All of them must hold: another layer's hosts carry the lab's id, too."""
    return {TAG_LAB_ID: [lab_id], TAG_KEY: sorted(resource.want["hosts"])}


def _run(*, document: str, digest: str, targets: Mapping[str, list[str]]) -> dict[str, Any]:
    """Every parameter of an association but the number of the version: an update takes back what it does not repeat.

    A host that fails does not keep others from running it.
    """
    return {
        "Name": document,
        "AssociationName": f"{document}.{digest}",
        "Targets": [{"Key": f"tag:{tag}", "Values": values} for tag, values in targets.items()],
        "MaxConcurrency": "100%",
        "MaxErrors": "100%",
        "ComplianceSeverity": "UNSPECIFIED",
    }


def _version(aws: Aws, run: Mapping[str, Any]) -> str:
    """The number of the document's version that has the content: numbers stay what they are, `$DEFAULT` may move meanwhile."""
    digest = run["AssociationName"].rpartition(".")[2]
    described = aws.ssm.describe_document(Name=run["Name"], VersionName=digest)["Document"]
    return str(described["DocumentVersion"])


def _put_content(aws: Aws, *, name: str, content: str, digest: str) -> None:
    """Makes this content the document's default version. Content that it has had before has a version already."""
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


def _update(aws: Aws, *, id: str, run: Mapping[str, Any]) -> None:
    aws.ssm.update_association(AssociationId=id, **run, DocumentVersion=_version(aws, run))


def _document(item: Mapping[str, Any]) -> Found:
    """Out of a listing or a description: both tell of the default version."""
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


def _association(item: Mapping[str, Any], tags: Mapping[str, str]) -> Found:
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
    """Empty for one that is gone by now."""
    try:
        answer = aws.ssm.list_tags_for_resource(ResourceType="Association", ResourceId=id)
    except ClientError as error:
        if is_gone(error):
            return {}
        raise
    return from_tag_list(answer.get("TagList"))
