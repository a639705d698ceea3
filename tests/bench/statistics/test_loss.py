"""Loss: its interval is over iterations, never below 0, and never a point."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from enaxp.bench.statistics.loss import loss_difference, loss_of


def test_the_interval_is_students_over_the_iterations() -> None:
    rates = [0.010, 0.020, 0.012, 0.018]

    loss = loss_of(rates, lost=60, wanted=4000)

    low, high = stats.t.interval(0.95, 3, loc=np.mean(rates), scale=stats.sem(rates))
    assert loss is not None
    assert (loss.rate, loss.low, loss.high) == pytest.approx((0.015, low, high))


def test_the_interval_is_cut_off_at_nothing() -> None:
    loss = loss_of([0.0, 0.0, 0.0, 0.004], lost=4, wanted=4000)

    assert loss is not None
    assert loss.low == 0.0


def test_nothing_lost_of_three_hundred_may_be_one_in_a_hundred() -> None:
    loss = loss_of([0.0, 0.0], lost=0, wanted=300)

    assert loss is not None
    assert (loss.rate, loss.low, loss.high) == (0.0, 0.0, 0.01)


def test_one_iteration_has_a_rate_and_no_interval() -> None:
    loss = loss_of([0.01], lost=10, wanted=1000)

    assert loss is not None
    assert (loss.rate, loss.low, loss.high) == (0.01, None, None)


def test_without_a_message_there_is_no_loss_to_speak_of() -> None:
    assert loss_of([], lost=0, wanted=0) is None


def test_a_difference_is_clear_when_its_interval_excludes_nothing() -> None:
    clear = loss_difference([(0.02, 0.001), (0.021, 0.002), (0.019, 0.001)])
    unclear = loss_difference([(0.02, 0.001), (0.001, 0.02), (0.01, 0.01)])

    assert clear is not None
    assert unclear is not None
    assert (clear.is_clear, unclear.is_clear) == (True, False)
    assert clear.difference < 0
