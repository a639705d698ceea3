"""What was put in beside what was found: per iteration, at each quantile, by the record of another instrument."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from enaxp.bench.judging.blocks import ScenarioBlocks, blocks_of
from enaxp.bench.judging.effect import Effect
from enaxp.bench.judging.truth import Carried, read_truth, truth_of, write_truth
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import RunFolder
from enaxp.traffic import Metric
from selfcheck.made_run import UDP, Made, make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """ENA Express adds 5.5 µs to each message; 3 % of ENA's are far later."""
    return make_run(tmp_path_factory.mktemp("results"), Made(iterations=6))


@pytest.fixture(scope="module")
def blocks(folder: RunFolder) -> ScenarioBlocks:
    plan = folder.read_manifest().plan
    return blocks_of(UDP, evidence_of(folder, plan))


@pytest.fixture(scope="module")
def carried(folder: RunFolder, blocks: ScenarioBlocks) -> Carried:
    """The record of a relay that sees all of a round trip but 12 µs of the client's own."""
    seen = {}
    for trial in blocks.trials:
        histogram = folder.read_histogram(trial)
        assert histogram is not None
        seen[trial.arm, trial.client_port] = Histogram.of(
            np.maximum(0, 2 * histogram.values - 12_000), histogram.counts
        )
    return seen


def effects(folder: RunFolder, **changes: object) -> dict[Metric, Effect]:
    from enaxp.bench.judging.result import read_result

    found = read_result(folder).scenarios[UDP.name].effects
    return {metric: replace(effect, **changes) if effect.primary else effect for metric, effect in found.items()}  # type: ignore[arg-type]


def test_the_relay_s_record_of_what_was_measured_is_what_was_found(
    folder: RunFolder, blocks: ScenarioBlocks, carried: Carried
) -> None:
    truth = truth_of("a relay", blocks, effects(folder), planned_us={"p50": 5.5, "p99": -40}, carried=carried)

    for metric, figure in truth.figures.items():
        of = blocks.values(metric)
        each = [(of["ena_express"][at] - of["ena"][at]) / 1000 for at in of["ena"]]
        assert figure.recorded_us == pytest.approx(statistics.fmean(each), abs=0.01)
        assert figure.put_in_pct == pytest.approx(figure.found_pct, abs=0.05)
        assert figure.held
    assert truth.all_held
    assert list(truth.figures) == ["p50", "p99"], "the primaries"
    p50 = truth.figures["p50"]
    assert p50.put_in_us is not None
    assert p50.put_in_us > 0
    assert truth.figures["p99"].recorded_us is not None
    assert truth.figures["p99"].recorded_us < 0


def test_an_interval_that_does_not_reach_what_was_put_in_does_not_hold_it(
    folder: RunFolder, blocks: ScenarioBlocks, carried: Carried
) -> None:
    truth = truth_of("", blocks, effects(folder, low_pct=-0.5, high_pct=0.5), planned_us={}, carried=carried)

    assert [figure.held for figure in truth.figures.values()] == [False, False]


def test_what_has_no_interval_is_neither_held_nor_missed(
    folder: RunFolder, blocks: ScenarioBlocks, carried: Carried
) -> None:
    truth = truth_of("", blocks, effects(folder, low_pct=None, high_pct=None), planned_us={}, carried=carried)

    assert [figure.held for figure in truth.figures.values()] == [None, None]
    assert not truth.all_held


def test_without_a_relay_nothing_was_put_in(folder: RunFolder, blocks: ScenarioBlocks) -> None:
    truth = truth_of("nothing", blocks, effects(folder, low_pct=-1.0, high_pct=2.0), planned_us={}, carried=None)

    assert [figure.put_in_pct for figure in truth.figures.values()] == [0.0, 0.0]
    assert truth.all_held
    level = statistics.geometric_mean(blocks.values("p50")["ena"].values()) / 1000
    assert truth.figures["p50"].found_high_us == pytest.approx(level * 0.02)


def test_a_trial_that_the_relay_did_not_see_leaves_no_truth(
    folder: RunFolder, blocks: ScenarioBlocks, carried: Carried
) -> None:
    lacking = {place: seen for place, seen in carried.items() if place != next(iter(carried))}

    with pytest.raises(ValueError, match="is not in the relay's record"):
        truth_of("", blocks, effects(folder), planned_us={}, carried=lacking)


def test_it_is_read_as_it_was_written(
    tmp_path: Path, folder: RunFolder, blocks: ScenarioBlocks, carried: Carried
) -> None:
    truth = truth_of("a relay", blocks, effects(folder), planned_us={"p50": math.pi}, carried=carried)
    elsewhere = RunFolder(tmp_path)
    assert read_truth(elsewhere) is None

    write_truth(elsewhere, truth)

    assert read_truth(elsewhere) == truth
