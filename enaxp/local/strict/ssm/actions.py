"""All actions of Systems Manager, in moto's place."""

from __future__ import annotations

from typing import Any

from moto.ssm.responses import SimpleSystemManagerResponse

from enaxp.local.strict.access.guard import require_allowed
from enaxp.local.strict.ssm.associations import AssociationActions
from enaxp.local.strict.ssm.commands import CommandActions
from enaxp.local.strict.ssm.documents import DocumentActions
from enaxp.local.strict.world import current


class StrictSsmResponse(DocumentActions, AssociationActions, CommandActions, SimpleSystemManagerResponse):
    """Calls take turns: moto's stores are not made for threads. Parameters tell the newest images."""

    def call_action(self) -> Any:
        world = current()
        with world.lock:
            world.tick()
            require_allowed(self, "ssm")
            return super().call_action()

    def get_parameter(self) -> Any:
        self._require("Name")
        return super().get_parameter()
