"""Checkup: is a run stable and complete? With reasons. Pure.

    Manifest + Evidence + recomputed result ─▶ check ─▶ Checkup: what is missing, what is unstable, remarks

Missing: trials or files that the plan requires and the folder lacks. Unstable: conditions that make the figures hard to reproduce. A run
with either should not be used in a comparison; remarks do no harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from enaxp.bench.judging.circumstances import loss_in_words
from enaxp.bench.judging.limits import LIMIT_NAMES
from enaxp.bench.judging.result import Result, ScenarioResult
from enaxp.bench.judging.stability import host_warnings, tuning_warnings
from enaxp.bench.run_folder.evidence import Evidence
from enaxp.bench.run_folder.records import Manifest, TrialRecord
from enaxp.bench.statistics.inference import FEW_ITERATIONS
from enaxp.text import interval_plain, listed, percent_plain
from enaxp.traffic import ARM_NAMES, ARMS, Scenario, metric_text

SCHEMA = 1
# A share of attempts that did not count, from which on the hosts, not chance, are the reason.
MOST_INVALID = 0.1


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """The outcome of a check, as sentences by severity."""

    missing: tuple[str, ...]
    unstable: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return not self.missing and not self.unstable


@dataclass(frozen=True, kw_only=True)
class CheckupDocument:
    """What `enaxp check --json` prints: the names of the members are its keys."""

    run_id: str
    path: str
    schema: int
    complete: bool
    stable: bool
    missing: tuple[str, ...]
    unstable: tuple[str, ...]
    remarks: tuple[str, ...]


def document_of(checkup: Checkup, *, run_id: str, path: str) -> CheckupDocument:
    """The document of a run's checkup."""
    return CheckupDocument(
        run_id=run_id,
        path=path,
        schema=SCHEMA,
        complete=not checkup.missing,
        stable=not checkup.unstable,
        missing=checkup.missing,
        unstable=checkup.unstable,
        remarks=checkup.remarks,
    )


def check(manifest: Manifest, evidence: Evidence, result: Result) -> Checkup:
    """What a run lacks, what makes it unstable, and what else its reader should know.

    `result` must be computed from the same evidence.
    """
    scenarios = [(scenario, result.scenarios[scenario.name]) for scenario in manifest.plan.scenarios]
    return Checkup(
        missing=(*_cut_short(manifest), *(line for one in scenarios for line in _missing(manifest, evidence, *one))),
        unstable=(
            *(f"it was measured in spite of this: {wrong}" for wrong in manifest.forced),
            *_host_warnings(manifest),
            *(line for one in scenarios for line in _unstable(manifest, evidence, *one)),
        ),
        remarks=(
            *_about_the_run(manifest),
            *(line for one in scenarios for line in _remarks(manifest, evidence, *one)),
        ),
    )


def _cut_short(manifest: Manifest) -> Iterator[str]:
    if manifest.ended_at is None:
        yield "the run has not ended: it still runs, or was cut off"
    if manifest.plan.iterations < 2:
        yield "there is no interval: that takes two iterations"


def _missing(manifest: Manifest, evidence: Evidence, scenario: Scenario, measured: ScenarioResult) -> Iterator[str]:
    plan = manifest.plan
    planned = plan.iterations * plan.repeats
    counting = min(measured.arms[arm].valid_trials for arm in ARMS)
    if counting < planned:
        yield f"{scenario.name}: {counting} of {planned} pairs of trials count"
    yield from (f"{scenario.name}: {fault}" for fault in evidence.faults.get(scenario.name, ()))
    if plan.control:
        valid = measured.control.valid_trials if measured.control else 0
        if valid < 2 * planned:
            yield f"{scenario.name}: {valid // 2} of {planned} pairs of the control count"
    if measured.verdict.code == "invalid":
        yield f"{scenario.name}: {measured.verdict.words}"


def _host_warnings(manifest: Manifest) -> list[str]:
    """Warnings about the hosts during the run. They concern every scenario, so they are reported once."""
    return host_warnings(manifest.environment.before, manifest.environment.after or {})


