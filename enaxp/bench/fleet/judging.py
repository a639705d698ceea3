"""Judging: the result of a fleet, from its pairs. Pure.

    PairRun, … (one a pair) ─▶ samples of every variant, scenario and metric ─▶ decide (all primaries at once) ─▶ Fleet
                                                                             └─▶ Welch between variants ──────────┘

The primary metrics of all variants share an error rate of 5 %: they are decided together. Each pair counts with the mean of its
iterations. A lost or invalid pair does not count at all, and a pair whose quantile is beyond measurement does not count in the mean of
that figure; all of these are named.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from enaxp.bench.comparing.comparison import MeasuredRun
from enaxp.bench.fleet.over_pairs import OverPairs, between_variants, over_pairs
from enaxp.bench.fleet.result import (
    Fleet,
    FleetEffect,
    FleetGrounds,
    FleetScenario,
    VariantDifference,
    VariantResult,
)
from enaxp.bench.fleet.words import verdict_over_pairs
from enaxp.bench.judging.effect import Code, Effect, code_of_finding, per_cent, word_for
from enaxp.bench.run_folder.records import Manifest
from enaxp.bench.statistics.inference import ALPHA, Decision, Margin, RatioSample, decide, explore
from enaxp.bench.statistics.units import RunMean
from enaxp.traffic import ARMS, Metric, Scenario


@dataclass(frozen=True, kw_only=True)
class PairRun:
    """One pair of a fleet, with its measurements (None if there are none). lost: why it did not complete its plan; empty if it did."""

    name: str
    variant: str
    run: MeasuredRun | None = None
    lost: str = ""

    @property
    def counts(self) -> bool:
        """Whether the pair counts in any scenario."""
        return self.run is not None and not self.lost and self.run.result.has_valid_scenario

    @property
    def zone(self) -> str:
        """The availability zone of its hosts, from its manifest; empty if unknown."""
        return (self.run.manifest.place.get("availability_zone") if self.run else None) or ""

    def effect(self, scenario: str, metric: Metric) -> Effect | None:
        """The pair's own effect, with the interval over its iterations; None if it has no such figure."""
        return self.run.result.scenarios[scenario].effects.get(metric) if self.run else None


@dataclass(frozen=True, kw_only=True)
class _Figure:
    """One metric of one scenario over the pairs of one variant."""

    variant: str
    scenario: str
    metric: Metric
    grounds: FleetGrounds
    over: OverPairs

    @property
    def sample(self) -> RatioSample:
        """One ratio of each pair. With too few pairs it decides nothing: `decide` by itself has an interval from two on."""
        return replace(self.over.sample, thin=self.grounds.thin or self.over.where is None)


def judge_fleet(pairs: Sequence[PairRun], *, run_id: str, lab: str) -> Fleet:
    """The result of a fleet with at least one pair."""
    by_variant = {
        name: [pair for pair in pairs if pair.variant == name] for name in dict.fromkeys(p.variant for p in pairs)
    }
    figures = [figure for name, own in by_variant.items() for figure in _figures(name, own)]
    planned = max(1, _primaries(pairs) * len(by_variant))
    effects = _effects(figures, planned=planned)
    return Fleet(
        run_id=run_id,
        lab=lab,
        variants={name: _variant(name, own, figures, effects) for name, own in by_variant.items()},
        differences=tuple(_differences(figures)),
    )


def first_manifest(pairs: Iterable[PairRun]) -> Manifest | None:
    """The manifest of the first pair with measurements: all pairs of a fleet share scenarios and target."""
    return next((pair.run.manifest for pair in pairs if pair.run is not None), None)


def _figures(variant: str, pairs: Sequence[PairRun]) -> Iterator[_Figure]:
    """Every figure of a variant, over the pairs that count in it."""
    runs = {pair.name: pair.run for pair in pairs if pair.run is not None and pair.counts}
    if (manifest := first_manifest(pair for pair in pairs if pair.counts)) is None:
        return
    for scenario in manifest.plan.scenarios:
        valid = {
            name: run for name, run in runs.items() if run.result.scenarios[scenario.name].verdict.code != "invalid"
        }
        for metric in scenario.metrics:
            yield _figure(variant, scenario, metric, valid, margin_pct=manifest.plan.margin_pct)


def _figure(
    variant: str, scenario: Scenario, metric: Metric, runs: Mapping[str, MeasuredRun], *, margin_pct: float
) -> _Figure:
    """One figure over the runs with a valid scenario, by pair name."""
    samples = {name: run.effect(scenario.name, metric) for name, run in runs.items()}
    means = {name: mean for name, sample in samples.items() if (mean := RunMean.of(sample)) is not None}
    measured = {name: run.result.scenarios[scenario.name] for name, run in runs.items()}
    limited = sum(any(one.arms[arm].limits for arm in ARMS) for one in measured.values())
    over = over_pairs(means)
    grounds = FleetGrounds(
        margin_pct=margin_pct,
        primary=metric in scenario.primaries,
        over=over,
        ranked=tuple(name for name, sample in samples.items() if sample.ratios and name not in means),
        thin=any(bool(measured[name].effects[metric].thin) for name in means),
        limited=2 * limited > len(runs),
    )
    return _Figure(variant=variant, scenario=scenario.name, metric=metric, grounds=grounds, over=over)


