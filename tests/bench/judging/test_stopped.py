"""A run that somebody stopped: its words come from an interval that may be watched, whoever looked at it before."""

from __future__ import annotations

import contextlib
import math
import statistics
from pathlib import Path
from typing import Any

import pytest

from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.result import ScenarioResult
from enaxp.bench.measuring import bench
from enaxp.bench.measuring.runner import RunOptions
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import RunFolder, TrialRecord
from enaxp.errors import HostError, Interrupted
from tests.support.factories import TCP, UDP, a_manifest, a_plan, pairs_of_records, shifted

TEN = a_plan(iterations=10)
RATIOS = (0.010, 0.013, 0.008, 0.011, 0.015, 0.009, 0.012, 0.010, 0.014, 0.008)
# Of the published table: the half width at 97.5 %, in standard deviations.
FACTORS = {4: 4.30, 5: 2.91, 7: 1.99}


def ends_of(ratios: tuple[float, ...], factor: float) -> tuple[float, float]:
    mean, half = statistics.fmean(ratios), factor * statistics.stdev(ratios)
    return 100 * math.expm1(mean - half), 100 * math.expm1(mean + half)


def stopped_after(count: float, *, plan: Any = TEN, **changes: Any) -> dict[str, ScenarioResult]:
    """The scenarios of a run of which so many iterations were measured; a half is one of its two repeats."""

    def read(record: TrialRecord) -> Histogram:
        return shifted(math.exp(RATIOS[record.iteration - 1] if record.arm == "ena_express" else 0.0))

    records = [
        record
        for record in pairs_of_records(plan)
        if record.iteration <= count or (record.iteration <= count + 0.5 and record.repeat < 2)
    ]
    manifest = a_manifest(plan=plan, **{"stopped": True, **changes})
    return dict(result_from(manifest, weigh(plan, records, read_histogram=read)).scenarios)


@pytest.mark.parametrize("count", FACTORS)
def test_it_has_the_interval_of_the_live_view_and_says_after_how_many_iterations(count: int) -> None:
    scenario = stopped_after(count)["udp-latency"]

    effect = scenario.effects["p50"]
    low, high = ends_of(RATIOS[:count], FACTORS[count])
    assert (effect.low_pct, effect.high_pct) == pytest.approx((low, high), rel=0.01, abs=0.01)
    assert (effect.confidence_pct, effect.p_value) == (97.5, None)
    assert f"stopped after {count} of 10 iterations" in scenario.verdict.words
    assert f"stopped after {count} of 10 iterations" in str(scenario.verdict.headline)
    assert "97.5% interval that may be watched" in scenario.verdict.words


def test_an_exploratory_figure_may_be_watched_at_its_own_level() -> None:
    effect = stopped_after(7)["udp-latency"].effects["p90"]

    assert (effect.primary, effect.confidence_pct) == (False, 95)
    assert effect.low_pct is not None
    assert effect.low_pct < ends_of(RATIOS[:7], 2.447 / math.sqrt(7))[0]  # wider than Student's t


@pytest.mark.parametrize("count", [2, 3])
def test_while_the_interval_is_open_it_is_inconclusive_and_says_why(count: int) -> None:
    scenario = stopped_after(count)["udp-latency"]

    effect = scenario.effects["p50"]
    assert (scenario.verdict.code, effect.low_pct, effect.high_pct) == ("inconclusive", None, None)
    assert effect.estimate_pct is not None
    assert "after so few iterations an interval that may be watched is open" in scenario.verdict.words
    assert f"stopped after {count} of 10 iterations" in scenario.verdict.words


def test_an_iteration_that_was_begun_is_one_of_them() -> None:
    assert "stopped after 5 of 10 iterations" in stopped_after(4.5)["udp-latency"].verdict.words


def test_what_was_carried_out_before_somebody_stopped_the_run_has_its_own_interval() -> None:
    scenario = stopped_after(10)["udp-latency"]

    assert "stopped" not in scenario.verdict.words
    assert scenario.effects["p50"].p_value is not None


def test_a_run_that_was_resumed_or_cut_off_by_its_hosts_has_the_interval_of_its_plan() -> None:
    scenario = stopped_after(7, stopped=False)["udp-latency"]

    assert "stopped" not in scenario.verdict.words
    assert scenario.effects["p50"].low_pct == pytest.approx(ends_of(RATIOS[:7], 2.969 / math.sqrt(7))[0], abs=0.01)


def test_crossed_over_it_is_centred_between_the_halves_and_its_spread_is_within_them() -> None:
    plan = a_plan(iterations=10, crossover=True)
    crossed = (False,) * 5 + (True,) * 2

    def read(record: TrialRecord) -> Histogram:
        shift = RATIOS[record.iteration - 1] + (-0.05 if crossed[record.iteration - 1] else 0.05)
        return shifted(math.exp(shift if record.arm == "ena_express" else 0.0))

    records = [
        TrialRecord(**{**vars(record), "crossed": crossed[record.iteration - 1]})
        for record in pairs_of_records(plan)
        if record.iteration <= 7
    ]
    manifest = a_manifest(plan=plan, stopped=True)
    effect = result_from(manifest, weigh(plan, records, read_histogram=read)).scenarios["udp-latency"].effects["p50"]

    halves = RATIOS[:5], RATIOS[5:7]
    n, degrees = 4 / (1 / 5 + 1 / 2), 5
    r, k = 1 / (1 + 10 * n), ((1 + 10 * n) / 0.025**2) ** (1 / 6)
    pooled = math.sqrt(sum(statistics.variance(half) * (len(half) - 1) for half in halves) / degrees)
    half = pooled * math.sqrt(degrees * (k - 1) / (1 - r * k) / n)
    mean = sum(map(statistics.fmean, halves)) / 2
    ends = 100 * math.expm1(mean - half), 100 * math.expm1(mean + half)
    assert (effect.low_pct, effect.high_pct) == pytest.approx(ends, abs=0.01)


def test_of_several_scenarios_each_primary_has_its_share() -> None:
    scenarios = stopped_after(7, plan=a_plan(iterations=10, scenarios=(UDP, TCP)))

    assert {one.effects["p99"].confidence_pct for one in scenarios.values()} == {98.75}


@pytest.mark.parametrize(
    ("raised", "stopped"),
    [(Interrupted("Ctrl-C"), True), (KeyboardInterrupt(), True), (HostError("a host is lost"), False), (None, False)],
)
def test_the_manifest_says_whether_somebody_stopped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException | None, stopped: bool
) -> None:
    class Run:
        def __init__(self, *_: object, **__: object) -> None: ...

        def run(self) -> None:
            if raised is not None:
                raise raised

    monkeypatch.setattr(bench, "Runner", Run)
    monkeypatch.setattr(bench, "capture", lambda pair, probes: {})
    folder = RunFolder(tmp_path)
    nothing: Any = None

    with contextlib.nullcontext() if raised is None else pytest.raises(type(raised)):
        bench._run(a_manifest(), pair=nothing, folder=folder, probes={}, options=RunOptions(watch=lambda _: None))

    assert folder.read_manifest().stopped is stopped
