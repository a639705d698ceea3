"""Dataset: the implementation of `enaxp query` and `enaxp export`. They need only saved results, and for S3 credentials.

SQL ─▶ the index, brought up to date ─▶ Answer          results ─▶ Parquet, in a folder or on S3 ─▶ Exported
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.dataset.arrow import require_extra
from enaxp.errors import UsageError
from enaxp.text import counted

if TYPE_CHECKING:
    from enaxp.dataset.export import Exported, Store
    from enaxp.dataset.query import Answer
    from enaxp.dataset.source import UnreadableRun
    from enaxp.options import Options
    from enaxp.terminal.console import Console

HOSTS = 2  # whose time a run costs
_TOLD = 5  # runs that cannot be read, by name


@dataclass(frozen=True, kw_only=True)
class ColumnLine:
    """A column in the output of `enaxp query --tables --json`."""

    table: str
    column: str
    type: str
    about: str


def column_lines() -> list[ColumnLine]:
    """Every column of every table."""
    from enaxp.dataset.tables import TABLES

    return [
        ColumnLine(table=table.name, column=column.name, type=column.type, about=column.about)
        for table in TABLES.values()
        for column in table.columns
    ]


def query_runs(options: Options, sql: str, *, console: Console) -> Answer:
    """The answer of a SQL query over every run in the results folder.

    Raises UsageError for invalid SQL, or when the extra `query` is not installed.
    """
    require_extra("duckdb", "pyarrow")
    from enaxp.dataset.index import bring_up_to_date, index_path
    from enaxp.dataset.query import ask
    from enaxp.report.charts.cache import cache_folder

    results = _results(options)
    path = index_path(cache_folder(), results)
    index = bring_up_to_date(path, results, price_of=usd_per_hour, progress=console.transient)
    _tell_unreadable(index.unreadable, console)
    return ask(index.path, sql)


def export_runs(options: Options, *, to: str, since: date | None, console: Console) -> Exported:
    """Writes every run, or those since a date, as Parquet to a folder or s3://BUCKET/PREFIX.

    Raises UsageError for an invalid destination, or when the extra `query` is not installed, and BenchError when it cannot be written.
    """
    require_extra("pyarrow")
    from enaxp.dataset.export import Folder, export
    from enaxp.dataset.s3 import SCHEME, bucket_of

    results = _results(options)
    if to.startswith(SCHEME):
        store: Store = bucket_of(to, profile=options.profile, region=options.region)
    elif "://" in to:
        raise UsageError(f"{to!r} is no place to export to", todo="give a folder, or s3://BUCKET/PREFIX")
    else:
        store = Folder(path=Path(to))
    exported = export(results, store, since=since, price_of=usd_per_hour, progress=console.transient)
    _tell_unreadable(exported.unreadable, console)
    console.say(
        f"{counted(exported.runs, 'run')} in {exported.to}: {counted(len(exported.written), 'file')} written, "
        f"{exported.unchanged} unchanged"
    )
    return exported


@cache
def usd_per_hour(region: str, instance_type: str) -> float | None:
    """The cost of both hosts of a lab in USD per hour, from the dated table of list prices; None for an unknown type or region."""
    from enaxp.lab.cost import from_table

    prices = from_table(region, instance_type)
    return None if prices is None else HOSTS * (prices.instance + prices.disk + prices.address)


def _results(options: Options) -> Path:
    if not options.results_dir.is_dir():
        raise UsageError(
            f"there are no results in {options.results_dir}", todo="make a run (`enaxp bench`), or name --results-dir"
        )
    return options.results_dir


def _tell_unreadable(unreadable: Sequence[UnreadableRun], console: Console) -> None:
    for one in unreadable[:_TOLD]:
        console.say(f"left out: {one.run.lab}/{one.run.run_id}: {one.why}")
    if len(unreadable) > _TOLD:
        console.say(f"left out: {len(unreadable) - _TOLD} more; `enaxp runs` says why")
