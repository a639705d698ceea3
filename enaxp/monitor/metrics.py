"""Metrics: a run's figures so far as Prometheus metrics. Pure: records in, families out, families to text.

    Manifest + TrialRecords ─▶ families_of ─▶ (Family, …) ─▶ exposition ─▶ text of a node_exporter textfile
                                                        └─▶ the exporter (exporter.py)

Base units (seconds, bytes, ratios from 0 to 1). Labels are lab, scenario, protocol and arm, in a fleet variant and pair, and what has few
values by its nature; no run, no trial number: those would grow without end. What was not measured has no sample.

Quantiles are those of the last trial that counts, as sockperf printed them; `_sum` and `_count` of the same summary go over all
trials of the run. A trial lasts seconds, and within it sockperf tells nothing: a point per trial is what there is to see.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from enaxp.bench.judging.gates import GATES, HOST, Gate, judge
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.records import Manifest, TrialRecord
from enaxp.bench.statistics.loss import Loss, loss_of
from enaxp.figures import sum_of_known
from enaxp.hosts.sockperf import printed_of
from enaxp.traffic import ARMS, PERCENTILES, Arm, Scenario, other

Labels = Mapping[str, str]
_Key = TypeVar("_Key")
# sockperf's name → Prometheus's
_QUANTILES = {percentile.number: f"{percentile.p:g}" for percentile in printed_of(PERCENTILES)}
OUTCOMES = ("valid", "invalid", "discarded", "control")
RESULTS: Mapping[bool | None, str] = {True: "passed", False: "failed", None: "unknown"}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One value. `suffix`: what follows the family's name (`_sum` and `_count` of a summary)."""

    labels: Labels
    value: float
    suffix: str = ""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A metric with all its samples. `help` says what it is and ends with a full stop, as a sentence does."""

    name: str
    kind: Literal["gauge", "counter", "summary"]
    help: str
    samples: tuple[Sample, ...]


def families_of(manifest: Manifest, records: Sequence[TrialRecord]) -> tuple[Family, ...]:
    """Every metric of a run, with the trials that have ended so far."""
    arms = [
        _ArmSoFar(labels=_labels(manifest, scenario, arm), scenario=scenario, records=_of(records, scenario, arm))
        for scenario in manifest.plan.scenarios
        for arm in ARMS
    ]
    return (
        *_run(manifest, records),
        *_last_trials(arms),
        *_losses(arms),
        *_counts(arms),
        _interfaces(manifest, records),
    )


def merged(runs: Iterable[Sequence[Family]]) -> tuple[Family, ...]:
    """The families of several runs, each family once."""
    samples: dict[str, tuple[Sample, ...]] = {}
    families: dict[str, Family] = {}
    for family in (family for run in runs for family in run):
        families.setdefault(family.name, family)
        samples[family.name] = (*samples.get(family.name, ()), *family.samples)
    return tuple(
        Family(name=name, kind=family.kind, help=family.help, samples=samples[name])
        for name, family in families.items()
    )


def exposition(families: Iterable[Family]) -> str:
    """The families in Prometheus's text format 0.0.4. A family without samples is left out."""
    lines: list[str] = []
    for family in families:
        if family.samples:
            lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
            lines += [_line(family.name, sample) for sample in family.samples]
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, kw_only=True)
class _ArmSoFar:
    """One arm of one scenario: all its attempted trials in the order in which they ended."""

    labels: Labels
    scenario: Scenario
    records: Sequence[TrialRecord]

    @property
    def counting(self) -> list[TrialRecord]:
        """The valid trials that are neither discarded nor of a control."""
        return [record for record in self.records if _outcome(record) == "valid"]


def _of(records: Iterable[TrialRecord], scenario: Scenario, arm: Arm) -> list[TrialRecord]:
    return [record for record in records if record.scenario == scenario.name and record.arm == arm]


def _labels(manifest: Manifest, scenario: Scenario, arm: Arm) -> dict[str, str]:
    return {**_whose(manifest), "scenario": scenario.name, "protocol": scenario.protocol, "arm": arm}


def _whose(manifest: Manifest) -> dict[str, str]:
    """The lab, and in a fleet which pair of hosts."""
    if manifest.pair_name is None:
        return {"lab": manifest.lab}
    return {"lab": manifest.lab, "variant": manifest.variant or "", "pair": manifest.pair_name}


# -- the run as a whole ------------------------------------------------------------------------------------------------


