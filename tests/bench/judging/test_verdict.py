"""Verdict: one code from the primaries, and words that claim no more than their intervals."""

from __future__ import annotations

from typing import Any

import pytest

from enaxp.bench.judging.effect import Code, Effect, Grounds
from enaxp.bench.judging.verdict import Circumstances, Treatment, in_short, verdict

PROVEN = Treatment(proven=True, srd_share=0.9998, source="device")


def an_effect(code: Code, **changes: Any) -> Effect:
    fields: dict[str, Any] = {
        "estimate_pct": -12.3,
        "low_pct": -14.4,
        "high_pct": -10.1,
        "margin_pct": 2,
        "improvement_pct": 12.0,
        "primary": True,
        "code": code,
        "grounds": Grounds(iterations=10, spread=0.02, degrees=9, planned=2),
    }
    return Effect(**{**fields, **changes})


@pytest.mark.parametrize(
    ("p50", "p99", "expected"),
    [
        ("faster", "faster", "faster"),
        ("same", "same", "same"),
        ("inconclusive", "inconclusive", "inconclusive"),
        ("slower", "same", "slower"),
        ("inconclusive", "faster", "partial"),
        ("slightly-slower", "inconclusive", "partial"),
        ("same", "slightly-slower", "slightly-slower"),
        ("slower", "faster", "mixed"),
        ("slightly-slower", "faster", "mixed"),
        ("slightly-slower", "slightly-faster", "mixed"),
        ("slightly-slower", "slower", "slightly-slower"),
        ("slightly-faster", "faster", "slightly-faster"),
        ("same", "inconclusive", "partial"),
        ("invalid", "faster", "invalid"),
    ],
)
def test_the_primaries_come_to_one_code_whichever_comes_first(p50: Code, p99: Code, expected: str) -> None:
    for one, other in ((p50, p99), (p99, p50)):
        judged = verdict({"p50": an_effect(one), "p99": an_effect(other)}, treatment=PROVEN)

        assert judged.code == expected


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (an_effect("faster"), "is faster by 12.3% at p50 [-14.4%, -10.1%]"),
        (an_effect("slower", estimate_pct=18.1, low_pct=17.9, high_pct=18.4), "is slower by 18.1% at p50 [+17.9%, +18.4%]"),
        (
            an_effect("same", estimate_pct=0.1, low_pct=-0.5, high_pct=0.7),
            "makes no practical difference at p50 [-0.500%, +0.700%], within ±2.00%",
        ),
        (
            an_effect("slightly-faster", estimate_pct=-2, low_pct=-3, high_pct=-1),
            "is slightly faster by 2.00% at p50 [-3.00%, -1.00%], may be below 2.00%",
        ),
        (
            an_effect("inconclusive", estimate_pct=0.4, low_pct=-3.2, high_pct=4.1),
            "is inconclusive at p50: it could be -3.20% to +4.10%; a firm word four times in five takes "
            "13 to 36 iterations if it is as seen, 11 to 30 if there is no difference",
        ),
        (
            an_effect("inconclusive", estimate_pct=0.4, low_pct=None, high_pct=None),
            "is inconclusive at p50 (+0.400% in a single iteration, two are needed at least)",
        ),
        (
            an_effect("inconclusive", estimate_pct=40, low_pct=-99.97, high_pct=8.7e11, grounds=Grounds(iterations=10)),
            "is inconclusive at p50: it could be -100% to over +1000%",
        ),
    ],
)  # fmt: skip
def test_the_words_give_what_was_found_and_its_interval(effect: Effect, words: str) -> None:
    judged = verdict({"p50": effect, "p99": an_effect("faster")}, treatment=PROVEN)

    assert judged.words == f"ENA Express {words}; is faster by 12.3% at p99 [-14.4%, -10.1%]"


def test_a_local_run_never_speaks_of_ena() -> None:
    for fault in (None, "no pair of trials was completed"):
        judged = verdict({"p50": an_effect("same")}, treatment=PROVEN, not_ena="local, not ENA", fault=fault)

        assert judged.words.startswith("local, not ENA: ")


def test_an_unknown_treatment_is_said_and_does_not_make_the_verdict_invalid() -> None:
    unknown = Treatment(proven=None, srd_share=None, source="none")

    judged = verdict({"p50": an_effect("faster")}, treatment=unknown)

    assert judged.code == "faster"
    assert judged.words.endswith("; whether SRD carried the packets is unknown (no counters)")


def test_an_unknown_treatment_says_why_where_a_trial_tells() -> None:
    unknown = Treatment(proven=None, srd_share=0.5, source="device", unknown="no counter tells it of what came back")

    judged = verdict({"p50": an_effect("faster")}, treatment=unknown)

    assert judged.words.endswith("; whether SRD carried the packets is unknown (no counter tells it of what came back)")


def test_a_treatment_that_was_not_given_makes_the_verdict_invalid_without_a_figure_of_it() -> None:
    absent = Treatment(proven=False, srd_share=0.123, source="device")

    judged = verdict({"p50": an_effect("faster")}, treatment=absent)

    assert judged.code == "invalid"
    assert judged.words.startswith("invalid: ")
    assert "12.30%" in judged.words
    assert "faster" not in judged.words


def test_without_a_valid_pair_the_verdict_says_why() -> None:
    judged = verdict({"p50": an_effect("invalid")}, treatment=PROVEN, fault="the server is down")

    assert (judged.code, judged.words) == ("invalid", "invalid: the server is down")


