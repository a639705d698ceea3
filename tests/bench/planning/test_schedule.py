"""Schedule: equal counts, seeded order, one discarded pair an iteration."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enaxp.bench.planning.schedule import BenchPlan, pairs, schedule, seconds
from enaxp.bench.run_folder.documents import fields_of
from enaxp.traffic import Background, Scenario

UDP = Scenario(name="udp-latency", mode="ping-pong", protocol="udp", message_size=64, csv_name="UDP_Small")
TCP = replace(UDP, name="tcp-latency", protocol="tcp", csv_name="TCP_Small")
PLAN = BenchPlan(iterations=10, repeats=10, duration_s=10, order="interleaved", seed=7, margin_pct=2, scenarios=(UDP,))

plans = st.builds(
    replace,
    st.just(PLAN),
    iterations=st.integers(1, 6),
    repeats=st.integers(1, 9),
    seed=st.integers(0, 2**63 - 1),
    order=st.sampled_from(["interleaved", "parallel"]),
    scenarios=st.sampled_from([(UDP,), (UDP, TCP)]),
)


def test_ten_times_ten_gives_a_hundred_trials_an_arm_and_one_discarded_pair_an_iteration() -> None:
    trials = schedule(PLAN)

    assert Counter((trial.arm, trial.discarded) for trial in trials) == {
        ("ena", False): 100,
        ("ena_express", False): 100,
        ("ena", True): 10,
        ("ena_express", True): 10,
    }


@given(plans)
def test_trials_come_in_whole_pairs_numbered_in_order(plan: BenchPlan) -> None:
    trials = schedule(plan)

    assert [trial.number for trial in trials] == list(range(1, len(trials) + 1))
    for first, second in pairs(trials):
        assert {first.arm, second.arm} == {"ena", "ena_express"}
        assert (first.position, second.position) == (1, 2)
        assert (first.iteration, first.repeat, first.scenario) == (second.iteration, second.repeat, second.scenario)


@given(plans)
def test_each_block_begins_with_its_discarded_pair_and_holds_every_repeat_once(plan: BenchPlan) -> None:
    blocks: dict[tuple[int, str], list[int]] = {}
    for first, _ in pairs(schedule(plan)):
        blocks.setdefault((first.iteration, first.scenario.name), []).append(first.repeat)

    assert len(blocks) == plan.iterations * len(plan.scenarios)
    assert all(repeats == list(range(plan.repeats + 1)) for repeats in blocks.values())


@given(plans)
def test_either_arm_goes_first_equally_often(plan: BenchPlan) -> None:
    firsts = Counter[tuple[int, str, str]]()
    for first, _ in pairs(schedule(plan)):
        if not first.discarded:
            firsts[first.iteration, first.scenario.name, first.arm] += 1

    for iteration in range(1, plan.iterations + 1):
        for scenario in plan.scenarios:
            ena = firsts[iteration, scenario.name, "ena"]
            assert abs(ena - (plan.repeats - ena)) == plan.repeats % 2
    if plan.iterations % 2 == 0:  # the one left over by an odd count goes to either arm in turn
        assert len(Counter(arm for (_, _, arm), n in firsts.items() for _ in range(n)).values()) == 2
        ena = sum(n for (_, _, arm), n in firsts.items() if arm == "ena")
        assert ena * 2 == plan.iterations * plan.repeats * len(plan.scenarios)


@given(plans)
def test_the_same_plan_gives_the_same_trials(plan: BenchPlan) -> None:
    assert schedule(plan) == schedule(plan)


def test_another_seed_gives_another_order() -> None:
    orders = {tuple(t.arm for t in schedule(replace(PLAN, seed=seed))) for seed in range(20)}

    assert len(orders) == 20


def test_the_order_of_a_seed_does_not_change_from_one_python_to_the_next() -> None:
    trials = schedule(replace(PLAN, iterations=1, repeats=6))

    assert "".join("A" if trial.arm == "ena" else "B" for trial in trials) == FROZEN


FROZEN = "BAABBAABBAABBA"


def test_a_longer_plan_begins_like_a_shorter_one() -> None:
    short, long = schedule(replace(PLAN, iterations=2)), schedule(replace(PLAN, iterations=5))

    assert long[: len(short)] == short


@pytest.mark.parametrize(
    ("order", "duration_s", "expected"),
    [("interleaved", 10, 220 * 12.24), ("parallel", 10, 110 * 12.24), ("interleaved", 0.5, 220 * 3.24)],
)
def test_the_estimate_is_a_duration_and_what_sockperf_adds_for_each_trial(
    order: str, duration_s: float, expected: float
) -> None:
    plan = replace(PLAN, order=order, duration_s=duration_s)

    assert seconds(plan) == pytest.approx(expected)


def test_a_plan_comes_back_from_json() -> None:
    loaded = replace(UDP, name="loaded", background=Background(protocol="tcp", flows=4, message_size=1472))
    plan = replace(PLAN, scenarios=(UDP, loaded))

    assert msgspec.convert(json.loads(json.dumps(fields_of(plan))), BenchPlan) == plan


def test_only_a_lone_ping_pong_is_idle() -> None:
    loaded = replace(UDP, background=Background(protocol="tcp", flows=4, message_size=1472))

    assert [scenario.is_idle for scenario in (UDP, loaded, replace(UDP, mode="under-load"))] == [True, False, False]
