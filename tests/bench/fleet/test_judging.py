"""Judging: what the pairs of a fleet say together, from what each of them measured."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from enaxp.bench.comparing.comparison import MeasuredRun
from enaxp.bench.fleet.judging import PairRun, judge_fleet
from enaxp.bench.fleet.result import Fleet, FleetEffect, from_document, to_document
from enaxp.bench.fleet.words import difference_in_words
from enaxp.bench.run_folder.documents import encode
from enaxp.bench.run_folder.records import TrialRecord
from enaxp.bench.statistics.units import RunMean
from enaxp.errors import BenchError
from tests.support.factories import TCP, UDP, Factor, a_plan, a_run

FEW = a_plan(iterations=3)


def by(factor: float) -> Factor:
    """ENA Express's latencies times this, with a little that differs from iteration to iteration."""

    def of(record: TrialRecord) -> float:
        share = 1 + 0.002 * (record.iteration % 3)
        return share * factor if record.arm == "ena_express" else 1.0

    return of


def a_pair(name: str, factor: float = 1.2, **changes: Any) -> PairRun:
    return PairRun(name=name, variant=name.rpartition("-")[0], run=a_run(name, plan=FEW, factor=by(factor)), **changes)


def judged(*pairs: PairRun) -> Fleet:
    return judge_fleet(pairs, run_id="20261130-120000", lab="dev")


def means_of(pairs: list[PairRun], metric: str = "p99") -> list[float]:
    found = [RunMean.of(pair.run.effect("udp-latency", metric)) for pair in pairs if pair.run]
    return [one.mean for one in found if one]


def effect_of(fleet: Fleet, variant: str = "main", metric: str = "p99") -> FleetEffect:
    return fleet.variants[variant].scenarios["udp-latency"].effects[metric]


# -- the mean effect and its word ------------------------------------------------------------------------------------------


def test_the_interval_is_that_of_the_pairs_means_at_the_level_of_its_word() -> None:
    pairs = [a_pair(f"main-{n}", factor) for n, factor in enumerate((1.18, 1.20, 1.22, 1.21), start=1)]

    found = effect_of(judged(*pairs))

    means = np.array(means_of(pairs))
    assert found.confidence_pct is not None
    half = 1.25 * t.ppf((1 + found.confidence_pct / 100) / 2, 3) * means.std(ddof=1) / 2
    next_half = 1.13 * t.ppf(0.975, 3) * means.std(ddof=1) * math.sqrt(1 + 1 / 4)
    assert found.estimate_pct == pytest.approx(100 * math.expm1(means.mean()))
    assert (found.low_pct, found.high_pct) == pytest.approx(
        tuple(100 * math.expm1(means.mean() + sign * half) for sign in (-1, 1))
    )
    assert (found.next_pair_low_pct, found.next_pair_high_pct) == pytest.approx(
        tuple(100 * math.expm1(means.mean() + sign * next_half) for sign in (-1, 1))
    )
    assert found.code == "slower"


def test_the_verdict_says_what_the_next_pair_will_see_and_how_different_pairs_are() -> None:
    fleet = judged(*(a_pair(f"main-{n}", factor) for n, factor in enumerate((1.1, 1.2, 1.3), start=1)))

    verdict = fleet.variants["main"].scenarios["udp-latency"].verdict
    assert verdict.words.startswith("over 3 pairs: at P50 +20.")
    assert "the next pair that you launch like this will see between -" in verdict.words
    assert "pairs differ by 8." in verdict.words


@pytest.mark.parametrize(("count", "missed"), [(3, 51), (5, 33), (8, 17)])
def test_the_verdict_says_how_often_so_many_pairs_miss_a_kind_of_their_own(count: int, missed: int) -> None:
    fleet = judged(*(a_pair(f"main-{n}", 1.2 + 0.01 * n) for n in range(1, count + 1)))

    words = fleet.variants["main"].scenarios["udp-latency"].verdict.words
    told = f"a kind that one pair in five is of would have been missed by {count} pairs in {missed} of 100 fleets"
    assert words.count(told) == 1


