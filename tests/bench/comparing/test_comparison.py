"""Comparison: what two runs' iterations allow to be said of each other, and what is said instead where they allow nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from enaxp.bench.comparing.comparison import Comparison, compare, compare_sides, measure_change
from enaxp.bench.comparing.comparison_document import document_of
from enaxp.bench.comparing.conditions import Compared
from enaxp.bench.judging.result import Control
from enaxp.bench.run_folder.documents import encode, fields_of
from enaxp.bench.run_folder.records import InterfaceFacts, RunEnvironment, TrialRecord
from tests.support.factories import TCP, UDP, a_plan, a_run, earlier_runs, quiet, slower_express

PLAN = a_plan(iterations=5)
EARLIER = earlier_runs()


def codes_of(comparison: Comparison) -> dict[str, str]:
    [one] = comparison.scenarios
    return {arm: one.code(arm) for arm in one.arms}


# -- the words -------------------------------------------------------------------------------------------------------------


def test_a_run_against_itself_is_the_same_however_noisy_it_is() -> None:
    def noisy(record: TrialRecord) -> float:
        return 1 + 0.5 * (record.iteration % 2)

    run = a_run(factor=noisy)

    comparison = compare(run, run)

    assert codes_of(comparison) == {"ena": "same", "ena_express": "same"}
    assert comparison.warnings == ("dev/a and dev/a hold the same measurements",)


def test_each_arm_is_judged_by_itself_and_the_effect_beside_it() -> None:
    comparison = compare(a_run(), a_run("dev/b", factor=slower_express), earlier=EARLIER)

    [one] = comparison.scenarios
    assert codes_of(comparison) == {"ena": "same", "ena_express": "slower"}
    assert one.arms["ena_express"]["p99"].effect.estimate_pct == pytest.approx(20, abs=0.01)
    assert one.arms["ena_express"]["p50"].base == pytest.approx(29.99, abs=0.1)
    assert one.arms["ena_express"]["p50"].run == pytest.approx(35.99, abs=0.1)
    assert one.effects["p50"].effect.code == "slower"
    assert one.words("ena_express").startswith("ENA Express is slower by 20.0")


def test_turned_round_slower_is_faster() -> None:
    assert codes_of(compare(a_run("dev/b", factor=slower_express), a_run(), earlier=EARLIER)) == {
        "ena": "same",
        "ena_express": "faster",
    }


def test_one_arm_alone_has_no_effect_beside_it() -> None:
    [one] = compare(a_run(), a_run("dev/b", factor=slower_express), earlier=EARLIER, arms=("ena_express",)).scenarios

    assert (list(one.arms), one.effects) == (["ena_express"], {})


def test_the_margin_is_the_larger_of_both() -> None:
    wide = replace(PLAN, margin_pct=25)

    [one] = compare(a_run(), a_run("dev/b", plan=wide, factor=slower_express), earlier=EARLIER).scenarios

    assert {change.effect.margin_pct for change in one.arms["ena"].values()} == {25}
    assert one.code("ena_express") == "same"


def test_a_control_changes_no_margin() -> None:
    noisy = a_run("dev/b", factor=slower_express)
    control = Control(trials=20, valid_trials=20, effects={}, noise_pct={"p50": 30.0})
    scenarios = {"udp-latency": replace(noisy.result.scenarios["udp-latency"], control=control)}
    noisy = replace(noisy, result=replace(noisy.result, scenarios=scenarios))

    [one] = compare(a_run(), noisy, earlier=EARLIER).scenarios

    assert {metric: change.effect.code for metric, change in one.arms["ena_express"].items()} == dict.fromkeys(
        ("mean", "p50", "p90", "p99", "p99_9"), "slower"
    )


def test_a_figure_beyond_measurement_in_a_run_is_undecided_and_has_no_interval() -> None:
    change = measure_change("p99", None, margin_pct=2, primary=True)

    assert (change.code, change.estimate_pct, change.low_pct, change.is_beyond) == ("inconclusive", None, None, True)


# -- whose spread it is ------------------------------------------------------------------------------------------------------


def louder(factor: float) -> Any:
    return lambda record: quiet(record) * factor


def side(name: str, *levels: float) -> list[Any]:
    return [a_run(f"dev/{name}{number}", factor=louder(level)) for number, level in enumerate(levels, start=1)]


def test_sides_of_several_runs_are_distinguished_by_their_own_spread() -> None:
    comparison = compare_sides(side("a", 1.0, 1.01, 0.99), side("b", 1.2, 1.21, 1.19))

    [one] = comparison.scenarios
    change = one.arms["ena"]["p99"]
    assert (one.units.basis, one.code("ena"), change.difference and change.difference.told_by) == (
        "these runs",
        "slower",
        6,
    )
    assert one.units.words.startswith("3 runs against 3: their own spread")
    assert change.effect.estimate_pct == pytest.approx(20, abs=0.1)
    assert change.base == pytest.approx(34.9, abs=0.1)  # µs, the geometric mean
    assert (change.base_iterations, change.run_iterations) == (15, 15)
    assert (comparison.base.name, comparison.run.names) == ("dev/a1 and 2 more", ("dev/b1", "dev/b2", "dev/b3"))


def test_two_runs_that_agree_within_themselves_but_not_from_run_to_run_are_not_distinguished() -> None:
    [one] = compare_sides(side("a", 1.0, 1.2), side("b", 1.21, 1.05)).scenarios

    assert (one.code("ena"), one.code("ena_express")) == ("inconclusive", "inconclusive")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({}, "lab dev has 2 earlier runs like these, and 3 are needed", id="too few"),
        pytest.param({"started_at": "2025-05-01T00:00:00+00:00"}, "has 0 earlier runs", id="later"),
        pytest.param({"ended_at": None}, "has 0 earlier runs", id="not ended"),
        pytest.param({"lab": "prod"}, "has 0 earlier runs", id="of another lab"),
        pytest.param({"target": "local"}, "has 0 earlier runs", id="of other hosts"),
        pytest.param({"plan": replace(PLAN, repeats=3)}, "has 0 earlier runs", id="of other trials"),
        pytest.param({"plan": replace(PLAN, cpus="auto")}, "has 0 earlier runs", id="pinned otherwise"),
        pytest.param({"plan": replace(PLAN, scenarios=(TCP,))}, "has 0 earlier runs", id="of other traffic"),
    ],
)
def test_with_one_run_a_side_and_nothing_that_tells_how_much_runs_differ_there_is_no_word(
    changes: dict[str, Any], why: str
) -> None:
    [one] = compare(
        a_run(), a_run("dev/b", factor=slower_express), earlier=earlier_runs(4 if changes else 2, **changes)
    ).scenarios

    change = one.arms["ena_express"]["p99"]
    assert (one.code("ena_express"), change.effect.low_pct, change.is_unknowable) == ("inconclusive", None, True)
    assert change.effect.estimate_pct == pytest.approx(20, abs=0.01)
    assert one.units.basis == "unknown"
    assert why in one.units.words
    assert "--base and --run" in one.units.words
    assert "changed by +20.0% at p99, which may be what any two runs differ by" in one.words("ena_express")


def test_copies_of_an_earlier_run_or_of_a_compared_one_tell_nothing() -> None:
    one_run = earlier_runs(1)[0]
    copies = [replace(one_run, name=f"dev/copy-{number}") for number in range(4)]

    [one] = compare(a_run(), a_run("dev/b", factor=slower_express), earlier=copies).scenarios

    assert "has 1 earlier run like these" in one.units.words


def test_the_earlier_runs_are_named() -> None:
    [one] = compare(a_run(), a_run("dev/b", factor=slower_express), earlier=EARLIER).scenarios

    assert one.units.basis == "earlier runs"
    assert one.units.runs == ("dev/1", "dev/2", "dev/3", "dev/4")
    assert "that of 4 earlier runs of lab dev (dev/1, dev/2, dev/3 and dev/4)" in one.units.words


def test_a_shift_that_both_arms_have_in_common_is_in_no_effect() -> None:
    [one] = compare(a_run(), a_run("dev/b", factor=louder(1.3)), earlier=EARLIER).scenarios

    assert (one.code("ena"), one.code("ena_express")) == ("slower", "slower")
    assert one.effects["p99"].effect.code == "same"


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
        ({"plan": replace(PLAN, cpus="auto")}, "other settings: cpus none and auto"),
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
def test_what_the_hosts_differ_in_is_reported(
    one: dict[str, Any], other: dict[str, Any], differences: list[str]
) -> None:
    comparison = compare(a_run(**one), a_run("dev/b", **other))

    assert [str(difference) for difference in comparison.differences] == differences


def test_the_document_is_json_and_holds_every_change() -> None:
    runs = [a_run(), a_run("dev/b", factor=slower_express), a_run("dev/c", plan=a_plan(iterations=1))]

    comparisons = (compare(runs[0], runs[1], earlier=EARLIER), compare(runs[0], runs[2]))
    compared = Compared(comparisons=comparisons, findings=())

    told = json.loads(encode(fields_of(document_of(compared))))

    assert [run["name"] for run in told["runs"]] == ["dev/a", "dev/b", "dev/c"]
    assert [(one["base"], one["run"]) for one in told["comparisons"]] == [("dev/a", "dev/b"), ("dev/a", "dev/c")]
    change = told["comparisons"][0]["scenarios"]["udp-latency"]["arms"]["ena_express"]["changes"]["p99"]
    assert change["code"] == "slower"
    assert (change["base_iterations"], change["run_iterations"], change["primary"]) == (5, 5, True)
    assert change["low_pct"] < change["estimate_pct"] < change["high_pct"]
    assert (change["basis"], change["confidence_pct"]) == ("earlier runs", 97.5)
    assert change["run_spread_pct"] == pytest.approx(0.1, rel=0.5)
    assert told["comparisons"][0]["scenarios"]["udp-latency"]["units"]["runs"] == ["dev/1", "dev/2", "dev/3", "dev/4"]
    assert (told["comparisons"][0]["base_runs"], told["comparisons"][0]["runs"]) == (["dev/a"], ["dev/b"])
    single = told["comparisons"][1]["scenarios"]["udp-latency"]["arms"]["ena"]
    assert (single["code"], single["changes"]["p50"]["low_pct"]) == ("inconclusive", None)
