"""Index: the rows of every run of a results folder in one DuckDB file, so that a query over thousands of runs need not read their files.

runs_of() ─▶ which are new, changed or gone ─▶ the old rows that still hold + the rows of those ─▶ a new file in the old one's place

The file is in the user's cache, not with the results, which may be shared or untrusted. If it is stale, lost or broken it is rebuilt; it
is replaced and never modified, so that running readers are not disturbed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.dataset.arrow import arrow_table
from enaxp.dataset.rows import PriceOf, Rows
from enaxp.dataset.source import RunFiles, UnreadableRun, read_runs, runs_of
from enaxp.dataset.tables import NAMES, TABLES, Row, TableName
from enaxp.errors import BenchError
from enaxp.files import PRIVATE

if TYPE_CHECKING:
    import duckdb

# DuckDB may access only this file, and the configuration is locked.
LOCKED = ("SET enable_external_access = false", "SET lock_configuration = true")
BATCH = 500  # runs whose rows are held in memory at a time


@dataclass(frozen=True, kw_only=True)
class Index:
    """The index: its path, the number of its runs, how many were read just now, and which could not be read."""

    path: Path
    runs: int
    read: int
    unreadable: tuple[UnreadableRun, ...]


def index_path(cache: Path, results_dir: Path) -> Path:
    """The file for a results folder: one for each folder, and for each layout of the tables."""
    of = f"{results_dir.resolve()} {TABLES!r}"
    return cache / "index" / f"{hashlib.sha256(of.encode()).hexdigest()[:32]}.duckdb"


def bring_up_to_date(path: Path, results_dir: Path, *, price_of: PriceOf, progress: Callable[[str], None]) -> Index:
    """The index, with every run as it is now. Raises BenchError where its file cannot be written."""
    runs = runs_of(results_dir)
    known = _known(path)
    new = [run for run in runs if known.get(run) is None]
    if known and not new and len(known) == len(runs):
        unreadable = tuple(UnreadableRun(run=run, why=why) for run, why in known.items() if why)
        return Index(path=path, runs=len(runs) - len(unreadable), read=0, unreadable=unreadable)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _rebuild(path, runs, known, new, price_of=price_of, progress=progress)
    except OSError as error:
        raise BenchError(
            f"the index {path} cannot be written",
            said=str(error),
            todo="free disk space, or set another folder: XDG_CACHE_HOME",
        ) from error


def open_locked(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the index, without access to files, network or settings."""
    import duckdb

    # Without replacements no name in a question can mean a variable of this program.
    connection = duckdb.connect(path, read_only=True, config={"python_enable_replacements": False})
    for statement in LOCKED:
        connection.execute(statement)
    return connection


def _known(path: Path) -> dict[RunFiles, str]:
    """The runs that the index has, each with why it could not be read, or nothing; none where there is no index that can be read."""
    import duckdb

    if not path.is_file():
        return {}
    try:
        with open_locked(path) as connection:
            found = connection.execute("SELECT lab, run_id, path, fingerprint, why FROM seen").fetchall()
    except duckdb.Error:
        return {}
    return {RunFiles(*map(str, row[:4])): str(row[4]) for row in found}


def _rebuild(
    path: Path,
    runs: Sequence[RunFiles],
    known: Mapping[RunFiles, str],
    new: Sequence[RunFiles],
    *,
    price_of: PriceOf,
    progress: Callable[[str], None],
) -> Index:
    import duckdb

    fresh = path.with_name(f".{secrets.token_hex(8)}.new")
    kept = [(run, why) for run in runs if (why := known.get(run)) is not None]
    unreadable = [UnreadableRun(run=run, why=why) for run, why in kept if why]
    try:
        with duckdb.connect(fresh, config={"python_enable_replacements": False}) as connection:
            fresh.chmod(PRIVATE)
            if kept:
                connection.execute(f"ATTACH '{_quoted(path)}' AS old (READ_ONLY)")
            for statement in LOCKED:
                connection.execute(statement)
            _make_tables(connection)
            if kept:
                _keep(connection, [run for run, _ in kept])
            for begin in range(0, len(new), BATCH):
                progress(f"reading runs: {begin} of {len(new)}")
                batch = new[begin : begin + BATCH]
                _add(connection, read_runs(batch, price_of=price_of, unreadable=unreadable.append))
            _insert_seen(connection, runs, {one.run: one.why for one in unreadable})
        fresh.replace(path)
    finally:
        for left in (fresh, fresh.with_name(f"{fresh.name}.wal")):
            left.unlink(missing_ok=True)
    return Index(path=path, runs=len(runs) - len(unreadable), read=len(new), unreadable=tuple(unreadable))


def _make_tables(connection: duckdb.DuckDBPyConnection) -> None:
    for name in NAMES:
        connection.register("columns_of_it", arrow_table(name, []))
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM columns_of_it")
        connection.unregister("columns_of_it")
    connection.execute(
        "CREATE TABLE seen (lab VARCHAR, run_id VARCHAR, path VARCHAR, fingerprint VARCHAR, why VARCHAR)"
    )


def _keep(connection: duckdb.DuckDBPyConnection, runs: Sequence[RunFiles]) -> None:
    """Takes over the old rows of these runs."""
    import pyarrow as pa

    kept = pa.table({"lab": [run.lab for run in runs], "run_id": [run.run_id for run in runs]})
    connection.register("kept", kept)
    for name in NAMES:
        columns = ", ".join(f'"{column}"' for column in TABLES[name].names)
        connection.execute(f"INSERT INTO {name} SELECT {columns} FROM old.{name} SEMI JOIN kept USING (lab, run_id)")
    connection.unregister("kept")


def _add(connection: duckdb.DuckDBPyConnection, runs: Iterable[tuple[RunFiles, Rows]]) -> None:
    """Puts in the rows of these runs, a table at a time: row by row takes a hundred times as long."""
    gathered: dict[TableName, list[Row]] = {name: [] for name in NAMES}
    for _, rows in runs:
        for name in NAMES:
            gathered[name] += rows[name]
    for name, rows_of_it in gathered.items():
        connection.register("rows_of_it", arrow_table(name, rows_of_it))
        connection.execute(f"INSERT INTO {name} SELECT * FROM rows_of_it")
        connection.unregister("rows_of_it")


def _insert_seen(connection: duckdb.DuckDBPyConnection, runs: Sequence[RunFiles], why: Mapping[RunFiles, str]) -> None:
    import pyarrow as pa

    columns = {name: [str(getattr(run, name)) for run in runs] for name in ("lab", "run_id", "path", "fingerprint")}
    text = pa.string()
    columns_of_text = {name: pa.array(cells, type=text) for name, cells in columns.items()}
    connection.register(
        "seen_now", pa.table({**columns_of_text, "why": pa.array([why.get(run, "") for run in runs], text)})
    )
    connection.execute("INSERT INTO seen SELECT * FROM seen_now")
    connection.unregister("seen_now")


def _quoted(path: Path) -> str:
    """A path between SQL's single quotes."""
    return str(path).replace("'", "''")
