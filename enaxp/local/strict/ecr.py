"""ECR: moto's, one call at a time. It holds repositories, and is no registry: nothing can be pushed to it."""

from __future__ import annotations

from typing import Any

from moto.ecr.responses import ECRResponse

from enaxp.local.strict.world import current


class StrictEcrResponse(ECRResponse):
    """Calls take turns: moto's stores are not made for threads."""

    def call_action(self) -> Any:
        with current().lock:
            return super().call_action()
