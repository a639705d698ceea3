"""Runner: carries out a schedule on two hosts, pair by pair, and appends each trial to the run folder when it ends.

    Plan ─▶ schedule ─▶ pairs that are not on disk yet ─▶ Measurer ─▶ TrialRecord ─▶ trials.jsonl

The only decision made here is whether a pair is repeated; gates.py decides whether a trial is valid.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TypeVar

from enaxp.bench.measuring.crossover import TOGGLE_SETTLES_S, Assign, wait_for_devices
from enaxp.bench.measuring.pair import Pair, Probes
from enaxp.bench.measuring.quiet import Quiet
from enaxp.bench.measuring.scripts import NO_SPACE, end_all_script
from enaxp.bench.measuring.servers import Servers
from enaxp.bench.measuring.trial import FIRST_CLIENT_PORT, Measured, Measurer
from enaxp.bench.planning.pinning import NOT_PINNED, Pinning
from enaxp.bench.planning.schedule import BenchPlan, Trial, schedule, trial_seconds, units
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import RunFolder, TrialRecord, trial_name
from enaxp.ending import held_back
from enaxp.errors import BenchError, EnaxpError, HostError, Interrupted
from enaxp.hosts.connection import Connection
from enaxp.traffic import ARMS, TOGGLED_HOME, Arm, SrdOn, other

_T = TypeVar("_T")

MAX_ATTEMPTS = 4  # at one pair: the first and three more
RECONNECT_S = 300.0  # an instance that restarts is back within this
CHANGED_OVER: Mapping[SrdOn, str] = {
    "second": "ENA Express is put on the second interfaces",
    "first": "crossover: ENA Express is put on the first interfaces",
    "none": "control: ENA Express is switched off on all interfaces",
}
TOGGLED: Mapping[SrdOn, str] = {"second": "ENA Express is switched on", "none": "ENA Express is switched off"}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A progress report of the runner, before and after each trial.

    `record` and `histogram`: of the trial that has just ended; None in the report before it.
    """

    done: int
    total: int
    seconds_left: float
    trial: Trial | None = None
    record: TrialRecord | None = None
    histogram: Histogram | None = None
    note: str = ""


