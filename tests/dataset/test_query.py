"""A question: one statement that reads, of the runs and of nothing else; its answer as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from enaxp.dataset.query import Answer, ask
from enaxp.errors import UsageError
from tests.dataset.conftest import Results
from tests.dataset.test_index import bring
from tests.test_cli import enaxp


@pytest.fixture
def index(many: Results) -> Path:
    return bring(many).path


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_parquet('https://127.0.0.1:1/x')",
        "EXPLAIN ANALYZE COPY runs TO '{folder}/stolen.csv'",
        "COPY runs TO '{folder}/stolen.csv'",
        "ATTACH '{folder}/stolen.db'",
        "EXPORT DATABASE '{folder}/stolen'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "LOAD '{folder}/evil.so'",
        "PRAGMA database_list",
        "CALL checkpoint()",
        "DROP TABLE runs",
        "DELETE FROM runs",
        "EXPLAIN ANALYZE DELETE FROM runs",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE runs",
        "SELECT index FROM index",
        "SELECT getenv('HOME')",
        "",
        "no SQL",
        "SELECT nothing FROM nowhere",
    ],
)
def test_nothing_but_the_runs_can_be_reached_and_nothing_changed(index: Path, tmp_path: Path, sql: str) -> None:
    (tmp_path / "secret.txt").write_text("the secret")
    before = index.read_bytes(), sorted(path.name for path in tmp_path.iterdir())

    with pytest.raises(UsageError) as refused:
        ask(index, sql.format(secret=tmp_path / "secret.txt", folder=tmp_path))

    assert "the secret" not in str(refused.value)
    assert (index.read_bytes(), sorted(path.name for path in tmp_path.iterdir())) == before


@pytest.mark.parametrize(
    ("sql", "columns", "rows"),
    [
        ("SELECT 1 AS a, 2 AS a", ("a", "a_2"), [(1, 2)]),
        ("SELECT 'NaN'::DOUBLE, 1.50::DECIMAL(4,2), NULL", None, [(None, 1.5, None)]),
        ("SELECT [1, 2], {'a': DATE '2026-01-02'}", None, [([1, 2], {"a": "2026-01-02"})]),
        ("SELECT TIMESTAMP '2026-01-02 03:04:05'", None, [("2026-01-02T03:04:05Z",)]),
        ("SELECT INTERVAL 90 SECONDS, 'x'::BLOB", None, [(90.0, "b'x'")]),
        ("FROM runs SELECT count(*) AS n", ("n",), [(5,)]),
    ],
)
def test_an_answer_is_of_json_s_own_types(
    index: Path, sql: str, columns: tuple[str, ...] | None, rows: list[tuple[object, ...]]
) -> None:
    answer = ask(index, sql)

    assert list(answer.rows) == rows
    assert columns is None or answer.columns == columns
    json.dumps(answer.documents(), allow_nan=False)


def test_csv_holds_no_formula_and_numbers_as_they_are() -> None:
    text = Answer(("a", "b"), (("=1+1", -2.5), ("@x", None), ('say "a, b"', 3))).csv()

    assert list(csv.reader(io.StringIO(text))) == [["a", "b"], ["'=1+1", "-2.5"], ["'@x", ""], ['say "a, b"', "3"]]


def test_a_question_is_answered_as_a_table_as_json_and_as_csv(many: Results) -> None:
    sql = "SELECT lab, count(*) AS runs FROM runs GROUP BY lab ORDER BY lab"
    at = {"folder": many.path.parent, "XDG_CACHE_HOME": str(many.path.parent / "cache")}

    table, as_json, as_csv = (enaxp("query", sql, *more, **at) for more in ((), ("--json",), ("--csv",)))

    assert table.stdout.splitlines() == ["lab  runs", "dev  3", "ops  2"]
    assert json.loads(as_json.stdout) == [{"lab": "dev", "runs": 3}, {"lab": "ops", "runs": 2}]
    assert as_csv.stdout == "lab,runs\ndev,3\nops,2\n"


def test_the_tables_are_listed_with_their_columns_and_units() -> None:
    listed = enaxp("query", "--tables", "--json")

    columns = json.loads(listed.stdout)
    assert {column["table"] for column in columns} == {"runs", "pairs", "arms", "effects", "trials"}
    assert all(column["about"] for column in columns)
    for column in columns:
        if column["column"].endswith("_us"):
            assert "in µs" in column["about"], column


@pytest.mark.parametrize(
    "arguments",
    [(), ("SELECT 1", "--tables"), ("SELECT 1", "--json", "--csv"), ("SELECT 1", "--results-dir", "absent")],
)
def test_what_is_no_question_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused = enaxp("query", *arguments, folder=tmp_path)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "next:" in refused.stderr
