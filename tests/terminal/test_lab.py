"""What a person reads of a lab's status: whole texts, each of one state of a lab."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from enaxp.lab.status import (
    DriftStatus,
    HostStatus,
    InterfaceStatus,
    MonitoringStatus,
    PairStatus,
    ResourceStatus,
    SoftwareStatus,
    SshAddress,
    Status,
)
from enaxp.terminal.lab import status_text

TEXTS: dict[str, str] = yaml.safe_load((Path(__file__).parent / "statuses.yaml").read_text())

VPC = ResourceStatus(key="vpc", kind="vpc", id="vpc-1", owned=True, state="present", drift=())
SERVER = HostStatus(
    role="server",
    pair=1,
    name="enaxp-dev-server",
    instance_id="i-1",
    public_ip="203.0.113.1",
    ssh=SshAddress(host="203.0.113.1", port=22, user="ec2-user"),
    ena=InterfaceStatus(eni="eni-1", ip="192.168.3.10", srd=False, srd_udp=False),
    ena_express=InterfaceStatus(eni="eni-2", ip="192.168.3.11", srd=True, srd_udp=True),
    software={"tuning": SoftwareStatus(status="Success", detail="Success")},
)
CLIENT = replace(SERVER, role="client", name="enaxp-dev-client")
LAB = Status(
    lab="dev",
    lab_id="dev-7f3a",
    target="aws",
    endpoint_url=None,
    account="123456789012",
    region="us-east-1",
    availability_zone="us-east-1a",
    resources=(VPC,),
    hosts={"server": SERVER, "client": CLIENT},
    expires_at=datetime(2026, 2, 1, 12, tzinfo=UTC),
    usd_per_hour=2.74,
    usd_so_far=1.371,
)
DRIFT = (DriftStatus(field="srd", have=False, want=True), DriftStatus(field="tag Name", have=None, want="enaxp-dev"))
ELSEWHERE = SshAddress(host="10.0.0.9", port=2222, user="ubuntu")

STATUSES: dict[str, tuple[Status, str | None]] = {
    "no lab": (replace(LAB, lab_id=None), None),
    "as wanted": (LAB, None),
    "without a price, and no hosts": (replace(LAB, hosts={}, usd_per_hour=None, usd_so_far=None), None),
    "on this machine": (
        replace(
            LAB,
            target="local",
            isolation="namespaces",
            endpoint_url="http://127.0.0.1:5000",
            usd_per_hour=None,
            hosts={},
        ),
        None,
    ),
    "not as wanted": (
        replace(
            LAB,
            hosts={},
            resources=(
                replace(VPC, drift=DRIFT),
                replace(VPC, key="subnet", id="subnet-1", owned=False),
                replace(VPC, key="igw", id=None, state="missing"),
                replace(VPC, key="eni/server-ena", id="eni-1", state="pending", drift=DRIFT),
            ),
        ),
        None,
    ),
    "hosts that are not whole": (
        replace(
            LAB,
            hosts={
                "server": replace(
                    SERVER,
                    ena_express=None,
                    software={
                        "tuning": SoftwareStatus(status="Success", detail=""),
                        "sockperf": SoftwareStatus(status="Failed", detail="exit 1"),
                        "exporter": SoftwareStatus(status="Pending", detail=""),
                    },
                ),
                "client": replace(CLIENT, ssh=ELSEWHERE, software={}),
            },
        ),
        "ssh -W %h:%p bastion",
    ),
    "a fleet, monitored": (
        replace(
            LAB,
            pairs=(
                PairStatus(name="main-1", variant="main", hosts={"server": SERVER, "client": CLIENT}),
                PairStatus(name="main-2", variant="main", hosts={"client": CLIENT}),
            ),
            monitoring=MonitoringStatus(
                name="monitoring", instance_id="i-9", public_ip=None, ip="10.0.0.9", ssh=ELSEWHERE
            ),
            urls={"grafana": "http://127.0.0.1:3000", "prometheus": "http://127.0.0.1:9090"},
        ),
        None,
    ),
}


@pytest.mark.parametrize("name", STATUSES)
def test_a_status_reads_as_it_is_kept(name: str) -> None:
    status, proxy_command = STATUSES[name]

    told = status_text(status, proxy_command=proxy_command)

    assert "\n".join(line.rstrip() for line in told.splitlines()) == TEXTS[name].rstrip("\n")


def test_every_text_that_is_kept_has_its_status() -> None:
    assert list(TEXTS) == list(STATUSES)
