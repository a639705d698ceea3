"""Servers: the sockperf servers of a run, on the server host.

A latency probe's server runs for the whole run: one per arm, protocol and flow, UDP and TCP on the same ports. A bulk flow's server runs
for one trial, because sockperf prints what it received only when it ends, and throughput is what arrives, not what is sent. A probe whose
socket options differ from those of the other scenarios also has a server per trial.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from enaxp.bench.measuring.pair import Pair
from enaxp.bench.measuring.scripts import end_all_script, end_script, running_script, servers_script, split
from enaxp.bench.planning.pinning import NOT_PINNED, Pinning, pinned
from enaxp.bench.planning.schedule import PORTS, BenchPlan, Trial, trial_seconds
from enaxp.errors import HostError
from enaxp.hosts.sockperf import SocketOptions, receive_buffer, received_by_server, server_command
from enaxp.traffic import TOGGLED_HOME, Arm, Protocol, Scenario

BULK_OFFSET, OWN_OFFSET = 200, 400
LIFE_S = 600  # beyond the time of what it serves, a server ends by itself


def probe_port(trial: Trial, flow: int) -> int:
    """The port of a latency probe's server."""
    return _port(trial, flow) + (OWN_OFFSET if trial.scenario.has_own_sockets else 0)


def bulk_port(trial: Trial, flow: int) -> int:
    return _port(trial, flow) + BULK_OFFSET


def _port(trial: Trial, flow: int) -> int:
    """The port of one measured flow's server. Each arm has its own ports, as has each pair of interfaces in a control; in order `toggled`
    both arms share them."""
    return PORTS[trial.home if trial.control or trial.toggled else trial.arm] + 2 * flow


def server_ports(plan: BenchPlan) -> dict[Protocol, list[int]]:
    """The ports of all servers of a toggled plan, by protocol: both arms have the same."""
    ports: dict[Protocol, set[int]] = {}
    for scenario in plan.scenarios:
        trial = Trial(number=0, iteration=0, repeat=0, position=1, scenario=scenario, arm=TOGGLED_HOME, toggled=True)
        port_of = bulk_port if scenario.is_rate else probe_port
        ports.setdefault(scenario.protocol, set()).update(port_of(trial, flow) for flow in range(scenario.flows))
        if scenario.background is not None:
            beside = scenario.background
            ports.setdefault(beside.protocol, set()).update(bulk_port(trial, flow) for flow in range(beside.flows))
    return {protocol: sorted(numbers) for protocol, numbers in ports.items()}


def sockets_of(scenario: Scenario) -> SocketOptions:
    """The socket options of the measured flows, on both ends."""
    return SocketOptions(buffer_size=scenario.buffer_size, busy_poll_us=scenario.busy_poll_us)


