"""Schedule: the order of all trials. Pure and deterministic: the same plan (with its seed) gives the same trials.

    Plan (with its seed) ─▶ schedule ─▶ (Trial, Trial, …) in running order ─▶ pairs ─▶ the runner

An iteration holds, for each scenario, one discarded pair (connections, ARP, clock frequency) and then `repeats` pairs. Whether ENA
or ENA Express goes first alternates by a seeded shuffle with equal counts, so that a slow drift of the machines falls on both arms.

With `crossover`, the two pairs of interfaces swap their arms after half of the iterations, so that a difference between the interfaces
is not taken for one of SRD. In order `toggled` there is only one pair of interfaces: in each iteration all trials of one arm of a
scenario come before all of the other arm's, and SRD is switched in between. For every two iterations it is drawn in which of them which
arm comes first (each arm once), so that a drift affects both alike. With `control`, the same number of pairs follows at the end, the
first interfaces against the second ones with SRD off on both: their difference is that of the interfaces themselves. (Earlier versions
measured a control of the first interfaces against themselves, after the pairs of each iteration; a run that began so is resumed so.)
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from enaxp.hosts.sockperf import OVERHEAD_S
from enaxp.traffic import ARMS, TOGGLED_HOME, Arm, Order, Scenario, SrdOn, other, toggled_srd

# What a control holds against each other: both pairs of interfaces, with SRD off; in runs of earlier versions the first pair and itself.
ControlBetween = Literal["interfaces", "repeats"]

# The port of each arm's sockperf server, as in AWS's guide; each further flow uses the next two.
PORTS: Mapping[Arm, int] = {"ena": 11110, "ena_express": 11111}

# Beyond a trial's own time: the bulk flows are given a head start, and a server of its own is started and ended.
BULK_LEAD_S = 0.5
BULK_SET_UP_S = 1.0
TOGGLE_S = 6.0  # until a switch has reached the devices, and the pause after it


@dataclass(frozen=True, kw_only=True)
class BenchPlan:
    """The plan of a bench: what is measured, how often and in which order, fixed in advance. `margin_pct`: the smallest difference of
    practical interest.

    crossover: whether the interfaces swap arms half way; not_crossed_because: why not, in words. until_pct: the run continues beyond
    `iterations` until the half width of each primary metric's interval is at most this, or `max_iterations` are done.
    """

    iterations: Annotated[int, Meta(ge=1, le=10_000)]
    repeats: Annotated[int, Meta(ge=1, le=10_000)]
    duration_s: Annotated[float, Meta(gt=0, le=3600)]
    order: Order
    seed: int
    margin_pct: float
    scenarios: Annotated[tuple[Scenario, ...], Meta(min_length=1, max_length=1000)]
    crossover: bool = False
    not_crossed_because: str = ""
    control: bool = False
    control_between: ControlBetween = "repeats"  # as a plan has it that does not say
    until_pct: float | None = None
    max_iterations: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    cpus: Annotated[str, Meta(pattern=r"^(auto|none|\d{1,4}(,\d{1,4})*)$")] = (
        "none"  # or numbers: the cores that sockperf is pinned to
    )

    @property
    def most_iterations(self) -> int:
        """The largest number of iterations that the run may have."""
        return max(self.iterations, self.max_iterations or 0) if self.until_pct is not None else self.iterations

    @property
    def has_control_phase(self) -> bool:
        """Whether a control of the first interfaces against the second ones follows after the arms."""
        return self.control and self.control_between == "interfaces"

    @property
    def moves_srd(self) -> bool:
        """Whether the bench temporarily moves SRD away from the interfaces to which `up` gave it."""
        return self.crossover or self.has_control_phase or self.is_toggled

    @property
    def is_toggled(self) -> bool:
        """Whether both arms use the same interfaces, on which SRD is switched on and off during the run."""
        return self.order == "toggled"

    @property
    def pairs_per_iteration(self) -> int:
        """The number of pairs of trials per scenario in an iteration, including discarded pairs and those of a control."""
        control = 0 if not self.control else self.repeats + 1 if self.has_control_phase else self.repeats
        return self.repeats + 1 + control

    def scenario(self, name: str) -> Scenario:
        """The scenario with this name. Raises KeyError."""
        return {scenario.name: scenario for scenario in self.scenarios}[name]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One sockperf run of one arm. `number` counts from 1 in running order; `repeat` 0 is the discarded pair.

    `srd_on`: which interfaces have SRD. `control`: the trial belongs to a control pair (ENA against ENA); if SRD is on for none, `arm`
    says which arm's interfaces carry it, otherwise `arm` is only a label. toggled: both arms use the same interfaces, and `position` is
    the arm's place within the iteration.
    """

    number: int
    iteration: int
    repeat: int
    position: Literal[1, 2]  # within its pair
    scenario: Scenario
    arm: Arm
    control: bool = False
    srd_on: SrdOn = "second"
    toggled: bool = False

    @property
    def discarded(self) -> bool:
        return self.repeat == 0

    @property
    def treated_as(self) -> Arm:
        """The arm as which the trial is measured: ENA for both sides of a control."""
        return "ena" if self.control else self.arm

    @property
    def home(self) -> Arm:
        """The arm whose interfaces carry the trial."""
        if self.toggled:
            return TOGGLED_HOME
        if self.srd_on == "none":
            return self.arm
        return other(self.treated_as) if self.srd_on == "first" else self.treated_as

    @property
    def crossed(self) -> bool:
        """Whether the trial runs over the interfaces of another arm than `treated_as`."""
        return not self.toggled and self.home != self.treated_as


