"""Checkup: what makes a run incomplete or unstable, and what is only worth knowing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from enaxp.bench.judging.checkup import Checkup, check, document_of
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.run_folder.documents import fields_of
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import HostUsage, RunEnvironment, TrialRecord
from tests.support.factories import a_manifest, a_plan, a_record, pairs_of_records, shifted

PLAN = a_plan(iterations=5)
WHOLE = pairs_of_records(PLAN)


def check_of(records: Sequence[TrialRecord] = WHOLE, **changes: Any) -> Checkup:
    manifest = a_manifest(**{"plan": PLAN, "ended_at": "2025-04-11T09:00:00+00:00", **changes})

    def read(record: TrialRecord) -> Histogram | None:
        return shifted(1) if record.histogram_file else None

    evidence = weigh(manifest.plan, records, read_histogram=read)
    return check(manifest, evidence, result_from(manifest, evidence))


def test_a_whole_and_quiet_run_is_good() -> None:
    checkup = check_of()

    assert checkup.is_good
    assert checkup.remarks == (
        "5 iterations are few: the intervals are wide",
        "udp-latency: p99.9 rest on fewer than ten messages in an iteration, and decide nothing",
    )
    assert fields_of(document_of(checkup, run_id="20250411-082610", path="results/dev")) == {
        "run_id": "20250411-082610",
        "path": "results/dev",
        "schema": 1,
        "complete": True,
        "stable": True,
        "missing": (),
        "unstable": (),
        "remarks": checkup.remarks,
    }


NO_HISTOGRAM = [replace(r, histogram_file=None) if r.iteration == 2 and r.arm == "ena" else r for r in WHOLE]
HALF_FAILED = [
    *WHOLE,
    *(a_record("ena", iteration=i, attempt=2, valid=False, reason="stalled", number=99) for i in range(1, 9)),
]


@pytest.mark.parametrize(
    ("records", "changes", "missing"),
    [
        pytest.param(WHOLE, {"ended_at": None}, "the run has not ended", id="not ended"),
        pytest.param(WHOLE[:-2], {}, "udp-latency: 9 of 10 pairs of trials count", id="partial"),
        pytest.param(NO_HISTOGRAM, {}, "udp-latency: 8 of 10 pairs of trials count", id="contradicted"),
        pytest.param(NO_HISTOGRAM, {}, "udp-latency: trial 1 (ENA) does not count: it has no histogram", id="and why"),
        pytest.param(WHOLE, {"plan": replace(PLAN, iterations=1)}, "there is no interval", id="one iteration"),
        pytest.param([], {}, "udp-latency: invalid: no pair of trials was completed", id="nothing"),
        pytest.param(WHOLE, {"plan": replace(PLAN, control=True)}, "udp-latency: 0 of 10 pairs of the", id="control"),
    ],
)
def test_what_the_plan_wanted_and_is_not_there_is_missing(
    records: list[TrialRecord], changes: dict[str, Any], missing: str
) -> None:
    checkup = check_of(records, **changes)

    assert not checkup.is_good
    assert [line for line in checkup.missing if line.startswith(missing)]


def steal(ticks: int) -> dict[str, dict[str, str]]:
    return {"client": {"kernel": "6.1", "cpu_times": f"cpu {1000 + ticks} 0 0 0 0 0 0 {ticks} 0 0"}}


@pytest.mark.parametrize(
    ("records", "changes", "unstable"),
    [
        pytest.param(WHOLE, {"forced": ("client: mtu is 9001",)}, "it was measured in spite of this", id="forced"),
        pytest.param(HALF_FAILED, {}, "udp-latency: 8 of 28 trials were not valid, mostly: stalled", id="invalid"),
        pytest.param(
            WHOLE,
            {"environment": RunEnvironment(before=steal(0), after=steal(500))},
            "the client lost 50.0% of its CPU time",
            id="steal",
        ),
        pytest.param(
            WHOLE,
            {"environment": RunEnvironment(before={"client": {"kernel": "6.1"}}, after={"client": {"kernel": "6.8"}})},
            "the hosts are not what they were before the run: client: kernel changed",
            id="another kernel",
        ),
    ],
)
def test_what_makes_figures_hard_to_repeat_is_unstable(
    records: list[TrialRecord], changes: dict[str, Any], unstable: str
) -> None:
    checkup = check_of(records, **changes)

    assert not checkup.is_good
    assert [line for line in checkup.unstable if line.startswith(unstable)]


def test_a_control_that_is_noisier_than_the_margin_is_unstable() -> None:
    plan = replace(PLAN, control=True)
    controls = [replace(r, control=True) for r in WHOLE if not r.discarded]

    def read(record: TrialRecord) -> Histogram:
        return shifted(1.2 if record.control and record.arm == "ena_express" else 1)

    manifest = a_manifest(plan=plan, ended_at="2025-04-11T09:00:00+00:00")
    evidence = weigh(plan, [*WHOLE, *controls], read_histogram=read)
    checkup = check(manifest, evidence, result_from(manifest, evidence))

    assert "udp-latency: ENA against ENA differs by 20.0% at p50, more than the margin of 2%" in checkup.unstable
    assert not checkup.missing


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"target": "local", "isolation": "processes"}, "local, not ENA (hosts as processes)"),
        ({"resumed_at": ("2025-04-11T08:30:00+00:00",)}, "it was resumed once"),
        ({"plan": replace(PLAN, order="parallel")}, "both arms ran at once"),
        ({"plan": a_plan(iterations=3)}, "3 iterations are few"),
        (
            {"untuned": ("client: clock source is kvm-clock, wanted tsc",)},
            "the hosts are not tuned as AWS recommends: client: clock source is kvm-clock, wanted tsc",
        ),
    ],
)
def test_what_is_only_worth_knowing_does_not_make_a_run_bad(changes: dict[str, Any], remark: str) -> None:
    records = [record for record in WHOLE if record.iteration <= changes.get("plan", PLAN).iterations]

    checkup = check_of(records, **changes)

    assert checkup.is_good
    assert [line for line in checkup.remarks if line.startswith(remark)]


def test_what_was_the_limit_besides_the_network_is_a_remark() -> None:
    dropping = {"server": HostUsage(udp_rcvbuf_errors=100)}
    checkup = check_of([replace(r, usage=dropping) if r.arm == "ena" else r for r in WHOLE])

    assert checkup.is_good
    assert "udp-latency: the limit of ENA was the receiver in most trials, not the network" in checkup.remarks


def test_counters_that_are_absent_are_a_remark() -> None:
    checkup = check_of([replace(record, srd=None) for record in WHOLE])

    assert checkup.is_good
    assert "udp-latency: whether SRD carried the packets is unknown (no counters)" in checkup.remarks
