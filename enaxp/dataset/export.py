"""Export: every run as Parquet, in a folder or on S3, as Athena, Spark, Trino and DuckDB read it.

runs_of() ─▶ by lab and day ─▶ rows ─▶ merged with what is there already ─▶ TABLE/lab=LAB/day=DAY/part.parquet, whole or not at all

Each file has one day of one lab. Its rows have a fixed order, so the same runs give the same file, and a second export changes nothing.
Exported runs that are no longer in the results are kept; a run that was exported before it ended is replaced. Columns of an older or
newer version are kept, and are null in other rows.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from enaxp.dataset.arrow import arrow_table
from enaxp.dataset.rows import PriceOf, Rows
from enaxp.dataset.source import RunFiles, UnreadableRun, read_runs, runs_of
from enaxp.dataset.tables import NAMES, PARTITIONED_BY, TABLES, TableName
from enaxp.errors import BenchError
from enaxp.files import FOR_ALL, write_whole

if TYPE_CHECKING:
    import pyarrow as pa

PART = "part.parquet"


class Store(Protocol):
    """The destination of an export: a folder, or a prefix on S3. Paths are relative, with slashes."""

    @property
    def name(self) -> str:
        """As a person gave it."""

    def read(self, path: str) -> bytes | None:
        """The content of the file; None if it does not exist. Raises OSError."""

    def write(self, path: str, content: bytes) -> None:
        """Writes the content atomically. Raises OSError."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A store in a folder of this computer."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self, path: str) -> bytes | None:
        try:
            return (self.path / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        place = self.path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, content, mode=FOR_ALL)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What `enaxp export --json` prints. written: the files that are new or changed; unchanged: those that were so already."""

    to: str
    runs: int
    written: tuple[str, ...]
    unchanged: int
    unreadable: tuple[UnreadableRun, ...]


def export(
    results_dir: Path, store: Store, *, since: date | None, price_of: PriceOf, progress: Callable[[str], None]
) -> Exported:
    """Writes the runs that began on that day or later (None: all). Raises BenchError where the store refuses."""
    days: dict[tuple[str, str], list[RunFiles]] = defaultdict(list)
    for run in runs_of(results_dir):
        day = f"{run.run_id[:4]}-{run.run_id[4:6]}-{run.run_id[6:8]}"  # of the folder's name, which is of its beginning
        if since is None or day >= since.isoformat():
            days[run.lab, day].append(run)
    unreadable: list[UnreadableRun] = []
    written: list[str] = []
    count = files = 0
    for number, ((lab, day), runs) in enumerate(sorted(days.items()), start=1):
        progress(f"exporting day {number} of {len(days)}: {lab}, {day}")
        read = list(read_runs(runs, price_of=price_of, unreadable=unreadable.append))
        count += len(read)
        for name in NAMES:
            files += 1
            path = f"{name}/lab={quote(lab, safe='')}/day={day}/{PART}"
            if _put(store, path, name, read):
                written.append(path)
    return Exported(
        to=store.name, runs=count, written=tuple(written), unchanged=files - len(written), unreadable=tuple(unreadable)
    )


def _put(store: Store, path: str, name: TableName, read: Sequence[tuple[RunFiles, Rows]]) -> bool:
    """Brings one file up to date; whether it had to be written."""
    try:
        there = store.read(path)
        content = to_parquet(_merged(name, read, there))
        if content == there:
            return False
        store.write(path, content)
    except (OSError, ValueError) as error:
        raise BenchError(
            f"{path} cannot be written to {store.name}",
            said=str(error),
            todo="correct that and export again: existing files are complete, and missing ones are added",
        ) from error
    return True


def _merged(name: TableName, read: Iterable[tuple[RunFiles, Rows]], there: bytes | None) -> pa.Table:
    """The rows of these runs, and those of the other runs that the file has, in the order of their runs."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    pairs = list(read)
    new = arrow_table(name, (row for _, rows in pairs for row in rows[name])).drop_columns(list(PARTITIONED_BY))
    if there is None:
        return new
    old = pq.read_table(io.BytesIO(there))
    replaced = pa.array([run.run_id for run, _ in pairs], pa.string())
    others = old.filter(pc.invert(pc.is_in(old["run_id"], value_set=replaced)))
    together = pa.concat_tables([new, others], promote_options="default")
    # Stable: within a run the rows stay in their order.
    return together.take(pc.sort_indices(together["run_id"]))


def to_parquet(table: pa.Table) -> bytes:
    """The file, the same bytes for the same rows."""
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), file, compression="zstd", coerce_timestamps="us")
    return file.getvalue()


def athena_ddl(location: str) -> str:
    """The statements with which Athena, Trino or Spark know the exported tables. `location`: where they were exported to."""
    types = {"text": "string", "integer": "bigint", "number": "double", "boolean": "boolean", "moment": "timestamp"}
    statements = []
    for name in NAMES:
        table = TABLES[name]
        columns = ",\n".join(
            f"  `{column.name}` {types[column.type]} COMMENT '{_quoted(column.about)}'"
            for column in table.columns
            if column.name not in PARTITIONED_BY
        )
        by = ", ".join(f"`{column}` string" for column in PARTITIONED_BY)
        statements.append(
            f"CREATE EXTERNAL TABLE IF NOT EXISTS enaxp_{name} (\n{columns}\n)\nPARTITIONED BY ({by})\nSTORED AS PARQUET\n"
            f"LOCATION '{location.rstrip('/')}/{name}/';\n\nMSCK REPAIR TABLE enaxp_{name};"
        )
    return "\n\n".join(statements) + "\n"


def _quoted(text: str) -> str:
    """Text between Hive's single quotes."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
