"""The command line: each command parses, calls, prints. What it does lives elsewhere.

Shared options (`--lab`, `--config`, …) are declared once: `command` adds them to every command's own and hands the command an
open Session. Everything heavy is imported inside the commands, so that `enaxp --help` is quick.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from enaxp import __version__
from enaxp.options import Options

if TYPE_CHECKING:
    from enaxp.lab.model import Layer
    from enaxp.session import Session

app = typer.Typer(
    help="Measure what ENA Express does to your traffic: build the lab on AWS, compare, report, remove everything.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rendering it with rich would cost 150 ms at each start
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


class LayerName(StrEnum):
    """The layers that can be named on the command line."""

    network = "network"
    compute = "compute"
    monitoring = "monitoring"


class ReportFormat(StrEnum):
    """What a run can be rendered as."""

    html = "html"
    md = "md"
    png = "png"
    svg = "svg"


def command(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers a command whose first parameter is the shared Options; the command line sees its own parameters and the shared ones."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        hints = inspect.get_annotations(Options, eval_str=True)
        shared = [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
            for field in fields(Options)
        ]

        def invoke(**arguments: Any) -> None:
            options = Options(**{field: arguments.pop(field) for field in hints})
            function(options, **arguments)

        everything = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + shared
        invoke.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]
        invoke.__annotations__ = {parameter.name: parameter.annotation for parameter in everything}
        invoke.__doc__ = function.__doc__
        app.command(name)(invoke)
        return function

    return register


Layers = Annotated[
    list[LayerName] | None,
    typer.Argument(help="network, compute, monitoring; the first two when none is named.", show_default=False),
]
AllRegions = Annotated[bool, typer.Option("--all-regions", help="In every region of the account.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", envvar="ENAXP_YES", help="Do not ask.")]


@command("init")
def init(
    options: Options, force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False
) -> None:
    """Write a commented config/bench.yaml with every default into this folder."""
    from enaxp.config import write_default_config
    from enaxp.terminal.console import Console

    path = write_default_config(options.config or Path("config/bench.yaml"), replace=force)
    Console(as_json=options.as_json).result(f"wrote {path}")


@command("plan")
def plan(
    options: Options,
    layers: Layers = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 3 when something would change.")] = False,
) -> None:
    """Show what `up` would change, and why. Changes nothing."""
    from enaxp.commands.lab import say_what_it_costs
    from enaxp.commands.monitoring import require_room_for_monitoring
    from enaxp.lab.lifecycle import look
    from enaxp.session import open_session

    chosen = _layers(layers)
    with open_session(options) as session:
        if "monitoring" in chosen:
            require_room_for_monitoring(session)
        snapshot = look(session.config, aws=session.aws, file=session.file, target=session.target, layers=chosen)
    for note in snapshot.notes:
        session.console.say(note)
    if options.as_json:
        session.console.document(snapshot.plan.as_json())
    else:
        session.console.plan(snapshot.plan)
        say_what_it_costs(session, snapshot, session.prices())
    if check and snapshot.plan.changing:
        raise typer.Exit(3)


@command("up")
def up(
    options: Options,
    layers: Layers = None,
    yes: Yes = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return once AWS is done, before SSH and software are.")
    ] = False,
    ttl: Annotated[
        str | None, typer.Option("--ttl", envvar="ENAXP_TTL", help="How long the hosts live, e.g. 4h.")
    ] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="If it fails, take back what it made.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every layer: the monitoring, too.")] = False,
) -> None:
    """Build the lab, or what is missing of it."""
    from enaxp.commands.lab import bring_up
    from enaxp.lab.model import LAYERS
    from enaxp.session import open_session

    with open_session(options, overrides={"ttl": ttl}) as session:
        chosen = LAYERS if everything else _layers(layers)
        status = bring_up(session, layers=chosen, assume_yes=yes, wait=not no_wait, rollback=rollback)
        _show_status(session, status)


@command("status")
def status(options: Options) -> None:
    """Show the lab: resources, hosts, addresses, and ENA Express as read back."""
    from enaxp.commands.status import current_status
    from enaxp.session import open_session

    with open_session(options) as session:
        _show_status(session, current_status(session))


@command("doctor")
def doctor(
    options: Options,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended safely, on both hosts alike.")] = False,
    preflight: Annotated[
        bool, typer.Option("--preflight", help="Check the account instead, for what `up` is about to do.")
    ] = False,
) -> None:
    """Check on both hosts what ENA Express requires and recommends. Exit 1 when something required is wrong."""
    if preflight:
        _preflight(options)
        return
    from enaxp.commands.doctor import examine_hosts
    from enaxp.hosts.doctor import required_and_bad
    from enaxp.session import open_session

    with open_session(options) as session:
        findings = examine_hosts(session, fix=fix)
        if options.as_json:
            session.console.document([finding.to_json() for finding in findings])
        else:
            session.console.findings(findings)
    if required_and_bad(findings):
        raise typer.Exit(1)


@command("bench")
def bench(
    options: Options,
    iterations: Annotated[
        int | None, typer.Option("--iterations", "-i", envvar="ENAXP_ITERATIONS", help="Blocks.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option("--repeats", "-r", envvar="ENAXP_REPEATS", help="Pairs of trials in a block.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--duration", "-d", envvar="ENAXP_DURATION", help="Of one trial, e.g. 10s.")
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", "-s", help="What traffic; repeat it, or `all`.")
    ] = None,
    order: Annotated[
        Literal["interleaved", "parallel"] | None,
        typer.Option("--order", envvar="ENAXP_ORDER", help="Of the two arms."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", envvar="ENAXP_SEED", help="Of the order.")] = None,
    message_size: Annotated[
        int | None, typer.Option("--message-size", "-m", envvar="ENAXP_MESSAGE_SIZE", help="Bytes.")
    ] = None,
    crossover: Annotated[
        bool, typer.Option("--crossover", help="Swap half way which interfaces have ENA Express.")
    ] = False,
    control: Annotated[
        bool, typer.Option("--control", help="Also ENA against ENA: how much differs by chance alone.")
    ] = False,
    until: Annotated[
        str | None,
        typer.Option("--until", help="Go on until the intervals are this narrow, e.g. 1%.", metavar="PERCENT"),
    ] = None,
    max_iterations: Annotated[
        int | None,
        typer.Option("--max-iterations", min=1, help="The limit of --until.  [default: five times --iterations]"),
    ] = None,
    keep_full_log: Annotated[
        bool, typer.Option("--keep-full-log", help="Bring every single observation, gzipped.")
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", help="Go on with a run, by its own plan; its folder or how its name begins.", metavar="RUN"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also when the doctor finds something required wrong.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report/--no-report", envvar="ENAXP_REPORT", help="Draw report.html at the end.")
    ] = True,
) -> None:
    """Measure both interfaces, and say what the difference is."""
    from enaxp.commands.bench import BenchOptions, run_bench
    from enaxp.config import parse_percent
    from enaxp.session import open_session

    overrides = {
        "bench.iterations": iterations,
        "bench.repeats": repeats,
        "bench.duration": duration,
        "bench.scenarios": scenario,
        "bench.order": order,
        "bench.seed": seed,
    }
    with open_session(options, overrides=overrides) as session:
        bench_options = BenchOptions(
            argv=sys.argv[1:],
            message_size=message_size,
            crossover=crossover,
            control=control,
            until_pct=None if until is None else parse_percent(until, option="--until"),
            max_iterations=max_iterations,
            keep_full_log=keep_full_log,
            resume=resume,
            force=force,
            report=report,
        )
        result, summary, folder = run_bench(session, bench_options)
        if options.as_json:
            session.console.document(result)
        session.console.result(f"{summary}\nrun folder: {folder}")


@command("report")
def report(
    options: Options,
    run: Annotated[str, typer.Argument(help="A run's folder, its id, or how that begins.", metavar="RUN")],
    formats: Annotated[
        list[ReportFormat] | None,
        typer.Option("--format", help="What to write; repeat it.  [default: html, or png with --charts]"),
    ] = None,
    charts: Annotated[Path | None, typer.Option("--charts", help="Where every chart goes, as png or svg.")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
) -> None:
    """Render a run again, from its folder alone: the page, its charts, or Markdown. A run may still be going on."""
    from enaxp.commands.runs import report_run
    from enaxp.terminal.console import Console

    console = Console(as_json=options.as_json)
    chosen = [one.value for one in formats or ()] or ([] if charts else ["html"])
    if open_it and "html" not in chosen:
        chosen.append("html")
    document = report_run(options, run, formats=chosen, charts=charts, console=console)
    if options.as_json:
        console.document(document)
    if open_it:
        typer.launch(document["written"][0])


@command("parse")
def parse(
    options: Options,
    files: Annotated[list[str], typer.Argument(help="Saved sockperf output; - is stdin.", metavar="FILE...")],
) -> None:
    """Read saved sockperf output: figures, or why there are none. Exit 1 if any file is not a finished client run."""
    from enaxp.commands.runs import parse_files
    from enaxp.terminal.console import Console

    outputs = parse_files(files)
    Console(as_json=options.as_json).document(outputs)
    if not all(output["ok"] for output in outputs):
        raise typer.Exit(1)


@command("compare")
def compare(
    options: Options,
    runs: Annotated[list[str], typer.Argument(help="The first run, and those to hold against it.", metavar="A B...")],
    fail_if: Annotated[
        list[str] | None,
        typer.Option("--fail-if", help="Exit 5 when shown, e.g. 'p99 slower 5%'; repeat it.", metavar="CONDITION"),
    ] = None,
    arm: Annotated[
        Literal["ena", "ena_express"] | None, typer.Option("--arm", help="Only this arm.  [default: both]")
    ] = None,
    page: Annotated[Path | None, typer.Option("--page", help="Write it as one HTML file, too.", metavar="FILE")] = None,
) -> None:
    """Hold runs against the first: what became faster or slower, and how sure that is. Runs are named as in `runs`."""
    from enaxp.bench.conditions import read_condition
    from enaxp.commands.runs import compare_runs, write_page
    from enaxp.report.comparison_page import render_comparison
    from enaxp.terminal.console import Console
    from enaxp.terminal.runs import tell_comparison
    from enaxp.traffic import ARMS

    conditions = [read_condition(text) for text in fail_if or ()]
    arms = ARMS if arm is None else (arm,)
    compared = compare_runs(options.results_dir, runs, lab=options.lab, arms=arms, conditions=conditions)
    console = Console(as_json=options.as_json)
    if page is not None:
        write_page(page, render_comparison(compared))
    if options.as_json:
        console.document(compared.to_json())
    else:
        tell_comparison(console, compared)
    compared.require_conditions()


@command("check")
def check(
    options: Options,
    run: Annotated[str, typer.Argument(help="A path, a run id, how one begins, or latest.", metavar="RUN")],
) -> None:
    """Is this run complete and stable? With reasons. Exit 5 when it is not."""
    from enaxp.commands.runs import check_run
    from enaxp.errors import ConditionFailedError
    from enaxp.terminal.console import Console
    from enaxp.terminal.runs import tell_checkup

    folder, checkup = check_run(options.results_dir, run, lab=options.lab)
    console = Console(as_json=options.as_json)
    if options.as_json:
        console.document({"run_id": folder.run_id, "path": str(folder.path), **checkup.to_json()})
    else:
        tell_checkup(console, folder.run_id, checkup)
    if not checkup.is_good:
        reasons = [*checkup.missing, *checkup.unstable]
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        raise ConditionFailedError(f"run {folder.run_id} is not both complete and stable", said=f"{reasons[0]}{more}")


@command("runs")
def runs(options: Options) -> None:
    """List the runs of every lab (or of --lab), the newest first."""
    from enaxp.bench.history import run_lines
    from enaxp.terminal.console import Console
    from enaxp.terminal.runs import tell_runs

    lines = run_lines(options.results_dir, lab=options.lab)
    console = Console(as_json=options.as_json)
    if options.as_json:
        console.document([line.to_json() for line in lines])
    else:
        tell_runs(console, lines)


@command("down")
def down(
    options: Options,
    layers: Layers = None,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Also while a bench runs.")] = False,
    expired: Annotated[bool, typer.Option("--expired", help="Remove every lab whose time is over.")] = False,
    all_regions: AllRegions = False,
    lab_id: Annotated[
        str | None, typer.Option("--lab-id", help="Remove the lab of this id, whatever its name.")
    ] = None,
) -> None:
    """Remove the lab, or layers of it, and prove by tag that nothing is left."""
    from enaxp.commands.lab import take_down
    from enaxp.commands.labs import take_down_by_id, take_down_expired
    from enaxp.errors import UsageError
    from enaxp.session import open_session

    if sum((bool(layers), expired, lab_id is not None)) > 1:
        raise UsageError("layers, --expired and --lab-id do not go together", todo="give one of them")
    if all_regions and not expired:
        raise UsageError("--all-regions goes with --expired", todo="give both, or --region")
    with open_session(options) as session:
        if expired:
            removal = take_down_expired(session, everywhere=all_regions, assume_yes=yes, force=force)
        elif lab_id is not None:
            removal = take_down_by_id(session, lab_id, assume_yes=yes, force=force)
        else:
            removal = take_down(session, layers=_named(layers), assume_yes=yes, force=force)
        if options.as_json:
            session.console.document(removal)
    if removal["leftovers"]:
        raise typer.Exit(1)


@command("ls")
def ls(options: Options, all_regions: AllRegions = False) -> None:
    """List the labs of a region with age, end and hourly cost, from their tags and instances alone."""
    from enaxp.commands.labs import standing_labs
    from enaxp.session import open_session

    with open_session(options) as session:
        labs = standing_labs(session, everywhere=all_regions)
        if options.as_json:
            session.console.document(labs)
        else:
            session.console.labs(labs)


@command("extend")
def extend(
    options: Options,
    by: Annotated[str, typer.Argument(help="How much longer, e.g. 2h.", metavar="TIME")],
) -> None:
    """Give the lab more time: its tags, its state and both hosts' timers. Works beside a running bench."""
    from enaxp.commands.labs import extend_lab
    from enaxp.session import open_session

    with open_session(options) as session:
        status = extend_lab(session, by=by)
        if options.as_json:
            session.console.document(status)


