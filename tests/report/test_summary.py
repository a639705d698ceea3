"""Summary: the guide's own example, line for line, and what enaxp adds to it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enaxp.bench.judging.effect import Effect
from enaxp.bench.judging.result import Result, from_document
from enaxp.bench.run_folder.records import Manifest, RunFolder
from enaxp.report.summary import improvement_in_words, render_summary
from enaxp.traffic import Scenario

FIXTURES = Path(__file__).parent / "fixtures"
MANIFEST = RunFolder(FIXTURES).read_manifest()
DOCUMENT: dict[str, Any] = json.loads((FIXTURES / "result.json").read_text())
RESULT = from_document(DOCUMENT)
TCP_RATE = Scenario(name="tcp-rate", mode="throughput", protocol="tcp", message_size=1472, csv_name="TCP_Large")


def changed(**figures: Any) -> Result:
    """The example's result with some figures of both arms changed, by their names in result.json."""
    document = copy.deepcopy(DOCUMENT)
    for arm in document["scenarios"]["udp-latency"]["arms"].values():
        arm.update(figures)
    return from_document(document)


def with_throughput() -> tuple[Result, Manifest]:
    document = copy.deepcopy(DOCUMENT)
    udp = document["scenarios"]["udp-latency"]
    unmeasured = dict.fromkeys(udp["arms"]["ena"])
    counted = {"trials": 100, "valid_trials": 100}
    document["scenarios"]["tcp-rate"] = {
        **udp,
        "arms": {
            "ena": {**unmeasured, **counted, "throughput_gbps": 9.5},
            "ena_express": {**unmeasured, **counted, "throughput_gbps": 11.4},
        },
        "effects": {"throughput": {**udp["effects"]["mean"], "improvement_pct": 20.0}},
    }
    return from_document(document), replace(
        MANIFEST, plan=replace(MANIFEST.plan, scenarios=(*MANIFEST.plan.scenarios, TCP_RATE))
    )


def test_the_guides_example_is_reported_as_in_the_guide() -> None:
    assert render_summary(RESULT, MANIFEST) == (FIXTURES / "summary.txt").read_text()


P50 = RESULT.scenarios["udp-latency"].effects["p50"]


@pytest.mark.parametrize(
    ("improvement", "effect", "words"),
    [
        (-44.499, P50, "-44.50% (slower)"),
        (12.3, replace(P50, code="inconclusive"), "12.30% (inconclusive)"),
        (12.3, replace(P50, code="faster", primary=False, thin=True), "12.30% (faster, exploratory, thin)"),
        (12.3, None, "12.30% (not compared)"),
        (None, P50, "not measured"),
    ],
)
def test_an_improvement_has_the_word_for_its_effect_beside_it(
    improvement: float | None, effect: Effect | None, words: str
) -> None:
    assert improvement_in_words(improvement, effect) == words


def test_the_maximum_has_no_improvement_since_it_grows_with_the_number_of_messages() -> None:
    _, _, after = render_summary(RESULT, MANIFEST).partition("Maximum Latency:")

    assert "%" not in after.partition("Messages lost:")[0]


def test_what_was_lost_is_reported_with_its_interval_and_what_lies_among_it_is_beyond_measurement() -> None:
    lossy = changed(loss_rate=0.02, loss_low=0.0195, loss_high=0.0205, p99_us=None, beyond_measurement=["p99"])

    text = render_summary(lossy, MANIFEST)

    assert "Messages lost:\n  Regular ENI: 2.00% [1.95%, 2.05%]" in text
    assert "p99 Latency:\n  Regular ENI: beyond measurement\n  ENA Express: beyond measurement" in text


def test_service_time_stands_beside_latencies_that_count_from_the_planned_time() -> None:
    arm = DOCUMENT["scenarios"]["udp-latency"]["arms"]["ena"]
    service = {key: 20.0 if key == "p99_us" else value for key, value in arm.items() if key.endswith("_us")}

    text = render_summary(changed(measured_from="planned", service=service), MANIFEST)

    assert "From the send (service time):" in text
    assert "p99 20.000 μs" in text


def test_why_improvement_and_estimate_go_opposite_ways_is_said_once() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["scenarios"]["udp-latency"]["effects"]["p50"]["improvement_pct"] = 3.0

    text = render_summary(from_document(document), MANIFEST)

    assert text.count("At P50 improvement and estimate go opposite ways.") == 1


def test_each_scenario_has_its_section_and_throughput_its_unit() -> None:
    text = render_summary(*with_throughput())

    assert "Total Tests: 200" in text
    assert [line.strip() for line in text.splitlines() if line.startswith(" " * 21)] == [
        "Connection Details",
        "UDP Results",
        "TCP Results",
        "Verdict: udp-latency",
        "Verdict: tcp-rate",
    ]
    assert (
        "Throughput:\n  Regular ENI: 9.500 Gbps\n  ENA Express: 11.400 Gbps\n  Improvement: 20.00% (slower, exploratory)"
        in text
    )


def test_two_scenarios_of_one_protocol_are_distinguished() -> None:
    result = replace(RESULT, scenarios=dict.fromkeys(("udp-latency", "udp-large"), RESULT.scenarios["udp-latency"]))
    udp = MANIFEST.plan.scenarios[0]
    plan = replace(MANIFEST.plan, scenarios=(udp, replace(udp, name="udp-large")))

    text = render_summary(result, replace(MANIFEST, plan=plan))

    assert "UDP Results: udp-latency" in text
    assert "UDP Results: udp-large" in text


def test_what_was_not_measured_is_not_a_number() -> None:
    text = render_summary(changed(mean_us=None, max_us=None), MANIFEST)

    assert (
        "Average Latency:\n  Regular ENI: not measured\n  ENA Express: not measured\n  Improvement: not measured"
        in text
    )
    assert "None" not in text
    assert "nan" not in text


def test_an_effect_without_an_interval_says_so() -> None:
    document = copy.deepcopy(DOCUMENT)
    p50 = document["scenarios"]["udp-latency"]["effects"]["p50"]
    p50.update(low_pct=None, high_pct=None, code="inconclusive")

    assert "+45.5% (no interval)" in render_summary(from_document(document), MANIFEST)


def test_what_weakens_the_figures_is_noted() -> None:
    parallel = replace(MANIFEST, plan=replace(MANIFEST.plan, order="parallel"))

    document = copy.deepcopy(DOCUMENT)
    document["scenarios"]["udp-latency"]["effects"]["p99_9"]["thin"] = True

    text = render_summary(from_document(document), parallel)

    assert "both arms ran at once" in text
    assert "p99.9 rest on fewer than ten messages in an iteration; they decide nothing" in text
    assert "Note" not in render_summary(RESULT, MANIFEST)


def test_it_says_whose_hosts_they_are_where_they_existed_already() -> None:
    given = replace(MANIFEST, given=("the server is quiet: 0.001 Gbit/s",))

    assert "Between your hosts, which existed already" in render_summary(RESULT, given)
    assert "your hosts" not in render_summary(RESULT, MANIFEST)
