"""What the provisioner may import: nothing that stands above it, and no types that only a checker needs."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import enaxp.lab

ABOVE = ("bench", "report", "commands", "cli", "terminal", "local")
MODULES = [module.name for module in pkgutil.walk_packages(enaxp.lab.__path__, "enaxp.lab.")]


def test_the_provisioner_stands_on_nothing_above_it_and_on_no_stubs() -> None:
    program = f"import sys, {', '.join(MODULES)}; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert {"enaxp.lab.kinds.network", "enaxp.lab.checks.preflight", "enaxp.lab.spec.compute"} <= set(loaded)
    assert [name for name in loaded if name.startswith(tuple(f"enaxp.{part}" for part in ABOVE))] == []
    assert [name for name in loaded if name.startswith("mypy_boto3")] == []
