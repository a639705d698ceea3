"""Histogram: exact counts, equal-weight merges, quantiles by nearest rank, and the file they travel in."""

from __future__ import annotations

import gzip
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enaxp.bench.run_folder.histogram import Histogram, merge, merge_equal_weight, tail_is_thin

SAMPLES = st.lists(st.integers(0, 10**12), min_size=1, max_size=60)
FEW_VALUES = st.lists(st.integers(0, 9), min_size=1, max_size=60)
PERCENTS = (0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1.0)


@given(SAMPLES | FEW_VALUES, st.sampled_from(PERCENTS))
def test_a_quantile_is_the_smallest_value_that_enough_do_not_exceed(samples: list[int], p: float) -> None:
    expected = sorted(samples)[math.ceil(Fraction(str(p)) * len(samples)) - 1]

    histogram = Histogram.of(samples)

    assert histogram.quantile(p) == histogram.distribution().quantile(p) == expected


@given(SAMPLES | FEW_VALUES)
def test_count_mean_and_max_are_those_of_the_samples(samples: list[int]) -> None:
    histogram = Histogram.of(samples)

    assert (histogram.count, histogram.max) == (len(samples), max(samples))
    assert histogram.mean == pytest.approx(sum(samples) / len(samples))


@given(SAMPLES | FEW_VALUES, st.sampled_from(PERCENTS))
def test_sockperf_takes_its_own_rank_and_prints_nothing_below_the_first(samples: list[int], p: float) -> None:
    rank = int(0.5 + p * len(samples))

    value = Histogram.of(samples).sockperf_percentile(p)

    assert value == (sorted(samples)[rank - 1] if rank >= 1 else None)


@given(st.lists(FEW_VALUES, min_size=1, max_size=6), st.sampled_from(PERCENTS))
def test_in_a_merge_every_trial_weighs_the_same(trials: list[list[int]], p: float) -> None:
    def share_up_to(x: int) -> Fraction:
        return sum(Fraction(sum(v <= x for v in trial), len(trial)) for trial in trials) / len(trials)

    expected = min(x for trial in trials for x in trial if share_up_to(x) >= Fraction(str(p)))

    merged = merge_equal_weight([Histogram.of(trial) for trial in trials])

    assert merged.quantile(p) == expected
    assert merged.mean == pytest.approx(sum(sum(trial) / len(trial) for trial in trials) / len(trials))
    assert merged.max == max(map(max, trials))
    assert merged.shares.sum() == pytest.approx(1)


@given(SAMPLES)
def test_merging_one_trial_changes_nothing(samples: list[int]) -> None:
    one = Histogram.of(samples)

    assert [merge_equal_weight([one, one]).quantile(p) for p in PERCENTS] == [one.quantile(p) for p in PERCENTS]


def test_a_fast_trial_does_not_outvote_a_slow_one_by_sending_more() -> None:
    fast, slow = Histogram.of([28_000], [20_000]), Histogram.of([56_000], [10_000])

    merged = merge_equal_weight([fast, slow])

    assert merged.mean == pytest.approx(42_000)
    assert merged.quantile(0.51) == 56_000


def test_many_trials_still_reach_their_last_value() -> None:
    trials = [Histogram.of([1, 2, 3]) for _ in range(997)]

    assert merge_equal_weight(trials).quantile(1.0) == 3


@given(SAMPLES)
def test_a_histogram_comes_back_from_its_file_as_it_was(samples: list[int]) -> None:
    histogram = Histogram.of(samples)

    content = histogram.to_bytes()

    assert Histogram.from_bytes(content) == histogram
    assert Histogram.from_bytes(content).to_bytes() == content


def test_the_file_is_a_gzipped_table_of_values_and_counts() -> None:
    assert gzip.decompress(Histogram.of([17_501, 9_885, 17_501]).to_bytes()) == b"value_ns,count\n9885,1\n17501,2\n"


NONSENSE = {
    "an empty file": (b"", "begin"),
    "not compressed": (b"value_ns,count\n1,2\n", "gzip"),
    "cut short": (Histogram.of([1, 2, 3]).to_bytes()[:-4], "gzip"),
    "broken inside": (gzip.compress(b"1" * 99)[:10] + b"\xff\xff\xff\xff", "gzip"),
    "no heading": (gzip.compress(b"1,2\n"), "begin"),
    "a heading alone": (gzip.compress(b"value_ns,count\n"), "no observation"),
    "three columns": (gzip.compress(b"value_ns,count\n1,2,3\n"), "two columns"),
    "a line of one column": (gzip.compress(b"value_ns,count\n1,2\n3\n"), "two columns"),
    "a negative count": (gzip.compress(b"value_ns,count\n1,-2\n"), "whole numbers"),
    "a fraction": (gzip.compress(b"value_ns,count\n1.5,2\n"), "whole numbers"),
    "a count of nothing": (gzip.compress(b"value_ns,count\n1,0\n"), "count above 0"),
    "a value too large": (gzip.compress(b"value_ns,count\n99999999999999999999,1\n"), "whole numbers"),
}


