"""Skew: how much wider than Student's t the intervals over pairs are, since pairs may differ far more to one side than to the other. Pure.

    number of pairs ─▶ allowance_of_mean, allowance_of_next_pair ─▶ what the half width is multiplied by

Latencies have long tails, and the effects of pairs may have one. Student's t then holds the truth less often than it says, and nothing in
the data of so few pairs shows when: a fleet that happens to have none of the far pairs looks as others do. So every interval is widened,
by what so many pairs need. The rules are smooth, and follow what simulation gives, from above or within two hundredths: lognormal pairs
whose true effects spread by 3 standard errors of a pair's mean, each interval to hold the truth half a point more often than the nominal
coverage less two points. Computed by `python -m selfcheck.skew`, which prints both beside each other; docs/method.md has the figures.
"""

from __future__ import annotations


def allowance_of_mean(pairs: int) -> float:
    """What the half width of the mean effect is multiplied by: most from 5 to 17 pairs. With fewer, t's own quantile is wide; with more,
    the mean comes near to being normal."""
    return 1 + max(0.0, min((pairs - 2) / 8, 0.28, 5 / pairs))


def allowance_of_next_pair(pairs: int) -> float:
    """The same for what the next pair would measure: from 16 pairs on nothing is needed."""
    return 1 + max(0.0, min(0.13, (16 - pairs) / 80))
