"""The randomisation test: exact by design, held against every order there is and against runs without an effect."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from enaxp.bench.judging.randomisation import PairOutcome, possible_orders, randomisation_p
from enaxp.bench.planning.schedule import first_arms


def run(
    ratio: Callable[[int, int, bool], float | None], *, repeats: int, iterations: int, seed: int = 99
) -> list[PairOutcome]:
    """The pairs of a run whose order the scheduler drew. `ratio` gives ln(second / first) for an iteration, a repeat and an order."""
    return [
        PairOutcome(iteration=i, repeat=r, ena_first=first == "ena", log_ratio=ratio(i, r, first == "ena"))
        for i in range(1, iterations + 1)
        for r, first in enumerate(first_arms(seed=seed, iteration=i, repeats=repeats, scenario="udp")[1:], start=1)
    ]


def test_the_p_value_is_the_share_of_all_orders_that_give_as_much() -> None:
    rng = np.random.default_rng(3)
    noise = {(i, r): rng.normal(0.0, 0.05) for i in range(1, 5) for r in range(1, 5)}
    pairs = run(lambda i, r, ena_first: noise[i, r] + (0.03 if ena_first else -0.03), repeats=4, iterations=4)

    p = randomisation_p(pairs, repeats=4, iterations=4, level=0.025)

    balanced = [signs for signs in itertools.product((1, -1), repeat=4) if sum(signs) == 0]
    effects = np.array([pair.log_ratio for pair in pairs])
    seen = abs(np.array([1 if pair.ena_first else -1 for pair in pairs]) @ effects)
    every = [abs(np.concatenate(order) @ effects) for order in itertools.product(balanced, repeat=4)]
    exact = np.mean([one >= seen - 1e-12 for one in every])
    assert p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 1999) + 1e-3)


def test_a_clear_effect_has_the_smallest_p_value() -> None:
    pairs = run(lambda i, r, ena_first: 0.5 if ena_first else -0.5, repeats=10, iterations=5)

    assert randomisation_p(pairs, repeats=10, iterations=5, level=0.025) == 1 / 2000


def test_a_second_trial_that_is_always_slower_is_no_effect() -> None:
    pairs = run(lambda i, r, ena_first: 0.5, repeats=10, iterations=5)

    assert randomisation_p(pairs, repeats=10, iterations=5, level=0.025) == 1.0


def test_without_an_effect_one_run_in_forty_is_below_a_fortieth() -> None:
    rng = np.random.default_rng(5)
    runs = [run(lambda *_: rng.standard_t(2), repeats=10, iterations=5, seed=10_000 + seed) for seed in range(800)]

    below = np.mean([(randomisation_p(pairs, repeats=10, iterations=5, level=0.025) or 0) <= 0.025 for pairs in runs])

    assert 0.005 <= below <= 0.045


def test_lost_quantiles_count_by_their_rank() -> None:
    lost = run(lambda i, r, ena_first: math.inf if ena_first else -math.inf, repeats=10, iterations=5)
    both_lost = run(lambda *_: None, repeats=10, iterations=5)

    assert randomisation_p(lost, repeats=10, iterations=5, level=0.025) == 1 / 2000
    assert randomisation_p(both_lost, repeats=10, iterations=5, level=0.025) == 1.0


@pytest.mark.parametrize(
    ("repeats", "iterations", "enough"), [(3, 3, False), (4, 3, True), (2, 5, False), (10, 3, True)]
)
def test_too_few_orders_give_no_p_value(repeats: int, iterations: int, enough: bool) -> None:
    pairs = run(lambda *_: 0.1, repeats=repeats, iterations=iterations)

    assert (randomisation_p(pairs, repeats=repeats, iterations=iterations, level=0.025) is not None) == enough


def test_the_scheduler_draws_each_order_alike_often() -> None:
    drawn = [tuple(first_arms(seed=s, iteration=1, repeats=4, scenario="")[1:]) for s in range(6000)]

    counts = [drawn.count(order) for order in set(drawn)]

    assert len(counts) == possible_orders(4) == 6
    assert max(counts) - min(counts) < 250
