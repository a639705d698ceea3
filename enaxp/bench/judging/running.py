"""Running: the figures and effects of a bench so far, updated with each trial. No files, no clock; an update takes a few milliseconds.

    TrialRecord + Histogram, as they end ─▶ Running.add ─▶ Running.scenarios ─▶ the live view

A trial is merged into its iteration and into all trials so far and then discarded, so that the thousandth costs no more than the tenth.
The intervals are anytime-valid (sequence.py) and therefore wider than the result's. Latencies are measured from the actual send here,
even where the result measures from the planned send time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enaxp.bench.judging.blocks import NO_TRIALS, At, Block
from enaxp.bench.judging.effect import Effect, FigurePairs, watched_effect
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.evidence import Evidence
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import TrialRecord
from enaxp.traffic import ARMS, THROUGHPUT, Arm, Metric, Scenario


@dataclass(frozen=True, kw_only=True)
class RunningScenario:
    """One scenario so far. `figures`: in µs or 10⁹ bit/s, of all trials merged. `widths_pct`: the interval's width after each iteration.
    `effects`: with anytime-valid intervals and the codes that follow from them.
    """

    name: str
    pairs: int
    figures: Mapping[Metric, Mapping[Arm, float]]
    effects: Mapping[Metric, Effect]
    widths_pct: Mapping[Metric, Sequence[float]]


class Running:
    """Collects trials as they end. Control trials and discarded trials are ignored."""

    def __init__(self, plan: BenchPlan) -> None:
        planned = sum(len(scenario.primaries) for scenario in plan.scenarios)
        self._of = {scenario.name: _Scenario(scenario, plan.margin_pct, planned=planned) for scenario in plan.scenarios}
        self._latest: dict[str, RunningScenario] = {}
        self.invalid = 0

    def add(self, record: TrialRecord, histogram: Histogram | None) -> None:
        """Adds one trial that has ended, valid or not."""
        self.invalid += not record.valid
        if not record.valid or record.discarded or record.control or record.scenario not in self._of:
            return
        if (so_far := self._of[record.scenario].add(record, histogram)) is not None:
            self._latest.pop(record.scenario, None)
            self._latest[record.scenario] = so_far

    def add_all(self, evidence: Evidence) -> None:
        """Adds the trials of an earlier session of the run."""
        for record in evidence.records:
            self.add(record, evidence.histogram(record))

    @property
    def scenarios(self) -> list[RunningScenario]:
        """The scenarios with at least one counted pair; the one measured last comes last."""
        return list(self._latest.values())


class _Scenario:
    def __init__(self, scenario: Scenario, margin_pct: float, *, planned: int) -> None:
        self._scenario = scenario
        self._margin_pct = margin_pct
        self._planned = planned
        self._waiting: dict[tuple[At, int, int], tuple[TrialRecord, Histogram | None]] = {}
        self._counted: set[tuple[At, int]] = set()
        self._all = _no_trials()
        self._blocks: dict[At, dict[Arm, Block]] = defaultdict(_no_trials)
        self._values: dict[Metric, dict[At, tuple[float, float]]] = defaultdict(dict)
        self._widths: dict[Metric, dict[At, float]] = defaultdict(dict)
        self._crossed: dict[At, bool] = {}

    def add(self, record: TrialRecord, histogram: Histogram | None) -> RunningScenario | None:
        """The scenario so far, when this trial completes a pair; None when it does not."""
        at = (record.pair, record.iteration)
        place, attempt = (at, record.repeat), (at, record.repeat, record.with_attempt)
        if place in self._counted:
            return None
        if attempt not in self._waiting or self._waiting[attempt][0].arm == record.arm:
            self._waiting[attempt] = (record, histogram)
            return None
        self._counted.add(place)
        self._crossed[at] = record.crossed
        for one, measured in (self._waiting.pop(attempt), (record, histogram)):
            for merged in (self._all, self._blocks[at]):
                merged[one.arm] = merged[one.arm].with_trial(one, measured)
        return self._so_far(at)

    def _so_far(self, at: At) -> RunningScenario:
        figures: dict[Metric, Mapping[Arm, float]] = {}
        effects: dict[Metric, Effect] = {}
        for metric in self._scenario.primaries:
            ena, express = (self._blocks[at][arm].value(metric) for arm in ARMS)
            if ena is None or express is None:
                continue
            self._values[metric][at] = (ena, express)
            unit = 1.0 if metric == THROUGHPUT else 1000.0
            figures[metric] = {arm: (self._all[arm].value(metric) or 0.0) / unit for arm in ARMS}
            crossed = tuple(self._crossed[one] for one in self._values[metric]) if any(self._crossed.values()) else ()
            pairs = FigurePairs(
                metric=metric, iterations=tuple(self._values[metric].values()), primary=True, crossed=crossed
            )
            effect = watched_effect(pairs, margin_pct=self._margin_pct, planned=self._planned)
            effects[metric] = effect
            if effect.low_pct is not None and effect.high_pct is not None:
                self._widths[metric].pop(at, None)  # the one measured last stands last
                self._widths[metric][at] = effect.high_pct - effect.low_pct
        return RunningScenario(
            name=self._scenario.name,
            pairs=len(self._counted),
            figures=figures,
            effects=effects,
            widths_pct={metric: tuple(widths.values()) for metric, widths in self._widths.items()},
        )


def _no_trials() -> dict[Arm, Block]:
    return dict.fromkeys(ARMS, NO_TRIALS)
