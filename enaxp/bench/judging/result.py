"""Result: the types of a run's result, and the functions that convert it to and from JSON. Pure.

    evaluation.py ─▶ Result ─┬─▶ to_document ─▶ result.json ─▶ from_document ─▶ Result
                             └─▶ summary, table, page, comparison, checkup

A figure that was not measured is None (null), never 0. A figure beyond measurement is None too, and is listed in `beyond_measurement`.
Latencies are in µs, throughput in 10⁹ bit/s. In the document an arm's percentiles stand beside its other figures (`mean_us`, `p50_us`, …,
`max_us`); keys that apply only to some scenarios are left out in the others. Results of schema 1 can be read; fields that they lack are
None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enaxp.bench.judging.effect import Effect, InterfaceEffect
from enaxp.bench.judging.verdict import Treatment, Verdict
from enaxp.bench.planning.schedule import BenchPlan, ControlBetween
from enaxp.bench.run_folder.documents import Document, decode, fields_of
from enaxp.bench.run_folder.records import Limit, MeasuredFrom, RunFolder
from enaxp.bench.statistics.loss import Loss
from enaxp.traffic import MAX, MEAN, QUANTILES, THROUGHPUT, Arm, Metric, Order

if TYPE_CHECKING:
    from enaxp.bench.run_folder.histogram import Distribution

SCHEMA = 2
READS = (1, 2)
FILE = "result.json"


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Latencies in µs.

    The keys of `percentiles_us` are the names of `traffic.PERCENTILES` in the version that wrote the result.
    """

    mean_us: float | None
    percentiles_us: Mapping[str, float | None]
    max_us: float | None

    @classmethod
    def of(cls, distribution: Distribution | None) -> Latencies:
        """The figures of a distribution in ns; None for None (nothing was measured). A percentile beyond measurement is None."""
        if distribution is None:
            return cls(mean_us=None, percentiles_us=dict.fromkeys(QUANTILES), max_us=None)
        return cls(
            mean_us=_us(distribution.mean),
            percentiles_us={
                name: _us(value) if math.isfinite(value := distribution.quantile(p)) else None
                for name, p in QUANTILES.items()
            },
            max_us=_us(distribution.max),
        )

    def figure(self, metric: Metric) -> float | None:
        """The mean, the maximum or a percentile in µs; None if it is not stored."""
        if metric == MAX:
            return self.max_us
        return self.mean_us if metric == MEAN else self.percentiles_us.get(metric)


@dataclass(frozen=True, kw_only=True)
class ArmFigures:
    """The figures of one arm of one scenario, over all its counted trials.

    trials: the number of attempted trials. loss_rate: the share of messages that expected a reply and got none, 0 to 1; loss_low,
    loss_high: its 95 % interval over the iterations. measured_from: whether latencies start at the planned or at the actual send of a
    message; `service`: those from the actual send, where both are known. beyond_measurement: the percentiles that lie among the lost
    messages; mean and maximum are of the messages that arrived. failed_attempts: trials that failed a gate. limits: the bottlenecks found
    in more than half of the trials; None where the hosts did not report usage. background_gbps: received bandwidth of the background
    flows, where the scenario has them (`has_background`).
    """

    trials: int
    valid_trials: int
    observations: int | None
    latencies: Latencies
    sent: int | None
    received: int | None
    dropped: int | None
    loss_rate: float | None
    throughput_gbps: float | None
    loss_low: float | None = None
    loss_high: float | None = None
    measured_from: MeasuredFrom | None = None
    service: Latencies | None = None
    beyond_measurement: tuple[Metric, ...] = ()
    failed_attempts: int | None = None
    limits: tuple[Limit, ...] | None = None
    background_gbps: float | None = None
    has_background: bool = False

    @property
    def loss(self) -> Loss | None:
        """The loss rate with its interval; None where unknown."""
        if self.loss_rate is None:
            return None
        return Loss(rate=self.loss_rate, low=self.loss_low, high=self.loss_high)

    def figure(self, metric: Metric) -> float | None:
        """The metric's value, in µs or 10⁹ bit/s; None where not measured."""
        return self.throughput_gbps if metric == THROUGHPUT else self.latencies.figure(metric)


