"""Stability: what about a run should make its reader careful. Pure; said, never acted on.

    valid TrialRecords of one scenario ─▶ warnings()         ─┐
    effects of ENA against ENA         ─▶ control_warnings() ─┼─▶ sentences for result.json and the summary
    environment before and after       ─▶ host_warnings()    ─┘

Limits follow common benchmarking practice. A trial lies far off beyond 14.8 median absolute deviations, which is ten standard
deviations of what is normal; trials scatter too much beyond 5 %; they drift when their ranks go with the order they ran in.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from enaxp.bench.effect import Effect
from enaxp.bench.environment import differences, steal_share, troubles
from enaxp.bench.records import Environment, TrialRecord
from enaxp.traffic import ARMS, Arm, Metric, metric_text

MOST_DEVIATIONS = 14.8  # median absolute ones
MOST_SCATTER = 0.05
MOST_DRIFT, DRIFT_CONFIDENCE = 0.5, 0.01
MOST_LATE = 0.01  # of a trial's messages
MOST_STEAL = 0.001
MOST_SRD_RESOURCES_PCT = 80
FEW = 5  # below so many trials nothing is said of their scatter

_LABELS: dict[Arm, str] = {"ena": "ENA", "ena_express": "ENA Express"}


def warnings(trials: Sequence[TrialRecord]) -> list[str]:
    """Sentences about the trials that count; none when there is nothing to say."""
    return [line for arm in ARMS for line in _of_arm(_LABELS[arm], [trial for trial in trials if trial.arm == arm])]


def control_warnings(effects: Mapping[Metric, Effect]) -> list[str]:
    """Sentences about the primary effects of ENA against ENA whose interval does not hold 0."""
    return [
        f"ENA against ENA differs at {metric_text(metric)} ({effect.low_pct:+.2f}% to {effect.high_pct:+.2f}%): "
        "something besides SRD makes a difference here"
        for metric, effect in effects.items()
        if effect.primary
        and effect.low_pct is not None
        and effect.high_pct is not None
        and not effect.low_pct <= 0 <= effect.high_pct
    ]


def host_warnings(before: Environment, after: Environment) -> list[str]:
    """Sentences about what happened to the hosts in the course of a run."""
    lines = []
    for role in after:
        share = steal_share(before, after, role)
        if share is not None and share > MOST_STEAL:
            lines.append(f"the {role} lost {share:.1%} of its CPU time to others on the same machine (steal)")
        if moved := troubles(before, after, role):
            lines.append(
                f"the {role}'s devices had troubles: {', '.join(f'{name} +{by}' for name, by in moved.items())}"
            )
    if changed := differences(before, after):
        lines.append(f"the hosts are not what they were before the run: {', '.join(changed)} changed")
    return lines


def _of_arm(name: str, trials: Sequence[TrialRecord]) -> Iterator[str]:
    ran = sorted(trials, key=lambda trial: (trial.started_at, trial.number))
    told = [(trial, value) for trial in ran if (value := _middle(trial)) is not None]
    values = [value for _, value in told]
    if len(values) >= FEW:
        yield from _outliers(name, told)
        yield from _scatter(name, values)
        yield from _drift(name, values)
    disordered = sum(1 for trial in trials if trial.sockperf and trial.sockperf.out_of_order)
    if disordered:
        yield f"{name}: replies came out of order in {disordered} trials; they are not among the latencies"
    yield from _late(name, trials)
    moved = {counter for trial in trials for by in (trial.allowances or {}).values() for counter, n in by.items() if n}
    if moved:
        yield f"{name}: allowance counters moved ({', '.join(sorted(moved))})"
    used = max((trial.srd.resources_pct or 0 for trial in trials if trial.srd), default=0)
    if used > MOST_SRD_RESOURCES_PCT:
        yield f"{name}: {used}% of the memory for SRD connections was in use; near 100% packets go by plain ENA"


def _late(name: str, trials: Sequence[TrialRecord]) -> Iterator[str]:
    """Whether the client kept its pace: that P99 of the wait before the send stays below the time from one message to the next."""
    paced = [(t.late_sends, t.sockperf.observations or 0) for t in trials if t.late_sends is not None and t.sockperf]
    behind = sum(late > MOST_LATE * sent for late, sent in paced)
    if behind:
        yield (
            f"{name}: in {behind} of {len(paced)} trials the client fell behind its rate: more than {MOST_LATE:.0%} of the messages "
            "were sent only after the next one was due"
        )


def _outliers(name: str, told: Sequence[tuple[TrialRecord, float]]) -> Iterator[str]:
    middle = statistics.median(value for _, value in told)
    deviation = statistics.median(abs(value - middle) for _, value in told)
    far = [trial.number for trial, value in told if deviation and abs(value - middle) / deviation > MOST_DEVIATIONS]
    if far:
        yield f"{name}: the medians of trials {', '.join(map(str, far))} lie far from the others"


def _scatter(name: str, values: Sequence[float]) -> Iterator[str]:
    scatter = statistics.stdev(values) / statistics.fmean(values)
    if scatter > MOST_SCATTER:
        yield f"{name}: the medians of the trials scatter by {scatter:.0%} of their mean (quiet hosts: below {MOST_SCATTER:.0%})"


def _drift(name: str, values: Sequence[float]) -> Iterator[str]:
    """Spearman's rank correlation of the medians with the order they were measured in."""
    if len(set(values)) < 2:
        return
    correlation = statistics.correlation(_ranks(values), range(len(values)))
    if abs(correlation) > MOST_DRIFT and _chance(correlation, len(values)) < DRIFT_CONFIDENCE:
        way = "rise" if correlation > 0 else "fall"
        yield f"{name}: the medians {way} with time (rank correlation {correlation:+.2f})"


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value; those that are equal share the mean of theirs."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def _chance(correlation: float, count: int) -> float:
    """How likely so large a rank correlation is by chance alone, by Student's t with count − 2 degrees of freedom."""
    from scipy.special import stdtr  # scipy.stats has the same, but takes far longer to import

    if abs(correlation) >= 1:
        return 0.0
    t = abs(correlation) * math.sqrt((count - 2) / (1 - correlation**2))
    return float(2 * stdtr(count - 2, -t))


def _middle(trial: TrialRecord) -> float | None:
    """The trial's median latency in µs, or its throughput where that is what was measured."""
    if trial.throughput_gbps is not None:
        return trial.throughput_gbps
    return trial.sockperf.percentiles_us.get("50") if trial.sockperf and trial.sockperf.percentiles_us else None
