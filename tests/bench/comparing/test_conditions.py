"""Conditions: what can be stated, and that only a whole interval shows it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from enaxp.bench.comparing.comparison import (
    Comparison,
    FigureChange,
    ScenarioComparison,
    Side,
    Units,
    compare,
    measure_change,
)
from enaxp.bench.comparing.conditions import Condition, judge, read_condition
from enaxp.bench.run_folder.records import TrialRecord
from enaxp.bench.statistics.inference import Location, student_t
from enaxp.bench.statistics.units import Difference
from enaxp.errors import UsageError
from enaxp.traffic import Metric, Scenario
from tests.support.factories import FIVE, TCP_RATE, a_plan, a_run, earlier_runs, quiet, slower_express


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("p99 slower 5%", Condition(text="p99 slower 5%", metric="p99", way="slower", pct=5)),
        ("P99.9 faster by 2.5 %", Condition(text="P99.9 faster by 2.5 %", metric="p99_9", way="faster", pct=2.5)),
        (" mean  different  0 ", Condition(text="mean  different  0", metric="mean", way="different", pct=0)),
        (
            "udp-load@1000:throughput slower 150%",
            Condition(
                text="udp-load@1000:throughput slower 150%",
                metric="throughput",
                way="slower",
                pct=150,
                scenario="udp-load@1000",
            ),
        ),
        (
            "effect p99 slower 5%",
            Condition(text="effect p99 slower 5%", metric="p99", way="slower", pct=5, of_effect=True),
        ),
        (
            "udp-latency: effect p50 different 1%",
            Condition(
                text="udp-latency: effect p50 different 1%",
                metric="p50",
                way="different",
                pct=1,
                scenario="udp-latency",
                of_effect=True,
            ),
        ),
    ],
)
def test_a_condition_is_read(text: str, condition: Condition) -> None:
    assert read_condition(text) == condition


@pytest.mark.parametrize(
    "text",
    [
        "", "p99", "p99 slower", "p98 slower 5%", "p99 worse 5%", "p99 slower -5%", "p99 slower 5000%", "p99 slower x%",
        "p99 slower 5% p50", "effects p99 slower 5%", "effect slower 5%",
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_condition(text)

    assert raised.value.exit_code == 2
    for allowed in ("mean", "p99_9", "throughput", "faster", "slower", "different", "0 to 1000"):
        assert allowed in raised.value.said


def located(low: float, high: float) -> Location:
    """Where the 97.5 % interval has these ends in per cent."""
    ends = [math.log1p(end / 100) for end in (low, high)]
    half = (ends[1] - ends[0]) / 2
    return Location(mean=sum(ends) / 2, error=half / student_t(0.9875, 4), degrees=4, spread=0.01)


def showing(metric: Metric, low: float | None, high: float | None) -> Comparison:
    """A comparison of one scenario and arm with this interval."""
    run = a_run()
    scenario: Scenario = TCP_RATE if metric == "throughput" else FIVE.scenarios[0]
    where = None if low is None or high is None else located(low, high)
    found = Difference(estimate=where.mean if where else 0.0, where=where, basis="earlier runs", told_by=5)
    change = FigureChange(
        effect=measure_change(metric, found, margin_pct=2, primary=True),
        base=1.0,
        run=1.0,
        base_iterations=5,
        run_iterations=5,
        difference=found,
    )
    units = Units(basis="earlier runs", runs=(), words="nobody knows")
    one = ScenarioComparison(scenario=scenario, arms={"ena": {metric: change}}, effects={}, units=units)
    measured = {
        scenario.name: {metric: {"ena": {}, "ena_express": {}}}  # what `judge` takes for measured
    }
    manifest = a_run(plan=a_plan(scenarios=(scenario,))).manifest
    base = Side((replace(run, name="a", manifest=manifest, values=measured),))  # type: ignore[arg-type]
    return Comparison(base=base, run=base, scenarios=(one,), not_compared={}, differences=(), warnings=())


@pytest.mark.parametrize(
    ("condition", "low", "high", "outcome"),
    [
        ("p99 slower 5%", 5.1, 9, "shown"),
        ("p99 slower 5%", 4.9, 9, "undecided"),
        ("p99 slower 5%", -40, 4.99, "not shown"),
        ("p99 slower 5%", -40, 500, "undecided"),
        ("p99 slower 5%", None, None, "undecided"),
        ("p99 faster 5%", -9, -5.1, "shown"),
        ("p99 faster 5%", -9, -4.9, "undecided"),
        ("p99 faster 5%", -4.99, 40, "not shown"),
        ("p99 different 5%", 6, 9, "shown"),
        ("p99 different 5%", -9, -6, "shown"),
        ("p99 different 5%", -4.99, 4.99, "not shown"),
        ("p99 different 5%", -6, 1, "undecided"),
        ("throughput slower 5%", -9, -5.1, "shown"),
        ("throughput slower 5%", 6, 9, "not shown"),
        ("throughput faster 5%", 6, 9, "shown"),
    ],
)
def test_only_the_whole_interval_shows_it(condition: str, low: float | None, high: float | None, outcome: str) -> None:
    read = read_condition(condition)

    [finding] = judge(read, [showing(read.metric, low, high)])

    assert finding.outcome == outcome


def test_every_scenario_and_arm_that_a_condition_speaks_of_is_looked_at() -> None:
    comparison = compare(a_run(), a_run("dev/b", factor=slower_express), earlier=earlier_runs())

    findings = judge(read_condition("p99 slower 5%"), [comparison])

    assert [(one.scenario, one.arm, one.outcome) for one in findings] == [
        ("udp-latency", "ena", "not shown"),
        ("udp-latency", "ena_express", "shown"),
    ]
    assert findings[1].words.startswith("udp-latency, ENA Express: p99 changed by +20.0% [")
    assert findings[1].words.endswith("] (97.5% interval): slower by more than 5%")


def test_a_condition_on_the_effect_speaks_of_no_arm_and_a_shift_of_both_does_not_meet_it() -> None:
    def louder(record: TrialRecord) -> float:
        return 1.3 * quiet(record)

    found = [
        judge(read_condition(text), [compare(a_run(), a_run("dev/b", factor=factor), earlier=earlier_runs())])
        for text in ("p99 slower 5%", "effect p99 slower 5%")
        for factor in (slower_express, louder)
    ]

    assert [[(one.arm, one.of_effect, one.outcome) for one in findings] for findings in found] == [
        [("ena", False, "not shown"), ("ena_express", False, "shown")],
        [("ena", False, "shown"), ("ena_express", False, "shown")],
        [(None, True, "shown")],
        [(None, True, "not shown")],
    ]
    assert found[2][0].words.startswith("udp-latency, effect of ENA Express: p99 changed by +20.0% [")


def test_nothing_is_shown_by_one_run_a_side_alone() -> None:
    comparison = compare(a_run(), a_run("dev/b", factor=slower_express))

    findings = [
        one for text in ("p99 slower 5%", "effect p99 slower 5%") for one in judge(read_condition(text), [comparison])
    ]

    assert [one.outcome for one in findings] == ["undecided"] * 3
    assert all("cannot be known from 1 run against 1" in one.words for one in findings)


def test_the_more_a_condition_looks_at_the_wider_are_its_intervals() -> None:
    """All of it shares the condition's 5 %: two arms have 2.5 % each, of four comparisons each 0.625 %."""
    comparison = compare(a_run(), a_run("dev/b", factor=slower_express), earlier=earlier_runs())

    levels = [judge(read_condition("p99 slower 5%"), [comparison] * count)[0].words for count in (1, 4)]

    assert ["(97.5% interval)" in levels[0], "(99.38% interval)" in levels[1]] == [True, True]


def test_what_was_not_compared_is_no_pass() -> None:
    other = a_run("dev/b", plan=a_plan(iterations=5, order="parallel", scenarios=(TCP_RATE,)))

    findings = judge(read_condition("udp-latency:p99 slower 5%"), [compare(a_run(), other)])

    assert [(one.outcome, one.words) for one in findings] == [
        ("unmeasured", "udp-latency was not compared: dev/b did not measure it")
    ]


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("tcp:p99 slower 5%", "there are: udp-latency"),
        ("throughput slower 5%", "measured are: mean, p50, p90, p99, p99_9"),
    ],
)
def test_a_condition_that_nothing_can_meet_is_a_mistake(condition: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        judge(read_condition(condition), [compare(a_run(), a_run())])

    assert says in raised.value.said
