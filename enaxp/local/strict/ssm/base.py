"""What all actions of Systems Manager share. As in `ec2/`, each set of actions is a mixin: its `super()` is moto's class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from moto.core.responses import BaseResponse
from moto.ssm.exceptions import SSMException

from enaxp.local.strict.ssm.content import AWS_DOCUMENTS, RefusedBySsm
from enaxp.local.strict.ssm.runs import ScriptRuns, content_of
from enaxp.local.strict.world import World, current

Item = TypeVar("Item")


class SsmActions(BaseResponse):
    """Reading a request, and refusing it."""

    @property
    def _runs(self) -> ScriptRuns:
        return current().runs

    def _require(self, *members: str) -> None:
        for member in members:
            if not self._get_param(member):
                raise SSMException("ValidationException", f"Value null at '{member}' failed to satisfy constraint")

    def _require_document(self, name: str | None) -> str:
        """Its name. Raises RefusedBySsm when it is not there; one made moments ago may still be unknown."""
        if not name or name not in self.ssm_backend._documents or current().is_unknown(born_key(name)):
            raise RefusedBySsm("InvalidDocument", f"Document with name {name} does not exist.")
        return name

    def _content(self, name: str, version: str | None) -> tuple[str, str]:
        """A document's content, and the number of its version. Raises RefusedBySsm for one that is not there or not ready."""
        world = current()
        if name not in AWS_DOCUMENTS and (world.is_unknown(born_key(name)) or is_being_made(world, name)):
            raise RefusedBySsm("InvalidDocument", f"Document {name} does not exist.")
        return content_of(self.current_account, self.region, name, version)

    def _require_managed(self, ids: Sequence[str | None]) -> list[str]:
        """These ids. Raises RefusedBySsm for one that Systems Manager does not manage."""
        managed = self._runs.managed(self.region)
        for id in ids:
            if id not in managed:
                raise RefusedBySsm(
                    "InvalidInstanceId", f"Instances [[{id}]] not in a valid state for account {self.current_account}"
                )
        return [str(id) for id in ids]

    def _page(self, items: Sequence[Item], default: int) -> tuple[list[Item], str | None]:
        """One page and the token of the next."""
        start, size = int(self._get_param("NextToken") or 0), int(self._get_param("MaxResults") or default)
        end = start + size
        return list(items[start:end]), str(end) if end < len(items) else None


def born_key(document: str) -> str:
    """Under which key the world remembers when a document was made."""
    return f"document/{document}"


def is_being_made(world: World, document: str) -> bool:
    """Whether it is so new that it cannot be used yet."""
    return world.is_young(born_key(document), world.timing.ssm_document)
