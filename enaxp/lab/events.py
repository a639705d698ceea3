"""Events: progress events of building and removing a lab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from enaxp.lab.plan import Step


@dataclass(frozen=True, kw_only=True)
class LabEvent:
    """A progress event: a step begins, has a message, or ends after `seconds`."""

    what: Literal["begin", "note", "end"]
    step: Step
    text: str = ""
    seconds: float = 0.0


LabWatcher = Callable[[LabEvent], None]
