"""On which core each sockperf goes: never two busy threads on one, but for a ping-pong within one computer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from enaxp.bench.planning.pinning import NOT_PINNED, Pinning, choose, pinned
from enaxp.bench.planning.schedule import BenchPlan, schedule
from enaxp.hosts.cpus import HostCpus
from enaxp.traffic import ARMS, Background, Scenario
from tests.support.factories import UDP

SIXTEEN = HostCpus(allowed=tuple(range(16)), near=tuple(range(16)), serving=frozenset({1, 3}), can_pin=True)
BOTH = {"server": SIXTEEN, "client": SIXTEEN}
PLAN = BenchPlan(
    iterations=1, repeats=1, duration_s=1.0, order="interleaved", seed=1, margin_pct=2.0, scenarios=(UDP,), cpus="auto"
)
LOADED = replace(
    UDP, mode="under-load", rate=1000, flows=2, background=Background(protocol="tcp", flows=3, message_size=1472)
)


def given(pinning: Pinning, plan: BenchPlan, scenario: Scenario) -> Counter[tuple[str, int]]:
    """How many busy threads each core of each role has, of everything that runs at the same time."""
    arms = ARMS if plan.order == "parallel" else ARMS[:1]
    found: Counter[tuple[str, int]] = Counter()
    for arm in arms:
        trial = next(trial for trial in schedule(plan) if trial.arm == arm and trial.scenario == scenario)
        beside = scenario.background.flows if scenario.background else 0
        for flow in range(scenario.flows):
            found.update(("client", cpu) for cpu in pinning.client_cpus(trial, flow))
        for flow in range(beside):
            found.update(("client", cpu) for cpu in pinning.bulk_cpus(trial, flow))
        for flow in range(scenario.flows + beside):
            found.update(("server", cpu) for cpu in pinning.server_cpus(scenario, arm, flow))
    return found


@pytest.mark.parametrize("order", ["interleaved", "parallel"])
@pytest.mark.parametrize(("scenario", "client", "server"), [(UDP, 1, 1), (LOADED, 2 * 2 + 3, 2 + 3)])
def test_busy_threads_have_a_core_each_away_from_interrupts(
    scenario: Scenario, client: int, server: int, order: Any
) -> None:
    plan = replace(PLAN, scenarios=(scenario,), order=order)

    pinning, note = choose(plan, BOTH, on_one_computer=False)

    cores = given(pinning, plan, scenario)
    at_once = 2 if order == "parallel" else 1
    if client * at_once > len(SIXTEEN.free):
        assert (pinning, "cores are needed on the client" in note) == (NOT_PINNED, True)
        return
    assert note == ""
    assert set(cores.values()) == {1}
    assert Counter(role for role, _ in cores) == {"client": client * at_once, "server": server * at_once}
    assert {cpu for _, cpu in cores} <= set(SIXTEEN.free)


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (
            {**BOTH, "server": replace(SIXTEEN, near=(0, 1, 3))},
            "in udp-latency: 1 cores are needed on the server, 0 are free",
        ),
        ({**BOTH, "client": replace(SIXTEEN, can_pin=False)}, "there is no taskset on the client"),
    ],
)
def test_where_it_cannot_be_it_is_said_and_nothing_is_pinned(hosts: dict[str, HostCpus], words: str) -> None:
    pinning, note = choose(PLAN, hosts, on_one_computer=False)

    assert pinning == NOT_PINNED
    assert words in note


def test_a_scenario_that_takes_more_cores_than_there_are_is_not_pinned_and_leaves_the_others_pinned() -> None:
    wide = replace(LOADED, name="wide", flows=7)  # 2 * 7 + 3 threads on the client
    plan = replace(PLAN, scenarios=(UDP, wide))

    pinning, note = choose(plan, BOTH, on_one_computer=False)

    assert (
        note
        == "sockperf is not pinned to cores in wide: 17 cores are needed on the client, 13 are free of the NIC's interrupts"
    )
    assert pinning.cpus == {"server": (2,), "client": (2,)}
    assert given(pinning, plan, wide) == {}
    assert given(pinning, plan, UDP) == {("client", 2): 1, ("server", 2): 1}


def test_both_arms_at_once_on_one_computer_have_no_core_of_their_own_which_is_said() -> None:
    pinning, note = choose(replace(PLAN, order="parallel"), BOTH, on_one_computer=True)

    assert (pinning, "both arms run at once on one computer" in note) == (NOT_PINNED, True)


def test_on_one_computer_a_ping_pong_and_its_server_stay_on_one_core() -> None:
    pinning, note = choose(replace(PLAN, scenarios=(UDP, LOADED)), BOTH, on_one_computer=True)

    assert note == ""
    assert given(pinning, PLAN, UDP) == {("client", 15): 1, ("server", 15): 1}
    assert given(pinning, replace(PLAN, scenarios=(LOADED,)), LOADED) == {}


def test_cores_that_are_asked_for_are_given_in_that_order_and_none_is_none() -> None:
    asked, _ = choose(replace(PLAN, cpus="1,0"), BOTH, on_one_computer=True)
    missing, note = choose(replace(PLAN, cpus="99"), BOTH, on_one_computer=False)
    none, _ = choose(replace(PLAN, cpus="none"), BOTH, on_one_computer=False)

    assert given(asked, PLAN, UDP) == {("client", 1): 1, ("server", 1): 1}
    assert (missing, note) == (NOT_PINNED, "sockperf is not pinned to cores: the server has no core 99")
    assert none == NOT_PINNED


def test_both_threads_of_a_client_under_load_are_told_their_cores() -> None:
    argv = ["sockperf", "under-load"]

    assert pinned(argv, ()) == argv
    assert pinned(argv, (4,)) == ["taskset", "-c", "4", *argv]
    assert pinned(argv, (4, 5)) == ["taskset", "-c", "4,5", *argv, "--sender-affinity", "4", "--receiver-affinity", "5"]
