"""Pinning: on which core each sockperf of a run goes. Pure.

    plan, cores of both hosts ─▶ choose() ─▶ Pinning (or why not) ─▶ manifest.json
    Pinning, a trial's flow   ─▶ client_cpus(), server_cpus() ─▶ `taskset` before its argv, and the trial's record

Threads that are busy at the same time have a core each: a ping-pong and a bulk flow one, under-load two, a server one, and both arms
their own when they run at once. A scenario that takes more cores than there are is not pinned, the others are. On one computer, where
both hosts share the cores, a ping-pong stays on one with its server: what passes between them then never waits for another core to
wake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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

    def fits(self, scenario: Scenario) -> bool:
        """Whether it is pinned: all of its busy threads have a core, on both hosts."""
        if self.together:
            return scenario.is_idle and bool(self.cpus)
        return bool(self.cpus) and all(self.needed([scenario], role) <= len(cpus) for role, cpus in self.cpus.items())

    def needed(self, scenarios: Sequence[Scenario], role: str) -> int:
        """How many cores the busiest of these scenarios takes on a host."""
        return (2 if self.apart else 1) * max((_busy_threads(scenario, role) for scenario in scenarios), default=0)

    def _given(self, role: str, scenario: Scenario, arm: Arm, *, first: int, many: int) -> tuple[int, ...]:
        if not self.fits(scenario):
            return ()
        cpus = self.cpus.get(role, ())
        if self.together:
            return cpus[:1]
        first += ARMS.index(arm) * (len(cpus) // 2) if self.apart else 0
        return cpus[first : first + many]


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
    if on_one_computer and plan.cpus == AUTO:
        return _together(plan, hosts)
    asked = tuple(int(number) for number in plan.cpus.split(",")) if plan.cpus != AUTO else ()
    found = {role: asked or cpus.free for role, cpus in hosts.items()}
    for role, cpus in hosts.items():
        if missing := [str(cpu) for cpu in found[role] if cpu not in cpus.allowed]:
            return NOT_PINNED, f"sockperf is not pinned to cores: the {role} has no core {', '.join(missing)}"
    pinning = Pinning(cpus=found, apart=plan.order == "parallel")
    fitting = [scenario for scenario in plan.scenarios if pinning.fits(scenario)]
    left_out = [scenario for scenario in plan.scenarios if scenario not in fitting]
    note = _too_few(left_out, pinning) if left_out else ""
    given = {role: cpus[: pinning.needed(fitting, role)] for role, cpus in found.items()}
    return (replace(pinning, cpus=given) if fitting else NOT_PINNED), note


def _together(plan: BenchPlan, hosts: Mapping[str, HostCpus]) -> tuple[Pinning, str]:
    """The last core for all of a ping-pong, where both hosts are one computer."""
    if plan.order == "parallel":
        return NOT_PINNED, "sockperf is not pinned to cores: both arms run at once on one computer"
    pinning = Pinning(cpus={role: cpus.allowed[-1:] for role, cpus in hosts.items()}, together=True)
    return (pinning, "") if any(map(pinning.fits, plan.scenarios)) else (NOT_PINNED, "")


def _too_few(left_out: Sequence[Scenario], pinning: Pinning) -> str:
    told = [
        f"{most} cores are needed on the {role}, {len(cpus)} are free of the NIC's interrupts"
        for role, cpus in pinning.cpus.items()
        if (most := pinning.needed(left_out, role)) > len(cpus)
    ]
    return f"sockperf is not pinned to cores in {', '.join(scenario.name for scenario in left_out)}: {'; '.join(told)}"


def _busy_threads(scenario: Scenario, role: str) -> int:
    """Of a scenario that is measured once, on a host."""
    beside = scenario.background.flows if scenario.background else 0
    return scenario.flows * (threads(scenario) if role == "client" else 1) + beside


def pinned(argv: Sequence[str], cpus: Sequence[int]) -> list[str]:
    """The argv of a sockperf on these cores; as it is without any."""
    if not cpus:
        return list(argv)
    threads_of = ["--sender-affinity", str(cpus[0]), "--receiver-affinity", str(cpus[1])] if len(cpus) > 1 else []
    return ["taskset", "-c", ",".join(map(str, cpus)), *argv, *threads_of]
