"""Makers of trial records and manifests for the tests of what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from enaxp.bench.comparing.comparison import MeasuredRun, measured_run
from enaxp.bench.judging.effect import Effect
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import ArmAddresses, Manifest, SrdDelta, TrialRecord
from enaxp.hosts.sockperf import SockperfOutput
from enaxp.traffic import Arm, Scenario

UDP = Scenario(name="udp-latency", mode="ping-pong", protocol="udp", message_size=64, csv_name="UDP_Small")
TCP = Scenario(name="tcp-latency", mode="ping-pong", protocol="tcp", message_size=64, csv_name="TCP_Small")
TCP_RATE = Scenario(name="tcp-rate", mode="throughput", protocol="tcp", message_size=1472, csv_name="TCP_Large")
GOOD = SockperfOutput(
    ok=True,
    reason=None,
    version="3.10",
    mode="ping-pong",
    measures="latency",
    mean_us=30.0,
    std_dev_us=1.0,
    min_us=20.0,
    max_us=90.0,
    percentiles_us={"50": 30.0, "99": 40.0},
    observations=1000,
    sent=1000,
    received=1000,
    dropped=0,
    duplicated=0,
    out_of_order=0,
    total_runtime_s=10.0,
    valid_runtime_s=9.55,
    messages_per_s=None,
    bandwidth_mbps=None,
)
Factor = Callable[[TrialRecord], float]
SRD_ON = SrdDelta(tx=1000, eligible=1000, rx=1000, peer_tx=1000, peer_eligible=1000, peer_rx=1000, mode=3, peer_mode=3)
SRD_OFF = SrdDelta(tx=0, eligible=0, rx=0, peer_rx=0, mode=0, peer_mode=0)


def a_plan(**changes: Any) -> BenchPlan:
    plan = BenchPlan(
        iterations=2, repeats=2, duration_s=10, order="interleaved", seed=7, margin_pct=2, scenarios=(UDP,)
    )
    return replace(plan, **changes)


def a_manifest(**changes: Any) -> Manifest:
    manifest = Manifest(
        run_id="20250411-082610",
        lab="dev",
        target="aws",
        isolation=None,
        plan=a_plan(),
        connections={
            "ena": ArmAddresses(source_ip="192.168.3.20", destination_ip="192.168.3.10"),
            "ena_express": ArmAddresses(source_ip="192.168.3.21", destination_ip="192.168.3.11"),
        },
        argv=("enaxp", "bench"),
        versions={"enaxp": "1.0", "sockperf": "3.10"},
        started_at="2025-04-11T08:26:10+00:00",
    )
    return replace(manifest, **changes)


def a_record(arm: Arm = "ena", **changes: Any) -> TrialRecord:
    iteration, repeat = changes.get("iteration", 1), changes.get("repeat", 1)
    record = TrialRecord(
        number=1,
        scenario="udp-latency",
        arm=arm,
        iteration=iteration,
        repeat=repeat,
        attempt=1,
        discarded=repeat == 0,
        command="sockperf ping-pong",
        client_port=20001,
        started_at="2025-04-11T08:26:10+00:00",
        wall_s=12.24,
        valid=True,
        reason=None,
        sockperf=GOOD,
        srd=SRD_OFF if arm == "ena" else SRD_ON,
        histogram_file=f"{changes.get('scenario', 'udp-latency')}-{arm}-{iteration}-{repeat}",
    )
    return replace(record, **changes)


def pairs_of_records(plan: BenchPlan, **changes: Any) -> list[TrialRecord]:
    """A record for each trial of a plan, the discarded ones included."""
    return [
        a_record(arm, scenario=scenario.name, iteration=iteration, repeat=repeat, **changes)
        for scenario in plan.scenarios
        for iteration in range(1, plan.iterations + 1)
        for repeat in range(plan.repeats + 1)
        for arm in ("ena", "ena_express")
    ]


def an_effect(**changes: Any) -> Effect:
    """The effect on a primary: 20 % more, and sure of it."""
    effect = Effect(
        estimate_pct=20.0,
        low_pct=19.0,
        high_pct=21.0,
        margin_pct=2.0,
        improvement_pct=-20.0,
        primary=True,
        code="slower",
    )
    return replace(effect, **changes)


def shifted(factor: float) -> Histogram:
    """A thousand latencies around 30 µs, times a factor."""
    return Histogram.of([round(factor * (25_000 + 10 * i)) for i in range(1000)])


FIVE = a_plan(iterations=5)


def quiet(record: TrialRecord) -> float:
    return 1 + 0.001 * (record.iteration % 3)


def slower_express(record: TrialRecord) -> float:
    return quiet(record) * (1.2 if record.arm == "ena_express" else 1.0)


def a_run(name: str = "dev/a", *, plan: BenchPlan = FIVE, factor: Factor = quiet, **changes: Any) -> MeasuredRun:
    """A run whose latencies are around 30 µs times the factor of each record."""

    def read(record: TrialRecord) -> Histogram:
        return shifted(factor(record))

    manifest = a_manifest(**{"plan": plan, "ended_at": "2025-04-11T09:00:00+00:00", **changes})
    evidence = weigh(plan, pairs_of_records(plan), read_histogram=read)
    return measured_run(name, manifest, evidence)


def earlier_runs(count: int = 4, **changes: Any) -> list[MeasuredRun]:
    """Runs of the weeks before, whose levels lie a thousandth apart: they tell how much runs of the lab differ."""

    def level(number: int) -> Factor:
        return lambda record: quiet(record) * (1 + 0.001 * number + (0.0005 * number if record.arm == "ena" else 0.0))

    return [
        a_run(
            f"dev/{number}",
            factor=level(number),
            **{
                "run_id": f"2025040{number}-082610",
                "started_at": f"2025-04-0{number}T08:26:10+00:00",
                **changes,
            },
        )
        for number in range(1, count + 1)
    ]
