"""Truth: the difference injected between the arms of an emulated run, compared with what the bench found. Pure except for reading and
writing `truth.json`.

    a relay's own record of each trial ─▶ put_in() ─▶ the injected difference in each iteration ─┐
    blocks of the bench, effects ────────────────────────────────────────────────────────────────┴─▶ truth_of() ─▶ Truth ─▶ truth.json

The relay's record is independent of sockperf: it measures from the kernel's time stamp of a message's arrival to that of the next one,
which a ping-pong sends as soon as it has the answer. So it contains the delay as it actually was at each quantile, late wake-ups
included. The same delay is a larger share of a fast iteration than of a slow one, so the share is computed for each iteration, relative
to the level of the arm that was delayed less.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enaxp.bench.judging.blocks import At, ScenarioBlocks, latency_of
from enaxp.bench.judging.effect import Code, Effect
from enaxp.bench.planning.schedule import PORTS
from enaxp.bench.run_folder.documents import decode, fields_of
from enaxp.bench.run_folder.histogram import Histogram, merge_equal_weight
from enaxp.bench.run_folder.records import RunFolder, TrialRecord
from enaxp.traffic import ARMS, Arm, Metric

FILE = "truth.json"
SCHEMA = 1
Carried = Mapping[
    tuple[Arm, int], Histogram
]  # round trips in ns as the relay saw them, by arm and the client's port of a trial


@dataclass(frozen=True, kw_only=True)
class TrueFigure:
    """The truth about one primary metric. planned_us: the change that the relay was configured to make; recorded_us: the change in its
    own record, mean over iterations.

    put_in_us and found_us: the injected and the measured change, both at the level of a typical iteration of ENA so that they are
    comparable; low and high: the ends of the interval. None: unknown, or not measured. held: whether the interval contains the injected
    change.
    """

    planned_us: float
    recorded_us: float | None
    put_in_us: float | None
    put_in_pct: float | None
    found_us: float | None
    found_low_us: float | None
    found_high_us: float | None
    found_pct: float | None
    found_low_pct: float | None
    found_high_pct: float | None
    confidence_pct: float | None
    code: Code
    held: bool | None


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The injected difference, in words and by primary metric, with what was found."""

    what: str
    figures: Mapping[Metric, TrueFigure]
    schema: int = SCHEMA

    @property
    def all_held(self) -> bool:
        return all(figure.held for figure in self.figures.values())


def truth_of(
    what: str,
    blocks: ScenarioBlocks,
    effects: Mapping[Metric, Effect],
    *,
    planned_us: Mapping[Metric, float],
    carried: Carried | None,
) -> Truth:
    """The truth about the primary metrics of one scenario; without a record nothing was injected. Raises ValueError if the record lacks a
    trial."""
    figures = {}
    for metric, effect in effects.items():
        if effect.primary:
            added = _nothing(blocks) if carried is None else put_in(metric, blocks.trials, carried)
            figures[metric] = _figure(effect, blocks.values(metric), added, planned_us=planned_us.get(metric, 0.0))
    return Truth(what=what, figures=figures)


def carried_by_arm(seen: Mapping[tuple[int, int], Mapping[int, int]]) -> Carried:
    """A relay's record, {(server port, client port): {ns: count}}, regrouped by the arm of the server and the client port; other servers
    are left out."""
    return {
        (arm, client): Histogram.of(list(counts), list(counts.values()))
        for (port, client), counts in seen.items()
        for arm in ARMS
        if PORTS[arm] == port
    }


def put_in(metric: Metric, trials: Sequence[TrialRecord], carried: Carried) -> dict[At, float]:
    """The injected difference at this metric in each iteration, ENA Express minus ENA, in ns of half a round trip, by the relay's
    record."""
    own: dict[tuple[Arm, At], list[Histogram]] = defaultdict(list)
    for trial in trials:
        seen = carried.get((trial.arm, trial.client_port))
        if seen is None:
            raise ValueError(f"trial {trial.number} is not in the relay's record")
        own[trial.arm, (trial.pair, trial.iteration)].append(seen)
    level = {place: latency_of(merge_equal_weight(seen), metric) / 2 for place, seen in own.items()}
    both = sorted({at for _, at in level if all((arm, at) in level for arm in ARMS)})
    return {at: level["ena_express", at] - level["ena", at] for at in both}


def _nothing(blocks: ScenarioBlocks) -> dict[At, float]:
    return dict.fromkeys(blocks.blocks["ena"], 0.0)


def _figure(
    effect: Effect, levels: Mapping[Arm, Mapping[At, float]], added: Mapping[At, float], *, planned_us: float
) -> TrueFigure:
    ena, express = levels["ena"], levels["ena_express"]
    known = [at for at in added if math.isfinite(ena.get(at, math.inf)) and math.isfinite(express.get(at, math.inf))]
    recorded = statistics.fmean(added[at] for at in known) if known else None
    typical = statistics.geometric_mean(ena[at] for at in known) if known else None
    pct = put_in_pct([(ena[at], express[at], added[at]) for at in known])
    low, high = effect.low_pct, effect.high_pct

    def us(change_pct: float | None) -> float | None:
        return None if change_pct is None or typical is None else typical / 1000 * change_pct / 100

    return TrueFigure(
        planned_us=planned_us,
        recorded_us=None if recorded is None else recorded / 1000,
        put_in_us=us(pct),
        put_in_pct=pct,
        found_us=us(effect.estimate_pct),
        found_low_us=us(low),
        found_high_us=us(high),
        found_pct=effect.estimate_pct,
        found_low_pct=low,
        found_high_pct=high,
        confidence_pct=effect.confidence_pct,
        code=effect.code,
        held=None if pct is None or low is None or high is None else low <= pct <= high,
    )


def put_in_pct(iterations: Sequence[tuple[float, float, float]]) -> float | None:
    """The injected effect in per cent, from (ENA, ENA Express, added delay) of each iteration, all in the same unit; None if there is no
    iteration, or if less was measured than was added."""
    if not iterations:
        return None
    express_is_later = statistics.fmean(added for *_, added in iterations) >= 0
    ratios = [
        (ena + added) / ena if express_is_later else express / (express - added) for ena, express, added in iterations
    ]
    return 100 * math.expm1(statistics.fmean(map(math.log, ratios))) if min(ratios) > 0 else None


def write_truth(folder: RunFolder, truth: Truth) -> None:
    folder.write_document(FILE, fields_of(truth))


def read_truth(folder: RunFolder) -> Truth | None:
    """The truth stored in a run's folder; None if no difference was injected. Raises BenchError when it cannot be read."""
    if not (folder.path / FILE).exists():
        return None
    return decode(folder.read_document(FILE), Truth, what=str(folder.path / FILE), reads=(SCHEMA,))
