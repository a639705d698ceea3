"""Running: what is told during a bench comes to what its result says at the end, whatever the order trials end in, and claims no more."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from enaxp.bench.judging.effect import Effect
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.running import Running
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import TrialRecord
from tests.support.factories import TCP_RATE, a_manifest, a_plan, a_record, pairs_of_records, shifted

PLAN = a_plan(iterations=4, repeats=3)


def histogram_of(record: TrialRecord) -> Histogram:
    chance = random.Random(f"{record.iteration} {record.repeat} {record.arm}")
    return shifted(chance.uniform(0.9, 1.1))


def effect_width(effect: Effect) -> float:
    assert effect.low_pct is not None
    assert effect.high_pct is not None
    return effect.high_pct - effect.low_pct


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_at_its_end_a_run_has_come_to_its_result(seed: int | None) -> None:
    records = pairs_of_records(PLAN)
    if seed is not None:
        random.Random(seed).shuffle(records)
    running = Running(PLAN)
    for record in records:
        running.add(record, histogram_of(record))

    result = result_from(a_manifest(plan=PLAN), weigh(PLAN, records, read_histogram=histogram_of))

    [so_far] = running.scenarios
    measured = result.scenarios["udp-latency"]
    assert so_far.pairs == 12
    for metric in ("p50", "p99"):
        effect, at_the_end = so_far.effects[metric], measured.effects[metric]
        assert effect.estimate_pct == pytest.approx(at_the_end.estimate_pct)
        assert effect.code in (at_the_end.code, "inconclusive")
        assert effect.low_pct < at_the_end.low_pct < at_the_end.high_pct < effect.high_pct  # type: ignore[operator]
        for arm in ("ena", "ena_express"):
            assert so_far.figures[metric][arm] == pytest.approx(measured.arms[arm].figure(metric))
    assert so_far.widths_pct["p50"][-1] == pytest.approx(effect_width(so_far.effects["p50"]))


def test_a_run_in_which_nothing_differs_is_not_told_as_different_however_often_it_is_looked_at() -> None:
    plan = a_plan(iterations=15, repeats=1)
    told = 0
    for seed in range(60):
        chance, running = random.Random(seed), Running(plan)
        seen = set()
        for record in pairs_of_records(plan):
            running.add(record, shifted(chance.lognormvariate(0, 0.05)))
            seen |= {one.effects["p50"].code for one in running.scenarios}
        told += bool(seen & {"faster", "slower", "slightly-faster", "slightly-slower"})

    assert told <= 4  # 2.5 % of 60, with three standard deviations


def test_half_a_pair_a_discarded_one_and_a_control_count_nothing() -> None:
    running = Running(PLAN)

    for record in (
        a_record("ena"),
        a_record("ena", repeat=0),
        a_record("ena_express", repeat=0),
        a_record("ena", repeat=2, control=True),
        a_record("ena_express", repeat=2, control=True),
        a_record("ena_express", scenario="another"),
    ):
        running.add(record, shifted(1))

    assert running.scenarios == []


def test_a_pair_that_runs_again_counts_once_and_what_failed_is_counted() -> None:
    running = Running(PLAN)

    running.add(a_record("ena"), shifted(1))
    running.add(a_record("ena_express", valid=False, reason="stalled"), None)
    assert running.scenarios == []
    for attempt in (2, 3):
        running.add(a_record("ena", attempt=attempt), shifted(2))
        running.add(a_record("ena_express", attempt=attempt), shifted(2))

    [so_far] = running.scenarios
    assert (so_far.pairs, running.invalid) == (1, 1)
    assert so_far.figures["p50"] == {"ena": 59.98, "ena_express": 59.98}
    assert so_far.effects["p50"].low_pct is None


def test_throughput_is_reported_as_what_it_is() -> None:
    plan = a_plan(scenarios=(TCP_RATE,))
    running = Running(plan)

    for record in pairs_of_records(plan):
        rate = 10.0 + record.iteration / 100 + (record.arm == "ena_express")
        running.add(replace(record, throughput_gbps=rate, histogram_file=None), None)

    [so_far] = running.scenarios
    assert so_far.figures == {"throughput": {"ena": pytest.approx(10.015), "ena_express": pytest.approx(11.015)}}
    assert so_far.effects["throughput"].estimate_pct == pytest.approx(9.985, abs=0.001)
