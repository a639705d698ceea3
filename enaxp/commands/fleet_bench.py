"""Fleet bench: the implementation of `enaxp bench` for a fleet — each pair is measured as a run of its own, and all are judged together.

Status ─▶ chosen (pairs) ─▶ side_by_side ─▶ pairs/NAME/ (one run each; lost ones are named) ─▶ write_fleet ─▶ fleet.json, summary.txt
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.bench.fleet.folder import LONGEST_REASON, FleetFolder, FleetManifest, PairEntry
from enaxp.bench.fleet.result import Fleet
from enaxp.bench.fleet.side_by_side import pairs_at_once, plan_of_pair, side_by_side
from enaxp.bench.measuring.bench import carry_out, go_on
from enaxp.bench.measuring.pair import connected
from enaxp.bench.measuring.runner import RunOptions
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.finding import find_path
from enaxp.bench.run_folder.names import MANIFEST
from enaxp.bench.run_folder.records import RunFolder
from enaxp.commands.bench import (
    BenchOptions,
    announce,
    argv_to_keep,
    bench_plan,
    interfaces_of,
    interrupted,
    require_space,
    require_writable,
    resumable,
    setup_of,
    srd_switch,
    told_to_others,
    work_out,
)
from enaxp.commands.between_zones import confirm_traffic
from enaxp.commands.doctor import require_health
from enaxp.commands.status import current_status
from enaxp.config import ROLES
from enaxp.errors import EnaxpError, HostError, Interrupted, NoValidResultError, UsageError
from enaxp.hosts.marks import held, this_bench
from enaxp.lab.state import BENCH_LOCK
from enaxp.monitor.textfile import published
from enaxp.session import Session
from enaxp.terminal.fleet_live import FleetView, fleet_view
from enaxp.text import counted

if TYPE_CHECKING:
    from enaxp.lab.status import Status


@dataclass(frozen=True, kw_only=True)
class FleetPlan:
    """The work of a fleet's bench: the pairs still to be measured, each with its own status, and the folder."""

    folder: FleetFolder
    manifest: FleetManifest
    pairs: Mapping[str, Status]

    def plan_of(self, name: str) -> BenchPlan:
        return plan_of_pair(self.manifest.plan, name)


def run_fleet_bench(session: Session, options: BenchOptions) -> tuple[Fleet, str, Path]:
    """Carries out a fleet's bench; returns the fleet's result, summary and folder. Raises Interrupted after Ctrl-C, NoValidResultError if
    a variant has no valid pair."""
    with session.file.lock("bench", name=BENCH_LOCK):
        status = current_status(session)
        todo = _to_do(session, options, status)
        with resumable(todo.folder):
            stopped = _measure_all(session, options, todo)
    return fleet_finished(session, todo.folder, stopped=stopped, draws=options.report)


def _measure_all(session: Session, options: BenchOptions, todo: FleetPlan) -> bool:
    """Measures the pairs side by side, and keeps what became of them. Returns whether Ctrl-C ended it early."""
    stop = threading.Event()
    _announce(session, todo)
    title = f"enaxp bench, lab {session.config.lab}, {counted(len(todo.pairs), 'pair')}"
    with (
        told_to_others(session, list(todo.pairs.values()), todo.manifest.plan, rounds=_rounds(todo)),
        fleet_view(
            session.console, list(todo.pairs), title=title, plan=todo.manifest.plan, at_once=todo.manifest.at_once
        ) as view,
    ):
        work = {name: partial(_measure, session, options, todo, name, view=view, stop=stop) for name in todo.pairs}
        outcomes = side_by_side(work, at_once=todo.manifest.at_once, stop=stop)
    _keep_what_became(session, todo, outcomes)
    return stop.is_set()


def fleet_finished(session: Session, folder: FleetFolder, *, stopped: bool, draws: bool) -> tuple[Fleet, str, Path]:
    """Evaluates the fleet once every pair has ended; returns its result, summary and folder. Draws the page if requested. Raises as
    `run_fleet_bench`."""
    with resumable(folder):
        return _finished(session, folder, stopped=stopped, draws=draws)