BenchWatcher = Callable[[Progress], None]
# What is carried out, and run again, together: a pair, or where SRD is toggled a trial alone.
UnitOfTrials = tuple[Trial, ...]
PairPlace = tuple[str, int, int, bool]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of a run that do not change what is measured.

    assign: sets which interfaces have SRD, for a crossover, a control or order `toggled`. puts_back: whether the runner gives SRD to the
    second interfaces at the end; if not, the caller that provided `assign` restores it. settles_s: the pause in s after each switch in
    order `toggled`. is_narrow: whether the intervals are as narrow as requested. stop: when set, ends the run as Ctrl-C does (Ctrl-C
    itself reaches only the main thread). still_there: see `connect`. hold: locks the hosts again after a connection was lost, since
    the locks ended with it; raises HostError when another bench has locked one meanwhile.
    """

    watch: BenchWatcher
    keep_log: bool = False
    assign: Assign | None = None
    puts_back: bool = True
    settles_s: float = TOGGLE_SETTLES_S
    is_narrow: Callable[[], bool] | None = None
    stop: threading.Event | None = None
    still_there: Callable[[str], None] | None = None
    hold: Callable[[], None] | None = None


class Runner:
    """Carries out one run, or the rest of a resumed one: starts the servers, runs the pairs, stops the servers."""

    def __init__(
        self,
        pair: Pair,
        plan: BenchPlan,
        folder: RunFolder,
        *,
        probes: Probes,
        options: RunOptions,
        pinning: Pinning = NOT_PINNED,
    ) -> None:
        self.pair = pair
        self.plan = plan
        self.folder = folder
        self.probes = probes
        self.trials = schedule(plan)
        self._options = options
        self._finished = _Finished(evidence_of(folder, plan).records)
        self._servers = Servers(pair, plan, pinning=pinning)
        self._measurer = Measurer(
            pair,
            plan,
            servers=self._servers,
            probes=probes,
            pinning=pinning,
            first_port=self._finished.last_port - FIRST_CLIENT_PORT + 1,
            keep_log=options.keep_log,
        )
        self._quiet = Quiet(pair, probes, tell=lambda text: self._tell(note=text))
        # None: being changed over, or not known. Where it is toggled the first trial of each session has it switched.
        self._srd_on: SrdOn | None = None if plan.is_toggled else "second"
        self._hopeless: set[str] = set()  # scenarios whose last pair failed in every attempt
        self._done = 0
        self._stopping = threading.Event()
        self._reconnecting = threading.Lock()

    def run(self) -> None:
        """Carries out every pair that is not finished. Each trial is written to disk as soon as it has ended.

        Raises Interrupted after Ctrl-C, HostError when a host is lost for good, BenchError when a disk is full. In every case the servers
        are stopped and SRD is restored, if the hosts can still be reached.
        """
        with ThreadPoolExecutor(4) as pool:
            try:
                self._end_all("client")
                self._quiet.begin()
                if self.plan.moves_srd and not self.plan.is_toggled:
                    self._put_srd(on="second")  # an earlier session may have been killed while it was elsewhere
                self._servers.start_probes(homes=self._homes())
                left = units(self.plan, self.trials)
                for unit in needed(left, is_enough=self._is_enough, taken=self.folder.iterations_begun):
                    self._carry_out(pool, unit)
            except KeyboardInterrupt:
                self._stopping.set()
                self._end_all("client")
                raise Interrupted(
                    f"interrupted: {self._done} of {len(self.trials)} trials are kept",
                    todo=f"they are in {self.folder.path}; go on with `enaxp bench --resume {self.folder.run_id}`",
                ) from None
            finally:
                with held_back():
                    self._put_srd_back()
                    self._quietly(self._servers.stop)
                    self._quietly(self._quiet.end)

    def _is_enough(self, first: Trial) -> bool:
        """Whether the run may stop before this trial: the trial begins an iteration beyond the requested number, and the intervals are
        narrow enough.
        """
        begins = first.number == 1 or self.trials[first.number - 2].iteration != first.iteration
        beyond = first.iteration > self.plan.iterations
        return begins and beyond and self._options.is_narrow is not None and self._options.is_narrow()

    # -- pairs ---------------------------------------------------------------------------------------------------------

    def _carry_out(self, pool: ThreadPoolExecutor, unit: UnitOfTrials) -> None:
        """Runs all trials of a unit, and repeats them together until all are valid, at most MAX_ATTEMPTS times."""
        first, missing = self._finished.what_is_left(unit)
        if missing and unit[0].srd_on != self._srd_on:
            self._put_srd(on=unit[0].srd_on)
            if not self.plan.is_toggled:
                self._servers.start_probes(homes=self._homes())
        last = first + (0 if unit[0].scenario.name in self._hopeless else MAX_ATTEMPTS - 1)
        for attempt in range(first, last + 1) if missing else ():
            records = self._attempt(pool, missing, attempt)
            self._stop_when_full(records)
            if all(record.valid for record in records):
                self._hopeless.discard(unit[0].scenario.name)
                break
            self._say_again(unit[0], records, is_last=attempt == last)
            self._repair()
            missing = unit
        else:
            if missing:  # a rate beyond these hosts fails each time: each unit of it is tried once, until one is valid
                self._hopeless.add(unit[0].scenario.name)
        self._done += len(unit)

    def _attempt(self, pool: ThreadPoolExecutor, trials: Iterable[Trial], attempt: int) -> list[TrialRecord]:
        if self.plan.order == "parallel":
            futures = [pool.submit(self._trial, trial, attempt) for trial in trials]
            return [self._interruptibly(future) for future in futures]
        return [self._interruptibly(pool.submit(self._trial, trial, attempt)) for trial in trials]

    def _interruptibly(self, future: Future[_T]) -> _T:
        """The future's result. Remote commands run on other threads, so that Ctrl-C interrupts this one at once."""
        while True:
            done, _ = wait([future], timeout=0.5, return_when=FIRST_COMPLETED)
            if done:
                return future.result()
            if self._options.stop is not None and self._options.stop.is_set():
                raise KeyboardInterrupt

    def _trial(self, trial: Trial, attempt: int) -> TrialRecord:
        """Measures one trial and stores it. Raises BenchError when this machine's disk is full."""
        self._tell(trial=trial)
        measured = self._measurer.measure(trial, attempt=attempt)
        if self._stopping.is_set():
            return measured.record
        if measured.was_cut_off:
            measured = replace(measured, record=self._with_restarts(measured.record))
        try:
            record, histogram = self._keep(measured, trial_name(trial, attempt=attempt))
        except OSError as error:
            raise BenchError(
                f"writing a trial into {self.folder.path}",
                said=str(error),
                todo=f"make room; what was written is kept, and `enaxp bench --resume {self.folder.run_id}` goes on",
            ) from error
        self._tell(trial=trial, record=record, histogram=histogram)
        return record

    def _keep(self, measured: Measured, name: str) -> tuple[TrialRecord, Histogram | None]:
        folder, record = self.folder, measured.record
        histogram = Histogram.from_reduced(measured.log) if measured.log and measured.log.observations else None
        rows = b"".join(log.histogram_rows for log in measured.planned)
        planned = Histogram.from_rows(rows, separator=b" ") if rows else None
        several = len(measured.logs) > 1
        record = replace(
            record,
            raw_file=folder.write_raw(name, measured.raw),
            histogram_file=folder.write_histogram(name, histogram) if histogram else None,
            planned_histogram_file=folder.write_histogram(f"{name}.planned", planned) if planned else None,
            log_files=tuple(
                folder.write_log(f"{name}.{flow}" if several else name, log) for flow, log in enumerate(measured.logs)
            ),
        )
        folder.append(record)
        return record, histogram

    # -- when something fails ------------------------------------------------------------------------------------------

    def _say_again(self, first: Trial, records: Iterable[TrialRecord], *, is_last: bool) -> None:
        reasons = "; ".join(f"{record.arm}: {record.reason}" for record in records if not record.valid)
        again = "running the trial again" if self.plan.is_toggled else "running the pair again"
        then = "going on without it" if is_last else again
        self._tell(note=f"iteration {first.iteration}, repeat {first.repeat}: {reasons}; {then}")

    def _stop_when_full(self, records: Iterable[TrialRecord]) -> None:
        """Raises BenchError when a host's disk is full: a repetition of the pair would fail too."""
        for record in records:
            if record.reason and NO_SPACE in record.reason.lower():
                raise BenchError(
                    record.reason,
                    todo=f"make room below /tmp there (`enaxp ssh`), then `enaxp bench --resume {self.folder.run_id}`",
                )

    def _with_restarts(self, record: TrialRecord) -> TrialRecord:
        """The record of a trial during which a host was lost, with the hosts that have restarted since added to its reason. A host that
        does not come back is handled in `_repair`."""
        try:
            with self._reconnecting:
                self.pair.reconnect(patience_s=RECONNECT_S, still_there=self._options.still_there)
                restarted = self._quiet.restarted()
        except HostError:
            return record
        return replace(record, reason="; ".join([*(f"the {role} restarted" for role in restarted), str(record.reason)]))

    def _repair(self) -> None:
        """Prepares the repetition of a pair: reopens lost connections, waits for the network, and restarts the servers."""
        self.pair.reconnect(patience_s=RECONNECT_S, still_there=self._options.still_there)
        if self._options.hold is not None:
            self._options.hold()
        self._quiet.restore()
        self._quietly(lambda: self._end_all("client"))
        self._servers.start_probes(homes=self._homes())

    def _end_all(self, kind: str) -> None:
        connection: Connection = self.pair.client
        self._quietly(lambda: connection.run(end_all_script(kind), timeout_s=30))

    def _quietly(self, act: Callable[[], object]) -> None:
        try:
            act()
        except EnaxpError as error:
            self._tell(note=f"cleaning up: {error.where} ({error.said})")

    # -- crossover and control -----------------------------------------------------------------------------------------

    def _homes(self) -> Mapping[Arm, Arm]:
        if self.plan.is_toggled:
            return {TOGGLED_HOME: TOGGLED_HOME}
        return {arm: other(arm) if self._srd_on == "first" else arm for arm in ARMS}

    def _put_srd(self, *, on: SrdOn) -> None:
        """Switches SRD on for these interfaces and off for the others, and waits until the devices report it."""
        if self._options.assign is None:
            raise BenchError("a crossover, a control or order toggled needs a way to change over ENA Express")
        self._srd_on = None
        self._tell(note=(TOGGLED if self.plan.is_toggled else CHANGED_OVER)[on])
        self._options.assign(on)
        put_back_by = "enaxp up" if self._options.puts_back else "enaxp restore"
        wait_for_devices(self.pair, self.probes, srd_on=on, put_back_by=put_back_by)
        if self.plan.is_toggled:
            time.sleep(self._options.settles_s)
        self._srd_on = on

    def _put_srd_back(self) -> None:
        """Gives SRD back to the second interfaces if they lack it; if that fails, prints the command that does."""
        if self._srd_on == "second" or not self._options.puts_back:
            return
        self._quietly(lambda: self._put_srd(on="second"))
        if self._srd_on is None:
            self._tell(note="ENA Express is not back where it belongs: `enaxp up` puts it there")

    def _tell(
        self,
        *,
        trial: Trial | None = None,
        record: TrialRecord | None = None,
        histogram: Histogram | None = None,
        note: str = "",
    ) -> None:
        done = trial.number - (0 if record is not None else 1) if trial is not None else self._done
        at_once = 2 if self.plan.order == "parallel" else 1
        left = sum(trial_seconds(self.plan, trial.scenario) for trial in self.trials[done:]) / at_once
        if record is not None:  # what trials really take, once there is one
            left *= max(1.0, record.wall_s / trial_seconds(self.plan, self.plan.scenario(record.scenario)))
        self._options.watch(
            Progress(
                done=done,
                total=len(self.trials),
                seconds_left=left,
                trial=trial,
                record=record,
                histogram=histogram,
                note=note,
            )
        )


