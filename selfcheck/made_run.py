"""Made run: a run folder with figures of which the truth is known, for trying out reports without hosts. Seeded, so the same each time.

Traffic per scenario ─▶ latencies of each trial ─▶ records, histograms, manifest, result.json: as a bench on AWS leaves them
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from enaxp.bench.fleet.folder import FleetFolder, FleetManifest, PairEntry
from enaxp.bench.measuring.bench import result_of
from enaxp.bench.planning.schedule import BenchPlan, Trial, schedule
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import (
    ArmAddresses,
    InterfaceDelta,
    InterfaceFacts,
    Manifest,
    RunEnvironment,
    RunFolder,
    SrdDelta,
    TrialRecord,
)
from enaxp.hosts.sockperf import Second, SockperfOutput
from enaxp.report.files import write_report_files
from enaxp.traffic import ARMS, Arm, Scenario

BEGAN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ALLOWANCES = ("bw_in_allowance_exceeded", "bw_out_allowance_exceeded", "pps_allowance_exceeded")
UDP = Scenario(name="udp-latency", mode="ping-pong", protocol="udp", message_size=64, csv_name="UDP_Small")
FLOW = Scenario(name="tcp-throughput", mode="throughput", protocol="tcp", message_size=1472, csv_name="TCP_Large")


def load(rate: int) -> Scenario:
    """One rate of a sweep."""
    name = f"udp-load@{rate}"
    return replace(UDP, name=name, mode="under-load", csv_name="UDP_Load", rate=rate, reply_every=1)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a made run is like. Latencies are lognormal around `base_us`, and some late by a Pareto-distributed factor.

    cost_us: what ENA Express adds to each message. late: the share that is late, by arm. shift: what iterations differ by, as a
    standard deviation of logarithms.
    """

    iterations: int = 4
    repeats: int = 2
    observations: int = 4000
    scenarios: Sequence[Scenario] = (UDP,)
    base_us: float = 28.0
    cost_us: float = 5.5
    late: tuple[float, float] = (0.03, 0.004)
    shift: float = 0.01
    duration_s: float = 10.0
    seed: int = 1
    place: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def plan(self) -> BenchPlan:
        return BenchPlan(
            iterations=self.iterations,
            repeats=self.repeats,
            duration_s=self.duration_s,
            order="interleaved",
            seed=self.seed,
            margin_pct=2.0,
            scenarios=tuple(self.scenarios),
        )


def make_run(results: Path, made: Made, *, lab: str = "made") -> RunFolder:
    """Writes the run into a new folder and gives it back."""
    return fill_run(RunFolder.create(results, lab=lab, now=BEGAN), made)


def make_fleet(results: Path, pairs: Mapping[str, Made], *, lab: str = "made") -> FleetFolder:
    """Writes a bench of these pairs, by name, into a new folder and gives it back."""
    folder = FleetFolder.create(results, lab=lab, now=BEGAN)
    entries = tuple(PairEntry(name=name, variant=name.rpartition("-")[0]) for name in pairs)
    moment = BEGAN.isoformat()
    plan = next(iter(pairs.values())).plan
    folder.write_manifest(
        FleetManifest(
            run_id=folder.run_id,
            lab=lab,
            target="aws",
            plan=plan,
            pairs=entries,
            started_at=moment,
            ended_at=moment,
            argv=("bench",),
        )
    )
    for entry, made in zip(entries, pairs.values(), strict=True):
        fill_run(folder.pair(entry.name), made, lab=lab, pair_name=entry.name, variant=entry.variant)
    return folder


def fill_run(folder: RunFolder, made: Made, **of_manifest: Any) -> RunFolder:
    """Writes the run into its folder, which is given back. of_manifest: what else its manifest says."""
    plan = made.plan
    trials = schedule(plan)
    takes = timedelta(seconds=made.duration_s + 2.5)
    manifest = replace(_manifest(folder, plan, ended=BEGAN + len(trials) * takes), place=made.place, **of_manifest)
    folder.write_manifest(manifest)
    rng = np.random.default_rng(made.seed)
    levels = {iteration: math.exp(rng.normal(0, made.shift)) for iteration in range(1, plan.iterations + 1)}
    for trial in trials:
        at = BEGAN + (trial.number - 1) * takes
        folder.append(_record(folder, made, trial, rng, level=levels[trial.iteration], at=at))
    write_report_files(folder, result_of(folder))
    return folder


def _record(
    folder: RunFolder, made: Made, trial: Trial, rng: np.random.Generator, *, level: float, at: datetime
) -> TrialRecord:
    scenario, arm = trial.scenario, trial.arm
    is_rate = scenario.is_rate
    latencies = None if is_rate else _latencies(made, arm, rng, level=level * _load_factor(scenario))
    sent = made.observations if latencies is None else len(latencies)
    histogram = None if latencies is None else Histogram.of(latencies)
    srd, plain = _srd(sent, mode=3), _srd(0, mode=0)
    return TrialRecord(
        number=trial.number,
        scenario=scenario.name,
        arm=arm,
        iteration=trial.iteration,
        repeat=trial.repeat,
        attempt=1,
        discarded=trial.discarded,
        command=f"sockperf {scenario.mode}",
        client_port=20000 + trial.number,
        started_at=at.isoformat(timespec="milliseconds"),
        wall_s=made.duration_s + 2.24,
        valid=True,
        reason=None,
        sockperf=_output(scenario, histogram, sent=sent, seconds=made.duration_s),
        throughput_gbps=rng.normal(9.4 if arm == "ena" else 11.9, 0.1) if is_rate else None,
        srd=srd if arm == "ena_express" else plain,
        interfaces={role: {own: _carried(sent if own == arm else 0) for own in ARMS} for role in ("client", "server")},
        allowances={role: dict.fromkeys(ALLOWANCES, 0) for role in ("client", "server")},
        seconds=() if latencies is None else _seconds(latencies, round(made.duration_s)),
        histogram_file=None if histogram is None else folder.write_histogram(f"{trial.number:04d}", histogram),
    )