@dataclass(frozen=True, kw_only=True)
class Control:
    """The result of a control (ENA against ENA). It is reported only: it changes no effect, margin or verdict.

    between: what was compared. Between interfaces, the effects are the change from the first interfaces to the second ones, with SRD off
    on all; proven: whether the counters show that SRD carried nothing, None where unknown. Between repeats (measured by earlier
    versions), noise_pct is how much two measurements of the same thing differ; None otherwise.
    """

    trials: int
    valid_trials: int
    effects: Mapping[Metric, Effect]
    noise_pct: Mapping[Metric, float] | None = None
    between: ControlBetween = "repeats"
    proven: bool | None = None

    @property
    def primaries(self) -> Mapping[Metric, Effect]:
        """The effects on the primary metrics; none where no pair counts."""
        return {metric: effect for metric, effect in self.effects.items() if effect.primary and self.valid_trials}


@dataclass(frozen=True, kw_only=True)
class ScenarioResult:
    """The result of one scenario. `control`: present when a control was measured. `interface`: present when the run was crossed over: the
    effect of the interface itself (or of a drift between the halves) on the first primary metric.
    """

    arms: Mapping[Arm, ArmFigures]
    effects: Mapping[Metric, Effect]
    treatment: Treatment
    verdict: Verdict
    warnings: tuple[str, ...] = ()
    control: Control | None = None
    interface: InterfaceEffect | None = None

    @property
    def service(self) -> Mapping[Arm, Latencies] | None:
        """Each arm's latencies from the actual send, if the main ones are from the planned send time; else None."""
        told = {arm: figures.service for arm, figures in self.arms.items() if figures.service is not None}
        return told if len(told) == len(self.arms) else None

    @property
    def primaries(self) -> Mapping[Metric, Effect]:
        """The effects on the primary metrics, on which the verdict is based."""
        return {metric: effect for metric, effect in self.effects.items() if effect.primary}


