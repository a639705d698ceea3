"""Every error that enaxp raises on purpose: where it happened, what the service said, what to do next.

The command line prints `str(error)` and leaves with `error.exit_code`; a traceback is shown only with `--debug`.
"""

from __future__ import annotations

from collections.abc import Sequence


class EnaxpError(Exception):
    """Base of all errors enaxp raises on purpose.

    where: what was being done, to what.  said: what the service or system answered.  todo: the next step for a person.
    """

    exit_code = 1

    def __init__(self, where: str, *, said: str = "", todo: str = "") -> None:
        super().__init__(where)
        self.where = where
        self.said = said
        self.todo = todo

    def __str__(self) -> str:
        lines = [self.where]
        if self.said:
            lines.append(f"  said: {self.said}")
        if self.todo:
            lines.append(f"  next: {self.todo}")
        return "\n".join(lines)

    @property
    def in_one_line(self) -> str:
        """Where, and what was said, for a list or a record; what to do next is left out."""
        return f"{self.where}: {self.said}" if self.said else self.where


class UsageError(EnaxpError):
    """The command line asks for something that contradicts itself or the lab."""

    exit_code = 2


class ConfigError(EnaxpError):
    """One or more values of the configuration are wrong. Carries every fault found, not only the first."""

    exit_code = 2

    def __init__(self, where: str, faults: Sequence[str], *, todo: str = "") -> None:
        super().__init__(where, said="", todo=todo)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        lines = [self.where, *(f"  - {fault}" for fault in self.faults)]
        if self.todo:
            lines.append(f"  next: {self.todo}")
        return "\n".join(lines)


class AwsError(EnaxpError):
    """AWS refused a call, or a wait for AWS ran out of time. code: the service's error code; empty where there is none."""

    def __init__(self, where: str, *, said: str = "", todo: str = "", code: str = "") -> None:
        super().__init__(where, said=said, todo=todo)
        self.code = code


class NoRoomError(AwsError):
    """AWS has no capacity for an instance in this zone at the moment."""


class StateError(EnaxpError):
    """The state file cannot be used as it is."""


class LabError(EnaxpError):
    """The lab is not in a condition that allows what was asked."""


class NameTakenError(LabError):
    """A name that the lab needs belongs to something that is not the lab's."""


class HostError(EnaxpError):
    """A host could not be reached, or a command on it failed."""


class HostKeyError(HostError):
    """A host has another key than it had."""


class BenchError(EnaxpError):
    """The bench could not be carried out."""


class NoValidResultError(BenchError):
    """The bench ran, but no trial of at least one arm was valid."""

    exit_code = 4


class ConditionFailedError(EnaxpError):
    """A condition that the caller stated does not hold."""

    exit_code = 5


class LocalTargetError(EnaxpError):
    """This machine cannot serve as the local target as it stands."""


class Interrupted(EnaxpError):  # noqa: N818 - the user's wish, not an error
    """Somebody pressed Ctrl-C: what was in flight is finished and saved."""

    exit_code = 130
