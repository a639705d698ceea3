"""Result: which trials count, the figures of each arm, and the shape other programs rely on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from enaxp.bench.judging.blocks import counted
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.result import Result, from_document, to_document
from enaxp.bench.judging.verdict import Treatment, Verdict
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import Manifest, TrialRecord
from enaxp.errors import BenchError
from tests.support.factories import (
    GOOD,
    SRD_OFF,
    SRD_ON,
    TCP,
    TCP_RATE,
    UDP,
    a_manifest,
    a_plan,
    a_record,
    pairs_of_records,
    shifted,
)

ARM_KEYS = [
    "trials", "valid_trials", "observations", "mean_us", "p50_us", "p90_us", "p99_us", "p99_9_us", "p99_99_us", "max_us",
    "sent", "received", "dropped", "loss_rate", "loss_low", "loss_high", "throughput_gbps", "measured_from", "beyond_measurement",
    "failed_attempts", "limits",
]  # fmt: skip
EFFECT_KEYS = [
    "estimate_pct", "low_pct", "high_pct", "margin_pct", "improvement_pct", "primary", "code", "confidence_pct", "thin", "p_value",
]  # fmt: skip
TEN_BY_TEN = a_plan(iterations=10, repeats=10)
Shift = Callable[[TrialRecord], float]


def alike(_: TrialRecord) -> float:
    return 1.0


def express_slower(record: TrialRecord) -> float:
    """20 % slower, with iterations that differ a little."""
    return (1.2 if record.arm == "ena_express" else 1.0) * (1 + 0.001 * (record.iteration % 3))


def result_of(
    records: Sequence[TrialRecord], *, plan: BenchPlan = TEN_BY_TEN, shift: Shift = alike, **changes: Any
) -> Result:
    manifest: Manifest = a_manifest(plan=plan, **changes)

    def read_histogram(record: TrialRecord) -> Histogram | None:
        return shifted(shift(record)) if record.histogram_file else None

    return result_from(manifest, weigh(plan, records, read_histogram=read_histogram))


def test_the_result_has_the_keys_other_programs_rely_on() -> None:
    result = to_document(result_of(pairs_of_records(TEN_BY_TEN), shift=express_slower))

    assert list(result) == ["schema", "run_id", "lab", "target", "isolation", "plan", "scenarios"]
    assert result["plan"] == {
        "iterations": 10,
        "repeats": 10,
        "duration_s": 10,
        "order": "interleaved",
        "seed": 7,
        "margin_pct": 2,
        "scenarios": ["udp-latency"],
        "cpus": "none",
    }
    scenario = result["scenarios"]["udp-latency"]
    assert list(scenario) == ["arms", "effects", "treatment", "verdict", "warnings"]
    assert list(scenario["arms"]) == ["ena", "ena_express"]
    assert all(list(arm) == ARM_KEYS for arm in scenario["arms"].values())
    assert list(scenario["effects"]) == ["mean", "p50", "p90", "p99", "p99_9"]
    assert list(scenario["effects"]["p50"]) == EFFECT_KEYS
    assert list(scenario["treatment"]) == ["proven", "srd_share", "source", "unknown"]
    assert list(scenario["verdict"]) == ["code", "words", "headline"]
    json.dumps(result, allow_nan=False)


def test_ten_times_ten_gives_a_hundred_trials_an_arm() -> None:
    arms = result_of(pairs_of_records(TEN_BY_TEN)).scenarios["udp-latency"].arms

    assert {(arm.trials, arm.valid_trials, arm.observations) for arm in arms.values()} == {(100, 100, 100_000)}


def test_a_slower_arm_is_found_slower_with_its_treatment_proven() -> None:
    scenario = result_of(pairs_of_records(TEN_BY_TEN), shift=express_slower).scenarios["udp-latency"]

    assert scenario.verdict.code == "slower"
    assert scenario.effects["p50"].estimate_pct == pytest.approx(20, abs=0.1)
    assert scenario.effects["p50"].improvement_pct == pytest.approx(-20, abs=0.1)
    assert list(scenario.primaries) == ["p50", "p99"]
    assert scenario.treatment == Treatment(proven=True, srd_share=1.0, source="device")


def test_figures_are_those_of_the_equal_weight_merge_in_us() -> None:
    ena = result_of(pairs_of_records(TEN_BY_TEN)).scenarios["udp-latency"].arms["ena"]

    assert ena.figure("mean") == pytest.approx(29.995)
    assert tuple(ena.figure(metric) for metric in ("p50", "p99", "p99_9")) == (29.99, 34.89, 34.98)
    assert ena.latencies.max_us == 34.99
    assert (ena.sent, ena.received, ena.dropped, ena.loss_rate) == (100_000, 100_000, 0, 0)


def test_the_loss_rate_is_of_the_messages_that_wanted_an_answer() -> None:
    lossy = replace(GOOD, dropped=3, out_of_order=1)

    arms = result_of(pairs_of_records(a_plan(), sockperf=lossy), plan=a_plan()).scenarios["udp-latency"].arms

    # 4 trials: 12 dropped, 4 out of order, 4000 observations in their histograms
    assert arms["ena"].loss_rate == pytest.approx(12 / 4016)


def test_discarded_pairs_are_in_no_figure() -> None:
    records = [replace(r, sockperf=replace(GOOD, sent=10**9)) if r.discarded else r for r in pairs_of_records(a_plan())]

    ena = result_of(records, plan=a_plan()).scenarios["udp-latency"].arms["ena"]

    assert (ena.trials, ena.sent) == (4, 4000)


def test_a_trial_whose_partner_failed_does_not_count_and_its_rerun_does() -> None:
    first = [a_record("ena"), a_record("ena_express", valid=False, reason="stalled")]
    again = [a_record("ena", attempt=2), a_record("ena_express", attempt=2)]

    assert counted(first) == []
    assert counted([*first, *again]) == again
    arms = result_of([*first, *again], plan=a_plan()).scenarios["udp-latency"].arms
    assert [(arm.trials, arm.valid_trials) for arm in arms.values()] == [(2, 1), (2, 1)]


def test_halves_of_two_attempts_are_no_pair_and_of_two_whole_ones_the_first_counts() -> None:
    halves = [a_record("ena", attempt=1), a_record("ena_express", attempt=2)]
    whole = [a_record(arm, attempt=attempt) for attempt in (1, 2) for arm in ("ena", "ena_express")]

    assert counted(halves) == []
    assert counted(whole) == whole[:2]


def test_without_trials_everything_measured_is_null_and_the_verdict_invalid() -> None:
    result = result_of([], plan=a_plan())

    scenario = result.scenarios["udp-latency"]
    document = to_document(result)["scenarios"]["udp-latency"]
    told = {key: value for key, value in document["arms"]["ena"].items() if value is not None}
    assert told == {
        "trials": 0,
        "valid_trials": 0,
        "measured_from": "sent",
        "beyond_measurement": [],
        "failed_attempts": 0,
    }
    assert {effect.code for effect in scenario.effects.values()} == {"invalid"}
    assert scenario.treatment == Treatment(proven=None, srd_share=None, source="none")
    said = "invalid: no pair of trials was completed"
    assert scenario.verdict == Verdict(code="invalid", words=said, headline=said)
    assert not result.has_valid_scenario


def test_when_nothing_was_valid_the_commonest_reason_is_given() -> None:
    records = pairs_of_records(a_plan(), valid=False, reason="the server is down", sockperf=None, srd=None)

    result = result_of(records, plan=a_plan())

    words = result.scenarios["udp-latency"].verdict.words
    assert (
        words == "invalid: no pair of trials was valid; 8 of 8 trials: the server is down; "
        "attempts that failed: ENA 4 of 4, ENA Express 4 of 4"
    )


@pytest.mark.parametrize(
    ("srd", "proven", "share", "source", "code"),
    [
        (None, None, None, "none", "same"),
        (replace(SRD_ON, source="stand-in"), True, 1.0, "stand-in", "same"),
        (replace(SRD_ON, tx=500), False, 0.5, "device", "invalid"),
    ],
)
def test_the_treatment_is_proven_refuted_or_unknown(
    srd: Any, proven: bool | None, share: float | None, source: str, code: str
) -> None:
    plan = a_plan(iterations=4)
    records = [
        replace(r, srd=srd) if r.arm == "ena_express" else replace(r, srd=srd and replace(SRD_OFF, source=srd.source))
        for r in pairs_of_records(plan)
    ]

    result = result_of(records, plan=plan)

    scenario = result.scenarios["udp-latency"]
    assert (scenario.treatment.proven, scenario.treatment.srd_share) == (proven, share)
    assert scenario.treatment.source == source
    assert scenario.verdict.code == code
    assert result.has_valid_scenario is (code != "invalid")


def test_one_iteration_is_inconclusive_and_has_no_interval() -> None:
    plan = a_plan(iterations=1)

    scenario = result_of(pairs_of_records(plan), plan=plan, shift=express_slower).scenarios["udp-latency"]

    assert scenario.verdict.code == "inconclusive"
    assert scenario.effects["p50"].low_pct is None
    assert scenario.effects["p50"].estimate_pct == pytest.approx(20, abs=0.1)


def test_throughput_is_the_only_figure_and_the_only_primary_of_its_scenario() -> None:
    plan = a_plan(scenarios=(TCP_RATE,), iterations=3)
    output = replace(GOOD, mode="throughput", measures="rate", observations=None, dropped=None, out_of_order=None)
    records = [
        replace(
            record,
            sockperf=output,
            histogram_file=None,
            throughput_gbps=(12.0 if record.arm == "ena_express" else 10.0) + 0.01 * record.iteration,
        )
        for record in pairs_of_records(plan)
    ]

    scenario = result_of(records, plan=plan).scenarios["tcp-rate"]

    assert scenario.arms["ena"].throughput_gbps == pytest.approx(10.02)
    assert scenario.arms["ena"].figure("p50") is scenario.arms["ena"].loss_rate is None
    assert list(scenario.effects) == ["throughput"]
    assert scenario.effects["throughput"].improvement_pct == pytest.approx(19.96, abs=0.01)
    assert scenario.verdict.code == "faster"


def test_scenarios_are_judged_apart() -> None:
    plan = a_plan(scenarios=(UDP, TCP), iterations=4)

    def only_tcp(record: TrialRecord) -> float:
        return express_slower(record) if record.scenario == "tcp-latency" else 1.0

    scenarios = result_of(pairs_of_records(plan), plan=plan, shift=only_tcp).scenarios

    assert {name: scenario.verdict.code for name, scenario in scenarios.items()} == {
        "udp-latency": "same",
        "tcp-latency": "slower",
    }


def test_a_local_run_says_so_first() -> None:
    result = result_of(pairs_of_records(a_plan()), plan=a_plan(), target="local", isolation="namespaces")

    assert result.scenarios["udp-latency"].verdict.words.startswith("local, not ENA: ")
    assert (result.target, result.isolation) == ("local", "namespaces")


def test_a_result_comes_back_from_its_document() -> None:
    plan = a_plan(scenarios=(UDP, TCP), iterations=4, crossover=True)
    document = to_document(result_of(pairs_of_records(plan), plan=plan, shift=express_slower))

    read = from_document(json.loads(json.dumps(document)))

    assert to_document(read) == document
    assert [(name, one.verdict.code) for name, one in read.scenarios.items()] == [
        ("udp-latency", "slower"),
        ("tcp-latency", "slower"),
    ]


def test_a_result_of_a_later_version_is_read_with_the_percentiles_it_has_and_without_keys_that_are_new() -> None:
    document = json.loads(json.dumps(to_document(result_of(pairs_of_records(TEN_BY_TEN)))))
    ena = document["scenarios"]["udp-latency"]["arms"]["ena"]
    ena |= {"p99_999_us": 80.5, "moon": "full"}
    del ena["p99_99_us"]

    figures = from_document(document).scenarios["udp-latency"].arms["ena"]

    assert list(figures.latencies.percentiles_us) == ["p50", "p90", "p99", "p99_9", "p99_999"]
    assert (figures.figure("p99_999"), figures.figure("p99_99")) == (80.5, None)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("schema",), 3, "of schema 3, which a later enaxp wrote; this one reads 1 and 2"),
        (("schema",), True, "of schema True"),
        (("scenarios",), [], "Expected `object`, got `array` - at `$.scenarios`"),
        (("scenarios", "udp-latency", "arms", "ena"), 3, "got `int` - at `$.scenarios[...].arms[...]`"),
        (("scenarios", "udp-latency", "verdict", "code"), "good", "Invalid enum value 'good'"),
    ],
)
def test_what_is_no_result_is_refused_with_its_path(path: tuple[str, ...], value: object, says: str) -> None:
    document = to_document(result_of(pairs_of_records(a_plan()), plan=a_plan()))
    *above, last = path
    at = document
    for key in above:
        at = at[key]
    at[last] = value

    with pytest.raises(BenchError, match=re.escape(says)):
        from_document(document)
