"""Measuring: a toggled bench between two given hosts, whose ENA Express setting is restored whatever happens.

GivenBench ─▶ interfaces held ─▶ agreed beforehand ─▶ settings found, saved ─▶ trials ─▶ settings put back ─▶ run folder
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from enaxp.bench.measuring.bench import RunSetup, carry_out, go_on
from enaxp.bench.measuring.crossover import Assign
from enaxp.bench.measuring.pair import Pair, connected
from enaxp.bench.measuring.runner import RunOptions
from enaxp.bench.run_folder.records import RunFolder
from enaxp.commands.bench import CutShort, what_cut_short
from enaxp.commands.given.asked import GivenBench
from enaxp.commands.given.beforehand import agreed, fit_pair
from enaxp.commands.given.reach import host_of
from enaxp.errors import AwsError
from enaxp.hosts.connection import Host
from enaxp.hosts.marks import Marks, folder_removed, held, this_bench
from enaxp.lab.given.discovery import GivenHostFound, GivenPairFound
from enaxp.lab.given.putback import put_back
from enaxp.lab.given.saved import GivenFolder, SavedSettings
from enaxp.lab.given.switching import switched
from enaxp.report.redact import without_private_words
from enaxp.terminal.live import bench_view
from enaxp.traffic import SrdOn

VARIANT = "given"  # of several pairs: what they have in common is that they exist already


def measure_given(bench: GivenBench, new_folder: Callable[[], RunFolder]) -> tuple[RunFolder, CutShort | None]:
    """Carries out the bench; returns the run's folder and the error that ended it early, or raises that error if no trial has ended.
    new_folder: creates the folder of a new run."""
    given = GivenFolder(bench.session.options.state_dir)
    bench.session.aws.account()  # another one than the config allows is asked for nothing
    found = fit_pair(bench)
    with given.held(host.setting.eni for host in found.hosts):
        if _put_back_what_is_left(bench, given, found):
            found = fit_pair(bench)
        names: dict[str, tuple[str, ...]] = {host.role: (host.setting.eni,) for host in found.hosts}
        with (
            connected({host.role: _host(bench, given, host) for host in found.hosts}) as pair,
            folder_removed(pair.by_role),
            held(pair.by_role, names, who=this_bench()) as marks,
        ):
            said = agreed(bench, found, pair)

            def run_trials(assign: Assign) -> tuple[RunFolder, CutShort | None]:
                setup = _setup(bench, found, said)
                return _run_trials(bench, pair, setup, assign, hold=marks.hold, new_folder=new_folder)

            return _between(bench, given, found, marks, run_trials)


def _put_back_what_is_left(bench: GivenBench, given: GivenFolder, found: GivenPairFound) -> bool:
    """Restores what a killed bench left switched on these interfaces, so that the settings found now are the original ones."""
    say, enis = bench.session.console.say, {host.setting.eni for host in found.hosts}
    left = [one for one in given.all() if enis & one.enis]
    for one in left:
        say("an earlier bench was ended before it put ENA Express back: that comes first")
        with given.held(one.enis - enis):
            put_back(bench.session.aws, given, one, say=say)
    return bool(left)


def _host(bench: GivenBench, given: GivenFolder, found: GivenHostFound) -> Host:
    config = bench.pair.server if found.role == "server" else bench.pair.client
    return host_of(bench.session, config, found, known_hosts=given.known_hosts(found.instance_id))


def _between(
    bench: GivenBench,
    given: GivenFolder,
    found: GivenPairFound,
    marks: Marks,
    run_trials: Callable[[Assign], tuple[RunFolder, CutShort | None]],
) -> tuple[RunFolder, CutShort | None]:
    """Runs the trials, and restores the original settings. If restoring fails, the run is evaluated nevertheless."""
    measured: tuple[RunFolder, CutShort | None] | None = None
    try:
        with switched(bench.session.aws, given, _saved(bench, found), say=bench.session.console.say) as switch:

            def assign(srd_on: SrdOn) -> None:
                marks.hold()  # a connection that was lost has taken its lock along
                switch(srd_on)

            measured = run_trials(assign)
    except AwsError as error:
        if measured is None:
            raise
        return measured[0], error
    return measured


def _run_trials(
    bench: GivenBench,
    pair: Pair,
    setup: RunSetup,
    assign: Assign,
    *,
    hold: Callable[[], None],
    new_folder: Callable[[], RunFolder],
) -> tuple[RunFolder, CutShort | None]:
    """Runs the missing trials of the plan. Returns the folder, and the error that ended it early."""
    title = f"enaxp bench, your hosts, {setup.place['availability_zone']}"
    with bench_view(bench.session.console, bench.plan, title=title, earlier=bench.earlier) as watcher:
        options = RunOptions(
            watch=watcher,
            keep_log=bench.options.keep_full_log,
            assign=assign,
            puts_back=False,
            hold=hold,
        )
        folder = bench.earlier or new_folder()

        def run_trials() -> None:
            if bench.earlier:
                go_on(folder, pair=pair, options=options)
            else:
                carry_out(setup, pair=pair, folder=folder, options=options)

        return folder, what_cut_short(folder, run_trials)


def _setup(bench: GivenBench, found: GivenPairFound, said: tuple[str, ...]) -> RunSetup:
    session, hosts = bench.session, found.hosts
    return RunSetup(
        plan=bench.plan,
        lab=session.config.lab,
        target=session.target.name,
        isolation=session.target.isolation,
        argv=tuple(without_private_words(bench.options.argv)),
        place={
            "region": session.aws.region,
            "availability_zone": _joined(host.zone for host in hosts),
            "instance_type": _joined(host.instance_type for host in hosts),
            "image": _joined(host.image for host in hosts),
            "instances": " and ".join(host.instance_id for host in hosts),
        },
        host_gbps=found.gbps,
        given=said,
        pair_name=bench.name,
        variant=VARIANT if bench.name else None,
    )


def _saved(bench: GivenBench, found: GivenPairFound) -> SavedSettings:
    return SavedSettings(
        lab=bench.session.config.lab,
        account=bench.session.aws.account(),
        region=bench.session.aws.region,
        target=bench.session.target.name,
        saved_at=datetime.now(UTC).replace(microsecond=0),
        server=found.server.setting,
        client=found.client.setting,
    )


def _joined(values: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(values))