@command("exporter")
def exporter(
    options: Options,
    results: Annotated[
        Path | None, typer.Option("--results", help="A results folder, or one run's.  [default: --results-dir]")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 is any that is free.")] = 9091,
    address: Annotated[str, typer.Option("--address", help="To listen on.")] = "127.0.0.1",
) -> None:
    """Serve the newest run of each lab to Prometheus, running or finished, until Ctrl-C."""
    from enaxp.commands.monitoring import serve_metrics

    serve_metrics(options, results or options.results_dir, address=address, port=port)


@command("monitor")
def monitor(
    options: Options,
    push_image: Annotated[
        Literal["push-image"] | None,
        typer.Argument(help="Instead: build the exporter's image, and put it into the lab's repository."),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open/--no-open", help="Show it in a browser.")] = True,
    grafana_port: Annotated[int, typer.Option("--grafana-port", min=1, max=65535, help="Of this machine.")] = 3000,
    prometheus_port: Annotated[
        int, typer.Option("--prometheus-port", min=1, max=65535, help="Of this machine.")
    ] = 9090,
) -> None:
    """Watch the lab's monitoring through an SSH tunnel, until Ctrl-C."""
    from enaxp.commands.monitoring import push_exporter_image, watch_monitoring
    from enaxp.session import open_session

    with open_session(options) as session:
        if push_image:
            push_exporter_image(session)
            return
        watch_monitoring(session, ports={"grafana": grafana_port, "prometheus": prometheus_port}, open_it=open_it)


@command("policy")
def policy(options: Options) -> None:
    """Print the IAM policy that allows what enaxp does for this lab, and nothing else."""
    from enaxp.config import load_config
    from enaxp.lab.policy import policy_of
    from enaxp.terminal.console import Console

    given = {"lab": options.lab, "aws.region": options.region}
    config = load_config(options.config, overrides={path: value for path, value in given.items() if value})
    Console(as_json=True).document(policy_of(config))


@command("ssh")
def ssh(
    options: Options,
    role: Annotated[Literal["server", "client", "monitoring"], typer.Argument(help="Which host.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="What to run there; a login without.", metavar="[-- COMMAND...]")
    ] = None,
) -> None:
    """Log in to a host, or run a command on it."""
    from enaxp.commands.ssh import ssh_to_host
    from enaxp.session import open_session

    with open_session(options) as session:
        code = ssh_to_host(session, role=role, command=tuple(command or ()))
    raise typer.Exit(code)


@command("demo")
def demo(
    options: Options,
    iterations: Annotated[int, typer.Option("--iterations", help="Blocks.")] = 3,
    repeats: Annotated[int, typer.Option("--repeats", help="Pairs of trials in a block.")] = 3,
    duration: Annotated[str, typer.Option("--duration", help="Of one trial.")] = "1s",
) -> None:
    """The whole story on this machine, without an AWS account: up, bench, summary, down."""
    from enaxp.commands.demo import run_demo

    run_demo(options, iterations=iterations, repeats=repeats, duration=duration)


@app.callback(invoke_without_command=True)
def main(
    version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
) -> None:
    """Measure what ENA Express does to your traffic: build the lab on AWS, compare, report, remove everything."""
    if version:
        print(f"enaxp {__version__}")
        raise typer.Exit


def _layers(layers: list[LayerName] | None) -> tuple[Layer, ...]:
    from enaxp.lab.lifecycle import BUILT_LAYERS

    return _named(layers) or BUILT_LAYERS


def _preflight(options: Options) -> None:
    from enaxp.commands.lab import preflight
    from enaxp.session import open_session

    with open_session(options) as session:
        report = preflight(session)
        if options.as_json:
            session.console.document(report.as_json())
        else:
            session.console.preflight(report)
    if report.of("failure"):
        raise typer.Exit(1)


def _named(layers: list[LayerName] | None) -> tuple[Layer, ...]:
    return tuple(layer.value for layer in layers or ())


def _show_status(session: Session, status: dict[str, Any]) -> None:
    if session.console.as_json:
        session.console.document(status)
    else:
        session.console.status(status)
