"""Words: the wording of runs, verdicts and comparisons, common to page, charts, Markdown and terminal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from enaxp.bench.judging.circumstances import loss_in_words
from enaxp.bench.judging.effect import Effect
from enaxp.bench.judging.result import ArmFigures, Control, ScenarioResult
from enaxp.bench.judging.verdict import Treatment
from enaxp.bench.run_folder.records import Manifest
from enaxp.text import (
    BEYOND,
    NOT_MEASURED,
    counted,
    figure,
    interval_plain,
    interval_typeset,
    listed,
    percent_plain,
)
from enaxp.traffic import ARM_NAMES, Metric, Scenario, metric_label, metric_text

if TYPE_CHECKING:
    from enaxp.bench.comparing.comparison import MeasuredRun, ScenarioComparison
    from enaxp.report.data import RunData, RunFigures

LABELS: Mapping[str, str] = {
    "faster": "faster",
    "slower": "slower",
    "same": "no practical difference",
    "slightly-faster": "slightly faster",
    "slightly-slower": "slightly slower",
    "mixed": "mixed",
    "partial": "partly decided",
    "inconclusive": "inconclusive",
    "invalid": "invalid",
}

CAVEAT = (
    "The unit is the run: an interval covers what differs from run to run, on the hosts and days of the runs that it rests on. Other "
    "hosts may differ by more."
)
MOST_NAMED = 3  # scenarios in a line; of more it is counted what they came to
OUTCOMES = {"shown": "FAILS", "not shown": "passes", "undecided": "undecided", "unmeasured": NOT_MEASURED}


def headline(scenarios: Mapping[str, ScenarioResult]) -> str:
    """A run's verdict in a few words: for one scenario its headline, which names each primary metric; for several their verdicts, as
    `came_to`."""
    if len(scenarios) == 1:
        [measured] = scenarios.values()
        return measured.verdict.headline or measured.verdict.words
    return came_to({name: label(measured.verdict.code) for name, measured in scenarios.items()})


def label(code: str) -> str:
    """A verdict's or an effect's code as words."""
    return LABELS.get(code, code)


def traffic_in_words(scenario: Scenario) -> str:
    """A scenario's traffic in words: `UDP ping-pong, 64-byte messages, one at a time`."""
    protocol, size = scenario.protocol.upper(), f"{scenario.message_size:,}-byte messages"
    flows = f" in {scenario.flows} flows" if scenario.flows > 1 else ""
    rate = f"{scenario.rate:,} a second" if isinstance(scenario.rate, int) else "as many as go through"
    sockets = _sockets_in_words(scenario)
    beside = ""
    if scenario.background is not None:
        bulk = scenario.background
        share = "" if bulk.share is None else f" at {100 * bulk.share:g} % of what the hosts carry"
        beside = f", beside {bulk.flows} {bulk.protocol.upper()} bulk flows{share}"
    told = {"protocol": protocol, "size": size, "rate": rate, "flows": flows, "sockets": sockets, "beside": beside}
    return scenario.facts.words.format(**told)


def _sockets_in_words(scenario: Scenario) -> str:
    """The socket options that differ from the system's defaults, in words; empty if none does."""
    polls = "" if scenario.busy_poll_us is None else f", receivers poll for {scenario.busy_poll_us:,} µs"
    return polls if scenario.buffer_size is None else f"{polls}, socket buffers of {scenario.buffer_size:,} bytes"


def proof_in_words(treatment: Treatment) -> str:
    """Whether SRD is proven to have carried the ENA Express arm, and by what."""
    share = "" if treatment.srd_share is None else f"{100 * treatment.srd_share:.2f} % of eligible packets"
    by = {"device": "by the device's counters", "stand-in": "by a stand-in's counters"}.get(treatment.source, "")
    if treatment.proven:
        return f"Yes: {share}, {by}"
    if treatment.proven is None:
        return f"Unknown: {treatment.why_unknown}"
    return f"No: {share or 'the arms were not SRD on and SRD off'}{', ' + by if by else ''}"


def effect_in_words(effect: Effect) -> str:
    """An estimate with its interval, as on the page: `−3.10 % [−4.02 %, −2.17 %]`."""
    return BEYOND if effect.is_beyond else interval_typeset(effect.estimate_pct, effect.low_pct, effect.high_pct)


def effect_in_text(effect: Effect) -> str:
    """An estimate with its interval, in plain text: `-3.10% [-4.02%, -2.17%]`."""
    return BEYOND if effect.is_beyond else interval_plain(effect.estimate_pct, effect.low_pct, effect.high_pct)


def figure_in_words(arm: ArmFigures, metric: Metric) -> str:
    """An arm's value of a metric, with its unit."""
    return BEYOND if metric in arm.beyond_measurement else figure(metric, arm.figure(metric))


def loss_of_arm(arm: ArmFigures) -> str:
    """The share of an arm's messages that was lost, with its interval: `2.01% [1.95%, 2.07%]`."""
    return NOT_MEASURED if arm.loss is None else loss_in_words(arm.loss)


