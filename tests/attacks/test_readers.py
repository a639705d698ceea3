"""No input makes a reader fail in a way that no person can read, or never end."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attacks.readers import READERS, HangError, bounded, contents, drive

EXAMPLES = 60  # less than a minute for all of them; `make fuzz` has ten for each


@pytest.mark.parametrize("name", READERS)
def test_a_sample_is_read(name: str) -> None:
    """The first one: what it is spoilt into then is almost what the reader knows."""
    first, *others = READERS[name].samples

    READERS[name].read(first)
    for sample in others:
        drive(name, sample)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_comes_is_read_or_refused(name: str, data: st.DataObject) -> None:
    drive(name, data.draw(contents(READERS[name].samples)))


def test_a_reader_that_never_ends_is_seen() -> None:
    def read_on() -> None:
        while True:
            re.fullmatch("(a|a)*b", "a" * 18)

    with pytest.raises(HangError, match="does not come to the end"), bounded(0.05, what="it does not come to the end"):
        read_on()
