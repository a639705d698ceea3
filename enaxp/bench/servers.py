"""Servers: the sockperf servers of a run, on the server host.

A probe's server lives as long as the run: one an arm, protocol and flow, UDP and TCP on the same ports. A bulk flow's server lives as
long as its trial, because what it received is only told when it ends, and a rate is what arrives, not what is sent.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from enaxp.bench.pair import Pair
from enaxp.bench.pinning import NOT_PINNED, Pinning, pinned
from enaxp.bench.schedule import BenchPlan, Trial, trial_seconds
from enaxp.bench.scripts import end_all_script, end_script, running_script, servers_script, split
from enaxp.errors import HostError
from enaxp.hosts.sockperf import received_by_server, server_command
from enaxp.traffic import ARMS, Arm, Protocol, Scenario

PORTS: Mapping[Arm, int] = {"ena": 11110, "ena_express": 11111}  # the guide's; each further flow has the next two
BULK_OFFSET = 200
LIFE_S = 600  # beyond the time of what it serves, a server ends by itself


def probe_port(trial: Trial, flow: int) -> int:
    """The port of a latency probe's server. Both sides of a control talk to ENA's."""
    return PORTS[trial.treated_as] + 2 * flow


def bulk_port(trial: Trial, flow: int) -> int:
    return probe_port(trial, flow) + BULK_OFFSET


def bulk_flows(scenario: Scenario) -> tuple[Protocol, int]:
    """The protocol and number of a scenario's bulk flows, be they what is measured or what runs beside it."""
    if scenario.is_rate:
        return scenario.protocol, scenario.flows
    return (scenario.background.protocol, scenario.background.flows) if scenario.background else (scenario.protocol, 0)


class Servers:
    """All servers of one run."""

    def __init__(self, pair: Pair, plan: BenchPlan, *, pinning: Pinning = NOT_PINNED) -> None:
        self._pair = pair
        self._plan = plan
        self._pinning = pinning

    def start_probes(self, *, homes: Mapping[Arm, Arm]) -> None:
        """Starts the servers of all latency probes, each on its arm's present interface. Those that are there already are ended first.

        Raises HostError with what sockperf said.
        """
        wanted = {
            (scenario.protocol, flow): scenario
            for scenario in sorted(
                self._plan.scenarios, key=lambda scenario: scenario.mode == "ping-pong"
            )  # the last counts
            if not scenario.is_rate
            for flow in range(scenario.flows)
        }
        trials = self._plan.most_iterations * (2 * self._plan.repeats + 1) * 2
        longest = max(trial_seconds(self._plan, scenario) for scenario in self._plan.scenarios)
        life_s = int(trials * len(self._plan.scenarios) * longest * 2 + LIFE_S)
        servers = {
            _name("probe", protocol, PORTS[arm] + 2 * flow): pinned(
                server_command(ip=self._ip(homes[arm]), port=PORTS[arm] + 2 * flow, protocol=protocol),
                self._pinning.server_cpus(wanted[protocol, flow], arm, flow),
            )
            for protocol, flow in sorted(wanted)
            for arm in ARMS
        }
        if servers:
            self._start(servers, life_s=life_s)

    def probes_run(self, trial: Trial) -> bool:
        """Whether the servers of a trial's probes still run. Raises HostError."""
        names = [
            _name("probe", trial.scenario.protocol, probe_port(trial, flow)) for flow in range(trial.scenario.flows)
        ]
        return self._pair.server.run(running_script(names), timeout_s=30).ok

    def start_bulk(self, trial: Trial) -> Sequence[str]:
        """Starts the servers of a trial's bulk flows and gives back their names. Raises HostError."""
        protocol, flows = bulk_flows(trial.scenario)
        beside = 0 if trial.scenario.is_rate else trial.scenario.flows
        servers = {
            _name("bulk", protocol, bulk_port(trial, flow)): pinned(
                server_command(ip=self._ip(trial.home), port=bulk_port(trial, flow), protocol=protocol),
                self._pinning.server_cpus(trial.scenario, trial.arm, beside + flow),
            )
            for flow in range(flows)
        }
        if servers:
            self._start(servers, life_s=int(trial_seconds(self._plan, trial.scenario) + LIFE_S))
        return tuple(servers)

    def end_bulk(self, names: Sequence[str]) -> int | None:
        """Ends these servers and gives back how many messages they received, all together; None when one does not say. Raises HostError."""
        if not names:
            return None
        parts = split(self._pair.server.check(end_script(names)), needed=[*names, "end"])
        received = [received_by_server(parts[name]) for name in names]
        known = [count for count in received if count is not None]
        return sum(known) if len(known) == len(received) else None

    def stop(self) -> None:
        """Ends all servers of this and of earlier runs. Raises HostError; but each also ends by itself after the time it was given."""
        self._pair.server.run(end_all_script("server"), timeout_s=30)

    def _ip(self, home: Arm) -> str:
        return self._pair.server.host.ip_of(home)

    def _start(self, servers: Mapping[str, Sequence[str]], *, life_s: int) -> None:
        answer = self._pair.server.run(servers_script(servers, life_s=life_s), timeout_s=60)
        if not answer.ok:
            said = (answer.stdout + answer.stderr).strip()[-400:] or f"exit {answer.exit_code}"
            todo = "if sockperf is missing, run `enaxp up` again; if the port is in use, end what uses it"
            raise HostError(f"starting on the server: {shlex.join(next(iter(servers.values())))}", said=said, todo=todo)


def _name(kind: str, protocol: Protocol, port: int) -> str:
    return f"server-{kind}-{protocol}-{port}"
