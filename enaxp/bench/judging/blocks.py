"""Blocks: the valid trials, merged by arm and iteration. All figures of a run are computed from these.

    Evidence ─▶ blocks_of: counted trials, by arm and (host pair, iteration) ─▶ Block (merged with equal weight) ─┬─▶ evaluation
    a trial as it ends ─▶ Block.with_trial ─▶ the live view                                                       ├─▶ comparison
                                                                                                                  └─▶ report

Latencies are those that a user's messages see: measured from the planned send time, where there is one (this avoids coordinated
omission), and over all messages that expected a reply, where a lost message counts as later than every other. Service time (from the
actual send) is reported next to it.

The iteration is the unit of every interval: trials are merged within one, never across them. Pure but for reading histograms through
the evidence, which happens block by block: a long run has more histograms than should be in memory at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from enaxp.bench.run_folder.evidence import Evidence, ReadHistogram
from enaxp.bench.run_folder.histogram import Distribution, Histogram, merge, merge_equal_weight
from enaxp.bench.run_folder.records import MeasuredFrom, TrialRecord
from enaxp.figures import mean_of_known, sum_of_known
from enaxp.traffic import ARMS, MEAN, QUANTILES, THROUGHPUT, Arm, Metric, Scenario

T = TypeVar("T")
At = tuple[int, int]  # pair of hosts, iteration
TrialPlace = tuple[str, int, int, int]
MERGED_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Trials of one arm, merged with equal weight. Latencies are in ns, throughput (the mean) in 10⁹ bit/s; None where not measured.

    trials: how many were merged; trials without a figure are not counted. wanted: how many messages expected a reply. loss_rate: the mean
    over the trials of the share of lost messages, 0 to 1.
    """

    trials: int
    observations: int | None
    latencies: Distribution | None
    throughput_gbps: float | None
    wanted: int | None = None
    loss_rate: float | None = None

    def value(self, metric: Metric) -> float | None:
        """The metric in ns or 10⁹ bit/s; +∞ for a quantile that is beyond measurement."""
        if metric == THROUGHPUT:
            return self.throughput_gbps
        if self.latencies is None:
            return None
        return latency_of(self.latencies, metric)

    def with_trial(self, record: TrialRecord, histogram: Histogram | None) -> Block:
        """This block with one more trial merged in. The cost is that of merging two distributions, however many trials the block holds."""
        trials = self.trials + 1
        if histogram is not None:
            own = histogram.distribution(lost=record.without_latency)
            latencies = own if self.latencies is None else merge([self.latencies, own], weights=[self.trials, 1])
            observations = (self.observations or 0) + histogram.count
            wanted = (self.wanted or 0) + histogram.count + record.without_latency
            return replace(self, trials=trials, observations=observations, latencies=latencies, wanted=wanted)
        if record.throughput_gbps is not None:
            mean = self.throughput_gbps or 0.0
            return replace(self, trials=trials, throughput_gbps=mean + (record.throughput_gbps - mean) / trials)
        return self


NO_TRIALS = Block(trials=0, observations=None, latencies=None, throughput_gbps=None)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScenarioBlocks:
    """One scenario's trials: the attempted ones (without the discarded pairs), the counted ones, and the counted ones merged by arm and
    iteration.

    measured_from: whether latencies start at the planned send time or at the actual send. `read` returns the histogram of a trial that is
    used here.
    """

    scenario: Scenario
    attempted: Sequence[TrialRecord]
    trials: Sequence[TrialRecord]
    blocks: Mapping[Arm, Mapping[At, Block]]
    measured_from: MeasuredFrom
    read: ReadHistogram

    def trials_of(self, arm: Arm) -> list[TrialRecord]:
        """The counted trials of an arm."""
        return [record for record in self.trials if record.arm == arm]

    @cached_property
    def whole(self) -> Mapping[Arm, Block]:
        """For each arm, all counted trials merged with equal weight: the figures of `result.json`."""
        return {arm: self._whole(arm) for arm in ARMS}

    def _whole(self, arm: Arm) -> Block:
        blocks = self.blocks[arm].values()
        return Block(
            trials=sum(block.trials for block in blocks),
            observations=sum_of_known(block.observations for block in blocks),
            latencies=_merge_blocks([(block.latencies, block.trials) for block in blocks if block.latencies]),
            throughput_gbps=mean_of_known(_rates(self.trials_of(arm))),
            wanted=sum_of_known(block.wanted for block in blocks),
            loss_rate=mean_of_known(record.loss_rate for record in self.trials_of(arm)),
        )

    @property
    def fewest(self) -> int | None:
        """The number of messages that expected a reply in the smallest iteration of either arm."""
        known = [block.wanted for of in self.blocks.values() for block in of.values() if block.wanted is not None]
        return min(known, default=None)

    def values(self, metric: Metric) -> dict[Arm, dict[At, float]]:
        """For each arm, the metric's value in each iteration that has it: in ns or 10⁹ bit/s; +∞ where beyond measurement."""
        return {
            arm: {at: value for at, block in of.items() if (value := block.value(metric)) is not None}
            for arm, of in self.blocks.items()
        }

    def values_of_both(self, metric: Metric) -> list[tuple[float, float]]:
        """One (ENA, ENA Express) pair of values of the metric for each iteration in which both arms have one."""
        return both_arms(self.values(metric))

    def crossed(self, metric: Metric) -> tuple[bool, ...]:
        """For each iteration that `values_of_both` returns, whether the interfaces had swapped arms; empty if no iteration had."""
        crossed = {(r.pair, r.iteration): r.crossed and not r.control for r in self.trials}
        if not any(crossed.values()):
            return ()
        values = self.values(metric)
        return tuple(crossed[at] for at in values["ena"] if at in values["ena_express"])

    def loss_rates(self) -> dict[Arm, dict[At, float]]:
        """For each arm, the share of lost messages in each iteration, 0 to 1."""
        return {
            arm: {at: block.loss_rate for at, block in of.items() if block.loss_rate is not None}
            for arm, of in self.blocks.items()
        }

    def pairs(self) -> list[tuple[TrialRecord, TrialRecord]]:
        """The counted trials in pairs: (ENA, ENA Express)."""
        return list(zip(self.trials[0::2], self.trials[1::2], strict=True))


