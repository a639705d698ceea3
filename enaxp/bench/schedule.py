"""Schedule: which trial runs when. Pure, and decided by its plan alone: the same plan gives the same trials.

    Plan (with its seed) ─▶ schedule ─▶ (Trial, Trial, …) in the order they run ─▶ pairs ─▶ the runner

An iteration holds, for each scenario, one discarded pair (connections, ARP, clock frequency) and then `repeats` pairs. Whether ENA
or ENA Express goes first alternates by a seeded shuffle with equal counts, so that a slow drift of the machines falls on both arms.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from enaxp.hosts.sockperf import OVERHEAD_S, Protocol, RunMode

Arm = Literal["ena", "ena_express"]
Order = Literal["interleaved", "parallel"]
ARMS: tuple[Arm, Arm] = ("ena", "ena_express")


@dataclass(frozen=True, kw_only=True)
class Background:
    """Bulk flows that run beside a latency probe."""

    protocol: Protocol
    flows: int
    message_size: int


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What traffic: one kind of trial. `rate` is in messages a second; `message_size` in bytes."""

    name: str
    mode: RunMode
    protocol: Protocol
    message_size: int
    csv_name: str
    rate: int | Literal["max"] | None = None
    reply_every: int | None = None
    flows: int = 1
    background: Background | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing but the probe itself is on the wire: then no allowance of the instance may be exceeded."""
        return self.mode == "ping-pong" and self.background is None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Scenario:
        background = fields.get("background")
        return cls(**{**fields, "background": Background(**background) if background else None})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured, how often and in which order, fixed beforehand. `margin_pct` is the smallest difference of practical interest."""

    iterations: int
    repeats: int
    duration_s: float
    order: Order
    seed: int
    margin_pct: float
    scenarios: tuple[Scenario, ...]

    def scenario(self, name: str) -> Scenario:
        """The scenario of that name. Raises KeyError."""
        return {scenario.name: scenario for scenario in self.scenarios}[name]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Plan:
        return cls(**{**fields, "scenarios": tuple(map(Scenario.from_json, fields["scenarios"]))})


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One sockperf run of one arm. `number` counts from 1 in the order of running; `repeat` 0 is the discarded pair."""

    number: int
    iteration: int
    repeat: int
    position: Literal[1, 2]  # within its pair
    scenario: Scenario
    arm: Arm

    @property
    def discarded(self) -> bool:
        return self.repeat == 0


def schedule(plan: Plan) -> tuple[Trial, ...]:
    """Every trial of the plan in the order it runs. A pair stands together; in order `parallel` its two trials run at once."""
    numbers = itertools.count(1)
    return tuple(
        Trial(number=next(numbers), iteration=iteration, repeat=repeat, position=position, scenario=scenario, arm=arm)
        for iteration in range(1, plan.iterations + 1)
        for scenario in plan.scenarios
        for repeat, first in enumerate(_first_arms(plan, iteration=iteration, scenario=scenario))
        for position, arm in _both(first)
    )


def pairs(trials: Iterable[Trial]) -> Iterator[tuple[Trial, Trial]]:
    """The trials of a schedule two by two, each pair as it runs."""
    one_by_one = iter(trials)
    return zip(one_by_one, one_by_one, strict=True)


def seconds(plan: Plan) -> float:
    """Estimated wall time of the whole plan in s, without connecting and set-up: sockperf knows whole seconds, and adds its own."""
    in_turn = 1 if plan.order == "parallel" else 2
    pair_count = plan.iterations * (plan.repeats + 1) * len(plan.scenarios)
    return pair_count * in_turn * (math.ceil(plan.duration_s) + OVERHEAD_S)


def _first_arms(plan: Plan, *, iteration: int, scenario: Scenario) -> list[Arm]:
    """The arm that goes first in each pair of one iteration, the discarded pair before the others."""
    # A generator of its own for each block: a block does not depend on what ran before it.
    shuffled = random.Random(f"{plan.seed}/{iteration}/{scenario.name}")
    firsts: list[Arm] = [ARMS[repeat % 2] for repeat in range(plan.repeats)]
    if plan.repeats % 2 and iteration % 2 == 0:  # an odd count leaves one over: to either arm in turn
        firsts[-1] = "ena_express"
    shuffled.shuffle(firsts)
    return [shuffled.choice(ARMS), *firsts]


def _both(first: Arm) -> tuple[tuple[Literal[1], Arm], tuple[Literal[2], Arm]]:
    return (1, first), (2, "ena_express" if first == "ena" else "ena")
