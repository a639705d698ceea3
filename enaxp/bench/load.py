"""Load: how fast the bulk flows beside a probe are sent, so that they take a share of what the hosts carry.

    plan + baseline (of AWS, or measured) ─▶ with_bulk_rates ─▶ plan whose bulk flows have a rate

Flows without a limit would fill the instance's own allowance: a shaper that no multipath can avoid, and so the wrong thing to measure
SRD by. The rate is fixed once, before the first trial, and is the same for both arms.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

from enaxp.bench.pair import Pair, Probes
from enaxp.bench.schedule import BenchPlan, Trial
from enaxp.bench.servers import Servers
from enaxp.bench.trial import Measurer
from enaxp.errors import BenchError
from enaxp.traffic import Background, Scenario

Baseline = Callable[[Background], float]  # 10⁹ bit/s that such flows carry together
MEASURED_TRIALS, MEASURED_S = 3, 1.0


def with_bulk_rates(plan: BenchPlan, baseline_gbps: Baseline) -> BenchPlan:
    """The plan, its bulk flows sent at their share of the baseline."""
    return replace(plan, scenarios=tuple(_with_rate(scenario, baseline_gbps) for scenario in plan.scenarios))


def bulk_rate(background: Background, baseline_gbps: float) -> int:
    """The messages a second of each flow, with which all of them together take their share of the baseline; at least one."""
    bytes_a_second = (background.share or 1.0) * baseline_gbps * 1e9 / 8
    return max(1, round(bytes_a_second / background.message_size / background.flows))


def measured_baseline(pair: Pair, plan: BenchPlan, probes: Probes) -> Baseline:
    """What measures, with three short trials of ENA, how much bulk flows carry when nothing holds them back."""
    short = replace(plan, duration_s=MEASURED_S)
    measurer = Measurer(pair, short, servers=Servers(pair, short), probes=probes)

    def baseline_gbps(background: Background) -> float:
        scenario = Scenario(
            name="baseline",
            mode="throughput",
            protocol=background.protocol,
            message_size=background.message_size,
            csv_name="baseline",
            flows=background.flows,
        )
        trials = [
            Trial(
                number=0,
                iteration=0,
                repeat=repeat,
                position=1,
                scenario=scenario,
                arm="ena",
                toggled=plan.is_toggled,
            )
            for repeat in range(MEASURED_TRIALS)
        ]
        records = [measurer.measure(trial, attempt=1).record for trial in trials]
        rates = [record.throughput_gbps for record in records if record.throughput_gbps]
        if not rates:
            raise BenchError(
                "what the bulk flows of a scenario carry could not be measured",
                said=records[-1].reason or "nothing of them arrived",
                todo="give the scenario's background `share: null` to send as much as goes through",
            )
        return statistics.median(rates)

    return baseline_gbps


def _with_rate(scenario: Scenario, baseline_gbps: Baseline) -> Scenario:
    background = scenario.background
    if background is None or background.share is None:
        return scenario
    return replace(scenario, background=replace(background, rate=bulk_rate(background, baseline_gbps(background))))
