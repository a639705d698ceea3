"""Arrow: the tables as columns in memory, which DuckDB and Parquet share. pyarrow is imported here alone, when it is used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from enaxp.dataset.tables import TABLES, ColumnType, Row, TableName
from enaxp.errors import UsageError
from enaxp.installed import how_to_add

if TYPE_CHECKING:
    import pyarrow as pa


def require_extra(*names: str) -> None:
    """Raises UsageError where the extra `query`, or one of these of its packages, is not installed."""
    import importlib.util

    if missing := [name for name in names if importlib.util.find_spec(name) is None]:
        raise UsageError(f"this needs {' and '.join(missing)}, of the extra `query`", todo=how_to_add("query"))


def arrow_table(name: TableName, rows: Iterable[Row]) -> pa.Table:
    """The rows as an Arrow table with the columns of that name."""
    import pyarrow as pa

    schema = arrow_schema(name)
    columns: list[Any] = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.Table.from_arrays(
        [pa.array(cells, type=field.type) for cells, field in zip(columns, schema, strict=True)], schema=schema
    )


def arrow_schema(name: TableName) -> pa.Schema:
    """The table's columns with their types in Arrow."""
    import pyarrow as pa

    types: dict[ColumnType, Any] = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "moment": pa.timestamp("us"),
    }
    return pa.schema([pa.field(column.name, types[column.type]) for column in TABLES[name].columns])
