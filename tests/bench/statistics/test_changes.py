"""Changes: where a series changed, by Otava itself. It is an extra: whether it is there can be asked."""

from __future__ import annotations

import pytest

from enaxp.bench.statistics.changes import FEWEST, change_points, is_installed

STEP = [0.00, 0.01, -0.01, 0.02, 0.00, -0.02, 0.20, 0.21, 0.19, 0.22, 0.20, 0.18]


def test_a_clear_change_is_found_where_it_is_and_none_where_there_is_none() -> None:
    [change] = change_points(STEP)

    assert change.at == 6
    assert 0 < change.p_value <= 0.05
    assert change_points(STEP) == [change], "the same runs have the same changes"
    assert change_points([0.01, -0.01, 0.02, 0.0] * 3) == []
    assert change_points(STEP[: FEWEST - 1]) == change_points([0.1] * 20) == []


def test_without_otava_that_can_be_seen_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_installed()

    monkeypatch.setattr("enaxp.bench.statistics.changes.importlib.util.find_spec", lambda name: None)

    assert not is_installed()
