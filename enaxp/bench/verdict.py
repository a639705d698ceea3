"""Verdict: what a scenario's effects come to, as one code and in words. Pure.

    effects of the primaries + Treatment (was it given?) ─▶ verdict ─▶ Verdict(code, words)

The words say of each primary what its interval allows to be said, and no more; they also say when the treatment is not proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from enaxp.bench.effect import Code, Effect, signed_pct
from enaxp.bench.records import SrdSource
from enaxp.traffic import Metric, metric_text

VerdictCode = Code | Literal["mixed"]
_LOCAL = "local, not ENA: "
_BETTER: frozenset[VerdictCode] = frozenset({"faster", "slightly-faster"})
_WORSE: frozenset[VerdictCode] = frozenset({"slower", "slightly-slower"})


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """Whether the ENA Express arm was treated and the ENA arm was not: True, False, or None for unknown. srd_share is 0 to 1."""

    proven: bool | None
    srd_share: float | None
    source: SrdSource | Literal["none"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    code: VerdictCode
    words: str


def verdict(
    primaries: Mapping[Metric, Effect], *, treatment: Treatment, local: bool, fault: str | None = None
) -> Verdict:
    """The verdict on one scenario. `fault` is why no trial was valid, if that is so."""
    prefix = _LOCAL if local else ""
    if fault is not None or treatment.proven is False:
        return Verdict(code="invalid", words=f"{prefix}invalid: {fault or _not_given(treatment)}")
    code = combine([effect.code for effect in primaries.values()])
    said = "; ".join(describe(metric, effect) for metric, effect in primaries.items())
    unknown = "; whether SRD carried the packets is unknown (no counters)" if treatment.proven is None else ""
    invalid = "invalid: " if code == "invalid" else ""
    return Verdict(code=code, words=f"{prefix}{invalid}ENA Express {said}{unknown}")


def describe(metric: Metric, effect: Effect) -> str:
    """One effect in words, to follow "ENA Express"."""
    at = "in throughput" if metric == "throughput" else f"at {metric_text(metric)}"
    if effect.estimate_pct is None:
        return f"was not measured {at}"
    if effect.low_pct is None or effect.high_pct is None:
        return (
            f"is inconclusive {at} ({signed_pct(effect.estimate_pct)} in a single iteration, two are needed at least)"
        )
    size, margin = signed_pct(abs(effect.estimate_pct)).replace("+", ""), f"{effect.margin_pct:g}%"
    bounds = f"[{signed_pct(effect.low_pct)}, {signed_pct(effect.high_pct)}]"
    match effect.code:
        case "faster" | "slower":
            return f"is {effect.code} by {size} {at} {bounds}"
        case "slightly-faster" | "slightly-slower":
            return f"is slightly {effect.code.removeprefix('slightly-')} by {size} {at} {bounds}, may be below {margin}"
        case "same":
            return f"makes no practical difference {at} {bounds}, within ±{margin}"
        case "invalid":
            return f"is invalid {at}"
        case "inconclusive":
            more = _more_iterations(effect)
            return (
                f"is inconclusive {at}: it could be {signed_pct(effect.low_pct)} to {signed_pct(effect.high_pct)}{more}"
            )


def combine(codes: list[Code]) -> VerdictCode:
    """One code from those of the primaries, of which there is one at least."""
    first, *others = codes
    combined: VerdictCode = first
    for code in others:
        combined = _combine_two(combined, code)
    return combined


def _combine_two(one: VerdictCode, other: Code) -> VerdictCode:
    pair = {one, other}
    if len(pair) == 1:
        return one
    if "invalid" in pair:
        return "invalid"
    if pair == {"same", "inconclusive"}:  # the one that claims less
        return "inconclusive"
    if undecided := pair & {"same", "inconclusive"}:
        return (pair - undecided).pop()
    if pair <= _BETTER:
        return "slightly-faster"
    if pair <= _WORSE:
        return "slightly-slower"
    return "mixed"


def _not_given(treatment: Treatment) -> str:
    share = "" if treatment.srd_share is None else f" (SRD share {treatment.srd_share:.2%})"
    return f"the arms were not what they should be, SRD on and SRD off{share}"


def _more_iterations(effect: Effect) -> str:
    if effect.iterations_needed is None:
        return "; more iterations alone are not likely to settle it"
    more = effect.iterations_needed - effect.iterations
    return f"; about {more} more iterations needed" if more > 0 else ""
