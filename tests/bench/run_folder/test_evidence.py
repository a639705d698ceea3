"""Evidence: a trial that its own files contradict does not count, and its pair with it; a folder from anywhere is read with care."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enaxp.bench.judging.result import Result
from enaxp.bench.measuring.bench import result_of
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import RunFolder
from enaxp.errors import BenchError
from tests.support.factories import GOOD, a_manifest, a_plan, pairs_of_records, shifted

PLAN = a_plan(iterations=3)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of 3 × 2 pairs with its files, as a bench leaves it."""
    folder = RunFolder(tmp_path / "dev/20250411-082610")
    (folder.path / "histograms").mkdir(parents=True)
    folder.write_manifest(a_manifest(plan=PLAN))
    for number, record in enumerate(pairs_of_records(PLAN), start=1):
        name = folder.write_histogram(f"{number:04d}", shifted(1 + 0.001 * record.iteration))
        folder.append(replace(record, number=number, histogram_file=name))
    return folder


def counts_of(result: Result) -> list[tuple[int, int]]:
    return [(arm.trials, arm.valid_trials) for arm in result.scenarios["udp-latency"].arms.values()]


def test_a_run_whose_files_agree_counts_whole(run: RunFolder) -> None:
    assert counts_of(result_of(run)) == [(6, 6), (6, 6)]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(Path.unlink, "cannot be read (No such file", id="gone"),
        pytest.param(lambda file: file.write_bytes(b""), "cannot be read (", id="empty"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:40]), "cannot be read (not a gzip", id="half"),
        pytest.param(
            lambda file: file.write_bytes(Histogram.of([1, 2, 3]).to_bytes()),
            "its histogram holds 3 observations, its record 1000",
            id="another's",
        ),
    ],
)
def test_a_histogram_that_disagrees_is_a_marked_gap(run: RunFolder, spoil: Callable[[Path], object], says: str) -> None:
    spoil(run.path / "histograms/0004.csv.gz")  # the first pair's ENA Express: repeat 0 comes before it

    result = result_of(run)

    [warning] = result.scenarios["udp-latency"].warnings
    assert warning.startswith("trial 4 (ENA Express) does not count: ")
    assert says in warning
    assert counts_of(result) == [(6, 5), (6, 5)]


def test_a_file_outside_of_the_folder_is_not_read(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.csv.gz").write_bytes(shifted(1).to_bytes())
    lines = (run.path / "trials.jsonl").read_text().replace("histograms/0004.csv.gz", "../../elsewhere.csv.gz")
    (run.path / "trials.jsonl").write_text(lines)

    with pytest.raises(BenchError, match=r"line 4 of .*trials.jsonl") as refused:
        result_of(run)

    assert "$.histogram_file" in refused.value.said


def change(record: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        record = record[name]
    record[last] = value


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("schema", 2, "of schema 2, which a later enaxp wrote"),
        ("schema", True, "none of enaxp's"),
        ("iteration", "1", "got `str` - at `$.iteration`"),
        ("iteration", True, "got `bool` - at `$.iteration`"),
        ("arm", "<b>ena</b>", "'<b>ena</b>' - at `$.arm`"),
        ("valid", "yes", "got `str` - at `$.valid`"),
        ("histogram_file", 4, "got `int` - at `$.histogram_file`"),
        ("sockperf", "good", "got `str` - at `$.sockperf`"),
        ("sockperf.observations", 1e3, "got `float` - at `$.sockperf.observations`"),
        ("sockperf.percentiles_us", None, "got `null` - at `$.sockperf.percentiles_us`"),
        ("srd.tx", "all", "got `str` - at `$.srd.tx`"),
        ("throughput_gbps", float("inf"), "Infinity is no figure"),
        ("wall_s", float("nan"), "NaN is no figure"),
    ],
)
def test_a_record_that_enaxp_does_not_write_is_refused_by_name(
    run: RunFolder, path: str, value: Any, says: str
) -> None:
    lines = (run.path / "trials.jsonl").read_text().splitlines()
    spoilt = json.loads(lines[3])
    change(spoilt, path, value)
    (run.path / "trials.jsonl").write_text("\n".join([*lines[:3], json.dumps(spoilt), *lines[4:]]) + "\n")

    with pytest.raises(BenchError) as raised:
        result_of(run)

    assert says in str(raised.value)
    assert "trials.jsonl" in str(raised.value)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("schema", 7, "of schema 7, which a later enaxp wrote"),
        ("schema", None, "none of enaxp's"),
        ("target", "moon", "'moon' - at `$.target`"),
        ("started_at", "yesterday", "started_at is 'yesterday'"),
        ("plan", [], "got `array` - at `$.plan`"),
        ("plan.iterations", "ten", "got `str` - at `$.plan.iterations`"),
        ("plan.scenarios", [{"name": "x"}], "missing required field `mode` - at `$.plan.scenarios[0]`"),
        ("plan.scenarios", ["udp"], "got `str` - at `$.plan.scenarios[0]`"),
        ("connections", {}, "connections lack "),
        ("environment", {"before": {"client": 5}}, "got `int` - at `$.environment.before[...]`"),
    ],
)
def test_a_manifest_that_enaxp_does_not_write_is_refused_by_name(
    run: RunFolder, path: str, value: Any, says: str
) -> None:
    manifest = json.loads((run.path / "manifest.json").read_text())
    change(manifest, path, value)
    (run.path / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(BenchError) as raised:
        result_of(run)

    assert says in str(raised.value)
    assert "manifest.json" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b'{"schema": 1, "run_', "only half written"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "holds no JSON object"),
        (b'{"name": "somebody-elses"}', "none of enaxp's"),
    ],
)
def test_a_manifest_that_is_no_manifest_is_named(run: RunFolder, content: bytes, says: str) -> None:
    (run.path / "manifest.json").write_bytes(content)

    with pytest.raises(BenchError) as raised:
        run.read_manifest()

    assert says in str(raised.value)
    assert str(run.path / "manifest.json") in str(raised.value)


def test_a_latency_trial_that_never_had_a_histogram_does_not_count(run: RunFolder) -> None:
    record = run.records()[2]
    run.append(replace(record, number=99, iteration=4, histogram_file=None))
    run.append(replace(record, number=100, iteration=4, arm="ena_express", sockperf=replace(GOOD, observations=None)))

    warnings = result_of(run).scenarios["udp-latency"].warnings

    assert list(warnings) == [
        "trial 99 (ENA) does not count: it has no histogram",
        "trial 100 (ENA Express) does not count: its histogram holds 1000 observations, its record None",
    ]
