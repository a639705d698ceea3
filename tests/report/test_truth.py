"""The truth in words: a run that is undecided, or whose interval misses, says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enaxp.bench.judging.truth import TrueFigure, Truth
from enaxp.report.truth import truth_lines, truth_rows

P50 = TrueFigure(
    planned_us=20, recorded_us=20.4, put_in_us=20.3, put_in_pct=97, found_us=20.1, found_low_us=19.2, found_high_us=21,
    found_pct=95, found_low_pct=91, found_high_pct=99, confidence_pct=97.5, code="slower", held=True,
)  # fmt: skip
P99 = TrueFigure(
    planned_us=-1480, recorded_us=-1470, put_in_us=-1472, put_in_pct=-95, found_us=-1460, found_low_us=-1480, found_high_us=-1440,
    found_pct=-94, found_low_pct=-96, found_high_pct=-93, confidence_pct=95, code="faster", held=True,
)  # fmt: skip
UNDECIDED = replace(P99, code="inconclusive", found_high_us=30.0)
NO_INTERVAL = replace(P99, code="inconclusive", found_low_us=None, found_high_us=None, held=None)


@pytest.mark.parametrize(
    ("p99", "found", "held"),
    [
        (P99, "P99 -1.46 ms [-1.48 ms, -1.44 ms], faster", "yes"),
        (UNDECIDED, "P99 -1.46 ms [-1.48 ms, +30.00 µs], inconclusive", "yes"),
        (replace(P99, held=False), "P99 -1.46 ms [-1.48 ms, -1.44 ms], faster", "not at P99"),
        (NO_INTERVAL, "P99 -1.46 ms (no interval), inconclusive", "not known at P99"),
    ],
)
def test_it_says_what_was_put_in_what_was_found_and_whether_that_holds_it(
    p99: TrueFigure, found: str, held: str
) -> None:
    lines = list(truth_lines(Truth(what="a relay", figures={"p50": P50, "p99": p99})))

    assert lines == [
        "emulated, not ENA: a relay",
        "put in: P50 +20.30 µs, P99 -1.47 ms (by the relay's own record)",
        f"found:  P50 +20.10 µs [+19.20 µs, +21.00 µs], slower; {found}",
        f"true value within the intervals: {held}",
    ]


def test_where_nothing_was_put_in_it_says_what_is_excluded() -> None:
    same = replace(
        P50, planned_us=0, put_in_us=0, put_in_pct=0, found_us=0.05, found_low_us=-0.2, found_high_us=0.3,
        found_low_pct=-1, found_high_pct=1.5, code="same",
    )  # fmt: skip

    *_, put_in, _, _, excluded = truth_lines(Truth(what="nothing", figures={"p50": same}))

    assert put_in == "put in: nothing"
    assert excluded == "what this run excludes: at P50 a change outside of -0.20 µs to +0.30 µs, [-1.00%, +1.50%]"


def test_on_the_page_each_figure_has_a_row() -> None:
    rows = truth_rows(Truth(what="a relay", figures={"p50": P50, "p99": NO_INTERVAL}))

    assert [(row.name, row.put_in, row.code, row.held) for row in rows] == [
        ("P50", "+20.30 µs", "slower", "yes"),
        ("P99", "−1.47 ms", "inconclusive", "not known"),
    ]
