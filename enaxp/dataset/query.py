"""Query: one SQL query on the index, and its answer as plain data.

SQL ─▶ one statement that only reads? ─▶ DuckDB, locked ─▶ Answer (columns and rows of JSON's own types)
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from enaxp.dataset.index import open_locked
from enaxp.errors import UsageError

SEE_TABLES = "`enaxp query --tables` lists the tables and their columns"
_READS = {"SELECT", "EXPLAIN"}
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
)  # what a spreadsheet would carry out: https://owasp.org/www-community/attacks/CSV_Injection


@dataclass(frozen=True)
class Answer:
    """The columns' names, each once, and the rows: None, numbers, text, and lists and mappings of these."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def documents(self) -> list[dict[str, object]]:
        """Each row by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def csv(self) -> str:
        """The answer as CSV, the names first. Text that a spreadsheet would take for a formula has an apostrophe before it."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_harmless(value) for value in row] for row in self.rows)
        return text.getvalue()


def ask(index: Path, sql: str) -> Answer:
    """The answer of a SQL query. Raises UsageError for invalid SQL, more than one statement, or a statement that is not read-only."""
    import duckdb

    with open_locked(index) as connection:
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type.name not in _READS:
                raise UsageError(
                    "a question is one statement that reads", said=_what_it_is(statements), todo="begin it with SELECT"
                )
            connection.execute(statements[0])
            names = [str(column[0]) for column in connection.description or ()]
            rows = connection.fetchall()
        except duckdb.Error as error:
            raise UsageError("the question cannot be answered", said=_said(error), todo=SEE_TABLES) from None
    return Answer(columns=_each_once(names), rows=tuple(tuple(_plain(value) for value in row) for row in rows))


def _what_it_is(statements: Sequence[Any]) -> str:
    return f"this is {', '.join(statement.type.name for statement in statements) or 'nothing'}"


def _said(error: Exception) -> str:
    """DuckDB's message, without its stack trace."""
    return str(error).split("\n\nStack Trace", 1)[0].strip()


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    """The names, the second of a name with `_2` behind it, and so on."""
    seen: Counter[str] = Counter()
    given: list[str] = []
    for name in names:
        seen[name] += 1
        given.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(given)


def _plain(value: object) -> object:
    """A value as a JSON type. Times are in UTC with a zone."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat() + ("" if value.tzinfo else "Z")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
