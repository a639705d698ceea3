"""Words: the wording of a fleet's result. Pure.

FleetEffect of each primary + pairs that were left out ─▶ verdict_over_pairs ─▶ Verdict (code, headline, words)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from enaxp.bench.fleet.over_pairs import FEWEST_PAIRS, MOST_UNEQUAL
from enaxp.bench.fleet.result import FleetEffect, VariantDifference
from enaxp.bench.judging.effect import per_cent
from enaxp.bench.judging.verdict import Verdict, combine, in_short
from enaxp.text import bounds_plain, change_plain, counted, listed, percent_plain
from enaxp.traffic import Metric, metric_label

NO_INTERVAL = f"no interval: {FEWEST_PAIRS} pairs are needed at least"
NO_INTERVAL_BETWEEN = (
    f"no interval: {FEWEST_PAIRS} pairs of each are needed, and at most {MOST_UNEQUAL} times as many of one as of the "
    "other"
)
RARE = 0.2  # the share of a rarer kind of pairs, for the statement how often this many pairs would miss it
NO_DIFFERENCE = "no difference between pairs was found"  # never that they agree: few pairs would hide one


def verdict_over_pairs(
    primaries: Mapping[Metric, FleetEffect], *, planned: int, left_out: Mapping[str, str], not_ena: str
) -> Verdict:
    """The verdict on one scenario over the pairs of a variant. left_out: why pairs do not count, by name; not_ena: as in a manifest."""
    prefix = f"{not_ena}: " if not_ena else ""
    code = combine([effect.code for effect in primaries.values()] or ["invalid"])
    of = f"{planned - len(left_out)} of {counted(planned, 'pair')}" if left_out else counted(planned, "pair")
    out = tuple(f"{name} {why}" for name, why in left_out.items())
    if code == "invalid":
        said = f"{prefix}invalid: no pair counts"
        return Verdict(code=code, headline=said, words="; ".join((said, *out)))
    short = in_short({metric: effect.as_effect() for metric, effect in primaries.items()})
    clauses = [clause for metric, effect in primaries.items() for clause in _clauses(metric, effect)]
    return Verdict(
        code=code,
        headline="; ".join((f"{prefix}over {of} {short}", *standing_out_in_words(primaries))),
        words="; ".join(
            (
                f"{prefix}over {of}: {'; '.join(clauses)}",
                *missed_in_words(primaries),
                *standing_out_in_words(primaries),
                *out,
            )
        ),
    )


def next_pair_in_words(effect: FleetEffect) -> str:
    """The expected effect for one more pair, in words; empty if unknown."""
    if effect.next_pair_low_pct is None or effect.next_pair_high_pct is None:
        return ""
    between = f"{change_plain(effect.next_pair_low_pct)} and {change_plain(effect.next_pair_high_pct)}"
    return f"the next pair that you launch like this will see between {between}, 19 times in 20"


def missed_in_words(primaries: Mapping[Metric, FleetEffect]) -> list[str]:
    """How often so few pairs would have missed a kind of pair that is rarer than the others; nothing where there is no interval.

    With chance (1 − share)^P none of P pairs is of it, and then nothing in their figures shows that there is such a kind.
    """
    counts = [len(one.grounds.over.pairs) for one in primaries.values() if one.grounds.over and one.grounds.over.where]
    if not counts:
        return []
    fewest = min(counts)
    missed = (1 - RARE) ** fewest
    of = f"{100 * missed:.0f} of 100" if missed >= 0.01 else "fewer than 1 of 100"
    return [f"a kind that one pair in five is of would have been missed by {counted(fewest, 'pair')} in {of} fleets"]


def heterogeneity_in_words(effect: FleetEffect) -> str:
    """The heterogeneity of the pairs, beyond the variation of their iterations, in words."""
    if effect.between_pairs_pct is None or effect.i2 is None:
        return "how different the pairs are is not known"
    if effect.i2 == 0:
        return NO_DIFFERENCE
    return f"pairs differ by {percent_plain(effect.between_pairs_pct)} (standard deviation; {effect.i2:.0%} of what is seen)"


def standing_out_in_words(primaries: Mapping[Metric, FleetEffect]) -> list[str]:
    """The outlying pairs, with their figures, in words: `main-3 stands out at P99 (+41.0%, the others -20.1%)`."""
    where: dict[str, list[str]] = {}
    for metric, effect in primaries.items():
        if (over := effect.grounds.over) is None:
            continue
        for name in over.standing_out:
            own, others = (change_plain(per_cent(mean)) for mean in (over.pairs[name].mean, over.mean_without(name)))
            where.setdefault(name, []).append(f"at {metric_label(metric)} ({own}, the others {others})")
    return [f"{name} stands out {listed(places)}" for name, places in where.items()]


def difference_in_words(one: VariantDifference) -> str:
    """One difference between variants, with its interval and conclusion."""
    what = f"{one.scenario}, {metric_label(one.metric)}: from {one.a} to {one.b} the effect changes by"
    size = change_plain(one.estimate_pct)
    if one.low_pct is None:
        return f"{what} {size} ({NO_INTERVAL_BETWEEN})"
    level = "" if one.confidence_pct is None else f" ({one.confidence_pct:.4g}% interval)"
    word = "no practical difference" if one.code == "same" else one.code.replace("slightly-", "slightly ")
    return f"{what} {size} {bounds_plain(one.low_pct, one.high_pct)}{level}: {word}"


def _clauses(metric: Metric, effect: FleetEffect) -> Iterator[str]:
    at = metric_label(metric)
    grounds = effect.grounds
    if effect.estimate_pct is None:
        yield f"at {at} no pair has a mean"
    elif effect.low_pct is None or effect.high_pct is None:
        count = len(grounds.over.pairs) if grounds.over else 0
        yield f"at {at} {change_plain(effect.estimate_pct)} in {counted(count, 'pair')}, {NO_INTERVAL}"
    else:
        level = "" if effect.confidence_pct is None else f" ({effect.confidence_pct:.4g}% interval of the mean)"
        yield f"at {at} {change_plain(effect.estimate_pct)} {bounds_plain(effect.low_pct, effect.high_pct)}{level}"
        yield next_pair_in_words(effect)
        yield heterogeneity_in_words(effect)
    if grounds.thin:
        yield f"at {at} too few messages lie beyond the quantile to decide anything: run longer trials"
    if grounds.limited:
        yield "in most pairs something else than the network was the limit, so that equal arms show no equality"
    if grounds.ranked:
        yield f"at {at} {listed(grounds.ranked)} lost so much that an arm is beyond measurement, and is in no mean"
    if grounds.over and grounds.over.is_uneven:
        yield f"at {at} the pairs have very different numbers of iterations, and count alike"
