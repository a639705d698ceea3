"""The kind of the monitoring layer: ecr-repository, to which `enaxp monitor push-image` pushes the exporter's image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from enaxp.aws import Aws, is_gone
from enaxp.lab.grants import Grant, Scope
from enaxp.lab.kinds.base import BaseKind, named, ours, remove
from enaxp.lab.model import Facts, Found, Ids, Lab, Resource, Tag, as_tag_list, unique_name

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import CreateRepositoryRequestTypeDef

# What docker asks of ECR for `monitor push-image`.
PUSHING = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",  # reads an existing image, to reuse its layers
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
)


def repository_name(lab: str, region: str) -> str:
    """The unique name in the form that ECR accepts: without consecutive hyphens."""
    return re.sub("-(?=-)", "-0", unique_name(lab, region))


class EcrRepository(BaseKind):
    """An ECR repository, found by name: ECR has no filter by tag. It is deleted with its images, which can be rebuilt."""

    name = "ecr-repository"
    layer = "monitoring"
    unique_by_name = True
    taken = ("RepositoryAlreadyExistsException",)
    reads = ("ecr:DescribeRepositories", "ecr:ListTagsForResource")
    writes = ("ecr:CreateRepository", "ecr:TagResource", "ecr:DeleteRepository")

    def grants(self, resources: Sequence[Resource], scope: Scope) -> Iterator[Grant]:
        """Grants on the lab's own repository only."""
        own = tuple(scope.arn("ecr", f"repository/{resource.name}") for resource in resources if resource.owned)
        if own:
            yield Grant(sid="OwnRepository", actions=(*self.writes, *PUSHING), resources=own)

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        if self.layer not in lab.layers:
            return []
        return ours(self.look(aws, repository_name(lab.name, lab.region)), lab)

    def look(self, aws: Aws, id: str) -> Found | None:
        try:
            [repository] = aws.ecr.describe_repositories(repositoryNames=[id])["repositories"]
            tags = aws.ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return named(self.name, id, tags, arn=repository["repositoryArn"], uri=repository["repositoryUri"])

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateRepositoryRequestTypeDef:
        return {
            "repositoryName": resource.name,
            "imageScanningConfiguration": {"scanOnPush": True},
            "tags": as_tag_list(lab.tags_for(resource)),
        }

    def create(self, aws: Aws, request: CreateRepositoryRequestTypeDef, token: str) -> str:
        return aws.once("ecr").create_repository(**request)["repository"]["repositoryName"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {}

    def tag(self, aws: Aws, resources: Sequence[Found], tags: Sequence[Tag]) -> None:
        for found in resources:
            aws.ecr.tag_resource(resourceArn=found.facts["arn"], tags=tags)

    def delete(self, aws: Aws, found: Found) -> None:
        remove(
            lambda: aws.ecr.delete_repository(repositoryName=found.id, force=True),
            where=f"deleting {found.key} {found.id}",
        )
