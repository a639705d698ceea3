"""Trend: the effect of ENA Express over a lab's runs: its run-to-run standard deviation, and where it changed. Pure.

    (manifest, result) of each run ─▶ series_of ─▶ Series: runs of the same traffic and shape, oldest first
    Series, where it changed ─▶ trend_of ─▶ TrendSeries: segments between the changes, spread within them, prediction for the next run

Runs are the unit, as in a comparison: an effect's own interval covers only the variation of its iterations; the run-to-run variation
comes on top.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from enaxp.bench.comparing.earlier import SHAPE
from enaxp.bench.judging.effect import Code, per_cent
from enaxp.bench.judging.result import Result
from enaxp.bench.run_folder.records import Manifest
from enaxp.bench.statistics.changes import FEWEST, ChangePoint
from enaxp.bench.statistics.inference import EXPLORATORY_CONFIDENCE, student_t
from enaxp.traffic import Metric

SCHEMA = 1
FEWEST_FOR_NEXT = 3  # the least number of runs in a segment for a prediction interval
Detect = Callable[[Sequence[float]], Sequence[ChangePoint]]


@dataclass(frozen=True, kw_only=True)
class TrendRun:
    """One run's effect on the metric, with the interval and the code in its result."""

    run_id: str
    started_at: str
    estimate_pct: float
    low_pct: float | None
    high_pct: float | None
    code: Code
    iterations: int

    @property
    def log_ratio(self) -> float:
        return math.log1p(self.estimate_pct / 100)


@dataclass(frozen=True, kw_only=True)
class TrendChange:
    """A change to a new level: its first run, and the mean effect of the segments before and after it."""

    run_id: str
    started_at: str
    before_pct: float
    after_pct: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class TrendSeries:
    """Runs of one lab with the same traffic and shape, oldest first.

    left_out: runs of the lab without this figure, and why. run_spread_pct: the run-to-run standard deviation within the segments between
    changes; None with too few runs. next_*_pct: the 95 % prediction interval of the next run's estimate, from the newest segment.
    changes_unknown: why changes were not searched for; None if they were.
    """

    lab: str
    target: str
    isolation: str | None
    scenario: str
    plan: Mapping[str, str | float | bool]
    runs: tuple[TrendRun, ...]
    mean_pct: float | None = None
    run_spread_pct: float | None = None
    next_low_pct: float | None = None
    next_high_pct: float | None = None
    changes: tuple[TrendChange, ...] = ()
    changes_unknown: str | None = None


@dataclass(frozen=True, kw_only=True)
class Trend:
    """The trend of a metric: a series for each lab, traffic and shape of the plan."""

    metric: Metric
    series: tuple[TrendSeries, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    schema: int = SCHEMA


def series_of(runs: Iterable[tuple[Manifest, Result]], metric: Metric) -> tuple[list[TrendSeries], dict[str, str]]:
    """The series of the runs, and the reason, by `LAB/RUN`, for each run without this figure in any scenario."""
    groups: dict[tuple[object, ...], TrendSeries] = {}
    left_out: dict[str, str] = {}
    for manifest, result in sorted(runs, key=lambda one: one[0].started_at):
        found = False
        for scenario in manifest.plan.scenarios:
            if (run := _run(manifest, result, scenario.name, metric)) is None:
                continue
            found = True
            shape = {key: getattr(manifest.plan, key) for key in SHAPE}
            traffic = replace(scenario.as_asked, csv_name="")
            key = (manifest.lab, manifest.target, manifest.isolation, traffic, *shape.values())
            empty = TrendSeries(
                lab=manifest.lab,
                target=manifest.target,
                isolation=manifest.isolation,
                scenario=scenario.name,
                plan=shape,
                runs=(),
            )
            groups[key] = replace(so_far := groups.get(key, empty), runs=(*so_far.runs, run))
        if not found:
            left_out[f"{manifest.lab}/{manifest.run_id}"] = f"it has no {metric} with an effect"
    return list(groups.values()), left_out


def trend_of(series: TrendSeries, detect: Detect | None, *, why_not: str = "") -> TrendSeries:
    """The series with its spread and its changes. `detect` finds change points; None if that is not possible, and `why_not` says why."""
    values = [run.log_ratio for run in series.runs]
    unknown = why_not if detect is None else None
    if len(values) < FEWEST:
        detect, unknown = None, f"a change shows from {FEWEST} runs on, there are {len(values)}"
    found = detect(values) if detect else ()
    ends = [0, *(change.at for change in found), len(values)]
    stretches = [values[low:high] for low, high in itertools.pairwise(ends)]
    means = [statistics.fmean(stretch) for stretch in stretches]
    spread, degrees = _pooled(stretches)
    newest = _next(means[-1], len(stretches[-1]), spread, degrees)
    return replace(
        series,
        mean_pct=per_cent(means[-1]),
        run_spread_pct=None if spread is None else 100 * spread,
        next_low_pct=newest[0] if newest else None,
        next_high_pct=newest[1] if newest else None,
        changes=tuple(
            TrendChange(
                run_id=series.runs[change.at].run_id,
                started_at=series.runs[change.at].started_at,
                before_pct=per_cent(before),
                after_pct=per_cent(after),
                p_value=change.p_value,
            )
            for change, before, after in zip(found, means, means[1:], strict=False)
        ),
        changes_unknown=unknown,
    )


def _run(manifest: Manifest, result: Result, scenario: str, metric: Metric) -> TrendRun | None:
    """A run's effect in a scenario; None where it has none."""
    measured = result.scenarios.get(scenario)
    effect = measured.effects.get(metric) if measured else None
    if effect is None or effect.estimate_pct is None or effect.code == "invalid" or effect.estimate_pct <= -100:
        return None
    return TrendRun(
        run_id=manifest.run_id,
        started_at=manifest.started_at,
        estimate_pct=effect.estimate_pct,
        low_pct=effect.low_pct,
        high_pct=effect.high_pct,
        code=effect.code,
        iterations=manifest.plan.iterations,
    )


def _pooled(stretches: Sequence[Sequence[float]]) -> tuple[float | None, int]:
    """The standard deviation within the segments, with its degrees of freedom; None if there are no degrees of freedom."""
    degrees = sum(len(stretch) - 1 for stretch in stretches)
    if degrees < 1:
        return None, 0
    squares = sum(statistics.variance(stretch) * (len(stretch) - 1) for stretch in stretches if len(stretch) > 1)
    return math.sqrt(squares / degrees), degrees


def _next(mean: float, count: int, spread: float | None, degrees: int) -> tuple[float, float] | None:
    """Student's prediction interval for one more run, in per cent; None with too few runs."""
    if spread is None or count < FEWEST_FOR_NEXT:
        return None
    half = student_t((1 + EXPLORATORY_CONFIDENCE) / 2, degrees) * spread * math.sqrt(1 + 1 / count)
    return per_cent(mean - half), per_cent(mean + half)
