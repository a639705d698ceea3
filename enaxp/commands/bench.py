"""Bench: the implementation of `enaxp bench` — a plan from the config is measured on the lab's hosts, evaluated, and drawn."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from enaxp.bench.fleet.folder import FleetFolder
from enaxp.bench.judging.result import Result
from enaxp.bench.measuring.bench import RunSetup, carry_out, go_on, result_of
from enaxp.bench.measuring.crossover import why_not_crossed
from enaxp.bench.measuring.pair import Pair, connected
from enaxp.bench.measuring.runner import RunOptions
from enaxp.bench.measuring.scripts import FREE_SPACE
from enaxp.bench.planning.schedule import BenchPlan, schedule, seconds
from enaxp.bench.planning.space import Disk, lacking, needed
from enaxp.bench.run_folder.documents import Document
from enaxp.bench.run_folder.names import MANIFEST
from enaxp.bench.run_folder.records import RunFolder
from enaxp.commands.between_zones import confirm_traffic
from enaxp.commands.doctor import Health, host_gbps, place_of, require_health
from enaxp.commands.status import current_status
from enaxp.config import Config
from enaxp.errors import AwsError, BenchError, HostError, Interrupted, NoValidResultError, UsageError
from enaxp.hosts.marks import held, this_bench
from enaxp.hosts.numbers import whole_number
from enaxp.lab import measured
from enaxp.lab.model import Found, as_text
from enaxp.lab.srd import SrdSwitch
from enaxp.lab.state import BENCH_LOCK
from enaxp.lab.status import Status
from enaxp.monitor.textfile import published
from enaxp.report.files import write_report_files
from enaxp.report.redact import without_private_words
from enaxp.session import Session
from enaxp.terminal.live import bench_view

CutShort = Interrupted | BenchError | HostError | AwsError


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """The options of a bench. `resume`: the name of a run to resume, with its own plan.

    `report`: whether to draw the page at the end. `emulated`: the difference between the arms injected on purpose, in words. `pairs`:
    which pairs of a fleet; empty means all.
    """

    argv: list[str]
    message_size: int | None = None
    control: bool = False
    until_pct: float | None = None
    max_iterations: int | None = None
    keep_full_log: bool = False
    resume: str | None = None
    force: bool = False
    report: bool = True
    emulated: str | None = None
    pairs: tuple[str, ...] = ()


def run_bench(session: Session, options: BenchOptions) -> tuple[Result, str, Path]:
    """Carries out a bench; returns result, summary and folder of the run. Raises NoValidResultError when no scenario gave a valid
    result."""
    results, lab = session.options.results_dir, session.config.lab
    earlier = RunFolder.find(results, lab=lab, run=options.resume) if options.resume else None
    plan = _plan_of(earlier) if earlier else bench_plan(session, options)
    folder, cut_short = _measure(session, options, plan, earlier=earlier)
    return finished(session, folder, cut_short, draws=options.report)


def _plan_of(earlier: RunFolder) -> BenchPlan:
    """The plan of a run that is resumed. Raises BenchError for a folder that cannot be read, before anything is asked of the hosts."""
    earlier.records()
    return earlier.read_manifest().plan


def finished(
    session: Session, folder: RunFolder, cut_short: CutShort | None, *, draws: bool
) -> tuple[Result, str, Path]:
    """Evaluates a run that has ended; returns its result, summary and folder. Draws the page if requested. Raises the error that ended
    the run early, and NoValidResultError.
    """
    with resumable(folder):
        return _finished(session, folder, cut_short, draws=draws)


def _finished(
    session: Session, folder: RunFolder, cut_short: CutShort | None, *, draws: bool
) -> tuple[Result, str, Path]:
    from enaxp.report.render import draw_after_bench

    result, summary = work_out(folder, cut_short)
    if cut_short is not None:
        session.console.say(summary)
        if isinstance(cut_short, HostError | AwsError):
            cut_short.todo += f"; then `enaxp bench --resume {folder.run_id}` goes on"
        raise cut_short
    if not result.has_valid_scenario:
        session.console.say(summary)
        raise NoValidResultError(
            "no trial of at least one arm was valid", said=_first_reason(folder), todo=f"look at {folder.path}/raw"
        )
    for line in draw_after_bench(folder) if draws else ():
        session.console.say(line)
    return result, summary, folder.path


def _measure(
    session: Session, options: BenchOptions, plan: BenchPlan, *, earlier: RunFolder | None
) -> tuple[RunFolder, CutShort | None]:
    """Measures the trials of the plan that are missing.

    Returns the folder and the error that ended the run early; raises that error if no trial has ended.
    """
    results, lab = session.options.results_dir, session.config.lab
    with session.file.lock("bench", name=BENCH_LOCK):
        status = current_status(session)
        hosts = session.hosts(status)
        require_writable(earlier.path if earlier else results / lab)
        where = str(status.availability_zone)
        if session.target.name == "local":
            where = "local, not ENA" if options.emulated is None else "emulated, not ENA"
        title = f"enaxp bench, lab {lab}, {where}"
        with (
            connected(hosts) as pair,
            held(pair.by_role, interfaces_of(status), who=this_bench()) as marks,
            bench_view(session.console, plan, title=title, earlier=earlier) as watch,
        ):
            moved = earlier is not None and plan.moves_srd  # killed while it was, it is put right by the run itself
            health = require_health(session, pair, status, force=options.force, srd_is_moved=moved)
            if earlier is None:
                confirm_traffic(session, plan, [status])
                require_space(plan, pair, results, keep_log=options.keep_full_log, force=options.force)
            announce(session, plan, status, done=_done(earlier) if earlier else 0)
            run_options = RunOptions(
                watch=watch,
                keep_log=options.keep_full_log,
                assign=srd_switch(session, status),
                hold=marks.hold,
            )
            folder = earlier or RunFolder.create(results, lab=lab, now=datetime.now(UTC))

            def run_trials() -> None:
                with (
                    told_to_others(session, [status], plan),
                    published(run_options, pair=pair, folder=folder) as published_options,
                ):
                    if earlier:
                        go_on(folder, pair=pair, options=published_options)
                    else:
                        setup = setup_of(session, options, plan, status, health)
                        carry_out(setup, pair=pair, folder=folder, options=published_options)

            return folder, what_cut_short(folder, run_trials)


def what_cut_short(folder: RunFolder, run_trials: Callable[[], None]) -> CutShort | None:
    """Has trials run into this folder, and gives back what ended them early. Raises that when no trial ended; a folder in which nothing
    was begun is removed then.
    """
    try:
        with resumable(folder):
            run_trials()
    except (Interrupted, BenchError, HostError, AwsError) as error:
        if not folder.records():
            if not (folder.path / MANIFEST).exists():
                shutil.rmtree(folder.path)
                if isinstance(error, Interrupted):
                    raise Interrupted("interrupted before the first trial", todo="run the same command again") from None
            raise
        return error
    return None


@contextmanager
def resumable(folder: RunFolder | FleetFolder) -> Iterator[None]:
    """A context in which Ctrl-C, wherever it arrives, raises Interrupted with the command that goes on with this run: the same command
    would begin a new one.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise interrupted(folder) from None


