"""Crossover: when a run is crossed over by itself, and what is told of the interface."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.result import ScenarioResult, from_document, to_document
from enaxp.bench.measuring.crossover import why_not_crossed
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.records import TrialRecord
from enaxp.bench.statistics.inference import RatioSample, estimate, interface_location, location
from enaxp.traffic import Order
from tests.support.factories import a_manifest, a_plan, pairs_of_records, shifted


@pytest.mark.parametrize(
    ("is_aws", "order", "iterations", "until", "control", "by_itself", "possible"),
    [
        (True, "interleaved", 10, False, False, True, True),
        (True, "interleaved", 6, False, False, True, True),
        (True, "interleaved", 7, False, False, False, True),
        (True, "interleaved", 4, False, False, False, True),
        (True, "interleaved", 3, False, False, False, False),
        (True, "parallel", 10, False, False, False, False),
        (True, "interleaved", 10, True, False, False, False),
        (True, "interleaved", 10, False, True, False, False),
        (False, "interleaved", 10, False, False, False, True),
    ],
)
def test_a_run_is_crossed_over_by_itself_where_it_can_be_told_and_is_worth_it(
    is_aws: bool, order: Order, iterations: int, until: bool, control: bool, by_itself: bool, possible: bool
) -> None:
    cannot, not_by_itself = why_not_crossed(
        is_aws=is_aws, order=order, iterations=iterations, is_open_ended=until, has_control=control
    )

    assert (not cannot, not not_by_itself) == (possible, by_itself)


@pytest.mark.parametrize(("first", "second"), [(5, 5), (3, 2), (2, 3)])
def test_the_mean_and_its_error_are_those_of_least_squares_with_an_indicator_of_the_half(
    first: int, second: int
) -> None:
    rng = np.random.default_rng(1)
    ratios = rng.normal(0.05, 0.01, size=first + second)
    crossed = np.array([False] * first + [True] * second)
    sample = RatioSample(ratios=tuple(ratios), crossed=tuple(crossed.tolist()))

    design = np.column_stack([np.ones(len(ratios)), np.where(crossed, -1.0, 1.0)])
    (mean, interface), (residual,), *_ = np.linalg.lstsq(design, ratios, rcond=None)
    degrees = len(ratios) - 2
    error = math.sqrt(residual / degrees * np.linalg.inv(design.T @ design)[0, 0])

    where, of_interface = location(sample), interface_location(sample)
    assert where is not None
    assert of_interface is not None
    assert (where.mean, where.error, where.degrees) == pytest.approx((mean, error, degrees))
    assert (of_interface.mean, of_interface.error) == pytest.approx((interface, error))
    assert estimate(sample) == pytest.approx(mean)


def test_a_half_with_one_iteration_has_no_spread_and_so_no_interval() -> None:
    sample = RatioSample(ratios=(0.1, 0.11, 0.12, 0.02), crossed=(False, False, False, True))

    assert location(sample) is None
    assert estimate(sample) == pytest.approx((0.11 + 0.02) / 2)  # no share of the interface in it all the same


TEN = a_plan(iterations=10, repeats=2, crossover=True)


def crossed_over(*, srd_pct: float, interface_pct: float) -> ScenarioResult:
    """A run in which SRD and the second interface each make so much, crossed over after five iterations."""

    def factor(record: TrialRecord) -> float:
        srd = 1 + srd_pct / 100 if record.arm == "ena_express" else 1.0
        is_second = (record.arm == "ena_express") != record.crossed
        interface = 1 + interface_pct / 100 if is_second else 1.0
        return srd * interface * (1 + 0.002 * (record.iteration * (3 if record.arm == "ena" else 7) % 5))

    records = [replace(record, crossed=record.iteration > 5) for record in pairs_of_records(TEN)]
    evidence = weigh(TEN, records, read_histogram=lambda record: shifted(factor(record)))
    return result_from(a_manifest(plan=TEN), evidence).scenarios["udp-latency"]


def test_a_slower_interface_is_reported_as_one_and_not_taken_for_srd() -> None:
    scenario = crossed_over(srd_pct=0, interface_pct=8)

    assert {effect.code for effect in scenario.primaries.values()} == {"same"}
    assert scenario.interface is not None
    assert scenario.interface.low_pct < 8 < scenario.interface.high_pct
    assert "the interface, or a drift between the halves, makes +8.0" in scenario.verdict.words
    assert "interface or time matter more than SRD here" in scenario.verdict.words


def test_an_effect_of_srd_is_found_beside_that_of_the_interface() -> None:
    scenario = crossed_over(srd_pct=20, interface_pct=8)

    assert scenario.verdict.code == "slower"
    assert scenario.effects["p50"].estimate_pct == pytest.approx(20, abs=0.5)
    assert "interface or time matter more than SRD" not in scenario.verdict.words
    assert "together with the interface" not in scenario.verdict.words


def test_without_a_crossover_the_words_say_that_the_interface_is_in_the_effect_and_why() -> None:
    plan = a_plan(iterations=10, not_crossed_because="both arms run at once")
    evidence = weigh(plan, pairs_of_records(plan), read_histogram=lambda record: shifted(1))

    scenario = result_from(a_manifest(plan=plan), evidence).scenarios["udp-latency"]

    assert scenario.interface is None
    assert (
        "this is SRD together with the interface: the run was not crossed over, both arms run at once"
        in scenario.verdict.words
    )


def test_what_the_interface_made_is_in_the_document() -> None:
    evidence = weigh(
        TEN, [replace(r, crossed=r.iteration > 5) for r in pairs_of_records(TEN)], read_histogram=lambda r: shifted(1)
    )
    document = to_document(result_from(a_manifest(plan=TEN), evidence))

    assert list(document["scenarios"]["udp-latency"]["interface"]) == ["estimate_pct", "low_pct", "high_pct"]
    assert to_document(from_document(document)) == document
