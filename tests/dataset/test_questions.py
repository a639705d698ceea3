"""The questions in docs/query.md: the same numbers from the index and from the exported files, and SQL that Athena and Spark read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot

from enaxp.dataset.export import Folder
from enaxp.dataset.query import ask
from enaxp.dataset.tables import NAMES
from tests.dataset.conftest import Results
from tests.dataset.test_export import exported
from tests.dataset.test_index import bring

DOC = Path(__file__).parents[2] / "docs/query.md"
QUESTIONS = re.findall(r"```sql\n(.*?)```", DOC.read_text(), re.DOTALL)
C6I, C7I = "c6i.8xlarge", "c7i.8xlarge"
# Of the five runs of the fixture, counted by hand. Each took 1.5 hours at 3 USD an hour.
ANSWERS: list[list[tuple[Any, ...]]] = [
    [(C6I, "eu-west-1b", 2, 1, -0.5), (C6I, "us-east-1a", 2, 1, -12.0), (C7I, "us-east-1a", 1, 1, -30.0)],
    [("20260301-080000", -20.0), ("20260301-120000", -4.0), ("20260302-080000", -30.0)],
    [("dev", "20260302-080000", "udp-latency", 0.98)],
    [("udp-latency", "ena", 20, 0.004, 0.02), ("udp-latency", "ena_express", 1, 0.0002, 0.001)],
    [("dev", 3, 2, 13.5, 6.75), ("ops", 2, 2, 9.0, 4.5)],
]


def rounded(rows: Any) -> list[tuple[Any, ...]]:
    return [tuple(round(value, 9) if isinstance(value, float) else value for value in row) for row in rows]


@pytest.mark.parametrize(("number", "expected"), enumerate(ANSWERS))
def test_the_answer_is_the_same_from_the_index_and_from_the_exported_files(
    many: Results, tmp_path: Path, number: int, expected: list[tuple[Any, ...]]
) -> None:
    sql = QUESTIONS[number]
    exported(many, Folder(path=tmp_path / "out"))
    with duckdb.connect() as files:
        for name in NAMES:
            files.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{tmp_path}/out/{name}/*/*/*.parquet')")
        from_files = rounded(files.execute(sql).fetchall())

    from_index = rounded(ask(bring(many).path, sql).rows)

    assert from_index == from_files
    if number == 1:  # its intervals are those of the made run
        from_index = [(row[0], row[2]) for row in from_index]
    assert from_index == expected


def test_each_question_parses_as_athena_s_and_as_spark_s_sql() -> None:
    assert len(QUESTIONS) == len(ANSWERS)
    for question in QUESTIONS:
        for dialect in ("athena", "trino", "spark", "duckdb"):
            [parsed] = sqlglot.parse(question, dialect=dialect)
            assert parsed is not None
            assert parsed.key == "select"
