"""What is said of how one logs in to a host."""

from __future__ import annotations

import pytest

from enaxp.hosts.connection import login


@pytest.mark.parametrize(
    ("place", "command"),
    [
        ("server", "enaxp ssh server"),
        ("monitoring", "enaxp ssh monitoring"),
        ("main-1/client", "enaxp ssh client --pair main-1"),
    ],
)
def test_a_host_is_logged_in_to_by_its_place_in_the_fleet(place: str, command: str) -> None:
    assert login(place) == command