def test_pairs_that_do_not_differ_are_never_said_to_agree() -> None:
    fleet = judged(*(a_pair(f"main-{n}") for n in (1, 2, 3)))

    verdict = fleet.variants["main"].scenarios["udp-latency"].verdict
    assert "no difference between pairs was found" in verdict.words
    assert (effect_of(fleet).between_pairs_pct, effect_of(fleet).i2) == (0.0, 0.0)


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_pairs_give_no_interval_and_no_word(count: int) -> None:
    fleet = judged(*(a_pair(f"main-{n}") for n in range(1, count + 1)))

    found, verdict = effect_of(fleet), fleet.variants["main"].scenarios["udp-latency"].verdict
    assert found.estimate_pct is not None
    assert found.code == verdict.code == "inconclusive"
    assert {found.low_pct, found.high_pct, found.next_pair_low_pct, found.next_pair_high_pct} == {None}
    assert "no interval: 3 pairs are needed at least" in verdict.words
    assert "missed" not in verdict.words


def test_the_primaries_of_all_variants_share_the_chance_of_a_wrong_word() -> None:
    one = judged(*(a_pair(f"main-{n}", 1 + 0.01 * n) for n in (1, 2, 3)))
    two = judged(*(a_pair(f"{variant}-{n}", 1 + 0.01 * n) for variant in ("main", "far") for n in (1, 2, 3)))

    assert effect_of(one).confidence_pct == pytest.approx(97.5)
    assert effect_of(two).confidence_pct == pytest.approx(98.75)


def test_a_variant_that_lost_scenarios_judges_those_it_has() -> None:
    both = replace(FEW, scenarios=(UDP, TCP))
    pairs = [
        PairRun(name=f"main-{n}", variant="main", run=a_run(f"main-{n}", plan=both, factor=by(1.2))) for n in (1, 2, 3)
    ]

    assert set(judged(*pairs).variants["main"].scenarios) == {"udp-latency", "tcp-latency"}


# -- pairs that count, and pairs that do not -------------------------------------------------------------------------------


def test_a_lost_pair_is_named_and_in_no_mean() -> None:
    good = [a_pair(f"main-{n}") for n in (1, 2, 3)]

    fleet = judged(*good, a_pair("main-4", 9.0, lost="the client does not answer"))

    variant = fleet.variants["main"]
    assert (variant.pairs, variant.valid_pairs) == (4, 3)
    assert effect_of(fleet).estimate_pct == pytest.approx(100 * math.expm1(np.mean(means_of(good))))
    assert "main-4 was lost: the client does not answer" in variant.scenarios["udp-latency"].verdict.words
    assert "over 3 of 4 pairs" in (variant.scenarios["udp-latency"].verdict.headline or "")


def test_a_variant_of_which_no_pair_counts_is_reported() -> None:
    fleet = judged(
        *(a_pair(f"main-{n}") for n in (1, 2, 3)), PairRun(name="far-1", variant="far", lost="it is not there")
    )

    assert fleet.without_valid_pair == ["far"]
    assert fleet.variants["far"].scenarios == {}


def ranked(run: MeasuredRun) -> MeasuredRun:
    """The run with a P99 of ENA Express that lies among the lost messages in one iteration."""
    values = run.values["udp-latency"]
    [first, *_] = values["p99"]["ena_express"]
    beyond = {**values["p99"], "ena_express": {**values["p99"]["ena_express"], first: math.inf}}
    return replace(run, values={"udp-latency": {**values, "p99": beyond}})


