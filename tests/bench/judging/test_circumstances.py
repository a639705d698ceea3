"""Circumstances: loss, silence, failures, unlike load and limits are told, and the weighty ones in the headline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from enaxp.bench.judging.circumstances import differ
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.result import ScenarioResult
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import CoreTime, HostUsage, TrialRecord
from enaxp.traffic import Arm, Background
from tests.support.factories import GOOD, UDP, a_manifest, a_plan, a_record, pairs_of_records, shifted

EIGHT = a_plan(iterations=8, repeats=2)


def scenario_of(records: list[TrialRecord], *, plan: BenchPlan = EIGHT) -> ScenarioResult:
    """The evaluation of one scenario whose trials have a thousand observations each, or as many as their record says."""

    def read(record: TrialRecord) -> Histogram | None:
        count = (record.sockperf.observations or 0) if record.sockperf else 0
        values = shifted(1 + 0.0001 * record.iteration)
        return Histogram(values.values[:count], values.counts[:count]) if count < 1000 else values

    return next(iter(result_from(a_manifest(plan=plan), weigh(plan, records, read_histogram=read)).scenarios.values()))


def changed(arm: Arm, **output: Any) -> list[TrialRecord]:
    """A whole run, with something else in what sockperf printed of one arm."""
    return [
        replace(record, sockperf=replace(GOOD, **output)) if record.arm == arm else record
        for record in pairs_of_records(EIGHT)
    ]


def headline(scenario: ScenarioResult) -> str:
    assert scenario.verdict.headline is not None
    return scenario.verdict.headline


def test_an_arm_that_loses_messages_is_named_with_the_interval_of_its_loss() -> None:
    scenario = scenario_of(changed("ena", observations=980, received=980, dropped=20))

    ena, express = scenario.arms["ena"], scenario.arms["ena_express"]
    assert (ena.loss_rate, ena.loss_low, ena.loss_high) == pytest.approx((0.02, 0.02, 0.02))
    assert (express.loss_rate, express.loss_low) == (0, 0)
    assert express.loss_high == pytest.approx(3 / 16_000)  # the rule of three
    assert "messages lost: ENA 2.00% [2.00%, 2.00%], ENA Express none (below 0.0187%)" in scenario.verdict.words
    assert "messages lost: ENA 2.00%" in headline(scenario)


@pytest.mark.parametrize(("loser", "word"), [("ena", "faster"), ("ena_express", "slower")])
def test_a_lost_tail_is_worse_than_any_tail_that_arrived(loser: Arm, word: str) -> None:
    scenario = scenario_of(changed(loser, observations=980, received=980, dropped=20))

    assert scenario.effects["p99"].code == word
    assert scenario.effects["p99"].is_beyond
    assert "p99" in scenario.arms[loser].beyond_measurement
    assert scenario.arms[loser].figure("p99") is None
    assert scenario.effects["p50"].code == "same"


def test_loss_that_both_arms_suffer_alike_is_told_but_not_in_the_headline() -> None:
    lossy = replace(GOOD, observations=995, received=995, dropped=5)
    scenario = scenario_of([replace(record, sockperf=lossy) for record in pairs_of_records(EIGHT)])

    assert "messages lost" in scenario.verdict.words
    assert "messages lost" not in headline(scenario)


def test_many_replies_out_of_order_are_reported_as_later_than_every_other() -> None:
    scenario = scenario_of(changed("ena_express", observations=990, received=990, out_of_order=10))

    assert "1.00% of ENA Express's replies came out of order" in scenario.verdict.words
    assert scenario.arms["ena_express"].loss_rate == 0


def test_a_ping_pong_that_fell_silent_counts_with_one_lost_message_and_is_reported() -> None:
    silent = replace(GOOD, observations=600, received=600, sent=601, ok=False, reason="replies stopped early")
    records = [
        replace(record, sockperf=silent, stalled_flows=1) if record.arm == "ena" and record.repeat == 1 else record
        for record in pairs_of_records(EIGHT)
    ]

    scenario = scenario_of(records)

    ena = scenario.arms["ena"]
    assert (ena.valid_trials, ena.dropped, ena.observations) == (16, 8, 8 * 1600)
    assert "fell silent over a lost message, and count until then: ENA 8 of 16 trials, ENA Express 0 of 16 trials" in (
        scenario.verdict.words
    )


def test_attempts_that_failed_are_reported_and_headed_where_one_arm_fails_more_than_by_chance() -> None:
    again = [replace(record, attempt=2) if record.repeat == 1 else record for record in pairs_of_records(EIGHT)]
    failed = [
        a_record(arm, iteration=at, repeat=1, valid=arm == "ena", reason="its rate was missed", histogram_file=None)
        for at in range(1, 9)
        for arm in ("ena", "ena_express")
    ]

    scenario = scenario_of([*failed, *again])

    assert scenario.arms["ena_express"].failed_attempts == 8
    assert "attempts that failed: ENA 0 of 24, ENA Express 8 of 24" in headline(scenario)


@pytest.mark.parametrize(
    ("one", "other", "far"), [(0, 0, False), (0, 5, False), (0, 6, True), (6, 0, True), (10, 12, False), (3, 20, True)]
)
def test_counts_differ_when_a_fair_coin_would_seldom_part_them_so(one: int, other: int, far: bool) -> None:
    assert differ(one, other) is far


def test_bulk_flows_that_carried_more_in_one_arm_make_the_load_unlike() -> None:
    loaded = replace(UDP, background=Background(protocol="tcp", flows=4, message_size=16384, share=0.65))
    plan = replace(EIGHT, scenarios=(loaded,))

    def carried(express_gbps: float) -> ScenarioResult:
        records = [
            replace(r, background_gbps=(express_gbps if r.arm == "ena_express" else 4.0) + 0.01 * r.iteration)
            for r in pairs_of_records(plan)
        ]
        return scenario_of(records, plan=plan)

    unlike, alike = carried(5.0), carried(4.0)

    assert unlike.arms["ena"].background_gbps == pytest.approx(4.045)
    assert "the bulk flows beside the probe carried +24.7%" in headline(unlike)
    assert "bulk flows" not in alike.verdict.words


def test_a_buffer_that_is_smaller_than_was_asked_for_is_reported() -> None:
    plan = replace(EIGHT, scenarios=(replace(UDP, buffer_size=8_388_608),))

    def given(size: int) -> str:
        return scenario_of([replace(r, receive_buffer=size) for r in pairs_of_records(plan)], plan=plan).verdict.words

    assert "sockets had buffers of 212,992 bytes, not the 8,388,608 asked for" in given(212_992)
    assert "buffers" not in given(8_388_608)


ALLOWANCE = {"allowances": {"client": {"bw_out_allowance_exceeded": 5}}}
RECEIVER = {"usage": {"server": HostUsage(udp_rcvbuf_errors=2)}}  # of 1000 messages
CPU = {"usage": {"client": HostUsage(cores={"3": CoreTime(programs_s=0.0, interrupts_s=9.6)})}}  # of 10 s


@pytest.mark.parametrize(
    ("figures", "limit", "name"),
    [(ALLOWANCE, "allowance", "allowance"), (RECEIVER, "receiver", "receiver"), (CPU, "cpu", "CPU")],
)
def test_where_something_else_was_the_limit_no_difference_shows_no_equality(
    figures: dict[str, Any], limit: str, name: str
) -> None:
    def limited(of: int) -> ScenarioResult:
        """In so many of eight iterations, in one arm alone."""
        return scenario_of(
            [
                replace(record, **figures) if record.iteration <= of and record.arm == "ena" else record
                for record in pairs_of_records(EIGHT)
            ]
        )

    most, half = limited(5), limited(4)

    assert (most.arms["ena"].limits, most.arms["ena_express"].limits) == ((limit,), None)  # whose hosts told nothing
    assert {effect.code for effect in most.primaries.values()} == {"inconclusive"}
    assert f"the limit was the {name} in most trials: not the network" in headline(most)
    assert f"({name}: ENA 10 of 16 trials, ENA Express 0 of 16 trials)" in most.verdict.words
    assert half.arms["ena"].limits == ()
    assert half.verdict.code == "same"
    assert "the limit was" not in half.verdict.words
