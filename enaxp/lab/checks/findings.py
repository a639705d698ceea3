"""Findings: the result of a check: severity, description, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from enaxp.errors import LabError

Level = Literal["ok", "warning", "failure"]


class Said(NamedTuple):
    """One result line of a check."""

    level: Level
    text: str
    todo: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A result line with the name of its check."""

    check: str
    level: Level
    text: str
    todo: str = ""

    def as_json(self) -> dict[str, str]:
        return {"check": self.check, "level": self.level, "text": self.text, "todo": self.todo}


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings, in the order of the checks."""

    findings: tuple[Finding, ...]

    def of(self, level: Level) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == level)

    def as_json(self) -> dict[str, object]:
        return {"ok": not self.of("failure"), "findings": [finding.as_json() for finding in self.findings]}

    def require(self) -> None:
        """Raises LabError that lists every failed check."""
        failures = self.of("failure")
        if failures:
            todos = dict.fromkeys(finding.todo for finding in failures if finding.todo)
            raise LabError(
                "this lab cannot be built as resources stand:\n"
                + "\n".join(f"  - {finding.check}: {finding.text}" for finding in failures),
                todo=f"{'; '.join(todos) or 'put these right, then run the same command again'}; where this is a mistake: --skip-preflight",
            )