def control_in_words(control: Control, *, name: Callable[[Metric], str], change: Callable[[Effect], str]) -> str:
    """The result of a control as a sentence. `name` and `change`: format a metric and an effect."""
    if not control.valid_trials:
        return "Control: no pair of its trials counts."
    if control.between == "interfaces":
        told = listed([f"{name(metric)} {change(effect)}" for metric, effect in control.primaries.items()])
        return (
            f"Control, with SRD off on all interfaces: from the first ones to the second {told}. "
            "That is what the interface itself makes; it changes no effect and no word."
        )
    noise = listed([f"{name(metric)} {percent_plain(by)}" for metric, by in (control.noise_pct or {}).items()])
    return f"Control: ENA measured against ENA differs by {noise}. It changes no margin and no word."


def sign_conflict(measured: ScenarioResult) -> str:
    """An explanation if a metric's improvement and its estimate have opposite signs; empty if none has."""
    names = [
        metric_label(metric) for metric, effect in measured.effects.items() if effect.contradicts_improvement(metric)
    ]
    if not names:
        return ""
    return (
        f"At {listed(names)} improvement and estimate go opposite ways. Improvement looks at all messages of the run together, so that "
        "one bad iteration can decide it; the estimate asks what a typical iteration does, each counting once, and only the estimate "
        "has an interval: the word follows it."
    )


def standing_in_words(run: RunData) -> str:
    """The notice for a run that did not complete its plan; empty for one that did."""
    done = f"{run.pairs_counted} of {run.pairs_planned} pairs count"
    lines = []
    match run.standing:
        case "not ended":
            lines.append(f"This run has not ended: it still runs, or was cut off. {done} so far.")
        case "partial":
            lines.append(f"This run is partial: {done}.")
        case "finished":
            pass
    if run.is_of_earlier_version:
        lines.append(
            "An earlier version of enaxp made this run. Its figures and words are worked out anew from its trials, by the rules of "
            "this version; what it did not record is left out, and trials that fell silent over a lost message do not count in it."
        )
    return " ".join(lines)


def whose_hosts(manifest: Manifest) -> str:
    """`lab dev`, or `your hosts` for given hosts."""
    return f"lab {manifest.lab}" if manifest.given is None else "your hosts"


def measured_between(manifest: Manifest) -> str:
    """For which hosts a verdict holds."""
    before = manifest.environment.before
    kinds = {
        f"{facts.get('cpu_model') or 'unknown processor'}, {facts.get('cpus') or '?'} CPUs" for facts in before.values()
    }
    what = f" ({listed(sorted(kinds))})" if kinds else ""
    where = f"{whose_hosts(manifest)} {'on this machine' if manifest.target == 'local' else 'on AWS'}"
    return f"This one pair of hosts: {where}{what}"


def sureness_in_words(figures: RunFigures) -> str:
    """The basis of the intervals, in words."""
    counts = sorted({one.iterations for one in figures.scenarios if one.iterations})
    trials = sum(len(one.trials) for one in figures.scenarios)
    plan = figures.run.manifest.plan
    margin = f"margin ±{plan.margin_pct:g} %, fixed beforehand"
    if not counts or counts[-1] < 2:
        return f"Not sure at all: {counted(counts[-1] if counts else 0, 'iteration')} with valid pairs, no interval; {margin}"
    iterations = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    words = sum(len(one.result.primaries) for one in figures.scenarios)
    return (
        f"Any of the {counted(words, 'word')} of this run is wrong in at most 5 % of such runs; {iterations} iterations, "
        f"{counted(trials, 'trial')}; {margin}"
    )


def units_in_words(one: ScenarioComparison) -> str:
    """The basis of a scenario's intervals, with the run-to-run standard deviation of its primary metrics: `…; it is 2.1% at p50 of
    ENA`."""
    spreads = [
        f"{percent_plain(100 * spread)} at {metric_text(metric)} of {name}"
        for name, changes in (*((ARM_NAMES[arm], of) for arm, of in one.arms.items()), ("the effect", one.effects))
        for metric, change in changes.items()
        if change.effect.primary and change.difference and (spread := change.difference.spread)
    ]
    told = f"; it is {', '.join(spreads)}" if spreads else ""
    return f"{one.units.words[0].upper()}{one.units.words[1:]}{told}."


def came_to(verdicts: Mapping[str, str]) -> str:
    """The verdicts of a run: by scenario if there are few, else counted by verdict."""
    if len(verdicts) > MOST_NAMED:
        return ", ".join(f"{count} {code}" for code, count in Counter(verdicts.values()).most_common())
    return ", ".join(f"{name}: {code}" for name, code in verdicts.items())


def where(run: MeasuredRun) -> str:
    """A description of where a run was made, as far as its manifest has it."""
    manifest = run.manifest
    if manifest.not_ena:
        return f"{manifest.not_ena} (hosts as {manifest.isolation})"
    return ", ".join(["AWS", *(str(value) for value in manifest.place.values() if value)])
