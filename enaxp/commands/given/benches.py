"""Benches: the implementation of `enaxp bench` for given hosts: one pair's run, or several pairs, one after the other, judged as a fleet.

pairs ─▶ GivenBench each ─▶ measure_given() ─▶ run folders ─▶ result, or Fleet ─▶ summary, printed
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from enaxp.bench.fleet.folder import FleetFolder, FleetManifest, PairEntry
from enaxp.bench.fleet.result import Fleet
from enaxp.bench.fleet.result import to_document as fleet_document
from enaxp.bench.fleet.side_by_side import plan_of_pair
from enaxp.bench.judging.result import Result, to_document
from enaxp.bench.run_folder.finding import find_path
from enaxp.bench.run_folder.records import RunFolder
from enaxp.commands.bench import BenchOptions, bench_plan, finished, print_result, require_writable, resumable, work_out
from enaxp.commands.fleet_bench import begin_fleet, begun, fleet_finished, has_ended, now_text, why_lost
from enaxp.commands.given.asked import GivenBench, GivenOptions, in_the_name_of
from enaxp.commands.given.measuring import VARIANT, measure_given
from enaxp.config import GivenPairConfig
from enaxp.errors import EnaxpError, Interrupted, UsageError
from enaxp.options import Options
from enaxp.report.redact import without_private_words
from enaxp.session import Overrides, Session, open_session


def bench_between_given(
    options: Options,
    pairs: Sequence[GivenPairConfig],
    bench_options: BenchOptions,
    wishes: GivenOptions,
    *,
    overrides: Overrides,
) -> None:
    """Measures the pairs and prints the result: of one run, or of several pairs as a fleet."""
    with open_session(in_the_name_of(options, pairs), overrides=overrides) as session:
        if len(pairs) == 1:
            result, summary, folder = run_given_bench(session, pairs[0], bench_options, wishes)
            document = to_document(result)
        else:
            fleet, summary, folder = run_given_fleet(session, pairs, bench_options, wishes)
            document = fleet_document(fleet)
        print_result(session, document, summary=summary, folder=folder)


def run_given_bench(
    session: Session, pair: GivenPairConfig, options: BenchOptions, wishes: GivenOptions
) -> tuple[Result, str, Path]:
    """Carries out a toggled run between two hosts; returns result, summary and folder. Raises as `run_bench`; also UsageError when the
    user does not confirm, BenchError when the hosts are unsuitable.
    """
    results, lab = session.options.results_dir, session.config.lab
    earlier = RunFolder.find(results, lab=lab, run=options.resume) if options.resume else None
    plan = earlier.read_manifest().plan if earlier else bench_plan(session, options)
    if not plan.is_toggled:
        raise UsageError(f"run {options.resume} is a lab's: it was not toggled", todo="resume it without given hosts")
    require_writable(earlier.path if earlier else results / lab)
    bench = GivenBench(session=session, pair=pair, plan=plan, options=options, wishes=wishes, earlier=earlier)
    folder, cut_short = measure_given(bench, lambda: RunFolder.create(results, lab=lab, now=datetime.now(UTC)))
    return finished(session, folder, cut_short, draws=options.report)


def run_given_fleet(
    session: Session, pairs: Sequence[GivenPairConfig], options: BenchOptions, wishes: GivenOptions
) -> tuple[Fleet, str, Path]:
    """Measures several pairs, each as a run of its own; returns the fleet's result, summary and folder. A lost pair does not stop the
    others. Raises as `run_fleet_bench`.
    """
    named = {f"{VARIANT}-{number}": pair for number, pair in enumerate(pairs, 1)}
    if options.resume is None:
        folder, manifest = _new_fleet(session, options, named)
    else:
        folder, manifest = _earlier_fleet(session, options.resume, named)
    with resumable(folder):
        stopped = _measure_all(session, folder, manifest, named, options=options, wishes=wishes)
        return fleet_finished(session, folder, stopped=stopped, draws=options.report)


def _measure_all(
    session: Session,
    folder: FleetFolder,
    manifest: FleetManifest,
    named: Mapping[str, GivenPairConfig],
    *,
    options: BenchOptions,
    wishes: GivenOptions,
) -> bool:
    """Measures the pairs that have not ended, and records in the manifest which were lost. Returns whether Ctrl-C ended it early."""
    say = session.console.say
    lost: dict[str, str] = {}
    stopped = False
    for name in (entry.name for entry in manifest.pairs if not has_ended(folder, entry)):
        pair = named[name]
        say(f"pair {name}: {pair.server.instance_id} and {pair.client.instance_id}")
        earlier = begun(folder, name)
        plan = earlier.read_manifest().plan if earlier else plan_of_pair(manifest.plan, name)
        bench = GivenBench(
            session=session, pair=pair, plan=plan, options=options, wishes=wishes, earlier=earlier, name=name
        )
        cut_short = _measured_into(folder.pair(name), bench)
        lost[name] = why_lost(cut_short)
        if lost[name]:
            say(f"pair {name} was lost: {lost[name]}")
        stopped = isinstance(cut_short, Interrupted)
        if stopped:
            break
    folder.write_manifest(replace(manifest.with_lost(lost), ended_at=None if stopped else now_text()))
    return stopped


def _new_fleet(session: Session, options: BenchOptions, names: Iterable[str]) -> tuple[FleetFolder, FleetManifest]:
    plan = bench_plan(session, options)
    require_writable(session.options.results_dir / session.config.lab)
    entries = [PairEntry(name=name, variant=VARIANT) for name in names]
    return begin_fleet(session, plan, entries, at_once=1, argv=without_private_words(options.argv))


def _earlier_fleet(session: Session, run: str, names: Iterable[str]) -> tuple[FleetFolder, FleetManifest]:
    """The bench of several pairs that is resumed. Raises UsageError when it measured other pairs, BenchError when it does not exist."""
    folder = FleetFolder.open(find_path(session.options.results_dir, lab=session.config.lab, run=run))
    manifest = folder.read_manifest()
    if [entry.name for entry in manifest.pairs] != list(names) or not manifest.plan.is_toggled:
        raise UsageError(
            f"run {run} was measured between other pairs of hosts",
            todo="give the pairs with which it was begun, in their order",
        )
    return folder, manifest


def _measured_into(folder: RunFolder, bench: GivenBench) -> EnaxpError | None:
    """Measures a pair into this folder, and evaluates its run. Returns the error that ended it early, if any."""
    try:
        _, cut_short = measure_given(bench, lambda: folder)
    except KeyboardInterrupt:
        return Interrupted("interrupted before the first trial")
    except EnaxpError as error:
        return error
    if folder.records():
        work_out(folder, None)
    return cut_short