def test_throughput_is_spoken_of_by_its_name() -> None:
    effect = an_effect("faster", estimate_pct=12.3, low_pct=10.1, high_pct=14.4)

    judged = verdict({"throughput": effect}, treatment=PROVEN)

    assert judged.words == "ENA Express is faster by 12.3% in throughput [+10.1%, +14.4%]"


def test_a_primary_that_was_not_measured_is_invalid_and_says_so() -> None:
    effect = an_effect("invalid", estimate_pct=None, low_pct=None, high_pct=None)

    judged = verdict({"throughput": effect}, treatment=PROVEN)

    assert (judged.code, judged.words) == ("invalid", "invalid: ENA Express was not measured in throughput")


def test_an_interval_is_printed_with_the_level_at_which_its_word_was_reached() -> None:
    judged = verdict({"p50": an_effect("faster", confidence_pct=97.5)}, treatment=PROVEN)

    assert judged.words == "ENA Express is faster by 12.3% at p50 [-14.4%, -10.1%] (97.5% interval)"


@pytest.mark.parametrize(
    ("p50", "p99", "headline"),
    [
        (an_effect("faster"), an_effect("faster", estimate_pct=-26.04), "ENA Express is faster at P50 by 12.3% and at P99 by 26.0%"),
        (an_effect("inconclusive"), an_effect("faster"), "ENA Express is faster at P99 by 12.3%; P50 undecided"),
        (an_effect("same"), an_effect("same"), "ENA Express makes no practical difference at P50 and at P99"),
        (
            an_effect("slower", estimate_pct=5.0),
            an_effect("faster", estimate_pct=-26.0),
            "ENA Express is slower at P50 by 5.00%, is faster at P99 by 26.0%",
        ),
        (
            an_effect("slightly-slower"),
            an_effect("inconclusive", thin=True),
            "ENA Express is slightly slower at P50 by 12.3%; P99 too thin to decide",
        ),
        (an_effect("inconclusive"), an_effect("inconclusive"), "P50 and P99 undecided"),
        (an_effect("same"), an_effect("faster", estimate_pct=None), "ENA Express makes no practical difference at P50, is faster at P99"),
        (
            an_effect("same"),
            an_effect("inconclusive", estimate_pct=None),
            "ENA Express makes no practical difference at P50; P99 beyond measurement",
        ),
    ],
)  # fmt: skip
def test_the_headline_names_each_primary_so_that_nothing_undecided_is_hidden(
    p50: Effect, p99: Effect, headline: str
) -> None:
    assert in_short({"p50": p50, "p99": p99}) == headline


@pytest.mark.parametrize("fault", [None, "no pair of trials was completed"])
def test_what_else_must_be_known_is_said_whether_the_verdict_is_valid_or_not(fault: str | None) -> None:
    known = Circumstances(
        words=("messages lost: ENA 2.00%", "attempts that failed: ENA 1"), headline=("messages lost: ENA 2.00%",)
    )

    judged = verdict(
        {"p50": an_effect("same")}, treatment=PROVEN, not_ena="local, not ENA", fault=fault, circumstances=known
    )

    assert judged.words.endswith("; messages lost: ENA 2.00%; attempts that failed: ENA 1")
    assert judged.headline is not None
    assert judged.headline.startswith("local, not ENA: ")
    assert judged.headline.endswith("; messages lost: ENA 2.00%")


def test_a_quantile_among_the_lost_messages_is_reported_by_how_many_iterations_it_lies_there() -> None:
    grounds = Grounds(iterations=10, beyond={"ena": 10, "ena_express": 0})
    effect = an_effect("faster", estimate_pct=None, low_pct=None, high_pct=None, confidence_pct=97.5, grounds=grounds)

    judged = verdict({"p99": effect}, treatment=PROVEN)

    assert judged.words == (
        "ENA Express is faster at p99 (ENA's P99 is beyond measurement in 10 of 10 iterations, "
        "ENA Express's P99 is beyond measurement in none; by ranks at 97.5%)"
    )


def test_few_iterations_with_lost_messages_say_from_how_many_on_they_are_judged() -> None:
    grounds = Grounds(iterations=3, beyond={"ena": 3, "ena_express": 0})
    effect = an_effect(
        "inconclusive", estimate_pct=None, low_pct=None, high_pct=None, confidence_pct=97.5, grounds=grounds
    )

    assert "judged from 7 iterations on" in verdict({"p99": effect}, treatment=PROVEN).words


@pytest.mark.parametrize(
    ("p", "says"), [(0.004, "randomisation p = 0.004"), (None, "too few orders for a randomisation test")]
)
def test_a_direction_from_few_iterations_says_what_the_order_of_the_trials_says(p: float | None, says: str) -> None:
    grounds = Grounds(iterations=5, needs_randomisation=True, randomisation_p=p)

    assert says in verdict({"p50": an_effect("faster", grounds=grounds)}, treatment=PROVEN).words


def test_an_interval_that_excludes_nothing_but_its_order_of_trials_is_reported_as_undecided_for_that() -> None:
    grounds = Grounds(iterations=5, spread=0.02, degrees=4, needs_randomisation=True, randomisation_p=0.3)

    words = verdict({"p50": an_effect("inconclusive", grounds=grounds)}, treatment=PROVEN).words

    assert "the order of the trials alone may explain it (randomisation p = 0.3)" in words