def _finished(session: Session, folder: FleetFolder, *, stopped: bool, draws: bool) -> tuple[Fleet, str, Path]:
    from enaxp.report.fleet.summary import render_fleet_summary
    from enaxp.report.render import draw_fleet_after_bench, write_fleet

    data = write_fleet(folder)
    summary = render_fleet_summary(data)
    if stopped:
        session.console.say(summary)
        raise interrupted(folder)
    if none := data.fleet.without_valid_pair:
        session.console.say(summary)
        lost = next((pair.lost for pair in data.pairs if pair.variant in none and pair.lost), "")
        raise NoValidResultError(
            f"no pair of variant {none[0]} is valid",
            said=lost,
            todo=f"look at {folder.path}/pairs; `enaxp bench --resume {folder.run_id}` measures lost pairs again",
        )
    for line in draw_fleet_after_bench(folder, data) if draws else ():
        session.console.say(line)
    return data.fleet, summary, folder.path


def variant_of(pair: str) -> str:
    """`main` of `main-12`."""
    return pair.rpartition("-")[0]


def is_of_fleet(session: Session, options: BenchOptions) -> bool:
    """Whether a bench is a fleet's: the lab is a fleet, or the run to resume was a fleet's. Raises UsageError for --pair in other labs."""
    is_fleet = bool(session.file.load() and session.file.state.pinned.fleet)
    if options.pairs and not is_fleet:
        raise UsageError(f"lab {session.config.lab} has one pair of hosts", todo="leave --pair out")
    return is_fleet


def chosen(pairs: Mapping[str, Status], asked: Sequence[str]) -> dict[str, Status]:
    """The requested pairs, by default all. Raises UsageError for a pair that does not exist."""
    if unknown := [name for name in asked if name not in pairs]:
        raise UsageError(f"there is no pair {unknown[0]}", said=f"there are: {', '.join(pairs)}")
    return {name: status for name, status in pairs.items() if not asked or name in asked}


def _to_do(session: Session, options: BenchOptions, status: Status) -> FleetPlan:
    """The plan of the fleet's bench, after creating its folder and manifest. Raises UsageError."""
    results, lab = session.options.results_dir, session.config.lab
    pairs = {name: one for name, one in status.each_pair().items() if name is not None}
    if options.resume:
        folder = FleetFolder.open(find_path(results, lab=lab, run=options.resume))
        manifest = folder.read_manifest()
        left = {entry.name for entry in manifest.pairs if not has_ended(folder, entry)}
        found = {name: one for name, one in chosen(pairs, options.pairs).items() if name in left}
        return FleetPlan(folder=folder, manifest=manifest, pairs=found)
    found = chosen(pairs, options.pairs)
    if not found:
        raise UsageError(f"lab {lab} has no hosts", todo="run `enaxp up` first")
    plan = bench_plan(session, options)
    confirm_traffic(session, plan, found.values())
    require_writable(results / lab)
    is_local = session.target.name == "local"
    folder, manifest = begin_fleet(
        session,
        plan,
        [PairEntry(name=name, variant=variant_of(name)) for name in found],
        at_once=pairs_at_once(session.config.bench.at_once, pairs=len(found), is_local=is_local),
        argv=argv_to_keep(session, options),
    )
    return FleetPlan(folder=folder, manifest=manifest, pairs=found)


def begin_fleet(
    session: Session, plan: BenchPlan, pairs: Sequence[PairEntry], *, at_once: int, argv: Sequence[str]
) -> tuple[FleetFolder, FleetManifest]:
    """A new folder for a bench of these pairs, and its manifest, which lies in it."""
    folder = FleetFolder.create(session.options.results_dir, lab=session.config.lab, now=datetime.now(UTC))
    manifest = FleetManifest(
        run_id=folder.run_id,
        lab=session.config.lab,
        target=session.target.name,
        plan=plan,
        pairs=tuple(pairs),
        started_at=now_text(),
        at_once=at_once,
        argv=tuple(argv),
    )
    folder.write_manifest(manifest)
    return folder, manifest


def has_ended(folder: FleetFolder, entry: PairEntry) -> bool:
    """Whether a pair has completed its plan, so that it is not measured again."""
    run = begun(folder, entry.name)
    if entry.lost or run is None:
        return False
    manifest = folder.open_pair(entry.name).read_manifest()
    run.records()  # what cannot be read is refused before anything is asked of the hosts
    return manifest.ended_at is not None and not manifest.stopped


def begun(folder: FleetFolder, pair: str) -> RunFolder | None:
    """The run of a pair, to be resumed; None when it has not begun."""
    run = folder.pair(pair)
    return run if (run.path / MANIFEST).is_file() else None