def _run(manifest: Manifest, records: Sequence[TrialRecord]) -> Iterator[Family]:
    lab = _whose(manifest)
    planned = _planned(manifest.plan)
    places = {(r.scenario, r.pair, r.iteration, r.repeat, r.control, r.arm) for r in records}
    yield _gauge("enaxp_run_planned_trials", "Trials of the newest run by its plan.", lab, planned)
    yield _gauge("enaxp_run_ended_trials", "Trials of the newest run that have ended.", lab, len(places))
    yield _gauge(
        "enaxp_run_progress_ratio",
        "Share of the newest run's trials that have ended.",
        lab,
        len(places) / max(planned, 1),
    )
    yield _gauge(
        "enaxp_run_active", "Whether the newest run goes on (1) or has ended (0).", lab, int(_goes_on(manifest))
    )
    yield _gauge("enaxp_run_start_timestamp_seconds", "When the newest run began.", lab, _epoch(manifest.started_at))
    last = max((_epoch(record.started_at) + record.wall_s for record in records), default=None)
    yield _gauge("enaxp_run_last_trial_timestamp_seconds", "When the newest run's last trial ended.", lab, last)


def _planned(plan: BenchPlan) -> int:
    """The number of trials of a plan, computed without listing them: a damaged plan may ask for more than fit in memory."""
    return plan.most_iterations * plan.pairs_per_iteration * len(ARMS) * len(plan.scenarios)


def _goes_on(manifest: Manifest) -> bool:
    """Whether the run is under way. A resumed run keeps the `ended_at` of its last session until it ends again."""
    if manifest.ended_at is None:
        return True
    return any(_epoch(resumed) > _epoch(manifest.ended_at) for resumed in manifest.resumed_at)


def _interfaces(manifest: Manifest, records: Sequence[TrialRecord]) -> Family:
    """Which interface belongs to which arm, to join with node_exporter's counters, which know devices only.

    Swapped after a crossover.
    """
    crossed = bool(records) and records[-1].crossed and not records[-1].control
    return Family(
        name="enaxp_interface_info",
        kind="gauge",
        help="Which interface of which host belongs to which arm, always 1.",
        samples=tuple(
            Sample(labels={**_whose(manifest), "role": role, "arm": arm, "device": device}, value=1)
            for role, arms in manifest.environment.interfaces.items()
            for arm in ARMS
            if (device := arms[other(arm) if crossed else arm].interface)
        ),
    )


# -- the last trial of each arm ------------------------------------------------------------------------------------------


def _last_trials(arms: Sequence[_ArmSoFar]) -> Iterator[Family]:
    last = [(arm, arm.counting[-1]) for arm in arms if arm.counting]

    def gauge(name: str, help: str, values: Iterable[float | None]) -> Family:
        known = zip(last, values, strict=True)
        samples = (Sample(labels=arm.labels, value=value) for (arm, _), value in known if value is not None)
        return Family(name=name, kind="gauge", help=help, samples=tuple(samples))

    yield Family(
        name="enaxp_trial_latency_seconds",
        kind="summary",
        help="Latency (half a round trip): quantiles of the last trial, sum and count of all trials that count.",
        samples=tuple(sample for arm, record in last for sample in _latency(arm, record)),
    )
    yield gauge(
        "enaxp_trial_latency_mean_seconds",
        "Mean latency (half a round trip) of the last trial.",
        (_seconds(record.sockperf.mean_us if record.sockperf else None) for _, record in last),
    )
    yield gauge(
        "enaxp_trial_throughput_bytes_per_second",
        "Bytes of messages a second that arrived in the last trial.",
        (None if record.throughput_gbps is None else record.throughput_gbps * 1e9 / 8 for _, record in last),
    )
    yield gauge(
        "enaxp_trial_loss_ratio",
        "Share of the last trial's messages that was lost.",
        (record.loss_rate for _, record in last),
    )
    yield gauge(
        "enaxp_trial_srd_ratio",
        "Share of the last trial's eligible packets that went over SRD.",
        (record.srd.share if record.srd else None for _, record in last),
    )


