"""What a trial ran into besides the network: what was dropped where it arrived, and cores that did nothing but work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from enaxp.bench.judging.limits import host_usage, limits_of
from enaxp.bench.run_folder.records import CoreTime, HostUsage, InterfaceDelta
from enaxp.hosts.usage import CoreTicks, Usage
from enaxp.traffic import Background, Scenario
from tests.support.factories import GOOD, TCP_RATE, UDP, a_record

SENT = 10_000
PACED = replace(TCP_RATE, protocol="udp", rate=1000)
LOAD = replace(UDP, mode="under-load", rate=1000)
BULK = replace(LOAD, background=Background(protocol="udp", flows=1, message_size=1472))
ON_CORE_4 = {"server": (4,), "client": (4,)}


def limits(scenario: Scenario, host: HostUsage, *, role: str = "server", **changes: Any) -> tuple[str, ...]:
    record = a_record(sockperf=replace(GOOD, sent=SENT, total_runtime_s=10.0), usage={role: host}, **changes)
    return limits_of(record, scenario)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        (HostUsage(udp_rcvbuf_errors=10), ()),
        (HostUsage(udp_rcvbuf_errors=11), ("receiver",)),
        (HostUsage(udp_rcvbuf_errors=6, rx_overruns=5), ("receiver",)),
        (HostUsage(udp_rcvbuf_errors=6, rx_dropped=5), ("receiver",)),
        (HostUsage(rx_dropped=9, rx_overruns=9), ()),  # the same packets, told in two ways
        (HostUsage(udp_in_errors=5000), ()),  # checksums and the like
        (HostUsage(), ()),
    ],
)
@pytest.mark.parametrize("role", ["server", "client"])
def test_the_receiver_was_the_limit_when_it_dropped_over_a_thousandth(
    host: HostUsage, found: tuple[str, ...], role: str
) -> None:
    assert limits(UDP, host, role=role) == found


def test_what_bulk_flows_lose_is_measured_by_what_their_interface_received() -> None:
    carried = InterfaceDelta(rx_packets=100_000, tx_packets=0, rx_bytes=0, tx_bytes=0)
    interfaces = {"server": {"ena": carried}}

    assert limits(BULK, HostUsage(udp_rcvbuf_errors=100), interfaces=interfaces) == ()
    assert limits(BULK, HostUsage(udp_rcvbuf_errors=101), interfaces=interfaces) == ("receiver",)


def core(number: int, *, programs: float = 0.0, interrupts: float = 0.0) -> HostUsage:
    return HostUsage(cores={str(number): CoreTime(programs_s=programs, interrupts_s=interrupts)})


@pytest.mark.parametrize("scenario", [UDP, LOAD, TCP_RATE, PACED])
@pytest.mark.parametrize("cpus", [None, ON_CORE_4])
def test_interrupts_that_fill_any_core_are_the_limit(scenario: Scenario, cpus: Any) -> None:
    assert limits(scenario, core(7, interrupts=9.5), cpus=cpus) == ("cpu",)
    assert limits(scenario, core(7, interrupts=9.4), cpus=cpus) == ()


@pytest.mark.parametrize(
    ("scenario", "role", "cpus", "at", "found"),
    [
        # without a rate, sender and server sleep as long as they can do nothing
        (TCP_RATE, "client", ON_CORE_4, 4, True),
        (TCP_RATE, "server", ON_CORE_4, 4, True),
        (TCP_RATE, "server", None, 9, True),
        (replace(TCP_RATE, busy_poll_us=50), "client", ON_CORE_4, 4, False),
        (TCP_RATE, "server", ON_CORE_4, 9, False),  # somebody else's work, where no message passes
        # with a rate the sender waits actively, the server does not
        (PACED, "client", ON_CORE_4, 4, False),
        (PACED, "server", ON_CORE_4, 4, True),
        (PACED, "server", None, 4, False),
        (LOAD, "server", ON_CORE_4, 4, True),
        (LOAD, "client", ON_CORE_4, 4, False),
        # a ping-pong within one computer fills its core by itself
        (UDP, "server", ON_CORE_4, 4, False),
        (UDP, "client", None, 4, False),
    ],
)
def test_programs_that_fill_a_core_are_the_limit_where_sockperf_does_not_wait_actively(
    scenario: Scenario, role: str, cpus: Any, at: int, found: bool
) -> None:
    busy = core(at, programs=9.0, interrupts=0.6)

    assert limits(scenario, busy, role=role, cpus=cpus) == (("cpu",) if found else ())


def test_what_is_not_known_is_no_limit() -> None:
    assert limits_of(a_record(usage=None), UDP) == ()
    assert limits_of(a_record(sockperf=None, usage={"server": core(1, interrupts=99)}), UDP) == ()


def usage(*, received: int, errors: int, programs: int, interrupts: int) -> Usage:
    return Usage(
        udp={"InDatagrams": received, "InErrors": errors + 1, "RcvbufErrors": errors},
        cores={0: CoreTicks(programs=5, interrupts=5), 3: CoreTicks(programs=programs, interrupts=interrupts)},
        dropped={"ens5": received, "ens6": 2 * received},
        irqs={"ens5-Tx-Rx-1": "3", "ens6-Tx-Rx-1": "7", "ens6-Tx-Rx-11": "8"},
    )


def test_what_a_host_did_is_the_difference_with_the_queue_that_received_most_and_its_core() -> None:
    before = usage(received=10, errors=100, programs=100, interrupts=50)
    after = usage(received=90, errors=107, programs=350, interrupts=75)
    device = {"queue_0_rx_cnt": 3, "queue_1_rx_cnt": 900, "queue_1_tx_cnt": 9999, "rx_overruns": 4}

    assert host_usage(before, after, device=device, interface="ens6") == HostUsage(
        udp_in_errors=7,
        udp_rcvbuf_errors=7,
        rx_dropped=160,
        rx_overruns=4,
        cores={"3": CoreTime(programs_s=2.5, interrupts_s=0.25)},
        rx_queue=1,
        rx_queue_cpus="7",
    )
    slight = replace(
        after, cores={**after.cores, 0: CoreTicks(programs=30, interrupts=7)}
    )  # 0.27 s, a tenth of the other is 0.275
    assert host_usage(before, slight, device=device, interface="ens6").cores.keys() == {"3"}
    silent = host_usage(before, after, device={}, interface="ens6")
    assert (silent.rx_overruns, silent.rx_queue, silent.rx_queue_cpus) == (None, None, None)
