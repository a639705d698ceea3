"""Conditions: what a comparison must not show, stated on the command line (`p99 slower 5%`), and whether it shows it. Pure.

    text ─▶ read_condition ─▶ Condition ─┐
                      Comparison, … ─────┴─▶ judge ─▶ Finding: shown, not shown, undecided or unmeasured, in words

A condition is shown only if the whole interval meets it. If part of the interval does, it is undecided: that is reported and fails
nothing. If nothing was measured that it applies to, it is unmeasured, which is not a pass. Everything that one condition covers
(scenarios, arms, sides) shares an error rate of 5 %: among runs that do not differ it is falsely shown in at most 5 % of comparisons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from enaxp.bench.comparing.comparison import Comparison, FigureChange, MeasuredRun, ScenarioComparison, Units
from enaxp.bench.statistics.inference import ALPHA
from enaxp.errors import ConditionFailedError, NoValidResultError, UsageError
from enaxp.text import bounds_plain, change_plain
from enaxp.traffic import ARM_NAMES, METRICS, Arm, Metric, metric_text

Way = Literal["faster", "slower", "different"]
ConditionOutcome = Literal["shown", "not shown", "undecided", "unmeasured"]
WAYS: tuple[Way, ...] = ("faster", "slower", "different")
MOST_PCT = 1000
EFFECT = "effect of ENA Express"
_GRAMMAR = re.compile(
    r"(?:(?P<scenario>[^:]+):\s*)?(?P<effect>effect\s+)?(?P<metric>\S+)\s+(?P<way>\S+)\s+(?:by\s+)?(?P<pct>\d{1,4}(?:\.\d{1,6})?)\s*%?"
)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition that must not hold: a metric is faster, slower or different by more than `pct`.

    scenario: None means any. of_effect: the condition is about the effect of ENA Express, not about an arm's figure; `slower` then means
    that ENA Express gains less or costs more. A change that both arms share does not count.
    """

    text: str
    metric: Metric
    way: Way
    pct: float
    scenario: str | None = None
    of_effect: bool = False


@dataclass(frozen=True, kw_only=True)
class ConditionFinding:
    """The outcome of a condition in one comparison, for one scenario and arm. of_effect: for the effect of ENA Express; there is no arm
    then."""

    condition: str
    base: str
    run: str
    scenario: str
    arm: str | None
    outcome: ConditionOutcome
    words: str
    of_effect: bool = False


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The comparisons with the base, and the outcome of each condition."""

    comparisons: tuple[Comparison, ...]
    findings: tuple[ConditionFinding, ...]

    @property
    def runs(self) -> tuple[MeasuredRun, ...]:
        """Every run once: the base's first, then the others."""
        sides = [self.comparisons[0].base, *(one.run for one in self.comparisons)]
        return tuple({run.name: run for side in sides for run in side.runs}.values())

    def require_conditions(self) -> None:
        """Raises ConditionFailedError when a condition is shown, NoValidResultError when nothing was measured that
        could meet one.
        """
        shown = [finding for finding in self.findings if finding.outcome == "shown"]
        if shown:
            raise ConditionFailedError(
                "; ".join(sorted({f"--fail-if {finding.condition!r} holds" for finding in shown})),
                said="; ".join(f"{finding.run} against {finding.base}: {finding.words}" for finding in shown),
            )
        for condition in dict.fromkeys(finding.condition for finding in self.findings):
            of_it = [finding for finding in self.findings if finding.condition == condition]
            if all(finding.outcome == "unmeasured" for finding in of_it):
                raise NoValidResultError(
                    f"nothing was measured that speaks for or against --fail-if {condition!r}",
                    said="; ".join(finding.words for finding in of_it),
                )


def read_condition(text: str) -> Condition:
    """The condition parsed from `[SCENARIO:][effect ]METRIC WAY N%`. Raises UsageError that says what is allowed."""
    matched = _GRAMMAR.fullmatch(text.strip())
    metric = matched["metric"].lower().replace(".", "_") if matched else ""
    if matched is None or metric not in METRICS or matched["way"] not in WAYS or float(matched["pct"]) > MOST_PCT:
        raise UsageError(
            f"--fail-if {text!r} is no condition",
            said=f"[SCENARIO:][effect ]METRIC WAY N%, where METRIC is {_any_of(METRICS)}, WAY is {_any_of(WAYS)}, N is 0 to {MOST_PCT}",
            todo="write it like --fail-if 'p99 slower 5%', 'effect p99 slower 5%' or 'udp-latency:p50 different 2%'",
        )
    return Condition(
        text=text.strip(),
        metric=cast(Metric, metric),
        way=cast(Way, matched["way"]),
        pct=float(matched["pct"]),
        scenario=matched["scenario"],
        of_effect=matched["effect"] is not None,
    )


