"""Verdict: the summary of a scenario's effects, as one code and in words. Pure.

    effects of the primaries + Treatment (was it given?) + Circumstances (loss, failures) ─▶ verdict ─▶ Verdict(code, headline, words)

The headline names each primary metric, so that an undecided one is never hidden behind a decided one. The words state, for each primary
metric, the conclusion that its interval supports and at which level, and the circumstances: loss, failed trials by arm, bottlenecks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from enaxp.bench.judging.effect import Code, Effect
from enaxp.bench.run_folder.records import SrdSource
from enaxp.bench.statistics.chances import Needed, needed_iterations
from enaxp.bench.statistics.inference import Margin, fewest_for_ranks
from enaxp.text import BEYOND, bounds_plain, change_plain, listed, percent_plain
from enaxp.traffic import ARM_NAMES, Arm, Metric, metric_label, metric_text

VerdictCode = Code | Literal["mixed", "partial"]
_BETTER: frozenset[Code] = frozenset({"faster", "slightly-faster"})
_WORSE: frozenset[Code] = frozenset({"slower", "slightly-slower"})


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """Whether SRD carried the ENA Express arm and not the ENA arm: True, False, or None for unknown.

    srd_share is 0 to 1. unknown: why it is not known, where a trial tells.
    """

    proven: bool | None
    srd_share: float | None
    source: SrdSource | Literal["none"]
    unknown: str | None = None

    @property
    def why_unknown(self) -> str:
        """Why it is not known, in words; a result of an older version names no reason."""
        return self.unknown or "no counters"


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """The clauses of a verdict besides those on primary metrics: all of them in its words, the most important also in its headline."""

    words: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A scenario's verdict: code, headline and full text. A result of schema 1 has no headline."""

    code: VerdictCode
    words: str
    headline: str | None = None


def verdict(
    primaries: Mapping[Metric, Effect],
    *,
    treatment: Treatment,
    not_ena: str = "",
    fault: str | None = None,
    circumstances: Circumstances = Circumstances(),
) -> Verdict:
    """The verdict on one scenario. not_ena: as in the manifest. `fault`: why no trial counts; None if some do."""
    prefix = f"{not_ena}: " if not_ena else ""
    if fault is None and treatment.proven is False:
        fault = _not_given(treatment)
    if fault is not None:
        return Verdict(
            code="invalid",
            words="; ".join((f"{prefix}invalid: {fault}", *circumstances.words)),
            headline="; ".join((f"{prefix}invalid: {fault}", *circumstances.headline)),
        )
    code = combine([effect.code for effect in primaries.values()])
    invalid = "invalid: " if code == "invalid" else ""
    told = f"whether SRD carried the packets is unknown ({treatment.why_unknown})"
    unknown = (told,) if treatment.proven is None else ()
    said = (describe(metric, effect) for metric, effect in primaries.items())
    return Verdict(
        code=code,
        words="; ".join((f"{prefix}{invalid}ENA Express {'; '.join(said)}", *circumstances.words, *unknown)),
        headline="; ".join((f"{prefix}{invalid}{in_short(primaries)}", *circumstances.headline, *unknown)),
    )


def in_short(primaries: Mapping[Metric, Effect]) -> str:
    """The headline's findings, with each primary metric named: `ENA Express is faster at P99 by 26.0%; P50 undecided`."""
    decided: dict[str, list[str]] = {}
    undecided: dict[str, list[str]] = {}
    for metric, effect in primaries.items():
        match effect.code:
            case "inconclusive" | "invalid":
                undecided.setdefault(_why_undecided(effect), []).append(_name(metric))
            case "same":
                decided.setdefault("makes no practical difference", []).append(_at(metric))
            case code:
                size = "" if effect.estimate_pct is None else f" by {_size(effect.estimate_pct)}"
                decided.setdefault(f"is {_adverb(code)}", []).append(f"{_at(metric)}{size}")
    clauses = [f"{what} {listed(where)}" for what, where in decided.items()]
    rest = [f"{listed(names)} {why}" for why, names in undecided.items()]
    if not clauses:
        return "; ".join(rest)
    return "; ".join([f"ENA Express {', '.join(clauses)}", *rest])


def describe(metric: Metric, effect: Effect) -> str:
    """One effect in words, to follow "ENA Express"."""
    at = f"in {metric_text(metric)}" if metric == "throughput" else f"at {metric_text(metric)}"
    if effect.code == "invalid":
        return f"is invalid {at}" if effect.estimate_pct is not None else f"was not measured {at}"
    if effect.is_beyond or effect.grounds.is_beyond:
        return _describe_beyond(metric, effect, at)
    if effect.estimate_pct is None:
        return f"was not measured {at}"
    if effect.low_pct is None or effect.high_pct is None:
        if effect.grounds.is_watched and effect.grounds.iterations > 1:
            few = "after so few iterations an interval that may be watched is open"
            return f"is inconclusive {at} ({change_plain(effect.estimate_pct)}; {few})"
        return (
            f"is inconclusive {at} ({change_plain(effect.estimate_pct)} in a single iteration, two are needed at least)"
        )
    size, margin = _size(effect.estimate_pct), _margin(effect)
    bounds = f"{bounds_plain(effect.low_pct, effect.high_pct)}{_level(effect)}"
    match effect.code:
        case "faster" | "slower":
            return f"is {effect.code} by {size} {at} {bounds}{_randomised(effect)}"
        case "slightly-faster" | "slightly-slower":
            return f"is {_adverb(effect.code)} by {size} {at} {bounds}, may be below {margin}{_randomised(effect)}"
        case "same":
            return f"makes no practical difference {at} {bounds}, within ±{margin}"
        case "inconclusive":
            said = f"is inconclusive {at}: it could be {change_plain(effect.low_pct)} to {change_plain(effect.high_pct)}{_level(effect)}"
            return f"{said}{_what_is_missing(effect)}"