class _Place(NamedTuple):
    """A trial before it is numbered."""

    iteration: int
    scenario: Scenario
    control: bool
    repeat: int
    position: Literal[1, 2]
    arm: Arm
    srd_on: SrdOn


def schedule(plan: BenchPlan) -> tuple[Trial, ...]:
    """Every trial of the plan in the order it runs.

    The two trials of a pair are adjacent; in order `parallel` they run at once. In order `toggled` an arm's trials are adjacent.
    """
    places = _toggled(plan) if plan.is_toggled else itertools.chain(_arms(plan), _control_phase(plan))
    return tuple(
        Trial(number=number, toggled=plan.is_toggled, **place._asdict()) for number, place in enumerate(places, start=1)
    )


def pairs(trials: Iterable[Trial]) -> Iterator[tuple[Trial, Trial]]:
    """The trials of a schedule in pairs, in running order."""
    one_by_one = iter(trials)
    return zip(one_by_one, one_by_one, strict=True)


def units(plan: BenchPlan, trials: Iterable[Trial]) -> Iterator[tuple[Trial, ...]]:
    """The units that are run, and repeated, together: the pairs of a schedule, or in order `toggled` single trials."""
    return ((trial,) for trial in trials) if plan.is_toggled else pairs(trials)


def seconds(plan: BenchPlan) -> float:
    """Estimated wall time of the whole plan in s, without connecting, set-up, and the iterations that `until_pct` may add."""
    in_turn = 1 if plan.order == "parallel" else 2
    pair_count = plan.iterations * plan.pairs_per_iteration
    switches = 1.5 * plan.iterations * len(plan.scenarios) if plan.is_toggled else 0
    return switches * TOGGLE_S + pair_count * in_turn * sum(
        trial_seconds(plan, scenario) for scenario in plan.scenarios
    )


def trial_seconds(plan: BenchPlan, scenario: Scenario) -> float:
    """Estimated wall time of one trial in s: the duration in whole seconds, plus sockperf's own overhead."""
    bulk = scenario.is_rate or scenario.background is not None
    lead = BULK_LEAD_S if scenario.background else 0
    return math.ceil(plan.duration_s) + OVERHEAD_S + lead + (BULK_SET_UP_S if bulk else 0)


def _toggled(plan: BenchPlan) -> Iterator[_Place]:
    """The trials in order `toggled`: in each iteration all trials of one arm of a scenario, then all of the other arm's."""
    for iteration, scenario in itertools.product(range(1, plan.most_iterations + 1), plan.scenarios):
        first = first_toggled(seed=plan.seed, iteration=iteration, scenario=scenario.name)
        for position, arm in _both(first):
            for repeat in range(plan.repeats + 1):
                yield _Place(iteration, scenario, False, repeat, position, arm, toggled_srd(arm))


def first_toggled(*, seed: int, iteration: int, scenario: str) -> Arm:
    """The arm that goes first in an iteration of order `toggled`: in each pair of iterations (1 and 2, 3 and 4, …) each arm goes first
    once."""
    drawn = random.Random(f"{seed}/{(iteration + 1) // 2}/{scenario}/toggled").choice(ARMS)
    return drawn if iteration % 2 else other(drawn)


def _arms(plan: BenchPlan) -> Iterator[_Place]:
    """The pairs that measure the arms; in a run of an earlier version, each iteration's pairs are followed by a control."""
    for iteration, scenario in itertools.product(range(1, plan.most_iterations + 1), plan.scenarios):
        srd_on: SrdOn = "first" if plan.crossover and iteration > (plan.iterations + 1) // 2 else "second"
        firsts = first_arms(seed=plan.seed, iteration=iteration, repeats=plan.repeats, scenario=scenario.name)
        for control in (False, True) if plan.control and not plan.has_control_phase else (False,):
            for repeat, first in enumerate(firsts):
                if control and repeat == 0:  # that control has no discarded pair
                    continue
                for position, arm in _both(first):
                    yield _Place(iteration, scenario, control, repeat, position, arm, srd_on)


def _control_phase(plan: BenchPlan) -> Iterator[_Place]:
    """The pairs of the control of the interfaces: the same pairs as for the arms, in the same order."""
    if plan.has_control_phase:
        yield from (place._replace(control=True, srd_on="none") for place in _arms(plan))


def first_arms(*, seed: int, iteration: int, repeats: int, scenario: str) -> list[Arm]:
    """The arm that goes first in each pair of one iteration, the discarded pair before the others."""
    # A separate generator for each block, so that a block does not depend on what ran before it.
    shuffled = random.Random(f"{seed}/{iteration}/{scenario}")
    firsts: list[Arm] = [ARMS[repeat % 2] for repeat in range(repeats)]
    if repeats % 2 and iteration % 2 == 0:  # an odd count leaves one over: to either arm in turn
        firsts[-1] = "ena_express"
    shuffled.shuffle(firsts)
    return [shuffled.choice(ARMS), *firsts]


def _both(first: Arm) -> tuple[tuple[Literal[1], Arm], tuple[Literal[2], Arm]]:
    return (1, first), (2, other(first))
