"""What only the layer monitoring has: ecr-repository, where `enaxp monitor push-image` puts the exporter's image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from enaxp.aws import Aws, is_gone
from enaxp.lab.kinds.base import BaseKind, named, ours, remove
from enaxp.lab.model import Found, Ids, Lab, Resource, as_tag_list, repository_name


class EcrRepository(BaseKind):
    """Found by name: ECR has no filter by tag. Its images go with it, since they can be built again."""

    name = "ecr-repository"
    actions = (
        "ecr:CreateRepository",
        "ecr:DescribeRepositories",
        "ecr:ListTagsForResource",
        "ecr:TagResource",
        "ecr:DeleteRepository",
    )

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        if "monitoring" not in lab.layers:
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

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {
            "repositoryName": resource.name,
            "imageScanningConfiguration": {"scanOnPush": True},
            "tags": as_tag_list(lab.tags_for(resource)),
        }

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.once("ecr").create_repository(**request)["repository"]["repositoryName"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {}

    def delete(self, aws: Aws, found: Found) -> None:
        remove(
            lambda: aws.ecr.delete_repository(repositoryName=found.id, force=True),
            where=f"deleting {found.key} {found.id}",
        )
