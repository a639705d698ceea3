"""Page: a run as one self-contained HTML file, `report.html`: no network, no server, no other file.

    RunFigures ─▶ parts, charts (plain data, worded) ─▶ html.page_of ─▶ templates/page.html.j2 ─▶ text
                                                              └─ style, script, vega and data inside; a policy that allows just these

The charts are in the page as SVG, for readers without scripts, previews and print; where scripts run, vega draws the same specifications
as interactive charts. Everything that comes from a run is text, never markup: the template escapes it, the SVG is reduced to drawing
elements, and the policy allows only the two scripts whose hashes it names. Figures are written as result.json has them, to the
nanosecond.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from enaxp.bench.judging.limits import LIMIT_NAMES
from enaxp.bench.judging.result import ScenarioResult, to_document
from enaxp.bench.run_folder.environment import differences
from enaxp.bench.run_folder.histogram import TAIL_SAMPLES, tail_is_thin
from enaxp.bench.run_folder.records import InterfaceFacts, RunEnvironment
from enaxp.report.charts.aside import Aside
from enaxp.report.charts.chart import Chart, Gap
from enaxp.report.charts.scenario import run_charts, scenario_charts
from enaxp.report.data import RunFigures, ScenarioFigures, SrdFigures
from enaxp.report.html import Download, linked, page_of
from enaxp.report.plain import answers, not_shown
from enaxp.report.switching import steps
from enaxp.report.table import render_table
from enaxp.report.truth import truth_rows
from enaxp.report.words import (
    control_in_words,
    effect_in_words,
    headline,
    label,
    loss_of_arm,
    measured_between,
    proof_in_words,
    sign_conflict,
    standing_in_words,
    sureness_in_words,
    traffic_in_words,
)
from enaxp.text import BEYOND, NOT_MEASURED, change_typeset, counted, listed
from enaxp.traffic import (
    ARM_NAMES,
    ARMS,
    MAX,
    MEAN,
    QUANTILES,
    SERVICE_PERCENTILES,
    THROUGHPUT,
    Metric,
    figure_name,
    metric_label,
)

INVALID_SHOWN = 50
ROLES = ("server", "client")
# Facts in which two hosts of one lab differ as a matter of course, or only in names.
_OWN = frozenset({"load", "cpu_times", "rules", "routes", "links", "irqs", "link", "counters"})


@dataclass(frozen=True, kw_only=True)
class FigureLine:
    """One line of a scenario's table: both arms' values as text, the change, and whether it is reliable."""

    key: str
    name: str
    unit: str
    values: Mapping[str, str]
    difference: str
    change: str
    word: str
    code: str
    primary: bool
    thin: bool


@dataclass(frozen=True, kw_only=True)
class ScenarioPart:
    """The page's content on one scenario."""

    anchor: str
    name: str
    traffic: str
    code: str
    label: str
    verdict: str
    words: str
    proof: str
    changes: str
    lines: tuple[FigureLine, ...]
    service: tuple[FigureLine, ...]
    conflict: str
    control: str
    charts: tuple[Chart | Gap, ...]
    srd: tuple[SrdFigures, ...]
    moved: str
    warnings: tuple[str, ...]
    invalid: tuple[tuple[str, ...], ...]
    invalid_count: str


def render_page(figures: RunFigures, *, vega: Callable[[], str], drawing: Aside) -> str:
    """The text of `report.html`. `vega`: returns the script that draws in it (`vega.runtime`). The charts are drawn in `drawing`."""
    parts = tuple(_part(number, one) for number, one in enumerate(figures.scenarios, start=1))
    loads = tuple(run_charts(figures))
    return page_of(
        "page.html.j2",
        charts=[*(chart for part in parts for chart in part.charts), *loads],
        content=lambda: {"parts": parts, "loads": loads, **_about(figures, parts)},
        vega=vega,
        drawing=drawing,
    )


