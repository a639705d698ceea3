"""Words: the wording that summary and page of a fleet's bench share. Pure. The verdicts' own words are in bench/fleet/words.py.

FleetData, StandingOut, FleetEffect ─▶ sentences and cells of tables ─▶ summary.py, page.py
"""

from __future__ import annotations

from enaxp.bench.fleet.result import FleetEffect
from enaxp.report.fleet.data import FleetData, StandingOut
from enaxp.report.words import label
from enaxp.text import bounds_plain, counted, percent_plain

SUPPOSED = (
    "The pair of hosts is the unit: an interval covers what differs from pair to pair, and is widened for pairs that differ to one side. "
    "Where a few are of another kind, a small number of pairs may not show it, and the interval holds the truth less often."
)


def title(data: FleetData) -> str:
    """The fleet's verdicts in a few words: of one variant and scenario its headline, else each code."""
    told = [(name, scenario, one) for name, v in data.fleet.variants.items() for scenario, one in v.scenarios.items()]
    if not told:
        return "No pair of this fleet counts"
    if len(told) == 1:
        return told[0][2].verdict.headline or told[0][2].verdict.words
    several = len({scenario for _, scenario, _ in told}) > 1
    each = "; ".join(
        f"{name}{f', {scenario}' if several else ''} {label(one.verdict.code)}" for name, scenario, one in told
    )
    return f"{counted(len(data.fleet.variants), 'variant')}: {each}"


def out_in_words(one: StandingOut) -> str:
    """An outlying pair in words, with the facts that differ."""
    if not one.differs:
        return f"{one.pair} stands out among {one.variant}; nothing that was recorded of its hosts is different from all others"
    return f"{one.pair} stands out among {one.variant}; it alone has {'; '.join(map(str, one.differs))}"


def lost_in_words(data: FleetData) -> list[str]:
    """The lost pairs with the reasons, in words."""
    return [f"{pair.name} was lost: {pair.lost}" for pair in data.pairs if pair.lost]


def next_pair_in_short(effect: FleetEffect) -> str:
    """The prediction interval for the next pair, for a table of plain text."""
    if effect.next_pair_low_pct is None:
        return "not known"
    return bounds_plain(effect.next_pair_low_pct, effect.next_pair_high_pct)


def between_in_short(effect: FleetEffect) -> str:
    """The heterogeneity of the pairs, for a table."""
    if effect.between_pairs_pct is None or effect.i2 is None:
        return "not known"
    return "nothing found" if effect.i2 == 0 else f"{percent_plain(effect.between_pairs_pct)}, I² {effect.i2:.0%}"