def _latency(arm: _ArmSoFar, last: TrialRecord) -> Iterator[Sample]:
    if last.sockperf is None or last.sockperf.mean_us is None:  # a trial of throughput has no latencies
        return
    for printed, quantile in _QUANTILES.items():
        if (value := (last.sockperf.percentiles_us or {}).get(printed)) is not None:
            yield Sample(labels={**arm.labels, "quantile": quantile}, value=value / 1e6)
    measured = [(r.sockperf.mean_us or 0.0, r.sockperf.observations or 0) for r in arm.counting if r.sockperf]
    yield Sample(suffix="_sum", labels=arm.labels, value=sum(mean * count for mean, count in measured) / 1e6)
    yield Sample(suffix="_count", labels=arm.labels, value=sum(count for _, count in measured))


def _losses(arms: Sequence[_ArmSoFar]) -> Iterator[Family]:
    """The loss of all trials of the run that count, with its interval over the iterations."""
    known = [(arm, loss) for arm in arms if (loss := _loss_of(arm)) is not None]
    for name, help, values in (
        (
            "enaxp_run_loss_ratio",
            "Share of the messages of the newest run that was lost.",
            (loss.rate for _, loss in known),
        ),
        ("enaxp_run_loss_low_ratio", "Lower end of that share's interval (95 %).", (loss.low for _, loss in known)),
        ("enaxp_run_loss_high_ratio", "Upper end of that share's interval (95 %).", (loss.high for _, loss in known)),
    ):
        samples = (
            Sample(labels=arm.labels, value=value)
            for (arm, _), value in zip(known, values, strict=True)
            if value is not None
        )
        yield Family(name=name, kind="gauge", help=help, samples=tuple(samples))


def _loss_of(arm: _ArmSoFar) -> Loss | None:
    rates: dict[int, list[float]] = defaultdict(list)
    for record in arm.counting:
        if record.loss_rate is not None:
            rates[record.iteration].append(record.loss_rate)
    return loss_of(
        [sum(of) / len(of) for of in rates.values()],
        lost=sum_of_known(record.missing for record in arm.counting) or 0,
        wanted=sum_of_known(record.wanted for record in arm.counting) or 0,
    )


# -- counts of trials ------------------------------------------------------------------------------------------------------


def _counts(arms: Sequence[_ArmSoFar]) -> Iterator[Family]:
    yield Family(
        name="enaxp_trials_total",
        kind="counter",
        help="Trials of the newest run that have ended, by what became of them.",
        samples=tuple(
            Sample(labels={**arm.labels, "outcome": outcome}, value=count)
            for arm in arms
            for outcome, count in _counted(OUTCOMES, map(_outcome, arm.records))
        ),
    )
    yield Family(
        name="enaxp_trial_gates_total",
        kind="counter",
        help="Gates that trials of the newest run came to, by how that ended.",
        samples=tuple(
            Sample(labels={**arm.labels, "gate": gate, "result": result}, value=count)
            for arm in arms
            for (gate, result), count in _counted(
                [(gate, result) for gate in GATES for result in RESULTS.values()],
                ((gate.name, RESULTS[gate.passed]) for r in arm.records for gate in gates_of(r, arm.scenario)),
            )
        ),
    )


def _counted(keys: Iterable[_Key], seen: Iterable[_Key]) -> list[tuple[_Key, int]]:
    """The count of each key.

    Keys never seen are 0: Prometheus sees a counter rise only from a value that it has scraped.
    """
    counts = Counter(seen)
    return [(key, counts[key]) for key in keys]


def _outcome(record: TrialRecord) -> str:
    if not record.valid:
        return "invalid"
    return "discarded" if record.discarded else "control" if record.control else "valid"


def gates_of(record: TrialRecord, scenario: Scenario) -> tuple[Gate, ...]:
    """The gates of a trial, judged again from its record. What failed around sockperf is the gate `host`."""
    logged = record.sockperf.observations if record.sockperf and record.histogram_file else None
    report = judge(scenario, record, logged=logged)
    if record.sockperf is None:
        return report.gates
    has_failed_otherwise = report.valid and not record.valid
    return (Gate(HOST, not has_failed_otherwise, record.reason or ""), *report.gates)


# -- small parts -----------------------------------------------------------------------------------------------------------


def _gauge(name: str, help: str, labels: Labels, value: float | None) -> Family:
    return Family(
        name=name, kind="gauge", help=help, samples=() if value is None else (Sample(labels=labels, value=value),)
    )


def _line(name: str, sample: Sample) -> str:
    labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in sample.labels.items())
    return f"{name}{sample.suffix}{{{labels}}} {sample.value!r}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _seconds(us: float | None) -> float | None:
    return None if us is None else us / 1e6


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
