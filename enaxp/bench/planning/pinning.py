"""Pinning: which core each sockperf process of a run is pinned to. Pure.

    plan, cores of both hosts ─▶ choose() ─▶ Pinning (or why not) ─▶ manifest.json
    Pinning, a trial's flow   ─▶ client_cpus(), server_cpus() ─▶ `taskset` before its argv, and the trial's record

Threads that are busy at the same time get a core each: one for a ping-pong, a bulk flow or a server, two for under-load, and separate
ones for the two arms when they run at once. A scenario that needs more cores than there are is not pinned; the others are. When both
hosts are one computer, a ping-pong and its server share a core: a message then never waits for another core to wake up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from enaxp.bench.planning.schedule import BenchPlan, Trial
from enaxp.hosts.cpus import HostCpus
from enaxp.traffic import ARMS, Arm, Scenario

CpusOf = Mapping[str, tuple[int, ...]]  # by role
AUTO, NONE = "auto", "none"


@dataclass(frozen=True, kw_only=True)
class Pinning:
    """The cores of each role, in the order of assignment; empty means not pinned. together: client and server of a ping-pong share the
    first core."""

    cpus: CpusOf
    together: bool = False
    apart: bool = False  # each arm has separate cores

    def client_cpus(self, trial: Trial, flow: int) -> tuple[int, ...]:
        """The client cores of a measured flow: the sender's and, under load, the receiver's."""
        width = trial.scenario.facts.threads
        return self._given("client", trial.scenario, trial.arm, first=flow * width, many=width)

    def bulk_cpus(self, trial: Trial, flow: int) -> tuple[int, ...]:
        """The client core of a background flow."""
        scenario = trial.scenario
        return self._given("client", scenario, trial.arm, first=scenario.flows * scenario.facts.threads + flow, many=1)

    def server_cpus(self, scenario: Scenario, arm: Arm, flow: int) -> tuple[int, ...]:
        """The server core of a measured flow; background flows use the cores after it."""
        return self._given("server", scenario, arm, first=flow, many=1)

    def fits(self, scenario: Scenario) -> bool:
        """Whether the scenario is pinned: there are enough cores for its busy threads, on both hosts."""
        if self.together:
            return scenario.is_idle and bool(self.cpus)
        return bool(self.cpus) and all(self.needed([scenario], role) <= len(cpus) for role, cpus in self.cpus.items())

    def needed(self, scenarios: Sequence[Scenario], role: str) -> int:
        """The number of cores that the busiest of these scenarios needs on a host."""
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


def choose(plan: BenchPlan, hosts: Mapping[str, HostCpus], *, on_one_computer: bool) -> tuple[Pinning, str]:
    """The pinning of a plan, and a message for the user; empty if the pinning is as requested."""
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
    """The pinning where both hosts are one computer: client and server of a ping-pong on the last core."""
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
    """The number of busy threads of one trial of a scenario, on one host."""
    beside = scenario.background.flows if scenario.background else 0
    return scenario.flows * (scenario.facts.threads if role == "client" else 1) + beside


def pinned(argv: Sequence[str], cpus: Sequence[int]) -> list[str]:
    """The argv of a sockperf process pinned to these cores; unchanged if there are none."""
    if not cpus:
        return list(argv)
    threads_of = ["--sender-affinity", str(cpus[0]), "--receiver-affinity", str(cpus[1])] if len(cpus) > 1 else []
    return ["taskset", "-c", ",".join(map(str, cpus)), *argv, *threads_of]
