"""The study of fleets: both intervals hold the truth where pairs are normal; its cells go on from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfcheck.fleets import CELLS, PAIRS, SHARED, TOLERATED, Cell, main, simulate, tables

NORMAL = [cell for cell in CELLS if cell.name == "normal pairs"]


@pytest.mark.parametrize("cell", NORMAL, ids=lambda cell: f"spread {cell.spread:g}")
def test_both_intervals_hold_the_truth_where_pairs_are_normal(cell: Cell) -> None:
    found = simulate(cell, pairs=3, fleets=400)

    allowed = 0.95 - 3 * (0.05 * 0.95 / 400) ** 0.5
    assert found.mean >= allowed
    assert found.next_pair >= allowed


@pytest.mark.parametrize("pairs", [3, 8])
def test_both_intervals_hold_the_truth_of_skewed_pairs_that_differ_by_three_errors(pairs: int) -> None:
    [cell] = [cell for cell in CELLS if cell.name == "skewed pairs" and cell.spread == 3]

    found = simulate(cell, pairs=pairs, fleets=400)

    for share, nominal in zip((found.mean, *found.mean_shared, found.next_pair), (0.95, *SHARED, 0.95), strict=True):
        claimed = nominal - TOLERATED
        assert share >= claimed - 3 * (claimed * (1 - claimed) / 400) ** 0.5


def test_a_pair_that_does_not_fit_is_named_the_more_often_the_more_pairs_there_are() -> None:
    [_, cell, _] = [cell for cell in CELLS if cell.has_outlier]

    few, many = (simulate(cell, pairs=pairs, fleets=200).found for pairs in (5, 16))

    assert few is not None
    assert many is not None
    assert few < many


def test_what_is_in_the_file_is_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fleets.jsonl"

    main(["--fleets", "2", "--to", str(file)])
    first = file.read_text()
    main(["--fleets", "2", "--to", str(file)])

    assert len(first.splitlines()) == len(CELLS) * len(PAIRS)
    assert file.read_text() == first
    capsys.readouterr()
    main(["--to", str(file), "--tables"])
    assert "not measured yet" not in capsys.readouterr().out


def test_a_cell_that_was_not_measured_is_said_so() -> None:
    assert sum("not measured yet" in line for line in tables([])) == len(CELLS) * len(PAIRS)
