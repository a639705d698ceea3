"""Verdict: one code from the primaries, and words that claim no more than their intervals."""

from __future__ import annotations

from typing import Any

import pytest

from enaxp.bench.effect import Code, Effect
from enaxp.bench.verdict import Treatment, verdict

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
        "iterations": 10,
        "iterations_needed": 22,
    }
    return Effect(**{**fields, **changes})


@pytest.mark.parametrize(
    ("p50", "p99", "expected"),
    [
        ("faster", "faster", "faster"),
        ("same", "same", "same"),
        ("inconclusive", "inconclusive", "inconclusive"),
        ("slower", "same", "slower"),
        ("inconclusive", "faster", "faster"),
        ("same", "slightly-slower", "slightly-slower"),
        ("slower", "faster", "mixed"),
        ("slightly-slower", "faster", "mixed"),
        ("slightly-slower", "slightly-faster", "mixed"),
        ("slightly-slower", "slower", "slightly-slower"),
        ("slightly-faster", "faster", "slightly-faster"),
        ("same", "inconclusive", "inconclusive"),
        ("invalid", "faster", "invalid"),
    ],
)
def test_the_primaries_come_to_one_code_whichever_comes_first(p50: Code, p99: Code, expected: str) -> None:
    for one, other in ((p50, p99), (p99, p50)):
        judged = verdict({"p50": an_effect(one), "p99": an_effect(other)}, treatment=PROVEN, local=False)

        assert judged.code == expected


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (an_effect("faster"), "is faster by 12.30% at p50 [-14.40%, -10.10%]"),
        (an_effect("slower", estimate_pct=18.1, low_pct=17.9, high_pct=18.4), "is slower by 18.10% at p50 [+17.90%, +18.40%]"),
        (
            an_effect("same", estimate_pct=0.1, low_pct=-0.5, high_pct=0.7),
            "makes no practical difference at p50 [-0.50%, +0.70%], within ±2%",
        ),
        (
            an_effect("slightly-faster", estimate_pct=-2, low_pct=-3, high_pct=-1),
            "is slightly faster by 2.00% at p50 [-3.00%, -1.00%], may be below 2%",
        ),
        (
            an_effect("inconclusive", estimate_pct=0.4, low_pct=-3.2, high_pct=4.1),
            "is inconclusive at p50: it could be -3.20% to +4.10%; about 12 more iterations needed",
        ),
        (
            an_effect("inconclusive", estimate_pct=0.4, low_pct=None, high_pct=None),
            "is inconclusive at p50 (+0.40% in a single iteration, two are needed at least)",
        ),
        (
            an_effect("inconclusive", estimate_pct=40, low_pct=-99.97, high_pct=8.7e11, iterations_needed=None),
            "is inconclusive at p50: it could be -99.97% to over +1000%; more iterations alone are not likely to settle it",
        ),
    ],
)  # fmt: skip
def test_the_words_give_what_was_found_and_its_interval(effect: Effect, words: str) -> None:
    judged = verdict({"p50": effect, "p99": an_effect("faster")}, treatment=PROVEN, local=False)

    assert judged.words == f"ENA Express {words}; is faster by 12.30% at p99 [-14.40%, -10.10%]"


def test_a_local_run_never_speaks_of_ena() -> None:
    for fault in (None, "no pair of trials was completed"):
        judged = verdict({"p50": an_effect("same")}, treatment=PROVEN, local=True, fault=fault)

        assert judged.words.startswith("local, not ENA: ")


def test_an_unknown_treatment_is_said_and_does_not_make_the_verdict_invalid() -> None:
    unknown = Treatment(proven=None, srd_share=None, source="none")

    judged = verdict({"p50": an_effect("faster")}, treatment=unknown, local=False)

    assert judged.code == "faster"
    assert "whether SRD carried the packets is unknown" in judged.words


def test_a_treatment_that_was_not_given_makes_the_verdict_invalid_without_a_figure_of_it() -> None:
    absent = Treatment(proven=False, srd_share=0.123, source="device")

    judged = verdict({"p50": an_effect("faster")}, treatment=absent, local=False)

    assert judged.code == "invalid"
    assert judged.words.startswith("invalid: ")
    assert "12.30%" in judged.words
    assert "faster" not in judged.words


def test_without_a_valid_pair_the_verdict_says_why() -> None:
    judged = verdict({"p50": an_effect("invalid")}, treatment=PROVEN, local=False, fault="the server is down")

    assert (judged.code, judged.words) == ("invalid", "invalid: the server is down")


def test_throughput_is_spoken_of_by_its_name() -> None:
    effect = an_effect("faster", estimate_pct=12.3, low_pct=10.1, high_pct=14.4)

    judged = verdict({"throughput": effect}, treatment=PROVEN, local=False)

    assert judged.words == "ENA Express is faster by 12.30% in throughput [+10.10%, +14.40%]"


def test_a_primary_that_was_not_measured_is_invalid_and_says_so() -> None:
    effect = an_effect("invalid", estimate_pct=None, low_pct=None, high_pct=None)

    judged = verdict({"throughput": effect}, treatment=PROVEN, local=False)

    assert (judged.code, judged.words) == ("invalid", "invalid: ENA Express was not measured in throughput")
