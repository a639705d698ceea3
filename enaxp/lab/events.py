"""Events: what building and removing a lab tells whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from enaxp.lab.plan import Step


@dataclass(frozen=True, kw_only=True)
class LabEvent:
    """A step begins, says something, or ends after `seconds`."""

    what: Literal["begin", "note", "end"]
    step: Step
    text: str = ""
    seconds: float = 0.0


LabWatcher = Callable[[LabEvent], None]
