"""Records: lines that survive a crash, folders that never collide, files replaced whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from enaxp.bench.planning.schedule import schedule
from enaxp.bench.run_folder.documents import decode, encode, parse
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import (
    InterfaceDelta,
    InterfaceFacts,
    RunEnvironment,
    RunFolder,
    TrialRecord,
    record_document,
    trial_name,
)
from enaxp.errors import BenchError
from enaxp.hosts.sockperf import Second
from tests.support.factories import GOOD, SRD_ON, a_manifest, a_plan, a_record

NOW = datetime(2025, 4, 11, 8, 26, 10, tzinfo=UTC)
DELTA = InterfaceDelta(rx_packets=1, tx_packets=2, rx_bytes=3, tx_bytes=4)
FULL = a_record(
    "ena_express",
    throughput_gbps=9.5,
    interfaces={"client": {"ena": DELTA, "ena_express": DELTA}, "server": {"ena": DELTA}},
    allowances={"client": {"pps_allowance_exceeded": 0}},
    seconds=(Second(second=2, count=10, p50_us=1.0, p99_us=2.0, max_us=3.0),),
    raw_file="raw/0001.txt",
)
BARE = a_record(valid=False, reason="the connection was lost", sockperf=None, srd=None, histogram_file=None)


def read(line: bytes) -> TrialRecord:
    return decode(parse(line), TrialRecord, what="a record", reads=(1,))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, lab="dev", now=NOW)


ENVIRONMENT = RunEnvironment(
    before={"client": {"kernel": "6.1"}},
    interfaces={"client": {"ena": InterfaceFacts(interface="ens5", mtu=8900)}},
    after={},
    hashes={"before": "1f", "after": None},
    differences=("client: kernel",),
)


@pytest.mark.parametrize("record", [FULL, BARE], ids=["full", "bare"])
def test_a_record_comes_back_from_its_line(record: TrialRecord) -> None:
    assert read(encode(record_document(record))) == record


def test_a_line_tells_the_srd_share_to_who_reads_it_without_us() -> None:
    assert record_document(FULL)["srd"]["share"] == 1.0
    assert SRD_ON.share == 1.0


def test_a_field_that_a_later_enaxp_added_is_passed_over() -> None:
    assert read(encode({**record_document(FULL), "moon": "full"})) == FULL


@pytest.mark.parametrize("spoilt", [{"schema": 2}, {"schema": None}, {"sockperf": {"ok": True}}, {"arm": ...}])
def test_a_line_of_another_schema_or_without_what_it_needs_is_refused(spoilt: dict[str, object]) -> None:
    fields = {**record_document(FULL), **spoilt}
    fields = {name: value for name, value in fields.items() if value is not ...}

    with pytest.raises(BenchError):
        read(encode(fields))


def test_a_run_folder_is_named_after_its_moment_in_utc(tmp_path: Path) -> None:
    in_singapore = NOW.astimezone(timezone(timedelta(hours=8)))

    folder = RunFolder.create(tmp_path, lab="dev", now=in_singapore)

    assert folder.path == tmp_path / "dev" / "20250411-082610"
    assert folder.run_id == "20250411-082610"


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path, lab="dev", now=NOW).run_id for _ in range(3)]

    assert names == ["20250411-082610", "20250411-082611", "20250411-082612"]


def test_records_are_read_in_the_order_they_were_appended(folder: RunFolder) -> None:
    assert folder.records() == []

    for record in (FULL, BARE, FULL):
        folder.append(record)

    assert folder.records() == [FULL, BARE, FULL]


@pytest.mark.parametrize("cut", [1, 2, 50, 300])
def test_half_a_last_line_is_passed_over_and_cut_off_by_the_next(folder: RunFolder, cut: int) -> None:
    folder.append(FULL)
    folder.append(BARE)
    path = folder.path / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    whole = [FULL, BARE] if cut == 1 else [FULL]  # only the newline is missing: nothing is lost

    assert folder.records() == whole
    folder.append(FULL)
    assert folder.records() == [*whole, FULL]


def test_a_first_line_that_was_cut_leaves_nothing(folder: RunFolder) -> None:
    (folder.path / "trials.jsonl").write_bytes(b'{"schema": 1, "num')

    assert folder.records() == []
    folder.append(BARE)
    assert folder.records() == [BARE]


def test_a_bad_line_in_the_middle_is_named(folder: RunFolder) -> None:
    folder.append(FULL)
    with (folder.path / "trials.jsonl").open("a") as file:
        file.write("not json\n")
    folder.append(FULL)

    with pytest.raises(BenchError, match="line 2"):
        folder.records()


def test_a_manifest_comes_back_as_it_was(folder: RunFolder) -> None:
    manifest = a_manifest(environment=ENVIRONMENT, ended_at=NOW.isoformat())

    folder.write_manifest(manifest)

    assert RunFolder.open(folder.path).read_manifest() == manifest


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 2}', '{"schema": 1}', "{"])
def test_a_manifest_that_is_none_is_refused(folder: RunFolder, content: str) -> None:
    (folder.path / "manifest.json").write_text(content)

    with pytest.raises(BenchError):
        folder.read_manifest()


def test_a_folder_without_a_manifest_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="is not a run"):
        RunFolder.open(tmp_path)


def test_raw_text_and_histograms_are_found_by_what_their_record_says(folder: RunFolder) -> None:
    name = trial_name(schedule(a_plan())[0], attempt=1)
    histogram = Histogram.of([1, 2, 2])

    record = a_record(
        histogram_file=folder.write_histogram(name, histogram), raw_file=folder.write_raw(name, "µ\ud800")
    )

    assert folder.read_histogram(record) == histogram
    assert folder.read_histogram(BARE) is None
    assert (folder.path / str(record.raw_file)).read_text() == "µ?"
    assert record.histogram_file == f"histograms/{name}.csv.gz"


def test_a_histogram_that_is_gone_or_spoilt_is_named(folder: RunFolder) -> None:
    record = a_record(histogram_file="histograms/0001.csv.gz")
    with pytest.raises(BenchError, match="0001"):
        folder.read_histogram(record)

    (folder.path / "histograms/0001.csv.gz").write_bytes(b"nonsense")
    with pytest.raises(BenchError, match="0001"):
        folder.read_histogram(record)


def test_every_trial_and_attempt_has_a_name_of_its_own() -> None:
    trials = schedule(a_plan())

    assert len({trial_name(trial, attempt=attempt) for trial in trials for attempt in (1, 2)}) == 2 * len(trials)


def test_a_result_is_replaced_whole_or_not_at_all(folder: RunFolder) -> None:
    folder.write_document("result.json", {"mean_us": 1.0})

    with pytest.raises(ValueError, match="JSON"):
        folder.write_document("result.json", {"mean_us": float("nan")})

    assert folder.read_document("result.json") == {"mean_us": 1.0}
    assert [path.name for path in folder.path.iterdir() if path.name.startswith(".")] == []


def test_a_text_file_is_written_as_it_is(folder: RunFolder) -> None:
    folder.write_text("summary.txt", "35.421 μs\n")

    assert (folder.path / "summary.txt").read_bytes() == "35.421 μs\n".encode()


def test_an_output_in_a_record_keeps_every_figure() -> None:
    assert read(encode(record_document(FULL))).sockperf == GOOD