def _about(figures: RunFigures, parts: Sequence[ScenarioPart]) -> dict[str, Any]:
    """The page's content on the run as a whole."""
    run, manifest = figures.run, figures.run.manifest
    scenarios = run.result.scenarios
    before, after = manifest.environment.before, manifest.environment.after or {}
    return {
        "title": headline(scenarios),
        "code": parts[0].code if len({part.code for part in parts}) == 1 else "several",
        "manifest": manifest,
        "when": when(manifest.started_at),
        "local": manifest.target == "local",
        "standing": standing_in_words(run),
        "answers": answers(figures.scenarios[0]) if len(parts) == 1 else [],
        "not_shown": not_shown(figures),
        "truth": truth_rows(figures.truth) if figures.truth else [],
        "faults": figures.faults,
        "between": measured_between(manifest),
        "sureness": sureness_in_words(figures),
        "proof": parts[0].proof
        if len({part.proof for part in parts}) == 1
        else "differs by scenario: see the table below",
        "hosts": _hosts(manifest.environment),
        "changed": differences(before, after),
        "environment": {role: {"before": before[role], "after": after.get(role, {})} for role in before},
        "unlike": _unlike(before),
        "command": " ".join(("enaxp", *manifest.argv)),
        "tail": TAIL_SAMPLES,
        "arms": ARM_NAMES,
        "switching": steps(manifest),
        "downloads": _downloads(figures),
    }


# -- one scenario ----------------------------------------------------------------------------------------------------------


def _part(number: int, figures: ScenarioFigures) -> ScenarioPart:
    result, verdict = figures.result, figures.result.verdict
    primaries = result.primaries
    invalid = [
        (str(r.number), ARM_NAMES[r.arm], f"{r.iteration}/{r.repeat}", str(r.attempt), r.reason or "")
        for r in figures.invalid
    ]
    control = result.control
    return ScenarioPart(
        anchor=f"scenario-{number}",
        name=figures.scenario.name,
        traffic=traffic_in_words(figures.scenario),
        code=verdict.code,
        label=label(verdict.code),
        verdict=headline({figures.scenario.name: result}),
        words=verdict.words,
        proof=proof_in_words(result.treatment),
        changes=", ".join(
            f"{metric_label(name)} {change_typeset(one.estimate_pct)}" for name, one in primaries.items()
        ),
        lines=tuple(_lines(figures)),
        service=tuple(_service_lines(result)),
        conflict=sign_conflict(result),
        control=control_in_words(control, name=metric_label, change=effect_in_words) if control else "",
        charts=tuple(scenario_charts(figures)),
        srd=figures.srd,
        moved=f"{_moved(figures.srd)} {_limited(result)}".strip(),
        warnings=result.warnings,
        invalid=tuple(invalid[:INVALID_SHOWN]),
        invalid_count=f"{counted(len(invalid), 'trial')} not counted",
    )


def _lines(figures: ScenarioFigures) -> Iterable[FigureLine]:
    """The table of a scenario: the compared figures first, then those that are only shown."""
    arms = figures.result.arms
    if figures.is_rate:
        yield _line(figures, THROUGHPUT, unit="Gbit/s")
    else:
        for metric in (*QUANTILES, MEAN, MAX):
            yield _line(figures, metric, unit="µs")
    yield FigureLine(
        key="loss_rate",
        name="loss",
        unit="",
        values={arm: loss_of_arm(arms[arm]) for arm in ARMS},
        difference="",
        change="",
        word="",
        code="",
        primary=False,
        thin=False,
    )


def _line(figures: ScenarioFigures, metric: Metric, *, unit: str) -> FigureLine:
    values = {arm: figures.result.arms[arm].figure(metric) for arm in ARMS}
    effect = figures.result.effects.get(metric)
    return FigureLine(
        key=figure_name(metric),
        name=metric_label(metric),
        unit=unit,
        values={
            arm: BEYOND if metric in figures.result.arms[arm].beyond_measurement else _number(value)
            for arm, value in values.items()
        },
        difference=_difference(values["ena"], values["ena_express"]),
        change=effect_in_words(effect) if effect else "",
        word=label(effect.code) if effect else "not compared",
        code=effect.code if effect else "",
        primary=bool(effect and effect.primary),
        thin=_is_thin(figures, metric),
    )


def _is_thin(figures: ScenarioFigures, metric: str) -> bool:
    """Whether a percentile has too few observations beyond it to be reliable."""
    return metric in QUANTILES and bool(figures.fewest) and tail_is_thin(QUANTILES[metric], fewest=figures.fewest or 0)


def _service_lines(result: ScenarioResult) -> Iterable[FigureLine]:
    """Service time: latencies from the actual send, for a scenario whose main latencies start at the planned send time."""
    service = result.service
    if service is None:
        return
    for name in (*SERVICE_PERCENTILES, MAX):
        values = {arm: service[arm].figure(name) for arm in ARMS}
        yield FigureLine(
            key=f"service_{name}_us",
            name=metric_label(name),
            unit="µs",
            values={arm: _number(value) for arm, value in values.items()},
            difference=_difference(values["ena"], values["ena_express"]),
            change="",
            word="",
            code="",
            primary=False,
            thin=False,
        )


