"""SSM: moto's, one call at a time."""

from __future__ import annotations

from typing import Any

from moto.ssm.exceptions import SSMException
from moto.ssm.responses import SimpleSystemManagerResponse

from enaxp.local.strict.world import current


class StrictSsmResponse(SimpleSystemManagerResponse):
    """Calls take turns: moto's stores are not made for threads. Parameters tell the newest images."""

    def call_action(self) -> Any:
        with current().lock:
            return super().call_action()

    def get_parameter(self) -> Any:
        if not self._get_param("Name"):
            raise SSMException("ValidationException", "Value null at 'name' failed to satisfy constraint")
        return super().get_parameter()
