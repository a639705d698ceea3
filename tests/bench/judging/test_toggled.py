"""Toggled: both arms on the same interfaces, SRD switched between blocks of trials and never within one, trials paired by iteration."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enaxp.bench.judging.blocks import counted
from enaxp.bench.judging.checkup import check
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.gates import srd_gate
from enaxp.bench.judging.running import Running
from enaxp.bench.measuring.crossover import why_not_crossed
from enaxp.bench.measuring.runner import _Finished
from enaxp.bench.measuring.servers import probe_port
from enaxp.bench.planning.schedule import BenchPlan, first_toggled, schedule, seconds, units
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.records import SrdDelta, TrialRecord
from enaxp.traffic import Arm
from tests.support.factories import SRD_OFF, SRD_ON, TCP, UDP, a_manifest, a_plan, a_record, shifted

PLAN = a_plan(order="toggled", iterations=8, repeats=2)
plans = st.builds(
    replace,
    st.just(PLAN),
    iterations=st.integers(1, 7),
    repeats=st.integers(1, 4),
    seed=st.integers(0, 2**63 - 1),
    scenarios=st.sampled_from([(UDP,), (UDP, TCP)]),
)


def records_of(plan: BenchPlan) -> list[TrialRecord]:
    return [
        a_record(
            trial.arm,
            number=trial.number,
            scenario=trial.scenario.name,
            iteration=trial.iteration,
            repeat=trial.repeat,
            toggled=True,
        )
        for trial in schedule(plan)
    ]


@given(plans)
def test_both_arms_have_every_trial_on_one_interface_and_one_port_and_srd_as_their_arm_says(plan: BenchPlan) -> None:
    trials = schedule(plan)

    assert [trial.number for trial in trials] == list(range(1, len(trials) + 1))
    assert {(trial.home, trial.crossed, probe_port(trial, 0)) for trial in trials} == {("ena_express", False, 11111)}
    assert {(trial.arm, trial.srd_on) for trial in trials} == {("ena", "none"), ("ena_express", "second")}
    assert Counter((t.arm, t.scenario.name, t.iteration, t.repeat) for t in trials) == {
        (arm, scenario.name, iteration, repeat): 1
        for arm in ("ena", "ena_express")
        for scenario in plan.scenarios
        for iteration in range(1, plan.iterations + 1)
        for repeat in range(plan.repeats + 1)
    }


@given(plans)
def test_srd_is_switched_only_before_a_discarded_trial_and_at_most_twice_an_iteration_of_a_scenario(
    plan: BenchPlan,
) -> None:
    switched = [after for before, after in pairwise(schedule(plan)) if before.srd_on != after.srd_on]

    assert all(trial.discarded for trial in switched)
    assert len(switched) < 2 * plan.iterations * len(plan.scenarios)


@given(st.integers(0, 2**63 - 1))
def test_of_two_iterations_each_arm_is_first_in_one_and_the_seed_decides_in_which(seed: int) -> None:
    firsts = [first_toggled(seed=seed, iteration=iteration, scenario="udp-latency") for iteration in range(1, 41)]

    assert all({one, other} == {"ena", "ena_express"} for one, other in zip(firsts[::2], firsts[1::2], strict=True))
    assert len(set(firsts[::2])) == 2  # of twenty drawings both come up


def test_another_seed_is_another_order_and_what_was_begun_is_that_of_a_longer_run() -> None:
    orders = {tuple(t.arm for t in schedule(replace(PLAN, seed=seed))) for seed in range(20)}
    longer = schedule(replace(PLAN, until_pct=1.0, max_iterations=12))

    assert len(orders) > 5
    assert longer[: len(schedule(PLAN))] == schedule(PLAN)


def test_each_trial_is_carried_out_by_itself_and_the_time_for_switching_is_reported() -> None:
    apart = replace(PLAN, order="interleaved")

    assert {len(unit) for unit in units(PLAN, schedule(PLAN))} == {1}
    assert seconds(PLAN) == pytest.approx(seconds(apart) + 1.5 * 8 * 6)


def test_a_trial_that_failed_is_left_to_be_run_again_whatever_became_of_the_other_arms() -> None:
    ena, express = (next(t for t in schedule(PLAN) if t.arm == arm and t.repeat == 1) for arm in ("ena", "ena_express"))
    done = a_record("ena", toggled=True)
    failed = replace(a_record("ena_express", toggled=True), valid=False, reason="it hung")
    finished = _Finished([done, failed])

    assert finished.what_is_left((ena,)) == (1, ())
    assert finished.what_is_left((express,)) == (2, (express,))
    assert _Finished([]).what_is_left((ena,)) == (1, (ena,))


def test_the_first_valid_attempt_of_each_arm_counts_where_the_other_has_one_too() -> None:
    failed = replace(a_record("ena", toggled=True), valid=False, reason="it hung")
    again = replace(a_record("ena", toggled=True), attempt=2)
    express = a_record("ena_express", toggled=True)
    alone = a_record("ena", toggled=True, repeat=2)

    assert counted([failed, again, express, alone]) == [again, express]
    assert counted([replace(record, toggled=False) for record in (failed, again, express)]) == []


def test_nothing_but_srd_differs_and_the_words_say_so() -> None:
    evidence = weigh(
        PLAN,
        records_of(PLAN),
        read_histogram=lambda r: shifted((1.2 if r.arm == "ena_express" else 1.0) * (1 + 0.001 * (r.iteration % 3))),
    )
    manifest = a_manifest(plan=PLAN)

    result = result_from(manifest, evidence)

    scenario = result.scenarios["udp-latency"]
    assert scenario.verdict.code == "slower"
    assert "nothing but SRD differs between the arms: both used the same interfaces" in scenario.verdict.words
    assert "together with the interface" not in scenario.verdict.words
    assert scenario.effects["p50"].estimate_pct == pytest.approx(20, abs=0.5)
    assert scenario.interface is None
    assert result.plan.order == "toggled"
    assert any("nothing but SRD differs" in line for line in check(manifest, evidence, result).remarks)


def test_the_live_figures_pair_the_blocks_of_an_iteration() -> None:
    running = Running(PLAN)

    for record in records_of(PLAN):
        running.add(record, shifted(1.1 if record.arm == "ena_express" else 1.0))

    [so_far] = running.scenarios
    assert so_far.pairs == 8 * 2
    assert so_far.effects["p50"].estimate_pct == pytest.approx(10, abs=0.1)


def test_a_trial_of_ena_whose_device_shows_srd_switched_on_does_not_count() -> None:
    def passes(arm: Arm, srd: SrdDelta) -> bool | None:
        return srd_gate(UDP, a_record(arm, srd=srd, interfaces=None)).passed

    on = replace(SRD_OFF, mode=1), replace(SRD_OFF, peer_mode=3)

    assert [passes("ena", srd) for srd in on] == [False, False]
    assert passes("ena", replace(SRD_OFF, mode=2, peer_mode=2))  # UDP's flag alone does nothing
    assert passes("ena_express", SRD_ON)


def test_there_is_nothing_to_cross_over() -> None:
    cannot, _ = why_not_crossed(is_aws=True, order="toggled", iterations=10, is_open_ended=False, has_control=False)

    assert cannot == "both arms use the same interfaces"
