"""Reader: durations and percentages as people write them, and faults that name their place."""

from __future__ import annotations

import pytest

from enaxp.errors import UsageError
from enaxp.reader import Reader, parse_duration, parse_percent


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("4h", 14400),
        ("1h30m", 5400),
        ("2d", 172800),
        ("500ms", 0.5),
        (10, 10),
        ("10", 10),
        (2.5, 2.5),
        ("1.5h", 5400),
    ],
)
def test_durations_are_read_as_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "10 s s", "-1s", -1, True, None, "1h 30", "1x", float("nan"), float("inf")])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_a_percentage_may_have_its_sign_or_not() -> None:
    assert [parse_percent(text, option="--until") for text in ("1%", "0.5", " 2.5 % ")] == [1.0, 0.5, 2.5]


@pytest.mark.parametrize("text", ["", "0", "101%", "-1", "one", "1,5"])
def test_what_is_no_percentage_is_refused_with_its_option(text: str) -> None:
    with pytest.raises(UsageError, match="--until"):
        parse_percent(text, option="--until")


def test_a_fault_names_its_path_and_reading_continues() -> None:
    faults: list[str] = []
    reader = Reader({"bench": {"repeats": "ten", "order": "odd", "moon": 1}}, path="", faults=faults)

    bench = reader.section("bench")
    read = (bench.whole("repeats", low=1, high=9), bench.choice("order", ("interleaved", "parallel"), "parallel"))
    bench.close()

    assert read == (1, "parallel")
    assert faults == [
        "bench.repeats: 'ten' is not allowed; allowed: a whole number from 1 to 9",
        "bench.order: 'odd' is not allowed; allowed: interleaved or parallel",
        "bench.moon: unknown key (value 1); allowed: one of order, repeats",
    ]
