"""enaxp as a person runs it against AWS, where AWS is the strict one on loopback: found by AWS_ENDPOINT_URL, as by any client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from enaxp.local.strict import Quotas, StrictServer, Timing, serve
from tests.support.driver import Ran

COMMAND = (sys.executable, "-P", "-m", "enaxp")


@dataclass
class OnAws:
    """A person's folder and settings. `command` may be that of another installation."""

    server: StrictServer
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = COMMAND

    @property
    def environment(self) -> dict[str, str]:
        """All that the program is told, and nothing of the tests' own settings."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ENDPOINT_URL": self.server.endpoint_url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_EC2_METADATA_DISABLED": "true",
            **self.variables,
        }

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Ran:
        """Runs enaxp with these arguments. Nobody is at the terminal: there is none."""
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=self.folder,
            env={**self.environment, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def mutations(self) -> list[str]:
        """What was changed so far. A call that only asks whether it would be allowed (DryRun) ends with an error, and changes nothing."""
        done = [call.action for call in self.server.calls if call.status < 400]
        return [action for action in done if not action.startswith(("Describe", "Get", "List"))]


@contextmanager
def strict_aws() -> Iterator[StrictServer]:
    """A strict AWS with room for a lab, in which nothing takes time."""
    server = serve(timing=Timing.instant(), quotas=Quotas(vcpus=1024, addresses=20))
    try:
        yield server
    finally:
        server.stop()
