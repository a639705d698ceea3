"""How figures are written: one rule for what programs read and what people read on a page."""

from __future__ import annotations

import pytest

from enaxp.text import change_plain, change_typeset, counted, figure, interval_plain, interval_typeset, listed, unbroken


@pytest.mark.parametrize(
    ("pct", "plain", "typeset"),
    [
        (None, "not measured", "not measured"),
        (-3.1, "-3.10%", "−3.10 %"),
        (12.345, "+12.3%", "+12.3 %"),
        (0.001, "+0.0010%", "+0.0010 %"),
        (0.00001, "+0.00%", "0.00 %"),
        (-0.001, "-0.0010%", "−0.0010 %"),
        (-0.00001, "-0.00%", "0.00 %"),
        (1000.0, "+1000%", "+1000 %"),
        (1000.1, "over +1000%", "over +1000 %"),
    ],
)
def test_a_change_has_a_plain_and_a_typeset_form(pct: float | None, plain: str, typeset: str) -> None:
    assert change_plain(pct) == plain
    assert change_typeset(pct) == typeset


def test_an_interval_stands_after_its_estimate() -> None:
    assert interval_plain(-3.1, -4.02, 2.2) == "-3.10% [-4.02%, +2.20%]"
    assert interval_typeset(-3.1, -4.02, 2.2) == "−3.10 % [−4.02 %, +2.20 %]"


def test_what_has_no_interval_or_no_estimate_says_so() -> None:
    assert interval_plain(5.0, None, None) == "+5.00% (no interval)"
    assert interval_typeset(None, None, None) == "not measured"


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("p50", 28.204, "28.20 µs"),
        ("p99", 112.82, "112.8 µs"),
        ("mean", 12345.6, "12,346 µs"),
        ("throughput", 9.4, "9.400 Gbit/s"),
        ("throughput", None, "not measured"),
    ],
)
def test_a_figure_has_its_unit_and_as_many_digits_as_matter(metric: str, value: float | None, said: str) -> None:
    assert figure(metric, value) == said


def test_counts_and_lists_read_as_in_a_sentence() -> None:
    assert [counted(1, "trial"), counted(1200, "trial")] == ["1 trial", "1,200 trials"]
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_a_unit_stays_on_the_line_of_its_figure() -> None:
    told = unbroken("−3.10 % [−4.02%, −2.17 %] of 12 µs; near-2 of 5 hosts")

    assert told == "−3.10\u00a0% [−4.02\u00a0%, −2.17\u00a0%] of 12\u00a0µs; near-2 of 5 hosts"
