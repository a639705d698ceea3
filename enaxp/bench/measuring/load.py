"""Load: the send rate of the background flows, so that they use a given share of the hosts' baseline bandwidth.

    plan + baseline bandwidth (AWS's, or measured) ─▶ with_bulk_rates ─▶ plan whose bulk flows have a rate

Unlimited flows would exhaust the instance's bandwidth allowance: a traffic shaper that multipath routing cannot avoid, so SRD could not
help. The rate is fixed once, before the first trial, and is the same for both arms.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

from enaxp.bench.measuring.pair import Pair, Probes
from enaxp.bench.measuring.servers import Servers
from enaxp.bench.measuring.trial import CLIENT_PORTS, Measurer
from enaxp.bench.planning.schedule import BenchPlan, Trial
from enaxp.errors import BenchError
from enaxp.traffic import Background, Scenario

Baseline = Callable[[Background], float]  # 10⁹ bit/s that such flows carry together
MEASURED_TRIALS, MEASURED_S = 3, 1.0
# Of the client, counted from FIRST_CLIENT_PORT, where the run's trials begin: a TCP port stays taken for a minute after its flow has ended.
FIRST_PORT = CLIENT_PORTS // 2


def with_bulk_rates(plan: BenchPlan, baseline_gbps: Baseline) -> BenchPlan:
    """The plan with a rate for each background flow: its share of the baseline bandwidth."""
    return replace(plan, scenarios=tuple(_with_rate(scenario, baseline_gbps) for scenario in plan.scenarios))


def bulk_rate(background: Background, baseline_gbps: float) -> int:
    """Messages per second of each background flow, so that together they use their share of the baseline; at least 1."""
    bytes_a_second = (background.share or 1.0) * baseline_gbps * 1e9 / 8
    return max(1, round(bytes_a_second / background.message_size / background.flows))


def measured_baseline(pair: Pair, plan: BenchPlan, probes: Probes) -> Baseline:
    """A function that measures the bandwidth of unlimited bulk flows, with three short trials over ENA."""
    short = replace(plan, duration_s=MEASURED_S)
    measurer = Measurer(pair, short, servers=Servers(pair, short), probes=probes, first_port=FIRST_PORT)

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
                todo="give the scenario's background `share: null` to send without a limit",
            )
        return statistics.median(rates)

    return baseline_gbps


def _with_rate(scenario: Scenario, baseline_gbps: Baseline) -> Scenario:
    background = scenario.background
    if background is None or background.share is None:
        return scenario
    return replace(scenario, background=replace(background, rate=bulk_rate(background, baseline_gbps(background))))