def _srd(packets: int, *, mode: int) -> SrdDelta:
    """Both hosts sent so many packets, all of them over SRD."""
    return SrdDelta(
        tx=packets,
        eligible=packets,
        rx=packets,
        peer_tx=packets,
        peer_eligible=packets,
        peer_rx=packets,
        mode=mode,
        peer_mode=mode,
    )


def _latencies(made: Made, arm: Arm, rng: np.random.Generator, *, level: float) -> npt.NDArray[np.int64]:
    """In ns."""
    express = arm == "ena_express"
    trial = level * math.exp(rng.normal(0, 0.01))
    values = 1000 * made.base_us * trial * rng.lognormal(0, 0.08, size=made.observations)
    late = rng.random(made.observations) < made.late[express]
    values[late] *= 1 + rng.pareto(2.5, size=int(late.sum()))
    return (values + (1000 * made.cost_us if express else 0)).astype(np.int64)


def _load_factor(scenario: Scenario) -> float:
    """Under load latency grows as in a queue that is full at 120 000 messages a second."""
    return 1 / (1 - scenario.rate / 120_000) if isinstance(scenario.rate, int) else 1.0


def _output(scenario: Scenario, histogram: Histogram | None, *, sent: int, seconds: float) -> SockperfOutput:
    percentiles = {"50": 0.5, "90": 0.9, "99": 0.99, "99.9": 0.999} if histogram else {}
    window = seconds - 0.45
    if isinstance(scenario.rate, int):
        window = sent / scenario.rate
    return SockperfOutput(
        ok=True,
        reason=None,
        version="3.10",
        mode=scenario.mode,
        measures="rate" if histogram is None else "latency",
        mean_us=histogram.mean / 1000 if histogram else None,
        std_dev_us=None,
        min_us=int(histogram.values[0]) / 1000 if histogram else None,
        max_us=histogram.max / 1000 if histogram else None,
        percentiles_us={name: histogram.quantile(p) / 1000 for name, p in percentiles.items()} if histogram else {},
        observations=histogram.count if histogram else None,
        sent=sent,
        received=sent,
        dropped=0 if histogram else None,
        duplicated=0,
        out_of_order=0,
        total_runtime_s=seconds,
        valid_runtime_s=window,
        messages_per_s=None,
        bandwidth_mbps=None,
    )


def _seconds(latencies: npt.NDArray[np.int64], count: int) -> tuple[Second, ...]:
    parts = np.array_split(latencies, count)
    return tuple(
        Second(
            second=2 + number,
            count=len(part),
            p50_us=round(float(np.median(part)) / 1000, 1),
            p99_us=round(float(np.quantile(part, 0.99)) / 1000, 1),
            max_us=round(int(part.max()) / 1000, 1),
        )
        for number, part in enumerate(parts)
        if len(part)
    )


def _carried(packets: int) -> InterfaceDelta:
    return InterfaceDelta(rx_packets=packets, tx_packets=packets, rx_bytes=106 * packets, tx_bytes=106 * packets)


def _manifest(folder: RunFolder, plan: BenchPlan, *, ended: datetime) -> Manifest:
    host = {
        "kernel": "Linux 6.1.128-136.201.amzn2023.x86_64",
        "machine": "x86_64",
        "cpus": "32",
        "cpu_model": "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz",
        "clock_source": "tsc",
        "sockperf": "3.10",
    }
    nic = InterfaceFacts(interface="ens5", driver="driver: ena; version: 2.13.0g", mtu=8900)
    both = {"server": host, "client": host}
    return Manifest(
        run_id=folder.run_id,
        lab=folder.path.parent.name,
        target="aws",
        isolation=None,
        plan=plan,
        connections={
            "ena": ArmAddresses(source_ip="192.168.3.20", destination_ip="192.168.3.10"),
            "ena_express": ArmAddresses(source_ip="192.168.3.21", destination_ip="192.168.3.11"),
        },
        argv=("bench",),
        versions={"enaxp": "0.1.0", "sockperf_server": "3.10", "sockperf_client": "3.10"},
        started_at=BEGAN.isoformat(),
        ended_at=ended.isoformat(),
        environment=RunEnvironment(
            before=both, after=both, interfaces={role: dict.fromkeys(ARMS, nic) for role in both}
        ),
    )


if __name__ == "__main__":  # FOLDER ITERATIONS: a run of ten pairs an iteration
    make_run(Path(sys.argv[1]), Made(iterations=int(sys.argv[2]), repeats=10, observations=20_000))
