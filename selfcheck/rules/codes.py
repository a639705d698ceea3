"""Codes: the code of what was found, for latency and throughput alike (faster is better), and of several primaries together. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from enaxp.bench.effect import Code
from enaxp.traffic import THROUGHPUT, Metric
from selfcheck.rules.inference import Finding

CombinedCode = Code | Literal["mixed", "partial"]
_BETTER: frozenset[Code] = frozenset({"faster", "slightly-faster"})
_WORSE: frozenset[Code] = frozenset({"slower", "slightly-slower"})
_LOWER_IS_BETTER: dict[Finding, Code] = {
    "below": "faster",
    "slightly-below": "slightly-faster",
    "within": "same",
    "slightly-above": "slightly-slower",
    "above": "slower",
    "undecided": "inconclusive",
}
_MIRRORED: dict[Finding, Finding] = {
    "below": "above",
    "slightly-below": "slightly-above",
    "slightly-above": "slightly-below",
    "above": "below",
}


def code_of_finding(metric: Metric, finding: Finding) -> Code:
    """The code of a finding: lower is better for a latency, higher for throughput."""
    return _LOWER_IS_BETTER[_MIRRORED.get(finding, finding) if metric == THROUGHPUT else finding]


def combine(codes: Sequence[Code]) -> CombinedCode:
    """One code from those of the primaries, of which there is one at least.

    Alike: that. Opposite directions: mixed. The same direction, one of them slightly: slightly. No practical difference and a
    direction: the direction. One decided and another not: partial.
    """
    found = set(codes)
    if "invalid" in found:
        return "invalid"
    decided = found - {"inconclusive"}
    if not decided:
        return "inconclusive"
    if decided & _BETTER and decided & _WORSE:
        return "mixed"
    if "inconclusive" in found:
        return "partial"
    directions = decided - {"same"}
    if not directions:
        return "same"
    slightly = sorted(code for code in directions if code.startswith("slightly"))
    return slightly[0] if slightly else directions.pop()