@dataclass(frozen=True, kw_only=True)
class PlanSummary:
    """The part of a run's plan that a reader of its result needs; `scenarios` are names.

    cpus: how sockperf was pinned to cores; None in a result that does not record it.
    """

    iterations: int
    repeats: int
    duration_s: float
    order: Order
    seed: int
    margin_pct: float
    scenarios: tuple[str, ...]
    crossover: bool = False
    control: bool = False
    until_pct: float | None = None
    max_iterations: int | None = None
    cpus: str | None = None

    @classmethod
    def of(cls, plan: BenchPlan) -> PlanSummary:
        return cls(
            iterations=plan.iterations,
            repeats=plan.repeats,
            duration_s=plan.duration_s,
            order=plan.order,
            seed=plan.seed,
            margin_pct=plan.margin_pct,
            scenarios=tuple(scenario.name for scenario in plan.scenarios),
            crossover=plan.crossover,
            control=plan.control,
            until_pct=plan.until_pct,
            max_iterations=plan.max_iterations,
            cpus=plan.cpus,
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a run, by scenario. emulated, pair_name, variant: as in the manifest."""

    run_id: str
    lab: str
    target: str
    isolation: str | None
    plan: PlanSummary
    scenarios: Mapping[str, ScenarioResult]
    emulated: str | None = None
    pair_name: str | None = None
    variant: str | None = None
    schema: int = SCHEMA

    @property
    def has_valid_scenario(self) -> bool:
        """Whether any scenario has a verdict other than invalid."""
        return any(scenario.verdict.code != "invalid" for scenario in self.scenarios.values())

    def is_narrow(self, *, to_pct: float) -> bool:
        """Whether the half width of every primary metric's interval, in every scenario, is at most this many per cent."""
        return all(
            effect.low_pct is not None
            and effect.high_pct is not None
            and effect.high_pct - effect.low_pct <= 2 * to_pct
            for scenario in self.scenarios.values()
            for effect in scenario.primaries.values()
        )


# -- JSON ------------------------------------------------------------------------------------------------------------------


def to_document(result: Result) -> Document:
    """The document of `result.json`."""
    return {
        "schema": result.schema,
        "run_id": result.run_id,
        "lab": result.lab,
        "target": result.target,
        "isolation": result.isolation,
        **({"emulated": result.emulated} if result.emulated is not None else {}),
        **({"pair_name": result.pair_name, "variant": result.variant} if result.pair_name is not None else {}),
        "plan": _plan_document(result.plan),
        "scenarios": {name: _scenario_document(scenario) for name, scenario in result.scenarios.items()},
    }


def from_document(document: Document, *, what: str = "result.json") -> Result:
    """The result decoded from the document of `result.json`; unknown keys are ignored.

    Raises OtherSchemaError for another schema, and BenchError with the path of an invalid value; `what` is the document's name in these
    messages.
    """
    return decode(_nested(document), Result, what=what, reads=READS)


def read_result(folder: RunFolder) -> Result:
    """The result stored in a run's folder. Raises BenchError when it cannot be read, and whatever from_document raises."""
    return from_document(folder.read_document(FILE), what=str(folder.path / FILE))


def write_result(folder: RunFolder, result: Result) -> None:
    """Writes the result into a run's folder."""
    folder.write_document(FILE, to_document(result))


_ONLY_WHEN_USED = ("crossover", "control", "until_pct", "max_iterations")
_NOT_WRITTEN = ("grounds",)  # of an effect: for the words only
_PERCENTILE_KEY = re.compile(r"(p\d+(?:_\d+)?)_us")


def _plan_document(plan: PlanSummary) -> Document:
    fields = {**fields_of(plan), "scenarios": list(plan.scenarios)}
    return {name: value for name, value in fields.items() if name not in _ONLY_WHEN_USED or value}


def _scenario_document(scenario: ScenarioResult) -> Document:
    document = {
        "arms": {arm: _arm_document(figures) for arm, figures in scenario.arms.items()},
        "effects": _effects_document(scenario.effects),
        "treatment": fields_of(scenario.treatment),
        "verdict": fields_of(scenario.verdict),
        "warnings": list(scenario.warnings),
    }
    if scenario.interface is not None:
        document["interface"] = fields_of(scenario.interface)
    if scenario.control is not None:
        document["control"] = {
            **fields_of(scenario.control),
            "effects": _effects_document(scenario.control.effects),
        }
    return document


def _arm_document(figures: ArmFigures) -> Document:
    return {
        "trials": figures.trials,
        "valid_trials": figures.valid_trials,
        "observations": figures.observations,
        **_latency_keys(figures.latencies),
        "sent": figures.sent,
        "received": figures.received,
        "dropped": figures.dropped,
        "loss_rate": figures.loss_rate,
        "loss_low": figures.loss_low,
        "loss_high": figures.loss_high,
        "throughput_gbps": figures.throughput_gbps,
        "measured_from": figures.measured_from,
        **({"service": _latency_keys(figures.service)} if figures.service else {}),
        "beyond_measurement": list(figures.beyond_measurement),
        "failed_attempts": figures.failed_attempts,
        "limits": None if figures.limits is None else list(figures.limits),
        **({"background_gbps": figures.background_gbps} if figures.has_background else {}),
    }


def _latency_keys(latencies: Latencies) -> dict[str, float | None]:
    percentiles = {f"{name}_us": value for name, value in latencies.percentiles_us.items()}
    return {"mean_us": latencies.mean_us, **percentiles, "max_us": latencies.max_us}


def _effects_document(effects: Mapping[Metric, Effect]) -> Document:
    return {
        metric: {name: value for name, value in fields_of(effect).items() if name not in _NOT_WRITTEN}
        for metric, effect in effects.items()
    }


def _nested(document: Document) -> Document:
    """The document with each arm's latencies nested in a member of their own, as in the types.

    Invalid parts stay as they are: decode refuses them.
    """
    scenarios = document.get("scenarios")
    if not isinstance(scenarios, dict):
        return document
    return {**document, "scenarios": {name: _nested_scenario(scenario) for name, scenario in scenarios.items()}}


def _nested_scenario(scenario: object) -> object:
    if not isinstance(scenario, dict):
        return scenario
    nested = dict(scenario)
    if isinstance(arms := scenario.get("arms"), dict):
        nested["arms"] = {arm: _nested_arm(figures) for arm, figures in arms.items()}
    return nested


def _nested_arm(figures: object) -> object:
    if not isinstance(figures, dict):
        return figures
    service = {"service": _nested_latencies(figures["service"])} if figures.get("service") is not None else {}
    return {
        **figures,
        "latencies": _nested_latencies(figures),
        "has_background": "background_gbps" in figures,
        **service,
    }


def _nested_latencies(figures: object) -> object:
    if not isinstance(figures, dict):
        return figures
    keys = [(matched[1], value) for key, value in figures.items() if (matched := _PERCENTILE_KEY.fullmatch(key))]
    return {**figures, "percentiles_us": dict(keys)}


def _us(ns: float) -> float:
    return round(ns / 1000, 6)
