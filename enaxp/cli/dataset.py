"""Commands of many runs at once, which need saved results alone: `query export`."""

from __future__ import annotations

from datetime import datetime

import click

from enaxp.cli.declare import argument, command, option
from enaxp.errors import UsageError
from enaxp.options import Options


@command("query")
@argument("sql", metavar="[SQL]", required=False, about="One SELECT over runs, pairs, arms, effects, trials.")
@option("--tables", is_flag=True, help="List the tables and their columns, with units.")
@option("--csv", "as_csv", is_flag=True, help="CSV instead of a table.")
def query(options: Options, *, sql: str | None, tables: bool, as_csv: bool) -> None:
    """Query every run in the results folder by SQL (DuckDB)."""
    from enaxp.bench.run_folder.documents import fields_of
    from enaxp.commands.dataset import column_lines, query_runs
    from enaxp.terminal.console import Console

    if tables == (sql is not None) or (as_csv and (tables or options.as_json)):
        raise UsageError("a query is SQL or --tables, with --json or --csv or neither", todo="`enaxp query --tables`")
    console = Console(as_json=options.as_json)
    if tables:
        lines = column_lines()
        if options.as_json:
            console.document([fields_of(line) for line in lines])
        else:
            rows = [(line.table, line.column, line.type, line.about) for line in lines]
            console.table(("table", "column", "type", "what it is"), rows)
        return
    answer = query_runs(options, sql or "", console=console)
    if options.as_json:
        console.document(answer.documents())
    elif as_csv:
        console.result(answer.csv().removesuffix("\n"))
    else:
        console.table(answer.columns, answer.rows)


@command("export")
@option("--to", metavar="FOLDER|s3://BUCKET/PREFIX", required=True, help="Where the files go.")
@option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only runs that began on that day or later, in UTC.")
@option(
    "--ddl", type=click.Choice(["athena"]), help="Print the statements that make the tables known, and write nothing."
)
def export(options: Options, *, to: str, since: datetime | None, ddl: str | None) -> None:
    """Write every run as Parquet, by lab and day; again adds what is new. For Athena, Spark, Trino, DuckDB."""
    from enaxp.bench.run_folder.documents import fields_of
    from enaxp.commands.dataset import export_runs
    from enaxp.terminal.console import Console

    console = Console(as_json=options.as_json)
    if ddl is not None:
        from enaxp.dataset.export import athena_ddl

        statements = athena_ddl(to)
        if options.as_json:
            console.document({"ddl": statements})
        else:
            console.result(statements.rstrip())
        return
    exported = export_runs(options, to=to, since=since.date() if since else None, console=console)
    if options.as_json:
        console.document(fields_of(exported))
