"""What a bench takes of the disks, before it begins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enaxp.bench.planning.space import MB, Space, lacking, messages, needed
from selfcheck.made_run import FLOW, UDP, Made, load


def test_a_paced_trial_logs_its_rate_a_stream_nothing_and_each_flow_as_much() -> None:
    assert messages(load(1000), 10) == 10_000
    assert messages(replace(load(1000), flows=4), 10) == 40_000
    assert messages(FLOW, 10) == 0
    assert messages(UDP, 10) > messages(load(1000), 10)


def test_the_client_holds_one_trial_and_the_results_hold_all() -> None:
    plan = Made(iterations=10, repeats=10, scenarios=(load(1000),), duration_s=10).plan
    longer = Made(iterations=20, repeats=10, scenarios=(load(1000),), duration_s=10).plan

    assert needed(longer, keep_log=False).client == needed(plan, keep_log=False).client
    assert needed(replace(plan, order="parallel"), keep_log=False).client == 2 * needed(plan, keep_log=False).client
    assert needed(longer, keep_log=True).results > 1.9 * needed(plan, keep_log=True).results
    assert needed(plan, keep_log=True).results > needed(plan, keep_log=False).results


@pytest.mark.parametrize(
    ("client", "results", "says"),
    [
        (200, 900, []),
        (None, None, []),
        (199, 900, ["200 MB are needed on the client's disk, for sockperf's log of a trial, 199 MB are free"]),
        (None, 5, ["900 MB are needed for the run folder, 5 MB are free"]),
    ],
)
def test_what_is_too_little_is_reported_with_both_figures(
    client: int | None, results: int | None, says: list[str]
) -> None:
    free = {"client": client and client * MB, "results": results and results * MB}

    assert list(lacking(Space(client=200 * MB, results=900 * MB), free=free)) == says
