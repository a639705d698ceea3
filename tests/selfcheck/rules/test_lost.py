"""Lost messages: later than every other, whatever the trials."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from enaxp.bench.histogram import Histogram
from selfcheck.rules.lost import merge_with_lost, quantile


def test_a_lost_message_is_later_than_every_other() -> None:
    trial = Histogram.of([10] * 97)  # of 100 messages three were lost

    merged = merge_with_lost([trial], lost=[3])

    assert [quantile(merged, p) for p in (0.5, 0.97, 0.971, 1.0)] == [10, 10, math.inf, math.inf]


def test_a_quantile_is_beyond_measurement_once_the_mean_loss_of_the_trials_exceeds_what_lies_beyond_it() -> None:
    quiet, lossy = Histogram.of([10] * 100), Histogram.of([20] * 98)

    at_the_limit = merge_with_lost([quiet, lossy], lost=[0, 2])  # (0 % + 2 %) / 2 = 1 %
    beyond = merge_with_lost([quiet, lossy], lost=[0, 3])

    assert quantile(at_the_limit, 0.99) == 20
    assert quantile(beyond, 0.99) == math.inf


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 5)), min_size=1, max_size=4
    ),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_the_merged_quantile_is_that_of_sorting_with_lost_messages_at_infinity(
    trials: list[tuple[list[int], int]], p: float
) -> None:
    merged = merge_with_lost([Histogram.of(seen) for seen, _ in trials], lost=[lost for _, lost in trials])

    every = sorted({value for seen, _ in trials for value in seen})
    shares = [
        Fraction(sum(Fraction(sum(v <= x for v in seen), len(seen) + lost) for seen, lost in trials), len(trials))
        for x in every
    ]
    expected = next((x for x, share in zip(every, shares, strict=True) if share >= Fraction(str(p))), math.inf)
    assert quantile(merged, p) == expected