def test_a_pair_of_which_only_a_rank_is_known_is_in_no_mean_of_that_figure_and_named() -> None:
    pairs = [a_pair(f"main-{n}") for n in (1, 2, 3, 4)]
    assert pairs[3].run is not None
    pairs[3] = replace(pairs[3], run=ranked(pairs[3].run))

    fleet = judged(*pairs)

    over = {metric: effect_of(fleet, metric=metric).grounds.over for metric in ("p50", "p99")}
    assert {metric: len(one.pairs) if one else 0 for metric, one in over.items()} == {"p50": 4, "p99": 3}
    words = fleet.variants["main"].scenarios["udp-latency"].verdict.words
    assert "at P99 main-4 lost so much that an arm is beyond measurement, and is in no mean" in words


def test_the_pair_that_stands_out_is_in_the_headline_and_in_the_mean() -> None:
    pairs = [a_pair(f"main-{n}", 1.2 + 0.002 * n) for n in range(1, 8)]

    fleet = judged(*pairs, a_pair("main-8", 2.0))

    headline = fleet.variants["main"].scenarios["udp-latency"].verdict.headline
    assert "main-8 stands out at P50 (+100%, the others +21.0%) and at P99 (+100%, the others +21.0%)" in (
        headline or ""
    )
    grounds = effect_of(fleet).grounds
    assert grounds.over is not None
    assert "main-8" in grounds.over.pairs


# -- variants --------------------------------------------------------------------------------------------------------------


def test_variants_that_differ_are_distinguished_in_the_direction_from_the_first_to_the_second() -> None:
    fleet = judged(
        *(a_pair(f"near-{n}", 1.2 + 0.002 * n) for n in (1, 2, 3)),
        *(a_pair(f"far-{n}", 0.8 + 0.002 * n) for n in (1, 2, 3)),
    )

    told = {one.metric: one for one in fleet.differences}
    assert set(told) == {"p50", "p99"}
    assert (told["p99"].a, told["p99"].b, told["p99"].code) == ("near", "far", "faster")
    assert told["p99"].estimate_pct == pytest.approx(100 * (0.8 / 1.2 - 1), abs=1)
    assert told["p99"].confidence_pct == pytest.approx(97.5)


def test_a_difference_of_very_unequal_numbers_of_pairs_has_a_size_and_no_word() -> None:
    fleet = judged(
        *(a_pair(f"near-{n}", 1.2 + 0.002 * n) for n in range(1, 14)),
        *(a_pair(f"far-{n}", 0.8 + 0.002 * n) for n in (1, 2, 3)),
    )

    assert {(one.low_pct, one.code) for one in fleet.differences} == {(None, "inconclusive")}
    assert "at most 4 times as many of one as of the other" in difference_in_words(fleet.differences[0])


def test_a_difference_of_too_few_pairs_has_a_size_and_no_word() -> None:
    fleet = judged(a_pair("near-1"), a_pair("far-1", 0.8))

    assert {(one.low_pct, one.high_pct, one.code) for one in fleet.differences} == {(None, None, "inconclusive")}


# -- fleet.json ------------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again() -> None:
    fleet = judged(
        *(a_pair(f"near-{n}", 1.2 + 0.002 * n) for n in (1, 2, 3)), *(a_pair(f"far-{n}", 0.8) for n in (1, 2))
    )

    document = json.loads(encode(to_document(fleet)))

    assert json.loads(encode(to_document(from_document(document)))) == document
    assert set(document) == {"schema", "run_id", "lab", "variants", "differences"}
    scenarios = [scenario for variant in document["variants"].values() for scenario in variant["scenarios"].values()]
    [effect] = {frozenset(one) for scenario in scenarios for one in scenario["effects"].values()}
    assert effect == {
        "estimate_pct", "low_pct", "high_pct", "next_pair_low_pct", "next_pair_high_pct", "between_pairs_pct", "i2", "code",
        "confidence_pct",
    }  # fmt: skip


@pytest.mark.parametrize("fault", [{"schema": 9}, {"variants": []}, {"differences": [{"metric": 3}]}])
def test_what_enaxp_did_not_write_is_refused(fault: dict[str, Any]) -> None:
    document = to_document(judged(a_pair("main-1")))

    with pytest.raises(BenchError):
        from_document({**document, **fault})
