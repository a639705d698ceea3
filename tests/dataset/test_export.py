"""Export: Parquet by lab and day, whole or not at all, the same twice, and what was there before stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pyarrow.parquet as pq
import pytest
import sqlglot

from enaxp.bench.run_folder.names import is_run_id
from enaxp.dataset.export import Exported, Folder, Store, athena_ddl, export
from enaxp.dataset.tables import NAMES, TABLES
from enaxp.errors import BenchError
from tests.dataset.conftest import Results
from tests.test_cli import enaxp


def exported(results: Results, store: Store, *, since: date | None = None) -> Exported:
    return export(results.path, store, since=since, price_of=lambda region, type_: 3.0, progress=lambda text: None)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def runs_in(folder: Path) -> list[str]:
    found = duckdb.sql(f"SELECT lab || '/' || run_id FROM read_parquet('{folder}/runs/*/*/*.parquet') ORDER BY 1")
    return [str(row[0]) for row in found.fetchall()]


def test_a_second_export_changes_nothing(many: Results, tmp_path: Path) -> None:
    store = Folder(path=tmp_path / "out")
    first = exported(many, store)
    before = files(store.path)

    second = exported(many, store)

    assert (first.runs, len(first.written), first.unchanged) == (5, 4 * len(NAMES), 0)
    assert (second.runs, second.written, second.unchanged) == (5, (), 4 * len(NAMES))
    assert files(store.path) == before
    assert set(before) == {
        f"{name}/lab={lab}/day={day}/part.parquet"
        for name in NAMES
        for lab, day in (("dev", "2026-03-01"), ("dev", "2026-03-02"), ("ops", "2026-03-02"), ("ops", "2026-03-03"))
    }


def test_two_folders_of_the_same_runs_hold_the_same_bytes(many: Results, tmp_path: Path) -> None:
    exported(many, Folder(path=tmp_path / "one"))
    for since in (date(2026, 3, 3), date(2026, 3, 2), None):
        exported(many, Folder(path=tmp_path / "other"), since=since)

    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_a_run_that_went_on_is_replaced_and_one_that_was_removed_stays(many: Results, tmp_path: Path) -> None:
    store = Folder(path=tmp_path / "out")
    result = many.path / "dev/20260301-080000/result.json"
    content = result.read_text()
    result.unlink()
    exported(many, store)

    result.write_text(content)
    for path in (many.path / "dev/20260301-120000").iterdir():
        if path.is_file():
            path.unlink()
    again = exported(many, store)

    assert runs_in(store.path) == [
        "dev/20260301-080000", "dev/20260301-120000", "dev/20260302-080000", "ops/20260302-080000", "ops/20260303-080000",
    ]  # fmt: skip
    assert {path.partition("/lab")[0] for path in again.written} == {"runs", "pairs", "arms", "effects"}
    sql = f"SELECT count(*) FROM read_parquet('{store.path}/effects/lab=dev/day=2026-03-01/*.parquet')"
    effects = len(json.loads(content)["scenarios"]["udp-latency"]["effects"])
    assert duckdb.sql(sql).fetchall() == [(2 * effects,)]


def test_rows_of_an_older_and_of_a_newer_enaxp_stand_side_by_side(many: Results, tmp_path: Path) -> None:
    store = Folder(path=tmp_path / "out")
    exported(many, store)
    part = store.path / "runs/lab=dev/day=2026-03-01/part.parquet"
    (many.path / "dev/20260301-120000/manifest.json").unlink()
    other = pq.read_table(part).drop_columns(["usd"])
    pq.write_table(other.append_column("from_later", [["x", "y"]]), part)

    exported(many, store)

    table = pq.read_table(part).to_pylist()
    assert [(row["run_id"], row["from_later"], row["usd"]) for row in table] == [
        ("20260301-080000", None, 4.5),
        ("20260301-120000", "y", None),
    ]


def test_since_leaves_out_what_began_before_that_day(many: Results, tmp_path: Path) -> None:
    exported(many, Folder(path=tmp_path / "out"), since=date(2026, 3, 2))

    assert runs_in(tmp_path / "out") == ["dev/20260302-080000", "ops/20260302-080000", "ops/20260303-080000"]


@dataclass
class Failing:
    """A store that is full after so many files."""

    inner: Folder
    left: int
    name: str = "full"
    written: list[str] = field(default_factory=list)

    def read(self, path: str) -> bytes | None:
        return self.inner.read(path)

    def write(self, path: str, content: bytes) -> None:
        if not self.left:
            raise OSError(28, "No space left on device")
        self.left -= 1
        self.inner.write(path, content)


def test_an_export_that_breaks_off_leaves_whole_files_and_goes_on_the_next_time(many: Results, tmp_path: Path) -> None:
    folder = Folder(path=tmp_path / "out")
    with pytest.raises(BenchError, match="cannot be written to full"):
        exported(many, Failing(folder, left=7))
    assert all(pq.read_table(tmp_path / "out" / path).num_rows for path in files(tmp_path / "out"))
    assert len(files(tmp_path / "out")) == 7

    exported(many, folder)
    exported(many, Folder(path=tmp_path / "whole"))

    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_what_is_no_parquet_of_ours_is_not_overwritten(many: Results, tmp_path: Path) -> None:
    mine = tmp_path / "out/runs/lab=dev/day=2026-03-01/part.parquet"
    mine.parent.mkdir(parents=True)
    mine.write_text("a letter")

    with pytest.raises(BenchError, match="runs/lab=dev"):
        exported(many, Folder(path=tmp_path / "out"))

    assert mine.read_text() == "a letter"


def test_the_statements_for_athena_name_every_column_and_parse(tmp_path: Path) -> None:
    ddl = athena_ddl("s3://bucket/prefix/")

    created = [one for one in sqlglot.parse(ddl, dialect="athena") if one is not None and one.key == "create"]

    assert len(created) == len(NAMES)
    for name, statement in zip(NAMES, created, strict=True):
        columns = [column.name for column in statement.find_all(sqlglot.exp.ColumnDef)]
        assert sorted(columns) == sorted(TABLES[name].names)
        assert f"s3://bucket/prefix/{name}/" in statement.sql(dialect="athena")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket of a local S3, by AWS's own protocol on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="results")
    yield client
    server.stop()


def test_an_export_to_s3_is_the_same_as_to_a_folder(s3: Any, many: Results, tmp_path: Path) -> None:
    arguments = ("export", "--to", "s3://results/of/enaxp", "--json")
    first, second = (enaxp(*arguments, folder=many.path.parent) for _ in range(2))
    to_folder = enaxp("export", "--to", "out", folder=many.path.parent)

    assert (first.returncode, second.returncode, to_folder.returncode) == (0, 0, 0), first.stderr
    assert json.loads(second.stdout)["written"] == []
    listed = s3.list_objects_v2(Bucket="results")["Contents"]
    objects = {
        one["Key"].removeprefix("of/enaxp/"): s3.get_object(Bucket="results", Key=one["Key"])["Body"].read()
        for one in listed
        if one["Size"]
    }
    assert objects == files(many.path.parent / "out")


@pytest.mark.parametrize(
    ("to", "says"),
    [("s3://", "no place on S3"), ("https://x/y", "no place to export to"), ("s3://absent/x", "cannot be written to")],
)
def test_a_place_that_is_none_is_said(s3: Any, many: Results, to: str, says: str) -> None:
    refused = enaxp("export", "--to", to, folder=many.path.parent)

    assert refused.returncode in (1, 2)
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_folder_that_is_no_run_is_passed_over(many: Results, tmp_path: Path) -> None:
    (many.path / "dev/notes").mkdir()
    (many.path / "dev/20260309-080000").symlink_to(many.made)

    assert not is_run_id("notes")
    assert exported(many, Folder(path=tmp_path / "out")).runs == 5