@pytest.mark.parametrize(("content", "words"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Histogram.from_bytes(content)


@given(st.binary(max_size=200))
def test_no_bytes_are_a_histogram_by_accident(content: bytes) -> None:
    for given_bytes in (content, gzip.compress(b"value_ns,count\n" + content)):
        try:
            histogram = Histogram.from_bytes(given_bytes)
        except ValueError:
            continue
        assert histogram.count > 0


@pytest.mark.parametrize(("values", "counts"), [([], []), ([-1], [1]), ([1, 2], [1]), ([1], [0])])
def test_a_histogram_of_nothing_or_of_less_is_refused(values: list[int], counts: list[int]) -> None:
    with pytest.raises(ValueError, match="histogram"):
        Histogram.of(values, counts)


@pytest.mark.parametrize("p", [0, -0.1, 1.1])
def test_a_quantile_beyond_the_ends_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        Histogram.of([1]).quantile(p)


def test_merging_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        merge_equal_weight([])


@pytest.mark.parametrize(
    ("p", "fewest", "thin"), [(0.99, 1000, False), (0.99, 999, True), (0.999, 10_000, False), (0.5, 19, True)]
)
def test_a_tail_needs_ten_messages_beyond_it_in_the_smallest_iteration(p: float, fewest: int, thin: bool) -> None:
    assert tail_is_thin(p, fewest=fewest) is thin


def test_values_are_whole_nanoseconds() -> None:
    histogram = Histogram.of(np.array([5, 5, 7]))

    assert (histogram.values.dtype, histogram.counts.dtype) == (np.int64, np.int64)
    assert isinstance(histogram.quantile(0.5), int)


def test_a_lost_message_is_later_than_every_other() -> None:
    trial = Histogram.of([10] * 97)  # of 100 messages three were lost

    merged = merge_equal_weight([trial], lost=[3])

    assert [merged.quantile(p) for p in (0.5, 0.97, 0.971, 1.0)] == [10, 10, math.inf, math.inf]


def test_a_quantile_is_beyond_measurement_once_the_mean_loss_of_the_trials_exceeds_what_lies_beyond_it() -> None:
    quiet, lossy = Histogram.of([10] * 100), Histogram.of([20] * 98)

    at_the_limit = merge_equal_weight([quiet, lossy], lost=[0, 2])  # (0 % + 2 %) / 2 = 1 %
    beyond = merge_equal_weight([quiet, lossy], lost=[0, 3])

    assert at_the_limit.quantile(0.99) == 20
    assert beyond.quantile(0.99) == math.inf


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 5)), min_size=1, max_size=4
    ),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_the_merged_quantile_is_that_of_sorting_with_lost_messages_at_infinity(
    trials: list[tuple[list[int], int]], p: float
) -> None:
    merged = merge_equal_weight([Histogram.of(seen) for seen, _ in trials], lost=[lost for _, lost in trials])

    every = sorted({value for seen, _ in trials for value in seen})
    shares = [
        Fraction(sum(Fraction(sum(v <= x for v in seen), len(seen) + lost) for seen, lost in trials), len(trials))
        for x in every
    ]
    expected = next((x for x, share in zip(every, shares, strict=True) if share >= Fraction(str(p))), math.inf)
    assert merged.quantile(p) == expected


def test_the_mean_and_the_maximum_are_of_the_messages_that_arrived() -> None:
    merged = merge_equal_weight([Histogram.of([10, 20])], lost=[2])

    assert (merged.mean, merged.max, merged.lost) == (15, 20, 0.5)


def test_merging_merges_by_their_trials_is_merging_all_trials_also_with_lost_messages() -> None:
    trials, lost = [Histogram.of([10, 20, 30]), Histogram.of([40]), Histogram.of([15, 25])], [1, 0, 3]

    first = merge_equal_weight(trials[:2], lost=lost[:2])
    stepwise = merge([first, trials[2].distribution(lost=3)], weights=[2, 1])
    at_once = merge_equal_weight(trials, lost=lost)

    assert stepwise.shares == pytest.approx(at_once.shares)
    assert stepwise.lost == pytest.approx(at_once.lost) == pytest.approx((1 / 4 + 0 + 3 / 5) / 3)