def judge(condition: Condition, comparisons: Sequence[Comparison]) -> list[ConditionFinding]:
    """The outcome of a condition in each comparison, scenario and arm that it covers.

    Raises UsageError when it names a scenario or metric that no run has measured.
    """
    _require_known(condition, comparisons)
    looks = sum(len(_looked_at(condition, one)) for comparison in comparisons for one in comparison.scenarios)
    confidence = 1 - ALPHA / max(1, looks)
    return [finding for comparison in comparisons for finding in _findings(condition, comparison, confidence)]


def _looked_at(condition: Condition, one: ScenarioComparison) -> dict[Arm | None, FigureChange]:
    """The changes of a scenario that a condition covers, by arm; the key None is the effect of ENA Express."""
    if condition.scenario not in (None, one.scenario.name):
        return {}
    if condition.of_effect:
        return {None: one.effects[condition.metric]} if condition.metric in one.effects else {}
    return {arm: changes[condition.metric] for arm, changes in one.arms.items() if condition.metric in changes}


def _findings(condition: Condition, comparison: Comparison, confidence: float) -> Iterator[ConditionFinding]:
    for one in comparison.scenarios:
        for arm, change in _looked_at(condition, one).items():
            outcome, words = _outcome(condition, change, one.units, confidence)
            yield ConditionFinding(
                condition=condition.text,
                base=comparison.base.name,
                run=comparison.run.name,
                scenario=one.scenario.name,
                arm=arm,
                outcome=outcome,
                words=f"{one.scenario.name}, {ARM_NAMES[arm] if arm else EFFECT}: {words}",
                of_effect=condition.of_effect,
            )
    for name, reason in comparison.not_compared.items():
        if condition.scenario in (None, name):
            yield ConditionFinding(
                condition=condition.text,
                base=comparison.base.name,
                run=comparison.run.name,
                scenario=name,
                arm=None,
                outcome="unmeasured",
                words=f"{name} was not compared: {reason}",
                of_effect=condition.of_effect,
            )


def _outcome(
    condition: Condition, change: FigureChange, units: Units, confidence: float
) -> tuple[ConditionOutcome, str]:
    """The outcome of the condition for one change, and the sentence that explains it.

    The interval is taken at its own level or at `confidence`, whichever is wider.
    """
    effect, metric = change.effect, metric_text(condition.metric)
    if effect.estimate_pct is None:
        return "unmeasured", f"{metric} was not measured in both runs"
    told = f"{metric} changed by {change_plain(effect.estimate_pct)}"
    confidence = max(confidence, (effect.confidence_pct or 0.0) / 100)
    low, high = change.interval_pct(confidence=confidence)
    if low is None or high is None:
        return "undecided", f"{told}; {units.words}"
    interval = f"{bounds_plain(low, high)} ({100 * confidence:.4g}% interval)"
    beyond, within = _where(condition, low, high)
    limit = f"{condition.way} by more than {condition.pct:g}%"
    if beyond:
        return "shown", f"{told} {interval}: {limit}"
    if within:
        return "not shown", f"{told} {interval}: not {limit}"
    return "undecided", f"{told} {interval}: it may be {limit}, or not"


def _where(condition: Condition, low: float, high: float) -> tuple[bool, bool]:
    """Two booleans: whether the whole interval lies beyond the condition's limit, and whether it lies entirely within it."""
    rises = low > condition.pct, high <= condition.pct
    falls = high < -condition.pct, low >= -condition.pct
    if condition.way == "different":
        return rises[0] or falls[0], rises[1] and falls[1]
    return rises if (condition.way == "slower") == (condition.metric != "throughput") else falls


def _require_known(condition: Condition, comparisons: Iterable[Comparison]) -> None:
    """Raises UsageError for a scenario or metric that no run has measured: such a condition could never be met."""
    known: dict[str, set[str]] = {}
    for comparison in comparisons:
        for measured in (*comparison.base.runs, *comparison.run.runs):
            for name in measured.scenarios:
                known.setdefault(name, set()).update(measured.values[name])
    where = f"--fail-if {condition.text!r}"
    if condition.scenario is not None and condition.scenario not in known:
        raise UsageError(
            f"{where}: no run has measured {condition.scenario!r}", said=f"there are: {', '.join(known) or 'none'}"
        )
    named = [metrics for name, metrics in known.items() if condition.scenario in (None, name)]
    if not any(condition.metric in metrics for metrics in named):
        measured_ones = sorted({metric for metrics in named for metric in metrics})
        raise UsageError(
            f"{where}: {condition.metric} is not measured there", said=f"measured are: {', '.join(measured_ones)}"
        )


def _any_of(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