def latency_of(distribution: Distribution, metric: Metric) -> float:
    """The mean or a quantile of latency in ns; +∞ for a quantile beyond measurement. Raises KeyError for a metric that is not a
    latency."""
    return distribution.mean if metric == MEAN else distribution.quantile(QUANTILES[metric])


def both_arms(values: Mapping[Arm, Mapping[At, T]]) -> list[tuple[T, T]]:
    """One (ENA, ENA Express) pair of blocks for each iteration that both arms have."""
    express = values["ena_express"]
    return [(value, express[at]) for at, value in values["ena"].items() if at in express]


def blocks_of(scenario: Scenario, evidence: Evidence, *, control: bool = False) -> ScenarioBlocks:
    """The scenario's trials, merged: those of both arms, or with `control` those of both sides of the control.

    Latencies start at the planned send time if every counted trial has one.
    """
    attempted = [
        record
        for record in evidence.records
        if record.scenario == scenario.name and not record.discarded and record.control == control
    ]
    trials = counted(attempted)
    is_planned = bool(trials) and scenario.is_paced and all(record.planned_histogram_file for record in trials)
    read = evidence.planned if is_planned else evidence.histogram
    return ScenarioBlocks(
        scenario=scenario,
        attempted=attempted,
        trials=trials,
        blocks=_merged_by_place(trials, read),
        measured_from="planned" if is_planned else "sent",
        read=read,
    )


def from_send(blocks: ScenarioBlocks, evidence: Evidence) -> ScenarioBlocks:
    """The same trials with latencies measured from the actual send (service time)."""
    merged = _merged_by_place(blocks.trials, evidence.histogram)
    return replace(blocks, blocks=merged, measured_from="sent", read=evidence.histogram)


def counted(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials that count: not discarded, valid, and with a valid partner in the same attempt. At most one attempt of each pair counts.

    In order `toggled` trials are repeated individually: for each arm the first valid attempt counts, provided the other arm has one too.
    """
    attempts: dict[tuple[TrialPlace, int], dict[Arm, TrialRecord]] = defaultdict(dict)
    for record in records:
        if record.valid and not record.discarded:
            place = (record.scenario, record.pair, record.iteration, record.repeat)
            attempts[place, record.with_attempt].setdefault(record.arm, record)
    chosen: dict[TrialPlace, dict[Arm, TrialRecord]] = {}
    for (place, _), both in attempts.items():
        if len(both) == len(ARMS):
            chosen.setdefault(place, both)
    return [both[arm] for both in chosen.values() for arm in ARMS]


def _merged_by_place(trials: Iterable[TrialRecord], read: ReadHistogram) -> dict[Arm, dict[At, Block]]:
    places: dict[Arm, dict[At, list[TrialRecord]]] = {arm: defaultdict(list) for arm in ARMS}
    for record in trials:
        places[record.arm][record.pair, record.iteration].append(record)
    return {arm: {at: _block(own, read) for at, own in sorted(of.items())} for arm, of in places.items()}


def _block(trials: Sequence[TrialRecord], read: ReadHistogram) -> Block:
    measured = [(histogram, record.without_latency) for record in trials if (histogram := read(record)) is not None]
    histograms, lost = [histogram for histogram, _ in measured], [count for _, count in measured]
    rates = _rates(trials)
    return Block(
        trials=len(histograms) or len(rates),
        observations=sum_of_known(histogram.count for histogram in histograms),
        latencies=merge_equal_weight(histograms, lost=lost) if histograms else None,
        throughput_gbps=mean_of_known(rates),
        wanted=sum_of_known(histogram.count + count for histogram, count in measured),
        loss_rate=mean_of_known(record.loss_rate for record in trials),
    )


def _merge_blocks(parts: Sequence[tuple[Distribution, int]]) -> Distribution | None:
    """The merge of distributions, each with its number of trials. A few are merged at a time, to save memory."""
    while len(parts) > 1:
        groups = [parts[start : start + MERGED_AT_ONCE] for start in range(0, len(parts), MERGED_AT_ONCE)]
        parts = [
            (merge([one for one, _ in group], weights=[trials for _, trials in group]), sum(n for _, n in group))
            for group in groups
        ]
    return parts[0][0] if parts else None


def _rates(trials: Iterable[TrialRecord]) -> list[float]:
    return [record.throughput_gbps for record in trials if record.throughput_gbps is not None]
