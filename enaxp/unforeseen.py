"""Unforeseen: the message for an unexpected exception: its context, and a suitable next step.

Code that knows more raises an EnaxpError itself; this is the fallback.
"""

from __future__ import annotations

import errno
import os

FOLDERS = "choose other folders (--state-dir, --results-dir), or make this one writable for you"
# What the system refuses → what to do about it.
_OF_FILES = {
    errno.EACCES: FOLDERS,
    errno.EPERM: FOLDERS,
    errno.EROFS: FOLDERS,
    errno.ENOENT: FOLDERS,
    errno.ENOTDIR: FOLDERS,
    errno.EISDIR: FOLDERS,
    errno.ENOSPC: "make room, then run the same command again",
    errno.EDQUOT: "make room, then run the same command again",
    errno.EMFILE: "allow more open files (`ulimit -n`), then run the same command again",
}
REPORT_IT = "run it again with --debug and report what it prints"
LOG_IN = "configure credentials (a profile, SSO, or the environment), or log in again, and try again"
# How the names of the SDK's errors begin or end → what to do.
_OF_THE_SDK = (
    (("Credential", "Token", "SSO", "Unauthorized", "Login"), LOG_IN),
    (
        ("Connection", "Timeout", "Proxy", "SSL", "HTTP"),
        "check the network, then run the same command again: it goes on",
    ),
    (
        ("Profile", "Config", "Region", "Endpoint"),
        "check --profile, --region, AWS_ENDPOINT_URL and the AWS configuration",
    ),
)


def told(error: Exception) -> str:
    """The message: where, what was said, and what to do next."""
    name = type(error).__name__
    if type(error).__module__.startswith("botocore"):
        return f"calling AWS\n  said: {name}: {error}\n  next: {_next_of_the_sdk(name)}"
    if isinstance(error, OSError) and error.filename is not None:
        what, why = os.fsdecode(error.filename), error.strerror or str(error)
        return f"{what} cannot be used\n  said: {why}\n  next: {_OF_FILES.get(error.errno or 0, REPORT_IT)}"
    return f"{name}: {error}\n  next: {REPORT_IT}"


def _next_of_the_sdk(name: str) -> str:
    return next((todo for parts, todo in _OF_THE_SDK if any(part in name for part in parts)), REPORT_IT)