def _measure(
    session: Session,
    options: BenchOptions,
    todo: FleetPlan,
    name: str,
    *,
    view: FleetView,
    stop: threading.Event,
) -> None:
    """Measures the missing trials of one pair, and evaluates its run. Raises the error that ended it early."""
    status, folder = todo.pairs[name], todo.folder.pair(name)
    earlier = begun(todo.folder, name)
    plan = earlier.read_manifest().plan if earlier else todo.plan_of(name)
    try:
        if set(status.hosts) != set(ROLES):
            raise UsageError(f"pair {name} lacks a host", todo="run `enaxp up`, which replaces what no longer exists")
        with (
            connected(session.hosts(status)) as pair,
            held(pair.by_role, interfaces_of(status), who=this_bench()) as marks,
        ):
            moved = earlier is not None and plan.moves_srd
            health = require_health(session, pair, status, force=options.force, srd_is_moved=moved)
            run_options = RunOptions(
                watch=view.watcher(name, plan, earlier=earlier),
                keep_log=options.keep_full_log,
                assign=srd_switch(session, status),
                stop=stop,
                still_there=partial(_require_there, session, status, stop),
                hold=marks.hold,
            )
            with published(run_options, pair=pair, folder=folder) as run_options:
                if earlier:
                    go_on(folder, pair=pair, options=run_options)
                else:
                    require_space(plan, pair, todo.folder.path, keep_log=options.keep_full_log, force=options.force)
                    setup = setup_of(session, options, plan, status, health)
                    setup = replace(setup, pair_name=name, variant=variant_of(name))
                    carry_out(setup, pair=pair, folder=folder, options=run_options)
    except EnaxpError as error:
        view.end(name, lost=why_lost(error))
        raise
    finally:
        if folder.records() and (folder.path / MANIFEST).is_file():
            work_out(folder, None)
    view.end(name)


def why_lost(error: BaseException | None) -> str:
    """Why a pair was lost, on one line; empty where it was not: it was measured to the end, or is to go on later."""
    if error is None or isinstance(error, Interrupted):
        return ""
    if not isinstance(error, EnaxpError):
        return f"{type(error).__name__}: {error}"[:LONGEST_REASON]
    return " ".join(error.in_one_line.split())[:LONGEST_REASON]


def _require_there(session: Session, status: Status, stop: threading.Event, role: str) -> None:
    """Raises HostError when AWS reports that this host will not come back, KeyboardInterrupt when the whole bench should stop."""
    if stop.is_set():
        raise KeyboardInterrupt
    instance = next(host.instance_id for host in status.hosts.values() if host.role == role)
    found = session.aws.ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [instance]}])["Reservations"]
    states = [one["State"]["Name"] for reservation in found for one in reservation["Instances"]]
    if not states or states[0] in ("shutting-down", "terminated"):
        raise HostError(
            f"the {role} ({instance}) cannot be reached any more",
            said=f"its instance is {states[0] if states else 'gone'}",
            todo="run `enaxp up`, which replaces what no longer exists",
        )


def _keep_what_became(session: Session, todo: FleetPlan, outcomes: Mapping[str, BaseException | None]) -> None:
    """Records the outcome of each pair, and prints the lost ones. Raises an unexpected exception of a pair, which is a bug of this
    program."""
    lost = {name: why_lost(error) for name, error in outcomes.items()}
    ended = None if len(outcomes) < len(todo.pairs) else now_text()
    todo.folder.write_manifest(replace(todo.manifest.with_lost(lost), ended_at=ended))
    for name, reason in lost.items():
        if reason:
            session.console.say(f"pair {name} was lost: {reason}")
    for error in outcomes.values():
        if error is not None and not isinstance(error, EnaxpError):
            raise error


def _announce(session: Session, todo: FleetPlan) -> None:
    """Prints which pairs are measured, and how long that takes."""
    say, at_once = session.console.say, todo.manifest.at_once
    how = (
        "side by side"
        if at_once >= len(todo.pairs)
        else "one after the other"
        if at_once == 1
        else f"{at_once} at once"
    )
    say(f"{counted(len(todo.pairs), 'pair')} of hosts, {how}: {', '.join(todo.pairs)}")
    first = next(iter(todo.pairs.values()), None)
    if first is not None:
        announce(session, todo.manifest.plan, first, done=0, rounds=_rounds(todo))


def _rounds(todo: FleetPlan) -> int:
    """The number of rounds: how many pairs are measured one after the other."""
    return -(-len(todo.pairs) // max(1, todo.manifest.at_once))


def now_text() -> str:
    """This moment as a manifest has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
