"""No input makes a reader fail in a way that no person can read, or never end."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attacks.readers import READERS, contents, drive

EXAMPLES = 60  # less than a minute for all of them; `make fuzz` has ten for each


@pytest.mark.parametrize("name", READERS)
def test_a_sample_is_read(name: str) -> None:
    for sample in READERS[name].samples:
        drive(name, sample)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_comes_is_read_or_refused(name: str, data: st.DataObject) -> None:
    drive(name, data.draw(contents(READERS[name].samples)))
