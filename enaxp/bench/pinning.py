"""Pinning: on which core each sockperf of a run goes. Pure.

    plan, cores of both hosts ─▶ choose() ─▶ Pinning (or why not) ─▶ manifest.json
    Pinning, a trial's flow   ─▶ client_cpus(), server_cpus() ─▶ `taskset` before its argv, and the trial's record

Threads that are busy at the same time have a core each: a ping-pong and a bulk flow one, under-load two, a server one, and both arms
their own when they run at once. On one computer, where both hosts share the cores, a ping-pong stays on one with its server: what
passes between them then never waits for another core to wake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enaxp.bench.schedule import BenchPlan, Trial
from enaxp.hosts.cpus import HostCpus
from enaxp.traffic import ARMS, Arm, Scenario

CpusOf = Mapping[str, tuple[int, ...]]  # by role
AUTO, NONE = "auto", "none"


@dataclass(frozen=True, kw_only=True)
class Pinning:
    """The cores of each role, in the order in which they are given out; none: not pinned. together: all of a ping-pong on the first."""

    cpus: CpusOf
    together: bool = False
    apart: bool = False  # each arm has cores of its own

    def client_cpus(self, trial: Trial, flow: int) -> tuple[int, ...]:
        """Of a measured flow: of the sender and, under load, of the receiver."""
        width = threads(trial.scenario)
        return self._given("client", trial.scenario, trial.arm, first=flow * width, many=width)

    def bulk_cpus(self, trial: Trial, flow: int) -> tuple[int, ...]:
        """Of a bulk flow beside a probe, on the client."""
        scenario = trial.scenario
        return self._given("client", scenario, trial.arm, first=scenario.flows * threads(scenario) + flow, many=1)

    def server_cpus(self, scenario: Scenario, arm: Arm, flow: int) -> tuple[int, ...]:
        """Of the server of a measured flow; those of bulk flows beside a probe are counted on from there."""
        return self._given("server", scenario, arm, first=flow, many=1)

    def _given(self, role: str, scenario: Scenario, arm: Arm, *, first: int, many: int) -> tuple[int, ...]:
        cpus = self.cpus.get(role, ())
        if self.together:
            return cpus[:1] if scenario.mode == "ping-pong" and scenario.background is None else ()
        first += ARMS.index(arm) * (len(cpus) // 2) if self.apart else 0
        return cpus[first : first + many] if first + many <= len(cpus) else ()


NOT_PINNED = Pinning(cpus={})


def threads(scenario: Scenario) -> int:
    """Busy threads of one flow's client."""
    return 2 if scenario.mode == "under-load" else 1


def choose(plan: BenchPlan, hosts: Mapping[str, HostCpus], *, on_one_computer: bool) -> tuple[Pinning, str]:
    """The pinning of a plan, and what to tell the user: nothing where it is as wanted."""
    if plan.cpus == NONE:
        return NOT_PINNED, ""
    if unable := [role for role, cpus in hosts.items() if not cpus.can_pin]:
        return NOT_PINNED, f"sockperf is not pinned to cores: there is no taskset on the {' and '.join(unable)}"
    asked = tuple(int(number) for number in plan.cpus.split(",")) if plan.cpus != AUTO else ()
    if on_one_computer and not asked:
        last = {role: cpus.allowed[-1:] for role, cpus in hosts.items()}
        return (
            (Pinning(cpus=last, together=True), "")
            if plan.order != "parallel" and all(last.values())
            else (NOT_PINNED, "")
        )
    at_once = 2 if plan.order == "parallel" else 1
    given: dict[str, tuple[int, ...]] = {}
    for role, cpus in hosts.items():
        free, need = asked or cpus.free, at_once * needed(plan.scenarios, role)
        if len(free) < need or not set(free[:need]) <= set(cpus.allowed):
            said = f"{need} cores are needed on the {role}, {len(free)} are free of the NIC's interrupts"
            return NOT_PINNED, f"sockperf is not pinned to cores: {said}"
        given[role] = free[:need]
    return Pinning(cpus=given, apart=at_once > 1), ""


def needed(scenarios: Sequence[Scenario], role: str) -> int:
    """How many cores the busiest scenario takes on a host."""
    return max(
        scenario.flows * (threads(scenario) if role == "client" else 1)
        + (scenario.background.flows if scenario.background else 0)
        for scenario in scenarios
    )


def pinned(argv: Sequence[str], cpus: Sequence[int]) -> list[str]:
    """The argv of a sockperf on these cores; as it is without any."""
    if not cpus:
        return list(argv)
    threads_of = ["--sender-affinity", str(cpus[0]), "--receiver-affinity", str(cpus[1])] if len(cpus) > 1 else []
    return ["taskset", "-c", ",".join(map(str, cpus)), *argv, *threads_of]
