"""Words: the code of what was found, for latency and throughput alike: faster is better. Pure."""

from __future__ import annotations

from enaxp.bench.effect import Code
from enaxp.bench.inference import Finding
from enaxp.traffic import THROUGHPUT, Metric

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
