"""ECR: moto's, one call at a time. It holds repositories, and is no registry: nothing can be pushed to it."""

from __future__ import annotations

from typing import Any

from moto.ecr.exceptions import InvalidParameterException
from moto.ecr.responses import ECRResponse

from enaxp.local.strict.access.guard import require_allowed
from enaxp.local.strict.world import current


class StrictEcrResponse(ECRResponse):
    """Calls take turns: moto's stores are not made for threads. What must be named is asked for."""

    def call_action(self) -> Any:
        with current().lock:
            require_allowed(self, "ecr")
            return super().call_action()

    def create_repository(self) -> Any:
        self._require("repositoryName")
        return super().create_repository()

    def delete_repository(self) -> Any:
        self._require("repositoryName")
        return super().delete_repository()

    def tag_resource(self) -> Any:
        self._require("resourceArn")
        return super().tag_resource()

    def list_tags_for_resource(self) -> Any:
        self._require("resourceArn")
        return super().list_tags_for_resource()

    def _require(self, member: str) -> None:
        if not self._get_param(member):
            raise InvalidParameterException(
                f"Invalid parameter at '{member}' failed to satisfy constraint: 'Member must not be null'"
            )