def _primaries(pairs: Sequence[PairRun]) -> int:
    """The number of planned primary metrics of each variant."""
    manifest = first_manifest(pairs)
    return sum(len(scenario.primaries) for scenario in manifest.plan.scenarios) if manifest else 0


def _effects(figures: Sequence[_Figure], *, planned: int) -> list[FleetEffect]:
    """The effects of all figures, in their order."""
    primaries = [at for at, figure in enumerate(figures) if figure.grounds.primary]
    decided: dict[int, Decision] = {}
    if primaries:
        margin = Margin.of(figures[primaries[0]].grounds.margin_pct)
        samples = [figures[at].sample for at in primaries]
        decided = dict(zip(primaries, decide(samples, margin=margin, planned=planned), strict=True))
    return [
        _effect(figure, decided.get(at) or explore(figure.sample, margin=Margin.of(figure.grounds.margin_pct)))
        for at, figure in enumerate(figures)
    ]


def _effect(figure: _Figure, decision: Decision) -> FleetEffect:
    over = figure.over
    next_pair = over.next_pair()
    has_interval = over.where is not None and decision.low is not None and decision.high is not None
    return FleetEffect(
        estimate_pct=None if over.mean is None else per_cent(over.mean),
        low_pct=per_cent(decision.low) if has_interval and decision.low is not None else None,
        high_pct=per_cent(decision.high) if has_interval and decision.high is not None else None,
        next_pair_low_pct=per_cent(next_pair[0]) if next_pair else None,
        next_pair_high_pct=per_cent(next_pair[1]) if next_pair else None,
        between_pairs_pct=None if over.between is None else per_cent(over.between),
        i2=over.i2,
        code=_code(figure, decision),
        confidence_pct=round(100 * decision.confidence, 6) if has_interval else None,
        grounds=figure.grounds,
    )


def _code(figure: _Figure, decision: Decision) -> Code:
    """The code of a figure. With another bottleneck, equal figures do not show that the arms are equal."""
    if not figure.over.pairs and not figure.grounds.ranked:
        return "invalid"
    if figure.over.where is None:
        return "inconclusive"
    code = code_of_finding(figure.metric, decision.finding)
    return "inconclusive" if code == "same" and figure.grounds.limited else code


def _variant(
    name: str, pairs: Sequence[PairRun], figures: Sequence[_Figure], effects: Sequence[FleetEffect]
) -> VariantResult:
    own: dict[str, dict[Metric, FleetEffect]] = {}
    for figure, effect in zip(figures, effects, strict=True):
        if figure.variant == name:
            own.setdefault(figure.scenario, {})[figure.metric] = effect
    manifest = first_manifest(pairs)
    return VariantResult(
        pairs=len(pairs),
        valid_pairs=sum(pair.counts for pair in pairs),
        scenarios={
            scenario: FleetScenario(
                effects=of,
                verdict=verdict_over_pairs(
                    {metric: effect for metric, effect in of.items() if effect.grounds.primary},
                    planned=len(pairs),
                    left_out=_left_out(pairs, scenario),
                    not_ena=manifest.not_ena if manifest else "",
                ),
            )
            for scenario, of in own.items()
        },
    )


def _left_out(pairs: Sequence[PairRun], scenario: str) -> Mapping[str, str]:
    """Why pairs do not count in a scenario, by name."""
    told: dict[str, str] = {}
    for pair in pairs:
        if pair.lost:
            told[pair.name] = f"was lost: {pair.lost}"
        elif pair.run is None:
            told[pair.name] = "measured nothing"
        elif pair.run.result.scenarios[scenario].verdict.code == "invalid":
            told[pair.name] = "is invalid"
    return told


def _differences(figures: Sequence[_Figure]) -> Iterator[VariantDifference]:
    """The differences between each two variants, for each primary metric that both have. They share an error rate of 5 %."""
    compared = [
        (a, b)
        for a, b in itertools.combinations(figures, 2)
        if (a.scenario, a.metric) == (b.scenario, b.metric) and a.grounds.primary and a.over.pairs and b.over.pairs
    ]
    confidence = 1 - ALPHA / max(1, len(compared))
    for a, b in compared:
        one, other = ([pair.mean for pair in figure.over.pairs.values()] for figure in (a, b))
        where = between_variants(one, other)
        low, high = (None, None) if where is None else map(per_cent, where.interval(confidence=confidence))
        thin = a.grounds.thin or b.grounds.thin
        yield VariantDifference(
            scenario=a.scenario,
            metric=a.metric,
            a=a.variant,
            b=b.variant,
            estimate_pct=per_cent(sum(other) / len(other) - sum(one) / len(one)),
            low_pct=low,
            high_pct=high,
            code="inconclusive" if thin else word_for(a.metric, low, high, a.grounds.margin_pct),
            confidence_pct=None if where is None else round(100 * confidence, 6),
        )
