"""Control: what the interfaces themselves make is told with its interval, and changes nothing that is said of SRD."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enaxp.bench.judging.checkup import check
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.result import Control, Result, from_document, to_document
from enaxp.bench.judging.stability import control_warnings
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import Manifest, TrialRecord
from enaxp.report.data import RunData
from enaxp.report.markdown import render_markdown
from enaxp.report.summary import render_summary
from tests.support.factories import SRD_OFF, SRD_ON, a_manifest, a_plan, an_effect, pairs_of_records, shifted

PLAN = a_plan(iterations=6, control=True, control_between="interfaces")
ARMS = pairs_of_records(PLAN)
CONTROL = [replace(one, control=True, crossed=one.arm == "ena_express", srd=SRD_OFF) for one in ARMS]
OFF = "with SRD off on all interfaces the second ones differ from the first at "


def measured(records: list[TrialRecord], *, interface_pct: float) -> tuple[Manifest, list[TrialRecord], Result]:
    """A run in which SRD makes +20 % and the second interface so much more, but for noise: e^(-0.002/6) on the mean of the iterations."""

    def read(record: TrialRecord) -> Histogram:
        second = 1 + interface_pct / 100 if record.arm == "ena_express" else 1.0
        srd = 1.2 if record.arm == "ena_express" and not record.control else 1.0
        return shifted(second * srd * (1 + 0.002 * (record.iteration * (3 if record.arm == "ena" else 7) % 5)))

    manifest = a_manifest(plan=PLAN, ended_at="2025-04-11T09:00:00+00:00")
    evidence = weigh(PLAN, records, read_histogram=read)
    return manifest, records, result_from(manifest, evidence)


def test_what_the_interface_makes_is_found_beside_an_effect_that_it_does_not_change() -> None:
    _, _, without = measured(ARMS, interface_pct=8)
    _, _, result = measured([*ARMS, *CONTROL], interface_pct=8)
    scenario, alone = result.scenarios["udp-latency"], without.scenarios["udp-latency"]

    control = scenario.control
    assert control is not None
    assert (control.between, control.proven, control.noise_pct) == ("interfaces", True, None)
    assert (control.trials, control.valid_trials) == (24, 24)
    for metric in ("p50", "p99"):
        effect = control.effects[metric]
        assert (effect.low_pct or 0) < 8 < (effect.high_pct or 0)
    assert (scenario.effects, scenario.verdict, scenario.treatment, scenario.arms) == (
        alone.effects, alone.verdict, alone.treatment, alone.arms,
    )  # fmt: skip


def test_it_is_reported_in_every_report_and_by_check() -> None:
    manifest, records, result = measured([*ARMS, *CONTROL], interface_pct=8)
    evidence = weigh(PLAN, records, read_histogram=lambda record: shifted(1))

    markdown = render_markdown(RunData(manifest=manifest, records=records, result=result, faults=()))
    checkup = check(manifest, evidence, result)

    assert "from the first ones to the second p50 +7.96% [" in render_summary(result, manifest)
    assert "from the first ones to the second P50 +7.96 % " in markdown
    assert [line for line in checkup.remarks if line.startswith("udp-latency: the interface itself makes p50 +7.96% [")]
    assert [line for line in checkup.unstable if line.startswith(f"udp-latency: {OFF}p50 (+")]
    assert checkup.missing == ()


def test_a_control_without_a_trial_that_counts_says_so_and_is_missing() -> None:
    failed = [replace(one, valid=False, reason="stray packets", srd=SRD_ON) for one in CONTROL]
    manifest, records, result = measured([*ARMS, *failed], interface_pct=0)

    checkup = check(manifest, weigh(PLAN, records, read_histogram=lambda record: shifted(1)), result)

    assert "udp-latency: 0 of 12 pairs of the control count" in checkup.missing
    assert "Control: no pair of its trials counts." in render_summary(result, manifest)
    assert from_document(to_document(result)).scenarios["udp-latency"].control is not None


@pytest.mark.parametrize(
    ("between", "said"), [("interfaces", f"{OFF}p99 ("), ("repeats", "ENA against ENA differs at")]
)
def test_a_control_that_is_not_nothing_is_said_of_the_primaries_alone(between: str, said: str) -> None:
    nothing = {
        "p50": an_effect(low_pct=-1, high_pct=2),
        "p99": an_effect(low_pct=None, high_pct=None),
        "p90": an_effect(low_pct=3, high_pct=4, primary=False),
    }
    control = Control(trials=4, valid_trials=4, effects=nothing, between=between)  # type: ignore[arg-type]

    assert control_warnings(control) == []
    differing = replace(control, effects={**nothing, "p99": an_effect(low_pct=0.5, high_pct=2.25)})
    [line] = control_warnings(differing)
    assert line.startswith(said)
    assert "(+0.500% to +2.25%)" in line
