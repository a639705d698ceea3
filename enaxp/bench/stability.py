"""Stability: what about a run should make its reader careful. Pure; said, never acted on.

    valid TrialRecords of one scenario ─▶ warnings() ─▶ sentences for result.json and the summary

Limits follow common benchmarking practice: a modified z-score beyond 14.8 for a single trial, 5 % of scatter between trials, a rank
correlation with the order beyond 0.5.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from enaxp.bench.records import TrialRecord
from enaxp.bench.schedule import ARMS, Arm

MOST_Z = 14.8  # in units of the median absolute deviation
MOST_SCATTER = 0.05
MOST_DRIFT, DRIFT_CONFIDENCE = 0.5, 0.01
FEW = 5  # below so many trials nothing is said of their scatter

_LABELS: dict[Arm, str] = {"ena": "ENA", "ena_express": "ENA Express"}


def warnings(trials: Sequence[TrialRecord]) -> list[str]:
    """Sentences about the trials that count, in the order they ran; none when there is nothing to say."""
    return [*(line for arm in ARMS for line in _of_arm(arm, [t for t in trials if t.arm == arm]))]


def _of_arm(arm: Arm, trials: Sequence[TrialRecord]) -> Iterator[str]:
    ordered = sorted(trials, key=lambda trial: trial.started_at)
    medians = [value for trial in ordered if (value := _median(trial)) is not None]
    name = _LABELS[arm]
    if len(medians) >= FEW:
        yield from _outliers(name, ordered, medians)
        yield from _scatter(name, medians)
        yield from _drift(name, medians)
    disordered = sum(1 for trial in trials if trial.sockperf and trial.sockperf.out_of_order)
    if disordered:
        yield f"{name}: replies came out of order in {disordered} trials; they are not among the latencies"
    moved = {counter for trial in trials for by in (trial.allowances or {}).values() for counter, n in by.items() if n}
    if moved:
        yield f"{name}: allowance counters moved ({', '.join(sorted(moved))})"


def _outliers(name: str, trials: Sequence[TrialRecord], medians: Sequence[float]) -> Iterator[str]:
    middle = statistics.median(medians)
    deviation = statistics.median(abs(value - middle) for value in medians)
    if deviation == 0:
        return
    far = [
        t.number for t, value in zip(trials, medians, strict=False) if 0.6745 * abs(value - middle) / deviation > MOST_Z
    ]
    if far:
        yield f"{name}: the medians of trials {', '.join(map(str, far))} lie far from the others"


def _scatter(name: str, medians: Sequence[float]) -> Iterator[str]:
    scatter = statistics.stdev(medians) / statistics.mean(medians)
    if scatter > MOST_SCATTER:
        yield f"{name}: the medians of the trials scatter by {scatter:.0%} of their mean (quiet hosts: below {MOST_SCATTER:.0%})"


def _drift(name: str, medians: Sequence[float]) -> Iterator[str]:
    """Spearman's rank correlation of the medians with the order they were measured in."""
    from scipy.stats import spearmanr

    if len(set(medians)) < 2:
        return
    found = spearmanr(range(len(medians)), medians)
    if abs(found.statistic) > MOST_DRIFT and found.pvalue < DRIFT_CONFIDENCE:
        way = "rise" if found.statistic > 0 else "fall"
        yield f"{name}: the medians {way} with time (rank correlation {found.statistic:+.2f})"


def _median(trial: TrialRecord) -> float | None:
    return trial.sockperf.percentiles_us.get("50") if trial.sockperf and trial.sockperf.percentiles_us else None
