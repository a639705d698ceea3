"""Software: what is installed on the hosts, as idempotent scripts. Pure: files in, text out.

    templates/software/NAME.sh (with packages.sh) ─▶ Piece.command ─┬─▶ the first boot runs it (`userdata.py`)
                                                                    ├─▶ Piece.document ─▶ State Manager runs it (`kinds/software.py`)
                                                                    └─▶ without Systems Manager: over SSH (`software_by_ssh.py`)

There is no schedule: a host runs each piece when it first appears and when the piece changes, never in the middle of a bench.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from enaxp.data import data_path
from enaxp.lab.templates import render

# In this order at the first boot: what a bench cannot do without comes before what only watches it.
NAMES = ("tuning", "utilities", "sockperf", "node-exporter")
INCLUDE = "# include packages.sh\n"  # where a script gets what differs from one operating system to another
TIMEOUT_S = 900  # building sockperf on a small machine takes minutes

_COMMENT = re.compile(r"^[ ]*# .*\n", re.MULTILINE)
_BESIDE_A_FUNCTION = re.compile(r"^([ ]*\w+\(\) \{) # .*$", re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """One piece of software: its name, and the script that installs it on a host as root."""

    name: str
    script: str

    @cached_property
    def version(self) -> str:
        """SHA-256 of the script as stored on a host. The host stores it next to the script once it has run."""
        return hashlib.sha256(f"{self.script.rstrip()}\n".encode()).hexdigest()

    @cached_property
    def command(self) -> str:
        """Bash that stores the script on the host, runs it, and writes its output to `log_path`."""
        return render("software/run.sh.j2", name=self.name, script=self.script.rstrip(), log=log_path(self.name))

    @cached_property
    def document(self) -> str:
        """The content of its SSM document: JSON of schema 2.2 with one step."""
        step = {
            "action": "aws:runShellScript",
            "name": self.name.replace("-", "_"),
            "inputs": {
                "timeoutSeconds": str(TIMEOUT_S),
                "runCommand": ["#!/bin/bash", "set -euo pipefail", *self.command.splitlines()],
            },
        }
        description = f"enaxp: puts {self.name} in place. It may run any number of times."
        return json.dumps({"schemaVersion": "2.2", "description": description, "mainSteps": [step]}, indent=1)

    @cached_property
    def digest(self) -> str:
        """A digest of the content; the name of the document's version."""
        return hashlib.sha256(self.document.encode()).hexdigest()[:12]


def log_path(name: str) -> str:
    """The path on a host of the log of this piece's latest run."""
    return f"/var/log/enaxp-{name}.log"


@lru_cache(maxsize=1)
def pieces() -> tuple[Piece, ...]:
    """All pieces, in the order in which a first boot installs them."""
    folder = data_path("templates/software")
    packages = (folder / "packages.sh").read_text(encoding="utf-8")
    scripts = {name: (folder / f"{name}.sh").read_text(encoding="utf-8") for name in NAMES}
    return tuple(Piece(name, without_comments(script.replace(INCLUDE, packages))) for name, script in scripts.items())


def without_comments(script: str) -> str:
    """Bash without the comments that have a line of their own or stand beside the head of a function: user data has room for 16 KB, and
    a script must be the same on a host whether user data, State Manager or SSH brought it there.
    """
    return _BESIDE_A_FUNCTION.sub(r"\1", _COMMENT.sub("", script))
