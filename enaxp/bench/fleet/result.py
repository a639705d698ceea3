"""Result: what a bench of many pairs measured over them, as types, and the one pair of functions that reads and writes `fleet.json`. Pure.

    judging.py ─▶ Fleet ─▶ to_document ─▶ fleet.json ─▶ from_document ─▶ Fleet

The unit is the pair of hosts. What each pair measured stands in its own run folder, `pairs/NAME/`, with a result of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enaxp.bench.fleet.over_pairs import OverPairs
from enaxp.bench.judging.effect import Code, Effect
from enaxp.bench.judging.verdict import Verdict
from enaxp.bench.run_folder.documents import Document, decode, fields_of
from enaxp.traffic import Metric

SCHEMA = 1
FILE = "fleet.json"


@dataclass(frozen=True, kw_only=True)
class FleetGrounds:
    """What a figure over pairs rests on, for words and charts only: a document does not store it.

    over: the pairs that count, None in a fleet that was read. ranked: pairs of which only a rank is known, since an arm's quantile lies
    among the lost messages: they are in no mean. thin: in some pair too few messages lie beyond the quantile to decide anything.
    limited: whether in over half of the pairs something else than the network was the limit.
    """

    margin_pct: float = 0.0
    primary: bool = False
    over: OverPairs | None = None
    ranked: tuple[str, ...] = ()
    thin: bool = False
    limited: bool = False


@dataclass(frozen=True, kw_only=True)
class FleetEffect:
    """The change of one metric by ENA Express over the pairs of a variant, in per cent; its sign as in a run's effect.

    low_pct, high_pct: the interval of the mean effect, at confidence_pct. next_pair_low_pct, next_pair_high_pct: between which the next
    pair would measure, 19 times in 20. All None with fewer than three pairs. between_pairs_pct: the standard deviation of the pairs' true
    effects, and i2 (0 to 1) its share of how much the pairs differ; 0 where no difference was found.
    """

    estimate_pct: float | None
    low_pct: float | None
    high_pct: float | None
    next_pair_low_pct: float | None
    next_pair_high_pct: float | None
    between_pairs_pct: float | None
    i2: float | None
    code: Code
    confidence_pct: float | None = None
    grounds: FleetGrounds = FleetGrounds()

    def as_effect(self) -> Effect:
        """The mean effect in the form of a run's effect, for common wording."""
        return Effect(
            estimate_pct=self.estimate_pct,
            low_pct=self.low_pct,
            high_pct=self.high_pct,
            margin_pct=self.grounds.margin_pct,
            improvement_pct=None,
            primary=self.grounds.primary,
            code=self.code,
            confidence_pct=self.confidence_pct,
            thin=self.grounds.thin,
        )


@dataclass(frozen=True, kw_only=True)
class FleetScenario:
    """One scenario over the pairs of one variant."""

    effects: Mapping[Metric, FleetEffect]
    verdict: Verdict

    @property
    def primaries(self) -> Mapping[Metric, FleetEffect]:
        return {metric: effect for metric, effect in self.effects.items() if effect.grounds.primary}


@dataclass(frozen=True, kw_only=True)
class VariantResult:
    """One variant: the planned number of pairs, and how many completed their plan with a valid verdict."""

    pairs: int
    valid_pairs: int
    scenarios: Mapping[str, FleetScenario]


@dataclass(frozen=True, kw_only=True)
class VariantDifference:
    """How the effect of ENA Express differs from variant `a` to variant `b`, in per cent: below 0 it makes the figure lower on `b`.

    The code is of that change: `faster` where ENA Express does better on `b`. No interval with fewer than three pairs of either.
    """

    scenario: str
    metric: Metric
    a: str
    b: str
    estimate_pct: float
    low_pct: float | None
    high_pct: float | None
    code: Code
    confidence_pct: float | None = None


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The result of a fleet's bench."""

    run_id: str
    lab: str
    variants: Mapping[str, VariantResult]
    differences: tuple[VariantDifference, ...] = ()
    schema: int = SCHEMA

    @property
    def without_valid_pair(self) -> list[str]:
        """The variants without a valid pair."""
        return [name for name, variant in self.variants.items() if variant.valid_pairs == 0]


def to_document(fleet: Fleet) -> Document:
    """The document of `fleet.json`."""
    document = fields_of(fleet)
    for variant in document["variants"].values():
        for scenario in variant["scenarios"].values():
            for effect in scenario["effects"].values():
                effect.pop("grounds", None)
    return {"schema": document.pop("schema"), **document}


def from_document(document: Document, *, what: str = FILE) -> Fleet:
    """The fleet decoded from `fleet.json`. Raises OtherSchemaError, and BenchError with the path of an invalid value."""
    return decode(document, Fleet, what=what, reads=(SCHEMA,))
