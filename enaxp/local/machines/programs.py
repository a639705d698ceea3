"""Programs: the programs that the local target needs on this computer, and their packages.

To add an operating system: its package manager, one entry of `PACKAGE_MANAGERS`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from enaxp.errors import LocalTargetError

FOR_ALL = ("sockperf", "sshd", "bash")
FOR_NAMESPACES = ("ip", "unshare", "nsenter", "pivot_root", "sysctl", "sudo")
# What the scripts of `templates/software/` install on a real host: a local one reaches no repository.
SOFTWARE = ("ethtool", "htop", "prometheus-node-exporter")
# Where administrators' programs are, though an ordinary user's PATH may not name it.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class PackageManager:
    """How programs are installed on a family of systems. `packages`: program → its package, where that has another name."""

    program: str
    packages: Mapping[str, str]


PACKAGE_MANAGERS = (
    # Debian, Ubuntu
    PackageManager(
        program="apt-get",
        packages={
            "sshd": "openssh-server",
            "ip": "iproute2",
            "unshare": "util-linux",
            "nsenter": "util-linux",
            "pivot_root": "util-linux",
            "sysctl": "procps",
        },
    ),
    # Amazon Linux, Fedora
    PackageManager(
        program="dnf",
        packages={
            "sshd": "openssh-server",
            "ip": "iproute",
            "unshare": "util-linux",
            "nsenter": "util-linux",
            "pivot_root": "util-linux",
            "sysctl": "procps-ng",
            "prometheus-node-exporter": "node-exporter",
        },
    ),
)


def missing_programs(wanted: Iterable[str] = (*FOR_ALL, *FOR_NAMESPACES, *SOFTWARE)) -> list[tuple[str, str]]:
    """The missing programs of the local target, each with its package."""
    packages = _package_manager().packages
    return [(one, packages.get(one, one)) for one in wanted if _find(one) is None]


def search_path() -> str:
    """Where the cloud and its hosts look for programs: where the system has them, then the folders of those that only PATH leads to."""
    found = (_find(one) for one in (*FOR_ALL, *FOR_NAMESPACES, *SOFTWARE))
    folders = dict.fromkeys(str(Path(program).absolute().parent) for program in found if program)
    return ":".join(dict.fromkeys([*SYSTEM_PATH.split(":"), *folders]))


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{SYSTEM_PATH}:{os.environ.get('PATH', '')}")


def require_programs(wanted: Iterable[str]) -> None:
    """Raises LocalTargetError when one is missing, with the command that adds it."""
    missing = missing_programs(wanted)
    if missing:
        packages = " ".join(sorted({package for _, package in missing}))
        as_root = "" if os.geteuid() == 0 else "sudo "
        raise LocalTargetError(
            f"the local target needs {', '.join(program for program, _ in missing)}, not found on this computer",
            todo=f"{as_root}{_package_manager().program} install {packages}",
        )


def _package_manager() -> PackageManager:
    """The package manager of this computer; the first known one if there is none."""
    return next((one for one in PACKAGE_MANAGERS if shutil.which(one.program)), PACKAGE_MANAGERS[0])
