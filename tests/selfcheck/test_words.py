"""The simulation of the words: its truths are true, and a short one of a few cells."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest

from enaxp.bench.judging.effect import Code
from selfcheck.words import CELLS, MARGIN, SIZES, UNKNOWN, fault_of, holds_truth, main, simulate, tables
from tests.support.factories import an_effect

BY_NAME = {cell.name: cell for cell in CELLS}


def test_the_truths_of_the_cells_lie_where_their_names_say() -> None:
    apart = BY_NAME["P50 +5 %, P99 -26 %, SD 3 %"].truths()
    on_the_margin = BY_NAME["P50 exactly on the margin, SD 2 %"].truths()

    assert [MARGIN.zone(truth) for truth in apart] == ["above", "below"]
    assert on_the_margin[0] == pytest.approx(MARGIN.high)


@pytest.mark.parametrize(
    ("code", "truth", "wrong"),
    [
        ("faster", -0.1, False),
        ("faster", 0.1, True),
        ("slightly-faster", 0.0, True),
        ("slower", 0.01, True),
        ("slower", MARGIN.high, True),
        ("same", MARGIN.high, True),
        ("same", 0.01, False),
        ("same", 0.1, True),
        ("inconclusive", 0.1, False),
        ("slower", math.inf, False),
        ("faster", math.inf, True),
        ("same", UNKNOWN, False),
    ],
)
def test_a_word_is_wrong_when_it_claims_what_is_not_so(code: Code, truth: float, wrong: bool) -> None:
    assert bool(fault_of(code, truth)) is wrong


def test_an_arm_that_loses_messages_is_never_taken_for_the_faster_one() -> None:
    rates = [
        simulate(BY_NAME[name], iterations=10, benches=25)
        for name in ("ENA loses 2 %, Express delays 2 %", "Express loses 2 %, ENA delays 2 %")
    ]

    assert [one.wrong_way for one in rates] == [0.0, 0.0]
    assert [one.warned for one in rates] == [1.0, 1.0]
    assert rates[0].words["p99"]["faster"] == rates[1].words["p99"]["slower"] == 1.0


def test_an_arm_that_fails_more_often_is_named_in_the_headline_where_its_survivors_look_alike() -> None:
    cell = BY_NAME["Express misses its rate in half of the trials, those that are slower"]

    assert simulate(cell, iterations=10, benches=10).warned == 1.0


def test_alike_arms_are_seldom_distinguished_even_with_four_scenarios() -> None:
    rates = simulate(BY_NAME["alike, 4 scenarios, SD 5 %"], iterations=10, benches=400)

    assert rates.wrong <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


@pytest.mark.parametrize(
    ("low", "high", "truth", "holds"),
    [
        (-1.0, 6.0, 0.05, True),
        (-1.0, 5.0, 0.05, False),
        (None, 6.0, 0.05, None),
        (-1.0, 6.0, math.inf, None),
        (-1.0, 6.0, UNKNOWN, None),
    ],
)
def test_an_interval_holds_a_truth_that_is_a_number_or_there_is_nothing_to_hold(
    low: float | None, high: float | None, truth: float, holds: bool | None
) -> None:
    assert holds_truth(an_effect(low_pct=low, high_pct=high), truth) is holds


def test_the_tables_have_a_line_for_each_cell_and_say_what_was_not_measured() -> None:
    rates = asdict(simulate(CELLS[0], iterations=3, benches=50))
    measured = {"cell": CELLS[0].name, "iterations": 3, **rates}
    before = {**measured, "iterations": 5, "covers": {}}

    lines = list(tables([measured, before]))

    assert f"{CELLS[0].name}, 3 | 50 | " in lines[2]
    assert f"| P50 | {100 * rates['covers']['p50']:.1f} |" in lines[2]
    assert "| P50 | not measured yet |" in lines[4]
    assert sum("| not measured yet | " in line for line in lines) >= len(CELLS) * len(SIZES) - 2
    assert len({line.count("|") for line in lines}) == 1


def test_a_study_that_is_gone_on_with_does_not_run_again_what_is_in_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--benches", "20", "--cells", "alike, 1 scenario, SD 2 %", "--to", str(tmp_path / "words.jsonl")]

    main(arguments)
    told = capsys.readouterr().out
    main(arguments)

    assert told.count("I = ") == 3
    assert capsys.readouterr().out == ""
    assert [json.loads(line)["iterations"] for line in (tmp_path / "words.jsonl").read_text().splitlines()] == [
        3,
        5,
        10,
    ]
