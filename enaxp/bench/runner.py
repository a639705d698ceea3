"""Runner: carries out a schedule on two hosts, pair after pair, and appends each trial to the run folder as it ends.

    Plan ─▶ schedule ─▶ pairs ─▶ one command on the client a trial (counters, sockperf, counters, reduced log) ─▶ TrialRecord

Nothing is decided here but whether a pair runs again: what is valid is for the gates to say, what it means for the result.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from enaxp.bench.gates import delivered_gbps, judge
from enaxp.bench.histogram import Histogram
from enaxp.bench.records import InterfaceDelta, Interfaces, RunFolder, SrdDelta, TrialRecord, trial_name
from enaxp.bench.schedule import ARMS, Arm, Plan, Scenario, Trial, pairs, schedule
from enaxp.errors import BenchError, EnaxpError, HostError, Interrupted
from enaxp.hosts import nic
from enaxp.hosts.connection import Connection, connect
from enaxp.hosts.sockperf import (
    OVERHEAD_S,
    ReducedLog,
    client_command,
    parse,
    read_reduced,
    reduce_log_command,
    server_command,
)

_T = TypeVar("_T")

PORTS: Mapping[Arm, int] = {"ena": 11110, "ena_express": 11111}  # the guide's
MAX_ATTEMPTS = 4  # at one pair: the first and three more
FIRST_CLIENT_PORT = 20000
CLIENT_PORTS = 10000  # below the range that Linux hands out by itself
GRACE_S = 10.0  # beyond its own time, a trial is ended after this long
RECONNECT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The two hosts of a lab, connected."""

    server: Connection
    client: Connection

    def by_role(self) -> dict[str, Connection]:
        return {"server": self.server, "client": self.client}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What the runner tells whoever watches, before and after each trial. `record` is the one just ended, None before the first."""

    done: int
    total: int
    seconds_left: float
    trial: Trial | None = None
    record: TrialRecord | None = None
    note: str = ""


Watcher = Callable[[Progress], None]
Probes = Mapping[str, Mapping[Arm, nic.Probe]]


def prove_routes(pair: Pair) -> Probes:
    """Per role and arm: which interface has the address, and by which one traffic to the other host's leaves.

    Raises BenchError when an arm leaves a host by another interface than its own: both arms would then measure the same one.
    """
    probes: dict[str, dict[Arm, nic.Probe]] = {}
    for role, connection in pair.by_role().items():
        peer = pair.client if role == "server" else pair.server
        probes[role] = {
            arm: nic.read_probe(connection.check(nic.probe_command(connection.host.ip_of(arm), peer.host.ip_of(arm))))
            for arm in ARMS
        }
    for role, arms in probes.items():
        for arm, probe in arms.items():
            if probe.interface is not None and probe.leaves_by != probe.interface:
                raise BenchError(
                    f"the {role}'s {arm} traffic would leave by {probe.leaves_by or 'no interface'}, not by {probe.interface}",
                    todo=f"look at `enaxp ssh {role} -- ip rule` and run /usr/local/sbin/enaxp-net there again",
                )
    return probes


class Runner:
    """One run: servers started, pairs carried out, servers stopped."""

    def __init__(self, pair: Pair, plan: Plan, folder: RunFolder, *, probes: Probes, watch: Watcher) -> None:
        self.pair = pair
        self.plan = plan
        self.folder = folder
        self.probes = probes
        self.watch = watch
        self.trials = schedule(plan)
        self._ports_used = 0
        self._done = 0
        self._began = time.monotonic()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Carries out every pair. What ended is on disk, whatever happens.

        Raises Interrupted after Ctrl-C and HostError when a host is lost for good; the servers are stopped in either case.
        """
        with ThreadPoolExecutor(4) as pool:
            try:
                for scenario in self.plan.scenarios:
                    self._start_servers(scenario)
                for pair in pairs(self.trials):
                    self._carry_out(pool, pair)
            except KeyboardInterrupt:
                self._stopping.set()
                self._end_clients()
                raise Interrupted(
                    f"interrupted: {self._done} of {len(self.trials)} trials are kept",
                    todo=f"they are in {self.folder.path}",
                ) from None
            finally:
                self._stop_servers()

    # -- pairs ---------------------------------------------------------------------------------------------------------

    def _carry_out(self, pool: ThreadPoolExecutor, pair: tuple[Trial, Trial]) -> None:
        """Both trials of a pair, run again together until both are valid, at most MAX_ATTEMPTS times."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            if self.plan.order == "parallel":
                records = self._both_at_once(pool, pair, attempt)
            else:
                records = [self._interruptibly(pool.submit(self._trial, trial, attempt)) for trial in pair]
            if all(record.valid for record in records):
                break
            reasons = "; ".join(f"{record.arm}: {record.reason}" for record in records if not record.valid)
            again = (
                f"running the pair again ({attempt} of {MAX_ATTEMPTS - 1})"
                if attempt < MAX_ATTEMPTS
                else "going on without it"
            )
            self._tell(note=f"iteration {pair[0].iteration}, repeat {pair[0].repeat}: {reasons}; {again}")
            if attempt < MAX_ATTEMPTS:
                self._repair()
        self._done += 2

    def _both_at_once(self, pool: ThreadPoolExecutor, pair: tuple[Trial, Trial], attempt: int) -> list[TrialRecord]:
        futures = [pool.submit(self._trial, trial, attempt) for trial in pair]
        return [self._interruptibly(future) for future in futures]

    @staticmethod
    def _interruptibly(future: Future[_T]) -> _T:
        """The future's result. Remote commands run on other threads, so that Ctrl-C reaches this one at once."""
        while True:
            done, _ = wait([future], timeout=0.5, return_when=FIRST_COMPLETED)
            if done:
                return future.result()

    def _trial(self, trial: Trial, attempt: int) -> TrialRecord:
        """One sockperf run, judged and on disk."""
        self._tell(trial=trial)
        name = trial_name(trial, attempt=attempt)
        measured = self._measure(trial, attempt, log=f"{name}.log")
        record = measured.record
        if self._stopping.is_set():
            return record
        histogram = Histogram.from_reduced(measured.log) if measured.log and measured.log.observations else None
        record = replace(
            record,
            raw_file=self.folder.write_raw(name, measured.raw),
            histogram_file=self.folder.write_histogram(name, histogram) if histogram else None,
        )
        self.folder.append(record)
        self._tell(trial=trial, record=record)
        return record

    def _measure(self, trial: Trial, attempt: int, *, log: str) -> _Measured:
        argv = self._argv(trial, log=log)
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        began = time.monotonic()
        own: dict[str, Any] = {
            "number": trial.number,
            "scenario": trial.scenario.name,
            "arm": trial.arm,
            "iteration": trial.iteration,
            "repeat": trial.repeat,
            "attempt": attempt,
            "discarded": trial.discarded,
            "command": shlex.join(argv),
            "client_port": int(argv[argv.index("--client_port") + 1]),
            "started_at": started_at,
        }
        try:
            answer = self._run_trial(trial, argv, log)
        except HostError as error:
            said = f"{error.where}: {error.said}"
            record = TrialRecord(**own, wall_s=time.monotonic() - began, valid=False, reason=said, sockperf=None)
            return _Measured(record=record, raw="", log=None)
        return _judged(own, answer, trial, self.probes, wall_s=time.monotonic() - began)

    def _argv(self, trial: Trial, *, log: str) -> list[str]:
        self._ports_used += 1
        scenario, client, server = trial.scenario, self.pair.client.host, self.pair.server.host
        return client_command(
            mode=scenario.mode,
            server_ip=server.ip_of(trial.arm),
            port=PORTS[trial.arm],
            client_ip=client.ip_of(trial.arm),
            client_port=FIRST_CLIENT_PORT + self._ports_used % CLIENT_PORTS,
            protocol=scenario.protocol,
            message_size=scenario.message_size,
            duration_s=self.plan.duration_s,
            rate=scenario.rate,
            reply_every=scenario.reply_every,
            full_log=log,
        )

    def _run_trial(self, trial: Trial, argv: list[str], log: str) -> _Answer:
        """Counters of the server around one command on the client, which brings the client's own and the reduced log."""
        timeout_s = self.plan.duration_s + OVERHEAD_S + GRACE_S
        server_before = self._counters(self.pair.server)
        text = self.pair.client.check(
            _trial_script(argv, log=log, counters=self._counters_command("client"), timeout_s=timeout_s),
            timeout_s=timeout_s + 30,
        )
        parts = _split(text)
        return _Answer(
            raw=parts["raw"],
            reduced=parts["log"],
            before={"server": server_before, "client": nic.read_counters(parts["before"])},
            after={"server": self._counters(self.pair.server), "client": nic.read_counters(parts["after"])},
        )

    def _counters(self, connection: Connection) -> dict[str, nic.Counters]:
        command = self._counters_command(connection.host.role)
        return nic.read_counters(connection.check(command)) if command != "true" else {}

    def _counters_command(self, role: str) -> str:
        return nic.counters_command([probe.interface for probe in self.probes[role].values() if probe.interface])

    def _tell(self, *, trial: Trial | None = None, record: TrialRecord | None = None, note: str = "") -> None:
        at_once = 2 if self.plan.order == "parallel" else 1
        done = trial.number - (0 if record is not None else 1) if trial is not None else self._done
        each = self.plan.duration_s + OVERHEAD_S
        if record is not None:  # what trials really took, once there is one
            each = max(each, record.wall_s)
        left = (len(self.trials) - done) / at_once * each
        self.watch(
            Progress(done=done, total=len(self.trials), seconds_left=left, trial=trial, record=record, note=note)
        )

    # -- servers -------------------------------------------------------------------------------------------------------

    def _start_servers(self, scenario: Scenario) -> None:
        """One server for each arm. One that a killed run left behind is ended first. Raises HostError with what sockperf said."""
        life_s = int(len(self.trials) * (self.plan.duration_s + OVERHEAD_S + 1) * MAX_ATTEMPTS + 600)
        server = self.pair.server
        for arm in ARMS:
            argv = server_command(ip=server.host.ip_of(arm), port=PORTS[arm], protocol=scenario.protocol)
            answer = server.run(_server_script(argv, port=PORTS[arm], life_s=life_s))
            if not answer.ok:
                said = (answer.stdout + answer.stderr).strip()[-400:] or f"exit {answer.exit_code}"
                todo = "if sockperf is missing, run `enaxp up` again; if the port is in use, end what uses it"
                raise HostError(f"starting the {arm} server: {shlex.join(argv)}", said=said, todo=todo)

    def _stop_servers(self) -> None:
        """Best effort: each server also ends by itself after the time it was given."""
        self._quietly(
            self.pair.server, "; ".join([_ENTER, *(_end_script(f"server-{port}") for port in PORTS.values())])
        )

    def _end_clients(self) -> None:
        self._quietly(self.pair.client, f"{_ENTER}; {_end_script('client')}")

    def _quietly(self, connection: Connection, command: str) -> None:
        try:
            connection.run(command, timeout_s=15)
        except EnaxpError as error:
            self._tell(note=f"clean-up on the {connection.host.role}: {error.where} ({error.said})")

    def _repair(self) -> None:
        """Before a pair runs again: a lost connection is opened again, a server that died is started again."""
        for role, connection in self.pair.by_role().items():
            try:
                connection.check("true", timeout_s=15)
            except HostError:
                connection.close()
                fresh = connect(connection.host, patience_s=RECONNECT_S)
                self.pair = replace(self.pair, **{role: fresh})
        for scenario in self.plan.scenarios:
            self._start_servers(scenario)


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What one trial brought back, as text and counters."""

    raw: str
    reduced: str
    before: Mapping[str, Mapping[str, nic.Counters]]
    after: Mapping[str, Mapping[str, nic.Counters]]


@dataclass(frozen=True, kw_only=True)
class _Measured:
    record: TrialRecord
    raw: str
    log: ReducedLog | None


def _judged(own: dict[str, Any], answer: _Answer, trial: Trial, probes: Probes, *, wall_s: float) -> _Measured:
    """The record of a trial that ran: parsed, compared with its counters, judged by the gates."""
    sockperf = parse(answer.raw)
    try:
        log = read_reduced(answer.reduced)
    except ValueError:
        log = None
    interfaces = _carried(answer, probes)
    srd = _srd(answer, trial.arm, probes)
    allowances = {role: nic.allowances_moved(answer.before[role], answer.after[role]) for role in answer.after}
    known = {role: by for role, by in allowances.items() if by is not None} or None
    report = judge(
        scenario=trial.scenario,
        arm=trial.arm,
        sockperf=sockperf,
        logged=log.observations if log else None,
        srd=srd,
        interfaces=interfaces,
        allowances=known,
    )
    record = TrialRecord(
        **own,
        wall_s=round(wall_s, 3),
        valid=report.valid,
        reason=report.reason,
        sockperf=sockperf,
        throughput_gbps=delivered_gbps(
            scenario=trial.scenario, arm=trial.arm, sockperf=sockperf, interfaces=interfaces
        ),
        srd=srd,
        interfaces=interfaces,
        allowances=known,
        seconds=log.seconds if log else (),
    )
    return _Measured(record=record, raw=answer.raw, log=log)


def _carried(answer: _Answer, probes: Probes) -> Interfaces | None:
    """What each interface of each host carried during the trial; None where no interface is known."""
    carried: dict[str, dict[Arm, InterfaceDelta]] = {}
    for role, arms in probes.items():
        for arm, probe in arms.items():
            before, after = (
                answer.before[role].get(probe.interface or ""),
                answer.after[role].get(probe.interface or ""),
            )
            if before and after:
                delta = nic.moved(before.statistics, after.statistics)
                carried.setdefault(role, {})[arm] = InterfaceDelta(**delta)
    return carried or None


def _srd(answer: _Answer, arm: Arm, probes: Probes) -> SrdDelta | None:
    """What the arm's own `ena_srd_*` counters did; None when the client's interface has none."""
    client = _device_moved(answer, "client", probes["client"][arm].interface)
    server = _device_moved(answer, "server", probes["server"][arm].interface)
    if client is None or "ena_srd_tx_pkts" not in client or "ena_srd_eligible_tx_pkts" not in client:
        return None
    source: Literal["device", "stand-in"] = "stand-in" if probes["client"][arm].is_stand_in else "device"
    return SrdDelta(
        tx=client["ena_srd_tx_pkts"],
        eligible=client["ena_srd_eligible_tx_pkts"],
        rx=client.get("ena_srd_rx_pkts"),
        peer_rx=(server or {}).get("ena_srd_rx_pkts"),
        mode=_mode(answer, "client", probes["client"][arm].interface),
        peer_mode=_mode(answer, "server", probes["server"][arm].interface),
        source=source,
    )


def _device_moved(answer: _Answer, role: str, interface: str | None) -> dict[str, int] | None:
    before, after = answer.before[role].get(interface or ""), answer.after[role].get(interface or "")
    return nic.moved(before.device, after.device) if before and after else None


def _mode(answer: _Answer, role: str, interface: str | None) -> int | None:
    after = answer.after[role].get(interface or "")
    return after.device.get("ena_srd_mode") if after else None


# -- scripts on the hosts: POSIX sh, coreutils, awk ------------------------------------------------------------------------

# A host that is a plain process has its files below a folder of its own.
_ENTER = 'mkdir -p "${ENAXP_ROOT:-}/tmp/enaxp-bench" && cd "${ENAXP_ROOT:-}/tmp/enaxp-bench"'
_MARK = "--8<-- enaxp"


def _trial_script(argv: list[str], *, log: str, counters: str, timeout_s: float) -> str:
    """One trial on the client. sockperf's exit code says nothing, so only its text is brought back."""
    run = f"timeout -k 2 {timeout_s:.0f} {shlex.join(argv)}"
    return f"""{_ENTER} || exit 1
echo '{_MARK} before'; {counters}
{run} > {log}.out 2>&1 & echo $! > client.pid; wait $!
echo '{_MARK} after'; {counters}
echo '{_MARK} raw'; cat {log}.out
echo '{_MARK} log'; [ -s {log} ] && {{ {reduce_log_command(log)}; }}
rm -f {log} {log}.out; true"""