def needed(
    of_the_plan: Iterable[UnitOfTrials], *, is_enough: Callable[[Trial], bool], taken: Callable[[], int]
) -> Iterator[UnitOfTrials]:
    """The units of a schedule, up to the first one for whose first trial `is_enough` is true; then the control's units, for as many
    iterations as were `taken`.
    """
    every = list(of_the_plan)
    arms = [unit for unit in every if not (unit[0].control and unit[0].srd_on == "none")]
    yield from itertools.takewhile(lambda unit: not is_enough(unit[0]), arms)
    if control := every[len(arms) :]:
        most = taken()
        yield from (unit for unit in control if unit[0].iteration <= most)


class _Finished:
    """The state that an earlier session of the run left: which units are finished, and the attempt number of the others."""

    def __init__(self, records: Iterable[TrialRecord]) -> None:
        self._attempts: dict[PairPlace, dict[int, dict[Arm, TrialRecord]]] = defaultdict(lambda: defaultdict(dict))
        self.last_port = FIRST_CLIENT_PORT
        for record in records:
            place = (record.scenario, record.iteration, record.repeat, record.control)
            self._attempts[place][record.attempt][record.arm] = record
            self.last_port = record.client_port + record.command.count("--client_port")

    def what_is_left(self, unit: UnitOfTrials) -> tuple[int, tuple[Trial, ...]]:
        """The number of the next attempt and its trials: none if the unit is finished; only one of a pair if the other one has ended and
        is valid.
        """
        trial = unit[0]
        known = self._attempts.get((trial.scenario.name, trial.iteration, trial.repeat, trial.control), {})
        arms = {one.arm for one in unit}
        attempts = {attempt: of for attempt, ended in known.items() if (of := _of_arms(ended, arms))}
        if not attempts:
            return 1, unit
        latest = max(attempts)
        ended = attempts[latest]
        if not all(record.valid for record in ended.values()):
            return latest + 1, unit
        return latest, tuple(trial for trial in unit if trial.arm not in ended)


def _of_arms(ended: Mapping[Arm, TrialRecord], arms: Collection[Arm]) -> dict[Arm, TrialRecord]:
    return {arm: record for arm, record in ended.items() if arm in arms}
