"""Commands that measure: `bench demo`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from enaxp.cli.completion import run_names
from enaxp.cli.declare import command, option, yes_option
from enaxp.errors import UsageError
from enaxp.options import Options
from enaxp.traffic import ORDERS, Order

if TYPE_CHECKING:
    from enaxp.commands.bench import BenchOptions
    from enaxp.session import Session


@command("bench")
@option(
    "--iterations", "-i", type=int, envvar="ENAXP_ITERATIONS", help="How many iterations: blocks of pairs of trials."
)
@option("--repeats", "-r", type=int, envvar="ENAXP_REPEATS", help="Pairs of trials in an iteration.")
@option("--duration", "-d", envvar="ENAXP_DURATION", help="How long a trial lasts, e.g. 10s.")
@option("--scenario", "-s", multiple=True, help="A scenario of the config to measure; repeat it, or `all`.")
@option("--order", type=click.Choice(ORDERS), envvar="ENAXP_ORDER", help="The order of the two arms.")
@option("--seed", type=int, envvar="ENAXP_SEED", help="The random seed of the order.")
@option("--message-size", "-m", type=int, envvar="ENAXP_MESSAGE_SIZE", help="Bytes of a message.")
@option(
    "--crossover/--no-crossover",
    default=None,
    help="Swap half way which interfaces have ENA Express. Default on AWS with an even number of at least 6 iterations.",
)
@option(
    "--control", is_flag=True, help="Also measure both interfaces with SRD off, to see how much they differ without it."
)
@option("--until", metavar="PERCENT", help="Continue until the intervals are this narrow, e.g. 1%.")
@option(
    "--max-iterations",
    type=click.IntRange(min=1),
    help="The limit of --until.  [default: five times --iterations]",
)
@option("--keep-full-log", is_flag=True, help="Keep the full log of sockperf, every observation, gzipped.")
@option(
    "--resume",
    metavar="RUN",
    shell_complete=run_names,
    help="Resume this run, with its own plan: its folder, or a prefix of its name.",
)
@option("--pair", "pairs", multiple=True, metavar="NAME", help="Only this pair of a fleet, e.g. main-2; repeat it.")
@option(
    "--plan-only", is_flag=True, help="Measure nothing: show how long it would take, and how likely each verdict is."
)
@option(
    "--from",
    "pilot",
    metavar="RUN",
    shell_complete=run_names,
    help="With --plan-only: take the spread of this run, not of the lab's newest ones.",
)
@option("--force", is_flag=True, help="Measure even if a requirement of the doctor fails.")
@option("--server", metavar="ID", help="Measure between existing instances: the id of the server (docs/given.md).")
@option(
    "--client",
    metavar="ID",
    help="The id of the client. Only the ENA Express setting of these two is changed, and restored.",
)
@option("--ssh-user", metavar="NAME", help="Who logs in on these two.  [default: given.ssh_user]")
@option(
    "--private-key", metavar="FILE", help="The SSH key for these two.  [default: given.private_key, else one in ~/.ssh]"
)
@option("--install", is_flag=True, help="Install sockperf on these two where it is missing or too old.")
@option("--fix", is_flag=True, help="Lower the MTU of these two to 8900 where it is higher.")
@option("--watch", default="10s", metavar="TIME", help="How long to watch other traffic on these two before measuring.")
@yes_option
@option("--report/--no-report", default=True, envvar="ENAXP_REPORT", help="Draw report.html at the end.")
def bench(
    options: Options,
    *,
    iterations: int | None,
    repeats: int | None,
    duration: str | None,
    scenario: tuple[str, ...],
    order: Order | None,
    seed: int | None,
    message_size: int | None,
    crossover: bool | None,
    control: bool,
    until: str | None,
    max_iterations: int | None,
    keep_full_log: bool,
    resume: str | None,
    pairs: tuple[str, ...],
    plan_only: bool,
    pilot: str | None,
    force: bool,
    server: str | None,
    client: str | None,
    ssh_user: str | None,
    private_key: str | None,
    install: bool,
    fix: bool,
    watch: str,
    yes: bool,
    report: bool,
) -> None:
    """Measure both interfaces, and report the difference."""
    from enaxp.bench.judging.result import to_document
    from enaxp.commands.bench import BenchOptions, print_result, run_bench
    from enaxp.commands.fleet_bench import is_of_fleet
    from enaxp.commands.given.asked import (
        Asked,
        GivenOptions,
        given_pairs,
        in_the_name_of,
        toggled,
        watch_seconds,
    )
    from enaxp.commands.given.benches import bench_between_given
    from enaxp.reader import parse_percent
    from enaxp.session import open_session

    overrides: dict[str, object] = {
        "bench.iterations": iterations,
        "bench.repeats": repeats,
        "bench.duration": duration,
        "bench.scenarios": list(scenario) or None,
        "bench.order": order,
        "bench.seed": seed,
        "bench.crossover": crossover,
    }
    bench_options = BenchOptions(
        argv=sys.argv[1:],
        message_size=message_size,
        control=control,
        until_pct=None if until is None else parse_percent(until, option="--until"),
        max_iterations=max_iterations,
        keep_full_log=keep_full_log,
        resume=resume,
        force=force,
        report=report,
        pairs=pairs,
    )
    asked = Asked(server=server, client=client, ssh_user=ssh_user, private_key=private_key)
    if given := given_pairs(options, asked):
        overrides = toggled(overrides)
        if not plan_only:
            wishes = GivenOptions(assume_yes=yes, install=install, fix=fix, watch_s=watch_seconds(watch))
            bench_between_given(options, given, bench_options, wishes, overrides=overrides)
            return
        options = in_the_name_of(options, given)
    with open_session(options, overrides=overrides) as session:
        if plan_only:
            _tell_plan(session, bench_options, pilot=pilot)
            return
        if pilot is not None:
            raise UsageError("--from names the run whose spread --plan-only takes", todo="give --plan-only, too")
        if is_of_fleet(session, bench_options):
            _bench_fleet(session, bench_options)
            return
        result, summary, folder = run_bench(session, bench_options)
        print_result(session, to_document(result), summary=summary, folder=folder)


def _bench_fleet(session: Session, options: BenchOptions) -> None:
    """Measures every pair of a fleet, and prints what they come to."""
    from enaxp.bench.fleet.result import to_document
    from enaxp.commands.bench import print_result
    from enaxp.commands.fleet_bench import run_fleet_bench

    fleet, summary, folder = run_fleet_bench(session, options)
    print_result(session, to_document(fleet), summary=summary, folder=folder)


def _tell_plan(session: Session, options: BenchOptions, *, pilot: str | None) -> None:
    """Prints what a bench is likely to say."""
    from enaxp.bench.run_folder.documents import fields_of
    from enaxp.commands.bench import bench_plan
    from enaxp.commands.forecast import forecast_of
    from enaxp.terminal.runs import tell_forecast

    found = forecast_of(session, bench_plan(session, options), pilot=pilot)
    if session.console.as_json:
        session.console.document(fields_of(found))
    else:
        tell_forecast(session.console, found)


@command("demo")
@option("--iterations", type=int, help="Blocks.  [default: 6]")
@option("--repeats", type=int, help="Pairs of trials in a block.  [default: 1]")
@option("--duration", help="Of one trial.  [default: 1s]")
@option(
    "--same",
    is_flag=True,
    help="Inject no difference: both arms are alike; shows which size of difference the run rules out.",
)
@option("--open", "opens", is_flag=True, help="Open the page in a browser at the end.")
@option(
    "--nice",
    type=click.IntRange(-20, 19),
    help="Of what measures; 0 goes before nothing else on this computer.  [default: -15]",
)
def demo(
    options: Options,
    *,
    iterations: int | None,
    repeats: int | None,
    duration: str | None,
    same: bool,
    opens: bool,
    nice: int | None,
) -> None:
    """Demonstrate everything on this machine, without an AWS account: up, bench with a known difference, comparison, down."""
    from enaxp.commands.demo import NICE, NOTHING, PLAN, SLOWER_AND_STEADIER, run_demo

    asked = {"bench.iterations": iterations, "bench.repeats": repeats, "bench.duration": duration}
    size = {**PLAN, **{path: value for path, value in asked.items() if value is not None}}
    difference = NOTHING if same else SLOWER_AND_STEADIER
    page = run_demo(options, difference, size=size, nice=NICE if nice is None else nice)
    if opens and page is not None:
        click.launch(str(page))
