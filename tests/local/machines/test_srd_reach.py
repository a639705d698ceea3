"""Between which interfaces SRD could carry packets."""

from __future__ import annotations

import pytest

from enaxp.local.machines.fleet import MachineSrd, SrdEnd
from enaxp.local.strict import MachineInterface


def end(eni: str, *, zone: str, vpc: str = "vpc-1", subnet: str = "subnet-1") -> SrdEnd:
    interface = MachineInterface(
        device_index=1,
        eni_id=eni,
        mac="02:00:00:00:00:01",
        private_ip="192.168.3.11",
        subnet_id=subnet,
        subnet_cidr="192.168.3.0/24",
        vpc_id=vpc,
        public_ip=None,
        srd=True,
        udp=True,
    )
    return SrdEnd(interface=interface, srd=MachineSrd(srd=True, udp=True), zone=zone)


HERE = end("eni-1", zone="us-east-1a")


@pytest.mark.parametrize(
    ("one", "other", "reaches"),
    [
        pytest.param(HERE, HERE, False, id="itself"),
        pytest.param(HERE, end("eni-2", zone="us-east-1a", subnet="subnet-2"), True, id="another subnet of the zone"),
        pytest.param(HERE, end("eni-2", zone="us-east-1b", subnet="subnet-2"), True, id="another zone"),
        pytest.param(HERE, end("eni-2", zone="us-east-1a", vpc="vpc-2"), False, id="another VPC"),
        pytest.param(end("eni-1", zone="sa-east-1a"), end("eni-2", zone="sa-east-1a"), True, id="one zone of a region"),
        pytest.param(end("eni-1", zone="sa-east-1a"), end("eni-2", zone="sa-east-1c"), False, id="a region without it"),
        pytest.param(
            end("eni-1", zone="me-south-1a"), end("eni-2", zone="me-south-1b"), False, id="another without it"
        ),
    ],
)
def test_srd_reaches_within_a_vpc_and_between_zones_where_the_region_has_that(
    one: SrdEnd, other: SrdEnd, reaches: bool
) -> None:
    assert one.reaches_by_srd(other) is reaches
