"""Effect: the change that ENA Express makes to one metric, with its interval and its code (faster, slower, same, …). Pure.

    per iteration (ENA, ENA Express) ─▶ FigurePairs ─▶ judge_figures (all of a run at once, inference.py) ─▶ Effect (per cent, code)

The statistic is over iterations, because the trials within one iteration are not independent: an interval over all trials, as if they
were, would be far too narrow. Ratios are taken as logarithms, so that a doubling and a halving have the same size.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from enaxp.bench.statistics.inference import (
    ALPHA,
    EXPLORATORY_CONFIDENCE,
    Decision,
    Finding,
    Location,
    Margin,
    RatioSample,
    decide,
    explore,
    interface_location,
    location,
    location_of,
)
from enaxp.bench.statistics.sequence import watched_interval
from enaxp.traffic import ARMS, THROUGHPUT, Arm, Metric

Code = Literal[
    "faster", "slower", "same", "slightly-faster", "slightly-slower", "inconclusive", "invalid"
]  # faster is better, for latency and for throughput
_LOWER_IS_BETTER: Mapping[Finding, Code] = {
    "below": "faster",
    "slightly-below": "slightly-faster",
    "within": "same",
    "slightly-above": "slightly-slower",
    "above": "slower",
    "undecided": "inconclusive",
}
_MIRRORED: Mapping[Finding, Finding] = {
    "below": "above",
    "slightly-below": "slightly-above",
    "slightly-above": "slightly-below",
    "above": "below",
}

MOST_LOG_RATIO = 700.0  # e to that is about the largest float


@dataclass(frozen=True, kw_only=True)
class InterfaceEffect:
    """The effect of the interface itself on a figure in per cent (not separable from a drift between the run's halves), with its 95 %
    interval."""

    estimate_pct: float
    low_pct: float
    high_pct: float

    @classmethod
    def of(cls, location: Location) -> InterfaceEffect:
        low, high = location.interval(confidence=EXPLORATORY_CONFIDENCE)
        return cls(estimate_pct=per_cent(location.mean), low_pct=per_cent(low), high_pct=per_cent(high))

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return not self.low_pct <= 0 <= self.high_pct


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What an effect's code depends on besides its interval. Used only to word it; a result does not store it.

    spread: the standard deviation of an iteration's log ratio, estimated with `degrees` degrees of freedom; None where unknown. planned:
    the number of primary metrics of the run, which share its 5 %. beyond: in how many iterations an arm's quantile lies among the lost
    messages. needs_randomisation: whether there are so few iterations that the randomisation test is required; randomisation_p: its
    p-value, None where there are too few possible orders. interface: the effect of the interface itself, or a drift between the halves of
    a crossed-over run; halves_pct: the effect in each half. is_watched: whether the interval is anytime-valid, because the run was, or
    could be, stopped on the basis of its figures.
    """

    iterations: int = 0
    spread: float | None = None
    degrees: float = 0.0
    planned: int = 1
    beyond: Mapping[Arm, int] = field(default_factory=dict)
    needs_randomisation: bool = False
    randomisation_p: float | None = None
    interface: InterfaceEffect | None = None
    halves_pct: tuple[float, float] | None = None
    is_watched: bool = False

    @property
    def is_beyond(self) -> bool:
        """Whether the quantile is beyond measurement in any iteration."""
        return any(self.beyond.values())


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The change of one metric in per cent, usually from ENA to ENA Express. Negative means that the figure is lower, which is better for
    a latency and worse for throughput.

    estimate_pct, low_pct and high_pct are None with fewer than two iterations, and where the figure is beyond measurement (the code then
    comes from ranks). confidence_pct: the level of the interval. improvement_pct: the guide's formula on the merged arms, with its own
    sign: positive is better. thin: too few messages lie beyond the quantile for any conclusion. p_value: the smallest level at which the
    interval gives a firm conclusion.
    """

    estimate_pct: float | None
    low_pct: float | None
    high_pct: float | None
    margin_pct: float
    improvement_pct: float | None
    primary: bool
    code: Code
    confidence_pct: float | None = None
    thin: bool | None = None
    p_value: float | None = None
    grounds: Grounds = Grounds()

    @property
    def is_beyond(self) -> bool:
        """Whether the effect has a code but no figure, because the quantile is beyond measurement."""
        return self.estimate_pct is None and self.code != "invalid"

    def contradicts_improvement(self, metric: Metric) -> bool:
        """Whether the guide's improvement (over all messages of the run) and the estimate (of a typical iteration) have opposite signs.

        False for a thin figure, which supports no conclusion anyway.
        """
        if not self.improvement_pct or not self.estimate_pct or self.thin:
            return False
        better = self.estimate_pct > 0 if metric == THROUGHPUT else self.estimate_pct < 0
        return better != (self.improvement_pct > 0)


@dataclass(frozen=True, kw_only=True)
class FigurePairs:
    """One metric of one scenario, input of `judge_figures`: its (ENA, ENA Express) values in each iteration, +∞ where beyond measurement.

    crossed: for each iteration, whether the interfaces had swapped arms; empty if they never do. withheld: whether the scenario is
    invalid, so that no conclusion is drawn. randomisation_p: the p-value of the randomisation test; None if not computed.
    """

    metric: Metric
    iterations: Sequence[tuple[float, float]]
    primary: bool
    crossed: Sequence[bool] = ()
    thin: bool = False
    withheld: bool = False
    improvement_pct: float | None = None
    randomisation_p: float | None = None

    @property
    def sample(self) -> RatioSample:
        """The log ratios. Iterations with a value of 0 or less have none and are left out."""
        has_ratio = [ena > 0 and express > 0 for ena, express in self.iterations]
        return RatioSample(
            ratios=tuple(log_ratio(*pair) for pair, known in zip(self.iterations, has_ratio, strict=True) if known),
            crossed=tuple(itertools.compress(self.crossed, has_ratio)),
            thin=self.thin or self.withheld,
            randomisation_p=self.randomisation_p,
        )


def judge_figures(figures: Sequence[FigurePairs], *, margin_pct: float, planned: int) -> list[Effect]:
    """The effects of all figures of a run, in their order. The primary metrics share an error rate of 5 %, so they are decided together.

    `planned`: the number of primary metrics in the plan, measured or not. All other metrics are exploratory, each at 95 %.
    """
    margin = Margin.of(margin_pct)
    samples = [figure.sample for figure in figures]
    primaries = [place for place, figure in enumerate(figures) if figure.primary]
    decided = dict(
        zip(primaries, decide([samples[at] for at in primaries], margin=margin, planned=planned), strict=True)
    )
    return [
        _effect(
            figure, sample, decided.get(place) or explore(sample, margin=margin), margin_pct=margin_pct, planned=planned
        )
        for place, (figure, sample) in enumerate(zip(figures, samples, strict=True))
    ]


def watched_effect(figure: FigurePairs, *, margin_pct: float, planned: int) -> Effect:
    """The effect on one figure of a run that is still going on, or was stopped: with an anytime-valid interval (sequence.py) and the code
    that follows from it. Primary metrics are at 1 − α/m each, the others at 95 %.

    It is inconclusive while the interval is unbounded, and where a quantile is beyond measurement: the rank interval is not anytime-valid.
    """
    sample = figure.sample
    [fixed] = judge_figures([figure], margin_pct=margin_pct, planned=planned)
    level = ALPHA / planned if figure.primary else 1 - EXPLORATORY_CONFIDENCE
    ends = watched_interval(sample, level=level) if sample.is_finite else None
    low, high = (None, None) if ends is None else (per_cent(ends[0]), per_cent(ends[1]))
    return replace(
        fixed,
        low_pct=low,
        high_pct=high,
        code=_watched_code(figure, sample, fixed, bounds=(low, high), level=level),
        confidence_pct=round(100 * (1 - level), 6),
        p_value=None,
        grounds=replace(fixed.grounds, is_watched=True),
    )


def _watched_code(
    figure: FigurePairs,
    sample: RatioSample,
    fixed: Effect,
    *,
    bounds: tuple[float | None, float | None],
    level: float,
) -> Code:
    """The code of an anytime-valid interval, with the further conditions that every code must meet."""
    if fixed.code == "invalid" or sample.thin:
        return fixed.code
    code = word_for(figure.metric, *bounds, fixed.margin_pct)
    return "inconclusive" if code != "same" and not sample.may_have_direction(level=level) else code


def log_ratio(ena: float, express: float) -> float | None:
    """ln(ENA Express / ENA): +∞ or −∞ where only one is beyond measurement, None where both are."""
    if math.isinf(ena) or math.isinf(express):
        return None if math.isinf(ena) and math.isinf(express) else math.inf if math.isinf(express) else -math.inf
    return math.log(express / ena)


def code_of_finding(metric: Metric, finding: Finding) -> Code:
    """The effect code for a finding: lower is better for a latency, higher for throughput."""
    return _LOWER_IS_BETTER[_MIRRORED.get(finding, finding) if metric == THROUGHPUT else finding]


def _effect(figure: FigurePairs, sample: RatioSample, decision: Decision, *, margin_pct: float, planned: int) -> Effect:
    where = location(sample) if sample.is_finite else None
    interface = interface_location(sample)
    halves = sample.halves if interface else None
    return Effect(
        estimate_pct=_finite_per_cent(decision.estimate),
        low_pct=_finite_per_cent(decision.low),
        high_pct=_finite_per_cent(decision.high),
        margin_pct=margin_pct,
        improvement_pct=figure.improvement_pct,
        primary=figure.primary,
        code="invalid" if figure.withheld or not sample.ratios else code_of_finding(figure.metric, decision.finding),
        confidence_pct=round(100 * decision.confidence, 6),
        thin=figure.thin,
        p_value=decision.p if len(sample.ratios) > 1 else None,
        grounds=Grounds(
            iterations=len(sample.ratios),
            spread=where.spread if where else None,
            degrees=where.degrees if where else 0.0,
            planned=planned,
            beyond={arm: sum(math.isinf(pair[side]) for pair in figure.iterations) for side, arm in enumerate(ARMS)},
            needs_randomisation=sample.needs_randomisation,
            randomisation_p=figure.randomisation_p,
            interface=InterfaceEffect.of(interface) if interface else None,
            halves_pct=(per_cent(statistics.fmean(halves[0])), per_cent(statistics.fmean(halves[1])))
            if halves
            else None,
        ),
    )


def _finite_per_cent(ratio: float | None) -> float | None:
    return per_cent(ratio) if ratio is not None and math.isfinite(ratio) else None


def interval(ratios: Sequence[float], *, confidence: float) -> tuple[float, float] | tuple[None, None]:
    """The t-interval of the mean of log ratios, in per cent; (None, None) with fewer than two."""
    where = location_of(ratios)
    if where is None:
        return None, None
    low, high = where.interval(confidence=confidence)
    return per_cent(low), per_cent(high)


def improvement_pct(metric: Metric, *, ena: float | None, ena_express: float | None) -> float | None:
    """The guide's improvement in per cent: (ENA − Express) / ENA for a latency, (Express − ENA) / ENA for throughput."""
    if ena is None or ena_express is None or ena == 0:
        return None
    gain = ena_express - ena if metric == THROUGHPUT else ena - ena_express
    return gain / ena * 100


def word_for(metric: Metric, low: float | None, high: float | None, margin_pct: float) -> Code:
    """The code of an interval, by whether it lies beyond the margin, within it, or overlaps it."""
    if low is None or high is None:
        return "inconclusive"
    if metric != THROUGHPUT:  # lower latency is faster
        low, high = -high, -low
    if low > margin_pct:
        return "faster"
    if high < -margin_pct:
        return "slower"
    if -margin_pct <= low and high <= margin_pct:
        return "same"
    if low > 0:
        return "slightly-faster"
    if high < 0:
        return "slightly-slower"
    return "inconclusive"


def per_cent(log_ratio: float) -> float:
    """A log ratio as a change in per cent, capped at the largest float."""
    return 100 * math.expm1(min(log_ratio, MOST_LOG_RATIO))
