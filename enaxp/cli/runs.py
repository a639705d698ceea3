"""Commands of saved runs, which need no lab and no credentials: `report parse compare check runs`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from enaxp.cli.completion import run_names
from enaxp.cli.declare import PATH, argument, command, option, yes_option
from enaxp.options import Options
from enaxp.traffic import ARMS, METRICS, Arm, Metric


@command("report")
@argument("run", metavar="RUN", shell_complete=run_names, about="A run's folder, its id, or how that begins.")
@option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["html", "md", "png", "svg"]),
    help="What to write; repeat it.  [default: html, or png with --charts]",
)
@option("--charts", type=PATH, help="Where every chart goes, as png or svg.")
@option("--open", "open_it", is_flag=True, help="Show the page in a browser.")
@option("--redact", is_flag=True, help="Without AWS ids, addresses and paths, to be shown to anybody.")
def report(
    options: Options, *, run: str, formats: tuple[str, ...], charts: Path | None, open_it: bool, redact: bool
) -> None:
    """Render a run again, from its folder alone: the page, its charts, or Markdown. A run may still be going on."""
    from enaxp.bench.run_folder.documents import fields_of
    from enaxp.commands.runs import report_run
    from enaxp.terminal.console import Console

    console = Console(as_json=options.as_json)
    chosen = list(formats) or ([] if charts else ["html"])
    if open_it and "html" not in chosen:
        chosen.append("html")
    rendered = report_run(options, run, formats=chosen, charts=charts, console=console, redact=redact)
    if options.as_json:
        console.document(fields_of(rendered))
    if open_it:
        click.launch(rendered.written[0])


@command("parse")
@argument(
    "files", nargs=-1, required=True, type=click.Path(), metavar="FILE...", about="Saved sockperf output; - is stdin."
)
def parse(options: Options, *, files: tuple[str, ...]) -> None:
    """Read saved sockperf output: figures, or why there are none. Exit 1 if any file is not a finished client run."""
    import msgspec

    from enaxp.commands.runs import parse_files
    from enaxp.terminal.console import Console

    outputs = parse_files(files)
    Console(as_json=options.as_json).document(msgspec.to_builtins(outputs))
    if not all(output.ok for output in outputs):
        sys.exit(1)


@command("compare")
@argument(
    "runs",
    nargs=-1,
    required=False,
    metavar="[A B...]",
    shell_complete=run_names,
    about="The first run, and the runs to compare with it, one by one.",
)
@option("--base", multiple=True, metavar="RUN", shell_complete=run_names, help="A run of the first side; repeat it.")
@option(
    "--run",
    multiple=True,
    metavar="RUN",
    shell_complete=run_names,
    help="A run of the other side; repeatable: the run is the unit.",
)
@option(
    "--fail-if",
    multiple=True,
    metavar="CONDITION",
    help="Exit 5 when shown, e.g. 'p99 slower 5%' or 'effect p99 slower 5%'; repeat it.",
)
@option("--arm", type=click.Choice(ARMS), help="Only this arm.  [default: both]")
@option("--page", type=PATH, metavar="FILE", help="Write it as one HTML file, too.")
def compare(
    options: Options,
    *,
    runs: tuple[str, ...],
    base: tuple[str, ...],
    run: tuple[str, ...],
    fail_if: tuple[str, ...],
    arm: Arm | None,
    page: Path | None,
) -> None:
    """Compare runs: what became faster or slower, and how sure that is. Runs are named as in `runs`."""
    from enaxp.bench.comparing.comparison_document import document_of
    from enaxp.bench.comparing.conditions import read_condition
    from enaxp.bench.run_folder.documents import fields_of
    from enaxp.commands.runs import SidesAsked, compare_runs, write_page
    from enaxp.report.comparison_page import render_comparison
    from enaxp.terminal.console import Console
    from enaxp.terminal.runs import tell_comparison

    conditions = [read_condition(text) for text in fail_if]
    arms = ARMS if arm is None else (arm,)
    asked = SidesAsked(runs=runs, base=base, run=run)
    compared = compare_runs(options.results_dir, asked, lab=options.lab, arms=arms, conditions=conditions)
    console = Console(as_json=options.as_json)
    if page is not None:
        write_page(page, render_comparison(compared))
    if options.as_json:
        console.document(fields_of(document_of(compared)))
    else:
        tell_comparison(console, compared)
    compared.require_conditions()


@command("check")
@argument("run", metavar="RUN", shell_complete=run_names, about="A path, a run id, how one begins, or latest.")
def check(options: Options, *, run: str) -> None:
    """Is this run complete and stable? With reasons. Exit 5 when it is not."""
    from enaxp.bench.judging.checkup import document_of
    from enaxp.bench.run_folder.documents import fields_of
    from enaxp.commands.runs import check_run
    from enaxp.errors import ConditionFailedError
    from enaxp.terminal.console import Console
    from enaxp.terminal.runs import tell_checkup

    folder, checkup = check_run(options.results_dir, run, lab=options.lab)
    console = Console(as_json=options.as_json)
    if options.as_json:
        console.document(fields_of(document_of(checkup, run_id=folder.run_id, path=str(folder.path))))
    else:
        tell_checkup(console, folder.run_id, checkup)
    if not checkup.is_good:
        reasons = [*checkup.missing, *checkup.unstable]
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        raise ConditionFailedError(f"run {folder.run_id} is not both complete and stable", said=f"{reasons[0]}{more}")


@command("runs")
@option(
    "--prune",
    "keep",
    metavar="KEEP",
    help="Remove runs that have ended: all but the newest 20 of each lab, those older than 30d, or beyond 5GB in all.",
)
@option("--raw", is_flag=True, help="With --prune: remove only what sockperf printed and full logs; results stay.")
@option(
    "--trend",
    type=click.Choice(METRICS),
    help="The effect over time: how much it differs from run to run, and where it changed.",
)
@yes_option
def runs(options: Options, *, keep: str | None, raw: bool, trend: Metric | None, yes: bool) -> None:
    """List the runs of every lab (or of --lab), the newest first."""
    from enaxp.bench.history import run_lines
    from enaxp.bench.run_folder.documents import fields_of
    from enaxp.commands.prune import prune_runs, read_keep
    from enaxp.commands.trend import trend_of_runs
    from enaxp.errors import UsageError
    from enaxp.terminal.console import Console
    from enaxp.terminal.runs import tell_runs
    from enaxp.terminal.trend import tell_trend

    console = Console(as_json=options.as_json)
    if raw and keep is None:
        raise UsageError("--raw goes with --prune alone", todo="give --prune, too")
    if trend is not None and keep is not None:
        raise UsageError("--trend and --prune do not go together", todo="give one of them")
    if trend is not None:
        found = trend_of_runs(options.results_dir, trend, lab=options.lab)
        if options.as_json:
            console.document(fields_of(found))
        else:
            tell_trend(console, found)
        return
    if keep is not None:
        pruned = prune_runs(
            options.results_dir, lab=options.lab, keep=read_keep(keep), raw_only=raw, yes=yes, console=console
        )
        if options.as_json:
            console.document(fields_of(pruned))
        return
    lines = run_lines(options.results_dir, lab=options.lab)
    if options.as_json:
        console.document([fields_of(line) for line in lines])
    else:
        tell_runs(console, lines)
