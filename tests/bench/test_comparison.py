"""Comparison: what two runs' iterations allow to be said of each other, and what is said instead where they allow nothing."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enaxp.bench.comparison import Comparison, compare, measure_change
from enaxp.bench.comparison_document import document_of
from enaxp.bench.conditions import Compared
from enaxp.bench.documents import encode, fields_of
from enaxp.bench.effect import interval_between
from enaxp.bench.records import InterfaceFacts, RunEnvironment, TrialRecord
from enaxp.bench.result import Control
from tests.support.factories import TCP, UDP, a_plan, a_run, slower_express

PLAN = a_plan(iterations=5)
LOGS = st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=12)  # of iterations of one run
UNHURRIED = settings(deadline=None)


def codes_of(comparison: Comparison) -> dict[str, str]:
    [one] = comparison.scenarios
    return {arm: one.code(arm) for arm in one.arms}


# -- the interval ----------------------------------------------------------------------------------------------------------


def bounds(one: list[float], other: list[float]) -> tuple[float, float]:
    """The interval as two ratios."""
    low, high = interval_between(one, other, confidence=0.95)
    assert low is not None
    assert high is not None
    return 1 + low / 100, 1 + high / 100


@UNHURRIED
@given(LOGS, LOGS)
def test_the_interval_turned_round_is_its_mirror(one: list[float], other: list[float]) -> None:
    low, high = bounds(one, other)
    low_back, high_back = bounds(other, one)

    assert (low * high_back, high * low_back) == pytest.approx((1, 1))


@UNHURRIED
@given(LOGS)
def test_against_itself_nothing_is_ever_faster_or_slower(values: list[float]) -> None:
    low, high = bounds(values, values)

    assert low <= 1 <= high
    assert measure_change("p50", values, values, margin_pct=2, primary=True).code in ("same", "inconclusive")


@UNHURRIED
@given(LOGS, LOGS, st.floats(-1, 1))
def test_a_shift_of_a_run_shifts_the_interval_and_nothing_else(
    one: list[float], other: list[float], shift: float
) -> None:
    before, after = bounds(one, other), bounds(one, [value + shift for value in other])

    assert after == pytest.approx([bound * math.exp(shift) for bound in before], rel=1e-6)


def test_the_interval_is_that_of_welch() -> None:
    from scipy.stats import ttest_ind

    one, other = [0.01, 0.03, -0.02, 0.00], [0.10, 0.30, 0.22, 0.05, 0.15, 0.41]

    expected = ttest_ind(other, one, equal_var=False).confidence_interval(0.975)

    assert interval_between(one, other, confidence=0.975) == pytest.approx(
        (100 * math.expm1(expected.low), 100 * math.expm1(expected.high))
    )


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    chance = np.random.default_rng(20250411)
    truth, hits, times = 0.03, 0, 2000
    for _ in range(times):
        one = list(chance.normal(0, 0.02, 5))
        other = list(chance.normal(truth, 0.06, 10))
        low, high = interval_between(one, other, confidence=0.95)
        hits += low is not None and high is not None and math.log1p(low / 100) <= truth <= math.log1p(high / 100)

    assert 0.935 < hits / times < 0.965


@pytest.mark.parametrize(("one", "other"), [([], [0.1, 0.2]), ([0.1], [0.1, 0.2]), ([0.1, 0.2], [0.1])])
def test_one_iteration_has_no_interval(one: list[float], other: list[float]) -> None:
    assert interval_between(one, other, confidence=0.95) == (None, None)


# -- the words -------------------------------------------------------------------------------------------------------------


def test_a_run_against_itself_is_the_same_however_noisy_it_is() -> None:
    def noisy(record: TrialRecord) -> float:
        return 1 + 0.5 * (record.iteration % 2)

    run = a_run(factor=noisy)

    comparison = compare(run, run)

    assert codes_of(comparison) == {"ena": "same", "ena_express": "same"}
    assert comparison.warnings == ("dev/a and dev/a hold the same measurements",)


def test_each_arm_is_judged_by_itself_and_the_effect_beside_it() -> None:
    comparison = compare(a_run(), a_run("dev/b", factor=slower_express))

    [one] = comparison.scenarios
    assert codes_of(comparison) == {"ena": "same", "ena_express": "slower"}
    assert one.arms["ena_express"]["p99"].effect.estimate_pct == pytest.approx(20, abs=0.01)
    assert one.arms["ena_express"]["p50"].base == pytest.approx(29.99, abs=0.1)
    assert one.arms["ena_express"]["p50"].run == pytest.approx(35.99, abs=0.1)
    assert one.effects["p50"].effect.code == "slower"
    assert one.words("ena_express").startswith("ENA Express is slower by 20.0")


def test_turned_round_slower_is_faster() -> None:
    assert codes_of(compare(a_run("dev/b", factor=slower_express), a_run())) == {"ena": "same", "ena_express": "faster"}


def test_one_arm_alone_has_no_effect_beside_it() -> None:
    [one] = compare(a_run(), a_run("dev/b", factor=slower_express), arms=("ena_express",)).scenarios

    assert (list(one.arms), one.effects) == (["ena_express"], {})


def test_the_margin_is_the_larger_of_both() -> None:
    wide = replace(PLAN, margin_pct=25)

    [one] = compare(a_run(), a_run("dev/b", plan=wide, factor=slower_express)).scenarios

    assert {change.effect.margin_pct for change in one.arms["ena"].values()} == {25}
    assert one.code("ena_express") == "same"


def test_a_control_changes_no_margin() -> None:
    noisy = a_run("dev/b", factor=slower_express)
    control = Control(trials=20, valid_trials=20, effects={}, noise_pct={"p50": 30.0})
    scenarios = {"udp-latency": replace(noisy.result.scenarios["udp-latency"], control=control)}
    noisy = replace(noisy, result=replace(noisy.result, scenarios=scenarios))

    [one] = compare(a_run(), noisy).scenarios

    assert {metric: change.effect.code for metric, change in one.arms["ena_express"].items()} == dict.fromkeys(
        ("mean", "p50", "p90", "p99", "p99_9"), "slower"
    )


@pytest.mark.parametrize(("base", "run"), [([math.inf, 3.0], [3.0, 3.1]), ([3.0, 3.1], [3.0, math.inf])])
def test_a_figure_beyond_measurement_in_either_run_is_undecided_and_has_no_interval(
    base: list[float], run: list[float]
) -> None:
    change = measure_change("p99", base, run, margin_pct=2, primary=True)

    assert (change.code, change.estimate_pct, change.low_pct, change.is_beyond) == ("inconclusive", None, None, True)


# -- what is not compared, and what is warned of -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenarios", "reasons"),
    [
        ((UDP, TCP), {"tcp-latency": "dev/a did not measure it"}),
        ((TCP,), {"udp-latency": "dev/b did not measure it", "tcp-latency": "dev/a did not measure it"}),
        (
            (replace(UDP, message_size=1472, protocol="tcp"),),
            {"udp-latency": "it is not the same traffic: protocol udp and tcp, message_size 64 and 1472"},
        ),
        ((replace(UDP, csv_name="another"),), {}),
    ],
)
def test_what_was_not_measured_alike_is_said_and_not_compared(scenarios: Any, reasons: dict[str, str]) -> None:
    comparison = compare(a_run(), a_run("dev/b", plan=replace(PLAN, scenarios=scenarios)))

    assert comparison.not_compared == reasons
    assert {one.scenario.name for one in comparison.scenarios} == {"udp-latency"} - reasons.keys()


def test_a_scenario_of_which_nothing_counts_is_not_compared() -> None:
    empty = a_run("dev/b")
    nothing = {metric: {"ena": {}, "ena_express": {}} for metric in empty.values["udp-latency"]}
    comparison = compare(a_run(), replace(empty, values={"udp-latency": nothing}))

    assert comparison.not_compared == {"udp-latency": "no trial of it counts in dev/b"}


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"target": "local", "isolation": "processes"}, "one run was made on AWS and one on this machine"),
        ({"plan": replace(PLAN, order="parallel")}, "other settings: order interleaved and parallel"),
        ({"plan": replace(PLAN, duration_s=2.5)}, "other settings: duration in s 10 and 2.5"),
        ({"plan": replace(PLAN, crossover=True)}, "other settings: crossover off and on"),
        ({"plan": replace(PLAN, iterations=9)}, "dev/b: of udp-latency 10 of 18 pairs count"),
        ({"ended_at": None}, "dev/b has not ended"),
        ({"forced": ("client: mtu is 9001",)}, "dev/b was measured in spite of this: client: mtu is 9001"),
    ],
)
def test_runs_that_differ_in_more_than_was_meant_are_warned_of(changes: dict[str, Any], warning: str) -> None:
    other = a_run("dev/b", factor=slower_express)

    comparison = compare(a_run(), replace(other, manifest=replace(other.manifest, **changes)))

    assert [line for line in comparison.warnings if line.startswith(warning)]


def facts(kernel: str, driver: str = "ena 2.13", **more: str) -> RunEnvironment:
    host = {"kernel": kernel, "load": "0.1", "rules": kernel, **more}
    interface = InterfaceFacts(interface="ens5", driver=f"driver: {driver}; bus: 5", mtu=8900)
    return RunEnvironment(
        before={"server": host, "client": host},
        interfaces={"server": {"ena": interface}, "client": {"ena": interface}},
    )


@pytest.mark.parametrize(
    ("one", "other", "differences"),
    [
        pytest.param({}, {}, [], id="nothing known"),
        pytest.param({"environment": facts("6.1")}, {"environment": facts("6.1")}, [], id="the same"),
        pytest.param(
            {"environment": facts("Linux 6.1 #1")},
            {"environment": facts("Linux 6.8 #1")},
            ["kernel of both hosts: 6.1 → 6.8"],
            id="the kernel, and not what passes or names addresses",
        ),
        pytest.param(
            {"environment": facts("6.1", "ena 2.13")},
            {"environment": facts("6.1", "ena 2.14")},
            ["ena.driver of both hosts: driver: ena 2.13 → driver: ena 2.14"],
            id="the driver's line",
        ),
        pytest.param(
            {"place": {"region": "us-east-1", "instance_type": "c6i.8xlarge", "old": "x"}},
            {"place": {"region": "us-east-1", "instance_type": "c7gn.4xlarge"}},
            ["instance type of the lab: c6i.8xlarge → c7gn.4xlarge"],
            id="the type",
        ),
        pytest.param(
            {"versions": {"enaxp": "1.0", "python": "3.11"}},
            {"versions": {"enaxp": "1.1", "python": "3.14"}},
            ["version of enaxp: 1.0 → 1.1"],
            id="enaxp, and not its Python",
        ),
        pytest.param(
            {"environment": facts("6.1", command_line="a" * 200)},
            {"environment": facts("6.1", command_line="a" * 100)},
            [f"command_line of both hosts: {'a' * 80}… → {'a' * 80}…"],
            id="long texts are cut",
        ),
    ],
)
def test_what_the_hosts_differ_in_is_told(one: dict[str, Any], other: dict[str, Any], differences: list[str]) -> None:
    comparison = compare(a_run(**one), a_run("dev/b", **other))

    assert [str(difference) for difference in comparison.differences] == differences


def test_the_document_is_json_and_holds_every_change() -> None:
    runs = [a_run(), a_run("dev/b", factor=slower_express), a_run("dev/c", plan=a_plan(iterations=1))]

    compared = Compared(comparisons=tuple(compare(runs[0], run) for run in runs[1:]), findings=())

    told = json.loads(encode(fields_of(document_of(compared))))

    assert [run["name"] for run in told["runs"]] == ["dev/a", "dev/b", "dev/c"]
    assert [(one["base"], one["run"]) for one in told["comparisons"]] == [("dev/a", "dev/b"), ("dev/a", "dev/c")]
    change = told["comparisons"][0]["scenarios"]["udp-latency"]["arms"]["ena_express"]["changes"]["p99"]
    assert change["code"] == "slower"
    assert (change["base_iterations"], change["run_iterations"], change["primary"]) == (5, 5, True)
    assert change["low_pct"] < change["estimate_pct"] < change["high_pct"]
    single = told["comparisons"][1]["scenarios"]["udp-latency"]["arms"]["ena"]
    assert (single["code"], single["changes"]["p50"]["low_pct"]) == ("inconclusive", None)
