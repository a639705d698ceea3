"""Evidence: the trials of a run, each checked against its own histogram. Pure except that files are read through the functions given.

    records + histograms ─▶ weigh ─▶ Evidence: records (inconsistent ones marked invalid, with the reason), histograms, faults in words

A trial's record and its histogram are redundant. If they disagree, or the histogram is missing, it is unknown which is right: the trial
and its pair do not count, and the reason is reported. Histograms are read each time they are needed: all those of a long run would need
too much memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import RunFolder, TrialRecord
from enaxp.errors import BenchError
from enaxp.traffic import ARM_NAMES

ReadHistogram = Callable[[TrialRecord], Histogram | None]
TrialIdentity = tuple[str, int, int, int, int, str, bool]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """A run's trials, checked against their files. A trial that fails the check is invalid in `records`, and `faults` has a sentence
    about it under its scenario.
    """

    records: Sequence[TrialRecord]
    faults: Mapping[str, Sequence[str]]
    _weighed: frozenset[TrialIdentity]
    _read: ReadHistogram
    _read_planned: ReadHistogram | None

    def histogram(self, record: TrialRecord) -> Histogram | None:
        """The latencies of a trial that passed the check; None for other trials and for throughput trials."""
        return self._read(record) if _identity(record) in self._weighed else None

    def planned(self, record: TrialRecord) -> Histogram | None:
        """Like `histogram`, measured from the planned send time; None when the trial has none."""
        if self._read_planned is None or _identity(record) not in self._weighed:
            return None
        return self._read_planned(record)


def weigh(
    plan: BenchPlan,
    records: Sequence[TrialRecord],
    *,
    read_histogram: ReadHistogram,
    read_planned: ReadHistogram | None = None,
) -> Evidence:
    """The evidence of a run: each record checked against its histogram.

    Records of scenarios that are not in the plan are not checked.
    """
    scenarios = {scenario.name: scenario for scenario in plan.scenarios}
    believed, faults, weighed = [], defaultdict(list), set()
    for record in records:
        scenario = scenarios.get(record.scenario)
        if scenario is not None and record.valid and not record.discarded:
            try:
                if scenario.is_rate:
                    _holds_a_rate(record)
                else:
                    _check_agreement(record, read_histogram(record))
                    if scenario.is_paced and read_planned and record.planned_histogram_file:
                        _check_agreement(record, read_planned(record))
                    weighed.add(_identity(record))
            except BenchError as error:
                fault = f"{error.where} ({error.said})" if error.said else error.where
                faults[record.scenario].append(
                    f"trial {record.number} ({ARM_NAMES[record.arm]}) does not count: {fault}"
                )
                record = replace(record, valid=False, reason=fault)  # what is believed takes its place
        believed.append(record)
    return Evidence(
        records=believed, faults=faults, _weighed=frozenset(weighed), _read=read_histogram, _read_planned=read_planned
    )


def evidence_of(folder: RunFolder, plan: BenchPlan) -> Evidence:
    """The evidence in a run's folder. Raises BenchError when its records cannot be read at all."""
    return weigh(
        plan,
        folder.records(),
        read_histogram=folder.read_histogram,
        read_planned=folder.read_planned_histogram,
    )


def _holds_a_rate(record: TrialRecord) -> None:
    """Raises BenchError when a throughput trial has no throughput."""
    if record.throughput_gbps is None:
        raise BenchError("its record holds no throughput")


def _check_agreement(record: TrialRecord, histogram: Histogram | None) -> None:
    """Raises BenchError when the histogram does not match the record."""
    observations = record.sockperf.observations if record.sockperf else None
    if histogram is None:
        raise BenchError("it has no histogram")
    if histogram.count != observations:
        raise BenchError(f"its histogram holds {histogram.count} observations, its record {observations}")


def _identity(record: TrialRecord) -> TrialIdentity:
    return (
        record.scenario,
        record.pair,
        record.iteration,
        record.repeat,
        record.attempt,
        record.arm,
        record.control,
    )
