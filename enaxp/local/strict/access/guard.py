"""Where the services ask: every call passes here before its rules and before moto."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from enaxp.local.strict.access.questions import JudgedCall
from enaxp.local.strict.world import current

ACCESS_KEY = re.compile(r"Credential=([^/]+)/")

if TYPE_CHECKING:
    from moto.core.responses import BaseResponse


def require_allowed(response: BaseResponse, service: str) -> None:
    """Raises NotAllowed when the caller's policies do not allow the call that this response is about to answer. The world's lock is
    held. service: as IAM calls it."""
    call = JudgedCall(
        service=service,
        action=response._get_action(),
        get=response._get_param,
        region=response.region,
        account=response.current_account,
        partition=response.partition,
        world=current(),
    )
    signed = ACCESS_KEY.search(response.headers.get("Authorization", ""))
    current().callers.require(call, access_key=signed.group(1) if signed else "")
