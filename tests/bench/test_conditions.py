"""Conditions: what can be stated, and that only a whole interval shows it."""

from __future__ import annotations

import pytest

from enaxp.bench.comparison import Comparison, FigureChange, ScenarioComparison, compare
from enaxp.bench.conditions import Condition, judge, read_condition
from enaxp.bench.effect import Effect
from enaxp.errors import UsageError
from enaxp.traffic import Metric, Scenario
from tests.support.factories import FIVE, TCP_RATE, a_plan, a_run, slower_express


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
    ],
)
def test_a_condition_is_read(text: str, condition: Condition) -> None:
    assert read_condition(text) == condition


@pytest.mark.parametrize(
    "text",
    ["", "p99", "p99 slower", "p98 slower 5%", "p99 worse 5%", "p99 slower -5%", "p99 slower 5000%", "p99 slower x%", "p99 slower 5% p50"],
)  # fmt: skip
def test_what_is_no_condition_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_condition(text)

    assert raised.value.exit_code == 2
    for allowed in ("mean", "p99_9", "throughput", "faster", "slower", "different", "0 to 1000"):
        assert allowed in raised.value.said


def showing(metric: Metric, low: float | None, high: float | None) -> Comparison:
    """A comparison of one scenario and arm with this interval."""
    run = a_run()
    scenario: Scenario = TCP_RATE if metric == "throughput" else FIVE.scenarios[0]
    effect = Effect(
        estimate_pct=0.0 if low is None or high is None else (low + high) / 2,
        low_pct=low,
        high_pct=high,
        margin_pct=2,
        improvement_pct=None,
        primary=True,
        code="same",
    )
    change = FigureChange(effect=effect, base=1.0, run=1.0, base_iterations=5, run_iterations=5)
    one = ScenarioComparison(scenario=scenario, arms={"ena": {metric: change}}, effects={})
    measured = {
        scenario.name: {metric: {"ena": {}, "ena_express": {}}}  # what `judge` takes for measured
    }
    base = type(run)(
        name="a",
        manifest=a_run(plan=a_plan(scenarios=(scenario,))).manifest,
        result=run.result,
        values=measured,  # type: ignore[arg-type]
    )
    return Comparison(base=base, run=base, scenarios=(one,), not_compared={}, differences=(), warnings=())


@pytest.mark.parametrize(
    ("condition", "low", "high", "outcome"),
    [
        ("p99 slower 5%", 5.1, 9, "shown"),
        ("p99 slower 5%", 4.9, 9, "undecided"),
        ("p99 slower 5%", -40, 5, "not shown"),
        ("p99 slower 5%", -400, 500, "undecided"),
        ("p99 slower 5%", None, None, "undecided"),
        ("p99 faster 5%", -9, -5.1, "shown"),
        ("p99 faster 5%", -9, -4.9, "undecided"),
        ("p99 faster 5%", -5, 40, "not shown"),
        ("p99 different 5%", 6, 9, "shown"),
        ("p99 different 5%", -9, -6, "shown"),
        ("p99 different 5%", -5, 5, "not shown"),
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
    comparison = compare(a_run(), a_run("dev/b", factor=slower_express))

    findings = judge(read_condition("p99 slower 5%"), [comparison])

    assert [(one.scenario, one.arm, one.outcome) for one in findings] == [
        ("udp-latency", "ena", "not shown"),
        ("udp-latency", "ena_express", "shown"),
    ]
    assert findings[1].words.startswith("udp-latency, ENA Express: p99 changed by +20.0% [")
    assert findings[1].words.endswith("]: slower by more than 5%")


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
