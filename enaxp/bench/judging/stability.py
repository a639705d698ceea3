"""Stability: warnings about unstable conditions in a run. Pure. They are reported only; no trial is dropped because of them.

    valid TrialRecords of one scenario ─▶ warnings()         ─┐
    control                            ─▶ control_warnings() ─┼─▶ sentences for result.json and the summary
    dependence between iterations      ─▶ dependence_warnings() ┤
    environment before and after       ─▶ host_warnings()    ─┘

Limits follow common benchmarking practice. A trial is an outlier beyond 14.8 median absolute deviations, which is ten standard deviations
of a normal distribution; trials scatter too much above 5 %. Dependence between iterations is tested on their log ratios, from which the
intervals are computed: single trials are not independent, and a test of them would find drift in sound runs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from enaxp.bench.judging.effect import per_cent
from enaxp.bench.judging.result import Control
from enaxp.bench.run_folder.environment import differences, steal_share, troubles
from enaxp.bench.run_folder.records import Environment, TrialRecord
from enaxp.bench.statistics.dependence import Dependence
from enaxp.bench.statistics.inference import ALPHA
from enaxp.text import change_plain
from enaxp.traffic import ARMS, Arm, Metric, metric_text

MOST_DEVIATIONS = 14.8  # median absolute ones
MOST_SCATTER = 0.05
MOST_LATE = 0.01  # of a trial's messages
MOST_STEAL = 0.001
MOST_SRD_RESOURCES_PCT = 80
FEW = 5  # with fewer trials their scatter is not judged

_LABELS: dict[Arm, str] = {"ena": "ENA", "ena_express": "ENA Express"}


def warnings(trials: Sequence[TrialRecord]) -> list[str]:
    """Warnings about the counted trials of one scenario; none if there is nothing to report."""
    return [line for arm in ARMS for line in _of_arm(_LABELS[arm], [trial for trial in trials if trial.arm == arm])]


def control_warnings(control: Control) -> list[str]:
    """Warnings about the primary effects of a control whose interval does not contain 0."""
    differing = [
        (metric_text(metric), f"{change_plain(effect.low_pct)} to {change_plain(effect.high_pct)}")
        for metric, effect in control.primaries.items()
        if effect.low_pct is not None and effect.high_pct is not None and not effect.low_pct <= 0 <= effect.high_pct
    ]
    if control.between == "interfaces":
        return [
            f"with SRD off on all interfaces the second ones differ from the first at {name} ({bounds}): "
            "the interface itself makes a difference here"
            for name, bounds in differing
        ]
    return [
        f"ENA against ENA differs at {name} ({bounds}): something besides SRD makes a difference here"
        for name, bounds in differing
    ]


def dependence_warnings(found: Mapping[Metric, Dependence | None], *, planned: int) -> list[str]:
    """Warnings about primary metrics whose iterations are autocorrelated or drift with time; each test is at 5 % / (2 · planned
    primaries)."""
    level = ALPHA / (2 * planned)
    lines = []
    for metric, one in found.items():
        if one is not None and one.lag_1_p <= level:
            narrow = math.sqrt((1 + one.lag_1) / (1 - one.lag_1))
            lines.append(
                f"neighbouring iterations resemble each other at {metric_text(metric)} (r = {one.lag_1:.2f}): the interval is too narrow, "
                f"perhaps by {narrow:.2g} times; pause longer between iterations"
            )
        if one is not None and one.trend_p <= level:
            moved = f"{change_plain(per_cent(one.first))} to {change_plain(per_cent(one.last))}"
            lines.append(f"the effect at {metric_text(metric)} moved from {moved} (fitted): the figure is the average")
    return lines


def host_warnings(before: Environment, after: Environment) -> list[str]:
    """Warnings about what happened to the hosts during a run."""
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


def tuning_warnings(untuned: Sequence[str]) -> list[str]:
    """A warning about recommended low-latency settings that the hosts lack; none if they have all."""
    return [f"the hosts are not tuned as AWS recommends: {'; '.join(untuned)}"] if untuned else []


def _of_arm(name: str, trials: Sequence[TrialRecord]) -> Iterator[str]:
    ran = sorted(trials, key=lambda trial: (trial.started_at, trial.number))
    told = [(trial, value) for trial in ran if (value := _middle(trial)) is not None]
    values = [value for _, value in told]
    if len(values) >= FEW:
        yield from _outliers(name, told)
        yield from _scatter(name, values)
    disordered = sum(1 for trial in trials if trial.sockperf and trial.sockperf.out_of_order)
    if disordered:
        yield f"{name}: replies came out of order in {disordered} trials; they count as later than every other"
    yield from _late(name, trials)
    moved = {counter for trial in trials for by in (trial.allowances or {}).values() for counter, n in by.items() if n}
    if moved:
        yield f"{name}: allowance counters moved ({', '.join(sorted(moved))})"
    used = max((trial.srd.resources_pct or 0 for trial in trials if trial.srd), default=0)
    if used > MOST_SRD_RESOURCES_PCT:
        yield f"{name}: {used}% of the memory for SRD connections was in use; near 100% packets go by plain ENA"


def _late(name: str, trials: Sequence[TrialRecord]) -> Iterator[str]:
    """A warning if the client could not keep the rate: more than 1 % of a trial's messages were sent after the next one was due."""
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


def _middle(trial: TrialRecord) -> float | None:
    """The trial's median latency in µs, or its throughput in a throughput scenario."""
    if trial.throughput_gbps is not None:
        return trial.throughput_gbps
    return trial.sockperf.percentiles_us.get("50") if trial.sockperf and trial.sockperf.percentiles_us else None
