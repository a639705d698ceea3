"""Summary: the guide's own example, line for line, and what enaxp adds to it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enaxp.bench.records import Manifest, RunFolder
from enaxp.bench.result import Result, from_document
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


def test_the_guides_example_is_told_as_in_the_guide() -> None:
    assert render_summary(RESULT, MANIFEST) == (FIXTURES / "summary.txt").read_text()


@pytest.mark.parametrize(
    ("improvement", "words"),
    [
        (-44.499, "-44.50% (slower by 44.50%)"),
        (12.3, "12.30% (faster by 12.30%)"),
        (-0.001, "0.00% (no difference)"),
        (0.0, "0.00% (no difference)"),
        (None, "not measured"),
    ],
)
def test_an_improvement_says_in_words_which_way_it_goes(improvement: float | None, words: str) -> None:
    assert improvement_in_words(improvement) == words


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
        "Throughput:\n  Regular ENI: 9.500 Gbps\n  ENA Express: 11.400 Gbps\n  Improvement: 20.00% (faster by 20.00%)"
        in text
    )


def test_two_scenarios_of_one_protocol_are_told_apart() -> None:
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

    assert "+45.46% (no interval)" in render_summary(from_document(document), MANIFEST)


def test_what_weakens_the_figures_is_noted() -> None:
    parallel = replace(MANIFEST, plan=replace(MANIFEST.plan, order="parallel"))

    text = render_summary(changed(loss_rate=0.0125, observations=200_000), parallel)

    assert "both arms ran at once" in text
    assert "messages were lost (Regular ENI 1.2500%, ENA Express 1.2500%)" in text
    assert "p99.9 rest on few observations" in text
    assert "Note" not in render_summary(RESULT, MANIFEST)
