"""Errors: every exception that enaxp raises deliberately: where it happened, the service's message, what to do next.

The command line prints `str(error)` and exits with `error.exit_code`; a traceback is shown only with `--debug`.
"""

from __future__ import annotations

from collections.abc import Sequence


class EnaxpError(Exception):
    """Base class of all errors that enaxp raises deliberately.

    where: what was being done, to what. said: the answer of the service or system. todo: the next step for the user.
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
        """The error on one line, for a list or a record, without the next step."""
        return f"{self.where}: {self.said}" if self.said else self.where


class UsageError(EnaxpError):
    """The command line contradicts itself or the lab."""

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
    """The lab's condition does not allow the requested operation."""


class NameTakenError(LabError):
    """A name that the lab needs is in use by a resource of another owner."""


class HostError(EnaxpError):
    """A host could not be reached, or a command on it failed."""


class HostKeyError(HostError):
    """A host presents another SSH key than before."""


class BenchError(EnaxpError):
    """The bench could not be carried out."""


class NoValidResultError(BenchError):
    """The bench ran, but no trial of at least one arm was valid."""

    exit_code = 4


class ConditionFailedError(EnaxpError):
    """A condition that the caller stated does not hold."""

    exit_code = 5


class LocalTargetError(EnaxpError):
    """This machine does not meet the requirements of the local target."""


class Interrupted(EnaxpError):  # noqa: N818 - the user's wish, not an error
    """Interrupted by Ctrl-C: calls in flight were finished and saved."""

    exit_code = 130
