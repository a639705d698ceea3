"""The code of a scenario from those of its primaries: whichever comes first, nothing undecided is hidden."""

from __future__ import annotations

import pytest

from enaxp.bench.effect import Code
from enaxp.traffic import Metric
from selfcheck.rules.codes import code_of_finding, combine
from selfcheck.rules.inference import Finding


@pytest.mark.parametrize(
    ("p50", "p99", "expected"),
    [
        ("faster", "faster", "faster"),
        ("same", "same", "same"),
        ("inconclusive", "inconclusive", "inconclusive"),
        ("slower", "same", "slower"),
        ("same", "slightly-slower", "slightly-slower"),
        ("inconclusive", "faster", "partial"),
        ("slightly-slower", "inconclusive", "partial"),
        ("same", "inconclusive", "partial"),
        ("slower", "faster", "mixed"),
        ("slightly-slower", "faster", "mixed"),
        ("slightly-slower", "slower", "slightly-slower"),
        ("slightly-faster", "faster", "slightly-faster"),
        ("invalid", "faster", "invalid"),
    ],
)
def test_two_primaries_come_to_one_code_whichever_comes_first(p50: Code, p99: Code, expected: str) -> None:
    assert (combine([p50, p99]), combine([p99, p50])) == (expected, expected)


@pytest.mark.parametrize(
    ("metric", "finding", "code"),
    [
        ("p99", "below", "faster"),
        ("p99", "slightly-above", "slightly-slower"),
        ("throughput", "below", "slower"),
        ("throughput", "slightly-above", "slightly-faster"),
        ("throughput", "within", "same"),
        ("mean", "undecided", "inconclusive"),
    ],
)
def test_lower_is_better_for_a_latency_and_higher_for_throughput(metric: Metric, finding: Finding, code: Code) -> None:
    assert code_of_finding(metric, finding) == code
