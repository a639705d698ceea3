"""Whole numbers out of a host's text: what a counter can show, and nothing else."""

from __future__ import annotations

import pytest

from enaxp.hosts.cpus import read_cpus
from enaxp.hosts.numbers import whole_number


@pytest.mark.parametrize(("word", "number"), [("0", 0), ("9001", 9001), (str(2**64 - 1), 2**64 - 1)])
def test_a_counter_is_read(word: str, number: int) -> None:
    assert whole_number(word) == number


@pytest.mark.parametrize("word", [None, "", "²", "٣", "-1", "1.5", "1_000", " 1", "9" * 21, "9" * 5000])
def test_what_no_counter_shows_is_none(word: str | None) -> None:
    """`²` is a digit to Python, and int() refuses it and a number of 5,000 digits."""
    assert whole_number(word) is None


def test_a_list_of_cores_that_no_kernel_writes_fills_no_memory() -> None:
    told = read_cpus("allowed 0-3\nallowed 0-999999999\nserving 3-1\nnear 2-,1\n")

    assert (told.allowed, told.serving, told.near) == ((0, 1, 2, 3), frozenset(), (1,))
