"""Resolved: what is read of an instance type."""

from __future__ import annotations

from typing import Any

import pytest

from enaxp.lab.resolved import sustained_gbps


def described(*baselines: float | None) -> list[dict[str, Any]]:
    """Types of DescribeInstanceTypes with this bandwidth on their first card; None: AWS says nothing."""
    cards = [{} if baseline is None else {"BaselineBandwidthInGbps": baseline} for baseline in baselines]
    return [{"NetworkInfo": {"NetworkCards": [{**card, "PeakBandwidthInGbps": 100.0}]}} for card in cards]


@pytest.mark.parametrize(
    ("types", "gbps"),
    [
        (described(12.5), 12.5),
        (described(50.0, 12.5), 12.5),
        (described(12.5, None), None),
        ([{"NetworkInfo": {}}], None),
        ([], None),
    ],
)
def test_a_pair_carries_what_its_slower_host_does_and_nothing_is_guessed(
    types: list[dict[str, Any]], gbps: float | None
) -> None:
    assert sustained_gbps(types) == gbps