def _unstable(manifest: Manifest, evidence: Evidence, scenario: Scenario, measured: ScenarioResult) -> Iterator[str]:
    told = {*evidence.faults.get(scenario.name, ()), *_host_warnings(manifest), *tuning_warnings(manifest.untuned)}
    yield from (f"{scenario.name}: {line}" for line in measured.warnings if line not in told)
    attempts = _attempts(evidence, scenario)
    invalid = [record for record in attempts if not record.valid]
    if len(invalid) > MOST_INVALID * len(attempts):
        [(reason, _)] = Counter(record.reason for record in invalid).most_common(1)
        yield f"{scenario.name}: {len(invalid)} of {len(attempts)} trials were not valid, mostly: {reason}"
    for metric, noise in ((measured.control and measured.control.noise_pct) or {}).items():
        if metric in scenario.primaries and noise > manifest.plan.margin_pct:
            yield (
                f"{scenario.name}: ENA against ENA differs by {percent_plain(noise)} at {metric_text(metric)}, "
                f"more than the margin of {manifest.plan.margin_pct:g}%"
            )


def _about_the_run(manifest: Manifest) -> Iterator[str]:
    plan = manifest.plan
    if manifest.not_ena:
        yield f"{manifest.not_ena} (hosts as {manifest.isolation})"
    if manifest.resumed_at:
        times = len(manifest.resumed_at)
        yield f"it was resumed {'once' if times == 1 else f'{times} times'}"
    yield from tuning_warnings(manifest.untuned)
    if plan.order == "parallel":
        yield "both arms ran at once, so each is interference to the other"
    if manifest.given is not None:
        yield "it was measured between hosts that existed already"
        yield from (said for said in manifest.given if " is busy: " in said)
    if plan.is_toggled:
        yield "both arms used the same interfaces: nothing but SRD differs between them"
    if 2 <= plan.iterations <= FEW_ITERATIONS:
        yield f"{plan.iterations} iterations are few: the intervals are wide"


def _remarks(manifest: Manifest, evidence: Evidence, scenario: Scenario, measured: ScenarioResult) -> Iterator[str]:
    if measured.treatment.proven is None:
        yield f"{scenario.name}: whether SRD carried the packets is unknown ({measured.treatment.why_unknown})"
    if measured.control and measured.control.between == "interfaces" and measured.control.primaries:
        told = ", ".join(
            f"{metric_text(metric)} {interval_plain(effect.estimate_pct, effect.low_pct, effect.high_pct)}"
            for metric, effect in measured.control.primaries.items()
        )
        yield f"{scenario.name}: the interface itself makes {told} (with SRD off, the second against the first)"
    attempts = _attempts(evidence, scenario)
    invalid = sum(not record.valid for record in attempts)
    if 0 < invalid <= MOST_INVALID * len(attempts):
        yield f"{scenario.name}: {invalid} of {len(attempts)} trials were not valid"
    if any(arm.loss_rate for arm in measured.arms.values()):
        told = ", ".join(
            f"{ARM_NAMES[name]} {loss_in_words(arm.loss)}"
            for name, arm in measured.arms.items()
            if arm.loss is not None
        )
        yield f"{scenario.name}: messages lost: {told}"
    for name, arm in measured.arms.items():
        if arm.limits:
            what = listed([LIMIT_NAMES[limit] for limit in arm.limits])
            yield f"{scenario.name}: the limit of {ARM_NAMES[name]} was the {what} in most trials, not the network"
    thin = [metric_text(metric) for metric, effect in measured.effects.items() if effect.thin]
    if thin:
        yield f"{scenario.name}: {', '.join(thin)} rest on fewer than ten messages in an iteration, and decide nothing"
    undecided = [
        metric_text(metric)
        for metric, effect in measured.primaries.items()
        if effect.code == "inconclusive" and effect.confidence_pct is not None and effect.grounds.iterations > 1
    ]
    if undecided:
        yield f"{scenario.name}: what ENA Express does is inconclusive at {' and '.join(undecided)}"


def _attempts(evidence: Evidence, scenario: Scenario) -> list[TrialRecord]:
    return [record for record in evidence.records if record.scenario == scenario.name and not record.discarded]