def combine(codes: Sequence[Code]) -> VerdictCode:
    """One code from those of the primary metrics, at least one.

    All the same: that code. Opposite directions: mixed. The same direction, one of them slightly: slightly. No practical difference and a
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


def _describe_beyond(metric: Metric, effect: Effect, at: str) -> str:
    """The description of an effect that was judged by ranks, because in some iterations an arm's quantile lies among the lost messages."""
    grounds = effect.grounds
    told = _beyond_in_words(metric, grounds.beyond, grounds.iterations)
    size = "" if effect.estimate_pct is None else f" by {_size(effect.estimate_pct)} in the median iteration"
    match effect.code:
        case "same":
            said = f"makes no practical difference {at}, within ±{_margin(effect)}"
        case "inconclusive":
            fewest = fewest_for_ranks((effect.confidence_pct or 95) / 100)
            few = f"; judged from {fewest} iterations on" if grounds.iterations < fewest else ""
            said = f"is inconclusive {at}{few}"
        case code:
            said = f"is {_adverb(code)}{size} {at}"
    level = "" if effect.confidence_pct is None else f" at {effect.confidence_pct:.4g}%"
    return f"{said} ({told}; by ranks{level})"


def _beyond_in_words(metric: Metric, beyond: Mapping[Arm, int], iterations: int) -> str:
    told = [
        f"{ARM_NAMES[arm]}'s {metric_label(metric)} is beyond measurement in "
        f"{f'{count} of {iterations} iterations' if count else 'none'}"
        for arm, count in beyond.items()
    ]
    return ", ".join(told) or BEYOND


def _name(metric: Metric) -> str:
    return metric_label(metric)


def _at(metric: Metric) -> str:
    return "in throughput" if metric == "throughput" else f"at {_name(metric)}"


def _adverb(code: Code) -> str:
    return code.replace("slightly-", "slightly ")


def _size(pct: float) -> str:
    return change_plain(abs(pct)).replace("+", "")


def _margin(effect: Effect) -> str:
    return percent_plain(effect.margin_pct)


def _level(effect: Effect) -> str:
    """The level of an interval in words: the percentage of such intervals that contain the true value."""
    kind = "interval that may be watched" if effect.grounds.is_watched else "interval"
    return "" if effect.confidence_pct is None else f" ({effect.confidence_pct:.4g}% {kind})"


def _why_undecided(effect: Effect) -> str:
    if effect.thin:
        return "too thin to decide"
    return BEYOND if effect.is_beyond else "undecided"


def _randomised(effect: Effect) -> str:
    """The clause on the randomisation test, for a direction that needs it."""
    if not effect.grounds.needs_randomisation:
        return ""
    p = effect.grounds.randomisation_p
    return ", too few orders for a randomisation test" if p is None else f", randomisation p = {p:.3g}"


def _what_is_missing(effect: Effect) -> str:
    """Why an effect is undecided, as far as known, and what would decide it."""
    grounds = effect.grounds
    if effect.thin:
        return "; too few messages lie beyond the quantile in an iteration: run longer trials"
    if grounds.needs_randomisation and grounds.randomisation_p is not None and _excludes_none(effect):
        p = f"randomisation p = {grounds.randomisation_p:.3g}"
        return f"; its interval excludes 0, but the order of the trials alone may explain it ({p})"
    return _iterations_in_words(effect)


def _iterations_in_words(effect: Effect) -> str:
    """How many iterations would decide it, as a range, because the spread is itself estimated from few iterations."""
    grounds = effect.grounds
    if not grounds.spread or effect.estimate_pct is None:
        return ""
    margin, log_ratio = Margin.of(effect.margin_pct), math.log1p(effect.estimate_pct / 100)
    seen, none = (
        needed_iterations(true, spread=grounds.spread, degrees=grounds.degrees, planned=grounds.planned, margin=margin)
        for true in (log_ratio, 0.0)
    )
    return f"; a firm word four times in five takes {_range(seen)} iterations if it is as seen, {_range(none)} if there is no difference"


def _range(needed: Needed) -> str:
    if needed.at_least is None:
        return "more than 10,000"
    if needed.at_most is None:
        return f"{needed.at_least:,} or many more"
    return f"{needed.at_least:,}" if needed.at_least == needed.at_most else f"{needed.at_least:,} to {needed.at_most:,}"


def _excludes_none(effect: Effect) -> bool:
    return effect.low_pct is not None and effect.high_pct is not None and not effect.low_pct <= 0 <= effect.high_pct


def _not_given(treatment: Treatment) -> str:
    share = "" if treatment.srd_share is None else f" (SRD share {treatment.srd_share:.2%})"
    return f"the arms were not what they should be, SRD on and SRD off{share}"