def _number(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:,.3f}"


def _difference(ena: float | None, express: float | None) -> str:
    return "" if ena is None or express is None else f"{express - ena:+,.3f}".replace("-", "−")


def _moved(srd: Iterable[SrdFigures]) -> str:
    """Which allowances were exceeded, by arm, in words."""
    if all(arm.allowances is None for arm in srd):
        return "The allowance counters are absent: whether the instances met their limits is unknown."
    moved = [
        f"{ARM_NAMES[arm.arm]}: {name} +{by:,}" for arm in srd for name, by in (arm.allowances or {}).items() if by
    ]
    return f"Allowances exceeded: {'; '.join(moved)}." if moved else "No allowance of an instance was exceeded."


def _limited(result: ScenarioResult) -> str:
    """The bottleneck of each arm other than the network, in words; empty if there was none."""
    told = [
        f"of {ARM_NAMES[arm]} the {listed([LIMIT_NAMES[limit] for limit in limits])}"
        for arm in ARMS
        if (limits := result.arms[arm].limits)
    ]
    return f"The limit was not the network in most trials: {listed(told)}." if told else ""


# -- the run as a whole ----------------------------------------------------------------------------------------------------


def _hosts(environment: RunEnvironment) -> list[tuple[str, str, str]]:
    """A few facts that identify the hosts: name, server, client."""
    before, interfaces = environment.before, environment.interfaces
    told = {
        "kernel": "kernel",
        "processor": "cpu_model",
        "CPUs": "cpus",
        "clock": "clock_source",
        "sockperf": "sockperf",
    }
    rows = [(name, *(_text(before.get(role, {}).get(fact)) for role in ROLES)) for name, fact in told.items()]
    for arm in ARMS:
        of_arm = {role: interfaces.get(role, {}).get(arm, InterfaceFacts()) for role in ROLES}
        rows += [
            (f"{ARM_NAMES[arm]} {name}", *(_text(getattr(of_arm[role], fact)) for role in ROLES))
            for name, fact in (("driver", "driver"), ("MTU", "mtu"))
        ]
    return [(name, server, client) for name, server, client in rows if server or client]


def _text(fact: object) -> str:
    return "" if fact is None else str(fact)


def _unlike(before: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str, str]]:
    """The facts in which the two hosts differ: fact, server, client."""
    server, client = before.get("server", {}), before.get("client", {})
    return [
        (name, server[name], client[name])
        for name in server.keys() & client.keys()
        if name.rpartition(".")[2] not in _OWN and server[name] != client[name]
    ]


def when(iso: str) -> str:
    """A time in the page's format; text that is not a time is returned unchanged."""
    try:
        return f"{datetime.fromisoformat(iso):%d %B %Y, %H:%M} UTC"
    except ValueError:
        return iso


def _downloads(figures: RunFigures) -> list[Download]:
    run = figures.run
    files = {
        "result.json": (
            "every figure, effect and verdict",
            json.dumps(to_document(run.result), indent=2),
            "application/json",
        ),
        "results.csv": ("one row a scenario and interface", render_table(run.result, run.manifest.plan), "text/csv"),
        "percentiles.csv": ("the curves, with their bands", _percentiles_csv(figures), "text/csv"),
        "trials.csv": ("one row a trial that counts", _trials_csv(figures), "text/csv"),
    }
    return [linked(name, what, text, kind=kind) for name, (what, text, kind) in files.items()]


def _percentiles_csv(figures: RunFigures) -> str:
    rows = [
        (one.scenario.name, point.arm, f"{100 * point.p:.6g}", point.us, point.low_us, point.high_us, point.thin)
        for one in figures.scenarios
        for point in one.curve
    ]
    return _csv(("scenario", "arm", "percentile", "us", "low_us", "high_us", "thin"), rows)


def _trials_csv(figures: RunFigures) -> str:
    rows = [
        (one.scenario.name, trial.trial, trial.iteration, trial.arm, trial.p50, trial.p99, trial.throughput)
        for one in figures.scenarios
        for trial in one.trials
    ]
    return _csv(("scenario", "trial", "iteration", "arm", "p50_us", "p99_us", "throughput_gbps"), rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