@dataclass(frozen=True, kw_only=True)
class OfTheTrial:
    """The servers that run for one trial, by name."""

    bulk: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What the servers of a trial printed when they ended. received: the total number of messages of the bulk flows' servers; None if one
    does not report it.

    probe_had_ended: whether a probe's server had ended before it was told to. receive_buffer: the smallest receive buffer granted, in
    bytes.
    """

    received: int | None = None
    probe_had_ended: bool = False
    receive_buffer: int | None = None


class Servers:
    """All servers of one run."""

    def __init__(self, pair: Pair, plan: BenchPlan, *, pinning: Pinning = NOT_PINNED) -> None:
        self._pair = pair
        self._plan = plan
        self._pinning = pinning

    def start_probes(self, *, homes: Mapping[Arm, Arm]) -> None:
        """Starts the servers of all latency probes of these arms, each on its arm's current interface. Servers already running are ended
        first.

        Raises HostError with sockperf's message.
        """
        shared = [one for one in self._plan.scenarios if not one.is_rate and not one.has_own_sockets]
        wanted = {
            (scenario.protocol, flow): scenario
            for scenario in sorted(shared, key=lambda scenario: scenario.facts.waits_for_reply)  # the last counts
            for flow in range(scenario.flows)
        }
        trials = self._plan.most_iterations * self._plan.pairs_per_iteration * 2
        longest = max(trial_seconds(self._plan, scenario) for scenario in self._plan.scenarios)
        life_s = int(trials * len(self._plan.scenarios) * longest * 2 + LIFE_S)
        servers = {
            _name("probe", protocol, PORTS[arm] + 2 * flow): pinned(
                server_command(
                    ip=self._ip(homes[arm]),
                    port=PORTS[arm] + 2 * flow,
                    protocol=protocol,
                    message_size=max(one.message_size for one in shared if one.protocol == protocol),
                ),
                self._pinning.server_cpus(wanted[protocol, flow], arm, flow),
            )
            for protocol, flow in sorted(wanted)
            for arm in homes
        }
        if servers:
            self._start(servers, life_s=life_s)

    def probes_run(self, trial: Trial) -> bool:
        """Whether the servers of this trial's probes are still running. Raises HostError."""
        names = [
            _name("probe", trial.scenario.protocol, probe_port(trial, flow)) for flow in range(trial.scenario.flows)
        ]
        return self._pair.server.run(running_script(names), timeout_s=30).ok

    def start_own(self, trial: Trial) -> OfTheTrial:
        """Starts the servers that run for this trial only. Raises HostError."""
        bulk, probes = self._bulk(trial), self._own_probes(trial)
        if servers := bulk | probes:
            self._start(servers, life_s=int(trial_seconds(self._plan, trial.scenario) + LIFE_S))
        return OfTheTrial(bulk=tuple(bulk), probes=tuple(probes))

    def end_own(self, servers: OfTheTrial) -> Ended:
        """Ends the servers of a trial and returns what they printed. Raises HostError."""
        names = [*servers.bulk, *servers.probes]
        if not names:
            return Ended()
        parts = split(self._pair.server.check(end_script(names)), needed=[*names, "end"])
        received = {name: received_by_server(parts[name]) for name in names}
        bulk = [count for name in servers.bulk if (count := received[name]) is not None]
        return Ended(
            received=sum(bulk) if servers.bulk and len(bulk) == len(servers.bulk) else None,
            probe_had_ended=any(received[name] is None for name in servers.probes),
            receive_buffer=min(filter(None, (receive_buffer(parts[name]) for name in names)), default=None),
        )

    def _bulk(self, trial: Trial) -> dict[str, list[str]]:
        """The servers of the bulk flows, whether they are measured or background."""
        scenario, beside = trial.scenario, trial.scenario.background
        if scenario.is_rate:
            return self._measured(trial, "bulk", bulk_port)
        if beside is None:
            return {}
        return {
            _name("bulk", beside.protocol, port): pinned(
                server_command(
                    ip=self._ip(trial.home), port=port, protocol=beside.protocol, message_size=beside.message_size
                ),
                self._pinning.server_cpus(scenario, trial.arm, scenario.flows + flow),
            )
            for flow in range(beside.flows)
            if (port := bulk_port(trial, flow))
        }

    def _own_probes(self, trial: Trial) -> dict[str, list[str]]:
        """The servers of probes whose socket options differ from those of other scenarios."""
        scenario = trial.scenario
        return {} if scenario.is_rate or not scenario.has_own_sockets else self._measured(trial, "probe", probe_port)

    def _measured(self, trial: Trial, kind: str, port_of: Callable[[Trial, int], int]) -> dict[str, list[str]]:
        """The servers of the measured flows."""
        scenario = trial.scenario
        return {
            _name(kind, scenario.protocol, port): pinned(
                server_command(
                    ip=self._ip(trial.home),
                    port=port,
                    protocol=scenario.protocol,
                    message_size=scenario.message_size,
                    sockets=sockets_of(scenario),
                ),
                self._pinning.server_cpus(scenario, trial.arm, flow),
            )
            for flow in range(scenario.flows)
            if (port := port_of(trial, flow))
        }

    def stop(self) -> None:
        """Ends all servers of this and of earlier runs. Raises HostError. (A server that is not reached ends by itself after its time
        limit.)"""
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
