"""The command line: each command parses, calls, prints. The implementation is in enaxp/commands.

    argv ─▶ run ─▶ a command of lab.py, bench.py, runs.py, dataset.py, monitoring.py ─▶ enaxp.commands ─▶ Console

declare.py says how commands are declared, completion.py what Tab completes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import click

from enaxp import __version__
from enaxp.cli.bench import bench, demo
from enaxp.cli.completion import COMPLETE_VARIABLE, PROGRAM, complete, completion
from enaxp.cli.dataset import export, query
from enaxp.cli.given import restore
from enaxp.cli.lab import doctor, down, extend, init, ls, plan, policy, ssh, status, up
from enaxp.cli.monitoring import exporter, monitor
from enaxp.cli.runs import check, compare, parse, report, runs
from enaxp.terminal.streams import lost_output, tell


class Commands(click.Group):
    """A group that lists its commands in the order in which they are given."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(self.commands)


app = Commands(
    help="Measure what ENA Express does to your traffic: build the lab on AWS, compare, report, remove everything.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    commands=[
        *(init, plan, up, status, doctor, bench, restore, report, parse, compare, check, runs, query, export, down, ls),
        *(extend, exporter, monitor, policy, ssh, demo, completion),
    ],
)
click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s", help="Show the version.")(app)


def run(arguments: Sequence[str]) -> int:
    """Runs the command that the arguments name; returns the exit code. EnaxpErrors are raised for the caller to print."""
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        return complete(app, instruction)
    try:
        with _written_whole():
            context = app.make_context(PROGRAM, list(arguments))
        with context:
            app.invoke(context)
    except click.exceptions.Exit as left:  # --help and --version
        return left.exit_code
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        tell("", end="")  # where stderr is closed or full, what it still holds is dropped
        return error.exit_code
    return 0


@contextlib.contextmanager
def _written_whole() -> Iterator[None]:
    """For what click prints itself: the help and the version. Raises OutputError or BrokenPipeError when it is lost."""
    try:
        yield
    except OSError as error:
        raise lost_output(error) from error
