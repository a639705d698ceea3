"""What a run's records come to as metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enaxp.bench.run_folder.records import Manifest, TrialRecord
from enaxp.monitor.metrics import exposition, families_of, merged
from tests.support.factories import SRD_ON, a_record
from tests.support.monitoring import PLAN, TAILED, a_running_manifest, promtool, some_records

EXPRESS = {"lab": "dev", "scenario": "udp-latency", "protocol": "udp", "arm": "ena_express"}


def values(
    records: list[TrialRecord], manifest: Manifest | None = None
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its full name and labels."""
    families = families_of(manifest or a_running_manifest(), records)
    return {
        (family.name + sample.suffix, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def at(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


@pytest.mark.system
def test_a_run_is_what_promtool_calls_good_metrics() -> None:
    text = exposition(families_of(a_running_manifest(), some_records()))

    done = promtool("check", "metrics", given=text)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_latencies_are_the_last_counting_trials_in_seconds_and_their_sum_is_all_of_them() -> None:
    slow = replace(TAILED, mean_us=50.0, percentiles_us={"50": 45.0, "99.9": 99.0}, observations=500)
    ended = [
        a_record("ena_express", sockperf=TAILED, repeat=1),
        a_record("ena_express", sockperf=slow, repeat=2),
        a_record("ena_express", sockperf=TAILED, repeat=3, valid=False, reason="it hung"),
        a_record("ena_express", sockperf=TAILED, repeat=0),
        a_record("ena_express", sockperf=TAILED, repeat=4, control=True),
    ]

    seen = values(ended)

    assert seen[at("enaxp_trial_latency_seconds", **EXPRESS, quantile="0.5")] == pytest.approx(45e-6)
    assert seen[at("enaxp_trial_latency_seconds", **EXPRESS, quantile="0.999")] == pytest.approx(99e-6)
    assert at("enaxp_trial_latency_seconds", **EXPRESS, quantile="0.99") not in seen, (
        "what was not measured has no sample"
    )
    assert seen[at("enaxp_trial_latency_mean_seconds", **EXPRESS)] == pytest.approx(50e-6)
    assert seen[at("enaxp_trial_latency_seconds_count", **EXPRESS)] == 1500
    assert seen[at("enaxp_trial_latency_seconds_sum", **EXPRESS)] == pytest.approx(0.030 + 0.025)
    outcomes = {
        name: seen[at("enaxp_trials_total", **EXPRESS, outcome=name)]
        for name in ("valid", "invalid", "discarded", "control")
    }
    assert outcomes == {"valid": 2, "invalid": 1, "discarded": 1, "control": 1}


def test_what_was_not_measured_has_no_sample_and_is_never_zero() -> None:
    seen = values([a_record("ena", srd=None), a_record("ena_express", sockperf=None, valid=False, reason="host lost")])

    names = {name for name, _ in seen}
    assert "enaxp_trial_srd_ratio" not in names
    assert "enaxp_trial_throughput_bytes_per_second" not in names
    assert at("enaxp_trial_latency_mean_seconds", **EXPRESS) not in seen


def test_throughput_is_in_bytes_and_loss_and_srd_are_ratios() -> None:
    lossy = replace(TAILED, dropped=10, observations=90, out_of_order=0)
    half = replace(SRD_ON, tx=500)
    seen = values([*some_records(), a_record("ena_express", sockperf=lossy, srd=half, repeat=9)])

    rate = {"lab": "dev", "scenario": "tcp-rate", "protocol": "tcp", "arm": "ena"}
    assert seen[at("enaxp_trial_throughput_bytes_per_second", **rate)] == 1e9
    assert seen[at("enaxp_trial_loss_ratio", **EXPRESS)] == pytest.approx(0.1)
    assert seen[at("enaxp_trial_srd_ratio", **EXPRESS)] == pytest.approx(0.5)


def test_gates_are_counted_by_how_they_ended_and_what_never_happened_is_zero() -> None:
    half = replace(SRD_ON, tx=500)
    ended = [
        a_record("ena_express", srd=SRD_ON),
        a_record("ena_express", srd=half, valid=False, reason="only 50.00% …"),
        a_record("ena_express", sockperf=None, valid=False, reason="the connection was lost"),
        a_record("ena_express", valid=False, reason="it hung: its deadline of 20 s ended it"),
        a_record(
            "ena_express", valid=False, reason="MTU of ens6", network_changes=("client: MTU of ens6 8900 became 9001",)
        ),
    ]

    seen = values(ended)

    srd = {
        result: seen[at("enaxp_trial_gates_total", **EXPRESS, gate="srd", result=result)]
        for result in ("passed", "failed", "unknown")
    }
    assert srd == {"passed": 3, "failed": 1, "unknown": 0}
    assert seen[at("enaxp_trial_gates_total", **EXPRESS, gate="network", result="failed")] == 1
    assert seen[at("enaxp_trial_gates_total", **EXPRESS, gate="host", result="failed")] == 2
    assert seen[at("enaxp_trial_gates_total", **EXPRESS, gate="allowances", result="unknown")] == 4


@pytest.mark.parametrize(
    ("ended_at", "resumed_at", "active"),
    [
        (None, (), 1),
        ("2025-04-11T09:00:00+00:00", (), 0),
        ("2025-04-11T09:00:00+00:00", ("2025-04-11T09:30:00+00:00",), 1),
        ("2025-04-11T10:00:00+00:00", ("2025-04-11T09:30:00+00:00",), 0),
    ],
    ids=["begun", "ended", "resumed", "resumed and ended"],
)
def test_a_run_is_active_until_it_has_ended(ended_at: str | None, resumed_at: tuple[str, ...], active: int) -> None:
    seen = values([], a_running_manifest(ended_at=ended_at, resumed_at=resumed_at))

    assert seen[at("enaxp_run_active", lab="dev")] == active


def test_progress_is_the_share_of_places_that_were_tried_however_often() -> None:
    trials = some_records()
    seen = values([*trials[:6], replace(trials[5], attempt=2)])

    assert seen[at("enaxp_run_planned_trials", lab="dev")] == len(trials)
    assert seen[at("enaxp_run_ended_trials", lab="dev")] == 6
    assert seen[at("enaxp_run_progress_ratio", lab="dev")] == pytest.approx(6 / len(trials))


def test_labels_do_not_grow_with_the_run() -> None:
    few, many = some_records(), some_records() * 20

    assert len(values(few)) == len(values(many))
    assert {name for _, labels in values(many) for name, _ in labels} == {
        "lab", "scenario", "protocol", "arm", "quantile", "outcome", "gate", "result", "role", "device",
    }  # fmt: skip


@pytest.mark.system
def test_what_a_label_holds_cannot_break_the_format() -> None:
    odd = a_running_manifest(lab='a"b\\c\nd')

    done = promtool("check", "metrics", given=exposition(families_of(odd, some_records())))

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.system
def test_two_runs_are_merged_into_one_family_each() -> None:
    families = [families_of(a_running_manifest(lab=lab), some_records()) for lab in ("one", "two")]

    text = exposition(merged(families))

    assert text.count("# TYPE enaxp_trials_total counter") == 1
    assert promtool("check", "metrics", given=text).returncode == 0
    assert len(PLAN.scenarios) == 2


def test_interfaces_are_those_of_the_arms_and_change_over_with_them() -> None:
    before, after = values([]), values([a_record("ena", crossed=True)])
    control = values([a_record("ena_express", control=True, crossed=True)])

    labels = {"lab": "dev", "role": "client", "device": "ens6"}
    assert at("enaxp_interface_info", **labels, arm="ena_express") in before
    assert at("enaxp_interface_info", **labels, arm="ena") in after
    assert at("enaxp_interface_info", **labels, arm="ena_express") not in after
    assert at("enaxp_interface_info", **labels, arm="ena_express") in control


def test_the_loss_of_the_run_has_an_interval_over_its_iterations() -> None:
    lossy = [replace(TAILED, dropped=lost, observations=1000 - lost, out_of_order=0) for lost in (10, 20, 30)]
    records = [
        a_record("ena_express", sockperf=output, iteration=at, repeat=1) for at, output in enumerate(lossy, start=1)
    ]

    seen = values(records)

    half = 4.30265 * 0.01 / 3**0.5  # t(0.975; 2) · s / √3
    assert seen[at("enaxp_run_loss_ratio", **EXPRESS)] == pytest.approx(60 / 3000)
    assert seen[at("enaxp_run_loss_high_ratio", **EXPRESS)] == pytest.approx(0.02 + half, rel=1e-4)
    assert seen[at("enaxp_run_loss_low_ratio", **EXPRESS)] == 0  # a share is never below nothing