def _server_script(argv: list[str], *, port: int, life_s: int) -> str:
    """Starts a server in the background and waits until it listens; prints what it said and fails when it does not."""
    name = f"server-{port}"
    return f"""{_ENTER} || exit 1
{_end_script(name)}
nohup timeout -s INT {life_s} {shlex.join(argv)} > {name}.out 2>&1 < /dev/null & echo $! > {name}.pid
pid=$!; tries=0
while [ $tries -lt 50 ]; do
  tries=$((tries + 1))
  grep -q 'ERROR\\|nrecognized\\|not found' {name}.out && break
  kill -0 $pid 2>/dev/null || break
  grep -q 'Warmup stage\\|to block on socket' {name}.out && exit 0
  sleep 0.1
done
cat {name}.out; exit 1"""


def _end_script(name: str) -> str:
    """Ends what a pid file in this folder names, and waits for its end, so that its port is free."""
    return (
        f"if [ -f {name}.pid ]; then p=$(cat {name}.pid); kill -INT $p 2>/dev/null; n=0; "
        f"while kill -0 $p 2>/dev/null && [ $n -lt 20 ]; do sleep 0.1; n=$((n + 1)); done; "
        f"kill -KILL $p 2>/dev/null; rm -f {name}.pid; fi"
    )


def _split(text: str) -> dict[str, str]:
    """The parts of what `_trial_script` printed. Raises HostError when one is missing."""
    parts = {}
    for piece in text.split(f"{_MARK} ")[1:]:
        name, _, content = piece.partition("\n")
        parts[name.strip()] = content
    missing = [name for name in ("before", "after", "raw", "log") if name not in parts]
    if missing:
        raise HostError("reading what a trial printed", said=f"the part {missing[0]!r} is missing: {text[-300:]!r}")
    return parts