def interrupted(folder: RunFolder | FleetFolder) -> Interrupted:
    """The error that ends a run after Ctrl-C."""
    return Interrupted(
        "interrupted: what was measured is kept",
        todo=f"it is in {folder.path}; go on with `enaxp bench --resume {folder.run_id}`",
    )


def told_to_others(
    session: Session, pairs: Sequence[Status], plan: BenchPlan, *, rounds: int = 1
) -> AbstractContextManager[None]:
    """A context that tags the hosts of these pairs with the expected end of the bench, so that enaxp on other computers leaves them alone
    until then. rounds: how many pairs are measured one after the other.
    """
    hosts = [
        Found(key=f"instance/{role}", kind="instance", id=host.instance_id, tags={})
        for status in pairs
        for role, host in status.hosts.items()
    ]
    takes_s = rounds * (1.2 * seconds(plan) * plan.most_iterations / plan.iterations + 300)
    return measured.told_to_others(session.aws, hosts, file=session.file, takes_s=takes_s, warn=session.console.say)


def require_writable(folder: Path) -> None:
    """Creates the results folder and tests that it is writable. Raises UsageError when it is not, before the hosts are contacted."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UsageError(
            f"nothing can be written into {folder}, where the run is to be kept",
            said=error.strerror or str(error),
            todo="give another --results-dir, or make this one writable for you, with room on its disk",
        ) from None


def require_space(plan: BenchPlan, pair: Pair, results: Path, *, keep_log: bool, force: bool) -> None:
    """Raises BenchError when a disk has too little space for the plan, unless `force` overrides it."""
    free_kb = whole_number(pair.client.check(FREE_SPACE).strip())
    client = None if free_kb is None else 1024 * free_kb
    free: Mapping[Disk, int | None] = {"client": client, "results": shutil.disk_usage(results).free}
    said = "; ".join(lacking(needed(plan, keep_log=keep_log), free=free))
    if said and not force:
        raise BenchError(
            "this bench would fill a disk",
            said=said,
            todo="free disk space, give shorter trials or another --results-dir, or --force if this estimate is too high",
        )


def setup_of(session: Session, options: BenchOptions, plan: BenchPlan, status: Status, health: Health) -> RunSetup:
    """The RunSetup of a run, from the session."""
    return RunSetup(
        plan=plan,
        lab=session.config.lab,
        target=session.target.name,
        isolation=status.isolation,
        argv=argv_to_keep(session, options),
        place=place_of(session, status),
        host_gbps=host_gbps(session, status),
        forced=health.forced,
        # What AWS recommends for its interfaces says nothing of one that is emulated.
        untuned=() if options.emulated else health.untuned,
        emulated=options.emulated,
    )


def argv_to_keep(session: Session, options: BenchOptions) -> tuple[str, ...]:
    """What was typed, as it is kept with a run. A local run says nothing of this computer."""
    return tuple(without_private_words(options.argv) if session.target.name == "local" else options.argv)


def print_result(session: Session, document: Document, *, summary: str, folder: Path) -> None:
    """Prints what a bench found, which lies in its folder as well."""
    with session.console.also_kept_in(folder):
        if session.console.as_json:
            session.console.document(document)
        session.console.result(f"{summary}\nrun folder: {folder}")


def _done(folder: RunFolder) -> int:
    """The number of trials of the plan that have ended; repeated ones count once."""
    return len({(r.scenario, r.iteration, r.repeat, r.control, r.arm) for r in folder.records()})


def work_out(folder: RunFolder, cut_short: CutShort | None) -> tuple[Result, str]:
    """Computes the result and the summary, writes them and returns them.

    Raises BenchError when the disk is full, or what ended the run early.
    """
    try:
        result = result_of(folder)
        return result, write_report_files(folder, result)
    except OSError as error:
        if cut_short is not None:
            raise cut_short from error
        raise BenchError(
            f"writing the result into {folder.path}",
            said=str(error),
            todo=f"make room, then `enaxp bench --resume {folder.run_id}`: no trial is run again",
        ) from error


def bench_plan(session: Session, options: BenchOptions) -> BenchPlan:
    """The plan from the config and the options, with a new seed unless one is given.

    Raises UsageError when they contradict each other.
    """
    _refuse_contradictions(session, options)
    not_crossed_because = _why_not_crossed(session, options)
    plan = plan_of(session.config)
    scenarios = plan.scenarios
    if options.message_size is not None:
        scenarios = tuple(replace(scenario, message_size=options.message_size) for scenario in scenarios)
    return replace(
        plan,
        scenarios=scenarios,
        crossover=not not_crossed_because,
        not_crossed_because=not_crossed_because,
        control=options.control,
        control_between="interfaces",
        until_pct=options.until_pct,
        max_iterations=(options.max_iterations or 5 * plan.iterations) if options.until_pct is not None else None,
    )


def plan_of(config: Config) -> BenchPlan:
    """The plan from the config alone, with a new seed unless it has one."""
    bench = config.bench
    return BenchPlan(
        iterations=bench.iterations,
        repeats=bench.repeats,
        duration_s=bench.duration_s,
        order=bench.order,
        seed=bench.seed if bench.seed is not None else secrets.randbits(32),
        margin_pct=bench.margin_pct,
        cpus=bench.cpus,
        scenarios=tuple(config.scenarios[name] for name in bench.scenarios),
    )


def _refuse_contradictions(session: Session, options: BenchOptions) -> None:
    bench = session.config.bench
    if options.control and bench.crossover is True:
        raise UsageError(
            "--control and --crossover do not go together",
            said="both measure what the interface makes: a control by itself, a crossover beside the effect",
            todo="leave one of them out (--no-crossover, where the config has bench.crossover)",
        )
    if options.control and bench.order == "toggled":
        raise UsageError(
            "--control and --order toggled do not go together",
            said="a control measures what the interface makes, and both arms use the same interfaces here",
            todo="leave one of them out",
        )
    if options.max_iterations is not None and options.until_pct is None:
        raise UsageError("--max-iterations is the limit of --until", todo="give --until, or --iterations alone")


def _why_not_crossed(session: Session, options: BenchOptions) -> str:
    """Why the run is not crossed over; empty if it is. Raises UsageError when a crossover is requested and impossible."""
    bench = session.config.bench
    cannot, not_by_itself = why_not_crossed(
        is_aws=session.target.name == "aws",
        order=bench.order,
        iterations=bench.iterations,
        is_open_ended=options.until_pct is not None,
        has_control=options.control,
    )
    match bench.crossover:
        case "auto":
            return not_by_itself
        case False:
            return "as it was asked"
        case True if cannot:
            raise UsageError("this bench cannot be crossed over", said=cannot, todo="leave --crossover out")
    return ""


def announce(session: Session, plan: BenchPlan, status: Status, *, done: int, rounds: int = 1) -> None:
    """Prints how long the bench takes, what it costs, and whether the lab would expire before its end. rounds: how many host pairs are
    measured one after the other."""
    say, trials = session.console.say, len(schedule(replace(plan, until_pct=None)))
    takes_s = rounds * seconds(plan) * max(0, trials - done) / trials
    ends = datetime.now(UTC) + timedelta(seconds=takes_s)
    already = f", {done} of them done" if done else ""
    hourly = status.usd_per_hour
    cost = f", about {hourly * takes_s / 3600:.2f} USD" if hourly else ""
    say(
        f"{trials} trials of {plan.duration_s:g} s, discarded ones included{already}: about {takes_s / 60:.1f} min, "
        f"until {ends.astimezone():%H:%M:%S}{cost}; order {plan.order}, seed {plan.seed}"
    )
    if plan.is_toggled:
        say("SRD is switched on and off on the second interfaces: nothing but SRD differs between the arms")
    elif plan.crossover:
        say("the interfaces swap their arms half way, so that a difference between them is not taken for one of SRD")
    else:
        say(f"not crossed over, {plan.not_crossed_because}: the effect is that of SRD together with the interface")
    if plan.has_control_phase:
        say("a control follows: the first interfaces against the second ones, with ENA Express off on all of them")
    if plan.until_pct is not None:
        say(
            f"it goes on until the intervals are within ±{plan.until_pct:g}%, or {plan.most_iterations} iterations are done"
        )
    if status.expires_at and status.expires_at < ends:
        end = as_text(status.expires_at)
        say(f"warning: the lab ends at {end}, before this bench does; `enaxp extend` gives it more time")


def srd_switch(session: Session, status: Status) -> SrdSwitch:
    """The function that changes which interfaces of the hosts have ENA Express, for a crossover or a control."""
    home = {interface.eni: arm for host in status.hosts.values() for arm, interface in host.interfaces().items()}
    return SrdSwitch(aws=session.aws, home=home)


def interfaces_of(status: Status) -> dict[str, tuple[str, ...]]:
    """The ids of the interfaces that are measured, by the role of their host."""
    return {host.role: tuple(one.eni for one in host.interfaces().values()) for host in status.hosts.values()}


def _first_reason(folder: RunFolder) -> str:
    reasons = [record.reason for record in folder.records() if record.reason]
    return reasons[0] if reasons else "no trial ended"
