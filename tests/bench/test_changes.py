"""Changes: where a series changed. Otava is an extra: without it that is said, and with it a clear change is found."""

from __future__ import annotations

import pytest

from enaxp.bench.changes import FEWEST, change_points, is_installed

STEP = [0.00, 0.01, -0.01, 0.02, 0.00, -0.02, 0.20, 0.21, 0.19, 0.22, 0.20, 0.18]


def test_a_clear_change_is_found_where_it_is_or_otava_is_missed_by_name() -> None:
    if not is_installed():
        with pytest.raises(ImportError, match="otava"):
            change_points(STEP)
        return

    [change] = change_points(STEP)

    assert change.at == 6
    assert 0 < change.p_value <= 0.05
    assert change_points(STEP) == [change], "the same runs have the same changes"
    assert change_points([0.01, -0.01, 0.02, 0.0] * 3) == []
    assert change_points(STEP[: FEWEST - 1]) == change_points([0.1] * 20) == []
