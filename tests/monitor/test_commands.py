"""What `up monitoring` and `monitor` refuse before anything is made, or asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

THEIRS = {"vpc_id": "vpc-0123456789abcdef0", "subnet_id": "subnet-0123456789abcdef0"}
CASES = {
    "hosts without ports of their own": ("up", "processes", {}, 1, "enaxp exporter"),
    "no room in the VPC": ("up", "auto", {"vpc_cidr": "192.168.3.0/24"}, 2, "vpc_cidr has no room"),
    "a subnet of somebody else": ("plan", "auto", THEIRS, 2, "somebody else's"),
}


@pytest.mark.system
@pytest.mark.parametrize("case", CASES)
def test_where_it_has_no_room_it_says_so_and_makes_nothing(tmp_path: Path, case: str) -> None:
    verb, isolation, network, code, says = CASES[case]
    config = tmp_path / "bench.yaml"
    config.write_text(f"network: {network}\n")

    refused = subprocess.run(
        [sys.executable, "-m", "enaxp", verb, "monitoring", "--config", str(config)],
        cwd=tmp_path,
        env={**os.environ, "ENAXP_TARGET": "local", "ENAXP_ISOLATION": isolation},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert refused.returncode == code, refused.stderr
    assert says in refused.stderr
    assert not list((tmp_path / "state").glob("dev.*"))
    assert not (tmp_path / "state/local-cloud/cloud.json").exists(), "no cloud is left running"
