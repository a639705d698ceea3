"""Records: the files that a bench writes while it runs. One folder per run, one line per trial; trial data is only appended, never
rewritten.

    runner ─▶ TrialRecord ─▶ trials.jsonl (one line, flushed) + raw/<trial>.txt + histograms/<trial>.csv.gz
    Manifest ─▶ manifest.json ;  result, table, summary ─▶ result.json, results.csv, summary.txt (each replaced whole)

After a crash the last line may be incomplete: reading skips it, and appending first truncates it. The folder holds everything that a
result needs, so it can be recomputed without the lab. A folder may come from an untrusted source: its content is validated when read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from enaxp.bench.planning.pinning import NOT_PINNED, CpusOf, Pinning
from enaxp.bench.planning.schedule import BenchPlan, Trial
from enaxp.bench.run_folder.documents import Document, NoObjectError, decode, encode, fields_of, parse, require_moment
from enaxp.bench.run_folder.finding import find_path, what_is_there
from enaxp.bench.run_folder.names import LIST_THEM, MANIFEST, PAIR_NAME, PAIRS, RUN_ID_FORM, pair_paths
from enaxp.errors import BenchError
from enaxp.files import FOR_ALL, read_capped, write_whole
from enaxp.hosts.sockperf import Second, SockperfOutput
from enaxp.traffic import ARMS, SCENARIO_NAME, Arm

if TYPE_CHECKING:
    from enaxp.bench.run_folder.histogram import Histogram

SCHEMA = 1
TargetName = Literal["aws", "local"]
SrdSource = Literal["device", "stand-in"]
MeasuredFrom = Literal["planned", "sent"]  # what latencies count from: the planned time of a message, or its send
Limit = Literal["receiver", "cpu", "allowance"]  # bottlenecks other than the network
Interfaces = Mapping[str, Mapping[Arm, "InterfaceDelta"]]
Facts = Mapping[str, str]  # of a host, by name
LabName = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,23}\Z")]
VariantName = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,11}\Z")]
PairName = Annotated[str, Meta(pattern=rf"\A{PAIR_NAME.pattern}\Z")]
RunId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Address = Annotated[str, Meta(pattern=r"\A[0-9]{1,3}(\.[0-9]{1,3}){3}\Z")]
# The path of a trial's file in its run folder: what lies elsewhere is nothing of a run's.
TrialFile = Annotated[str, Meta(pattern=r"\A([a-z]{1,20}/)?[A-Za-z0-9][A-Za-z0-9@._-]{0,127}\Z")]
ScenarioName = Annotated[str, Meta(pattern=rf"\A{SCENARIO_NAME}\Z")]
Count = Annotated[int, Meta(ge=0, le=2**53)]
IsolationText = Annotated[str, Meta(max_length=200)]
SaidText = Annotated[str, Meta(max_length=1000)]
EmulatedText = Annotated[str, Meta(max_length=500)]
MOST_TRIALS = 100_000
TRIAL_FOLDERS = ("raw", "histograms")  # of what trials leave, in a run's folder
MOST_BYTES = {"histogram": 1 << 24, "document": 1 << 26, "trials": 1 << 30}  # of a file
Environment = Mapping[str, Facts]  # by role


@dataclass(frozen=True, kw_only=True)
class SrdDelta:
    """The increase of the `ena_srd_*` counters of a trial's own interfaces during the trial, and the source of the counters.

    tx: packets that the client sent over SRD; eligible: packets that it could have sent over SRD; rx: packets that it received over SRD.
    peer_…: the same of the server. mode: `ena_srd_mode` of the client's interface (bit 0 SRD, bit 1 UDP); peer_mode: of the server's.
    resources_pct: the share of the memory for SRD connections in use, on the host where it is larger.
    """

    tx: Count
    eligible: Count
    rx: Count | None = None
    peer_tx: Count | None = None
    peer_eligible: Count | None = None
    peer_rx: Count | None = None
    mode: int | None = None
    peer_mode: int | None = None
    resources_pct: int | None = None
    source: SrdSource = "device"

    @property
    def share(self) -> float | None:
        """The share of eligible packets that went over SRD, 0 to 1; None when none was eligible."""
        return self.tx / self.eligible if self.eligible else None


@dataclass(frozen=True, kw_only=True)
class InterfaceDelta:
    """The traffic of one interface during a trial, and its MTU at the end."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    mtu: int | None = None


@dataclass(frozen=True, kw_only=True)
class CoreTime:
    """Busy time of one core during a trial, in s: in programs (with the kernel on their behalf), and in hard and soft interrupts."""

    programs_s: float
    interrupts_s: float

    @property
    def total_s(self) -> float:
        return self.programs_s + self.interrupts_s


@dataclass(frozen=True, kw_only=True)
class HostUsage:
    """The usage of a host during a trial: packets dropped by receivers, busy time of cores, and the busiest receive queue of the trial's
    interface.

    The UDP counters are those of the whole host. rx_dropped: packets dropped because the ring of the trial's interface or the kernel's
    queue was full. rx_overruns: packets dropped because the ring was full, as the driver reports by ethtool. cores: by number; almost
    idle cores are left out. rx_queue_cpus: the cores that serve the interrupt of the busiest queue, in the kernel's list format. None:
    not reported.
    """

    udp_in_errors: Count | None = None
    udp_rcvbuf_errors: Count | None = None
    rx_dropped: Count | None = None
    rx_overruns: Count | None = None
    cores: Mapping[str, CoreTime] = field(default_factory=dict)
    rx_queue: Count | None = None
    rx_queue_cpus: str | None = None

    @property
    def dropped(self) -> int:
        """How many packets reached the host and were dropped there, as far as it reports. Ring overruns appear in two counters, of which
        the larger counts."""
        return (self.udp_rcvbuf_errors or 0) + max(self.rx_dropped or 0, self.rx_overruns or 0)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One line of `trials.jsonl`: one attempted trial, valid or not.

    srd, interfaces, allowances: None where the counters are absent, which means unknown. interfaces: the traffic of each interface, by
    role and arm. allowances: the increase of each `*_allowance_exceeded` counter, by role. server_received: the number of messages that
    the servers of a throughput trial received. background_gbps: received bandwidth of the background flows. late_sends: the number of
    messages of a paced trial that were sent only after the next one was due. stalled_flows: in how many flows of a ping-pong a message
    was lost, after which sockperf sends nothing more; such a trial counts with what it measured until then. network_changes: changes of
    MTU, routes and links during the trial, in words; None when the hosts do not report them. usage: of each host, by role.
    receive_buffer: the size of the smallest receive buffer in bytes, where a size was requested. crossed: the trial ran over the
    interfaces of the other arm: after a crossover, and in a control for the second interfaces. toggled: both arms use the same
    interfaces, and trials are repeated individually.
    """

    number: Count
    scenario: ScenarioName
    arm: Arm
    iteration: Count
    repeat: Count
    attempt: Count
    discarded: bool
    command: str
    client_port: int
    started_at: str
    wall_s: float
    valid: bool
    reason: str | None
    sockperf: SockperfOutput | None
    throughput_gbps: float | None = None
    srd: SrdDelta | None = None
    interfaces: Interfaces | None = None
    allowances: Mapping[str, Mapping[str, int]] | None = None
    seconds: tuple[Second, ...] = ()
    histogram_file: TrialFile | None = None  # relative to the run folder
    planned_histogram_file: TrialFile | None = None  # latencies from the planned send time
    raw_file: TrialFile | None = None
    log_files: tuple[TrialFile, ...] = ()
    server_received: int | None = None
    background_gbps: float | None = None
    late_sends: int | None = None
    network_changes: tuple[str, ...] | None = None
    cpus: CpusOf | None = None  # of the measured flows, by role; None: not pinned
    usage: Mapping[str, HostUsage] | None = None
    receive_buffer: Count | None = None
    stalled_flows: Count = 0
    control: bool = False
    crossed: bool = False
    toggled: bool = False
    pair: int = 1  # of hosts
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_moment("started_at", self.started_at)

    @property
    def treated_as(self) -> Arm:
        """The arm as which the trial was measured: ENA for both sides of a control."""
        return "ena" if self.control else self.arm

    @property
    def with_attempt(self) -> int:
        """The attempt number that its partner must have for the pair to count; always 0 where SRD is toggled, since trials are repeated
        individually there."""
        return 0 if self.toggled else self.attempt

    @property
    def lost(self) -> int:
        """How many messages that expected a reply got none: dropped ones, and one for each stalled flow. 0 where unknown."""
        return (self.sockperf.dropped or 0 if self.sockperf else 0) + self.stalled_flows

    @property
    def without_latency(self) -> int:
        """How many messages that expected a reply have no latency: lost ones, and those whose reply came out of order."""
        return self.lost + (self.sockperf.out_of_order or 0 if self.sockperf else 0)

    @property
    def wanted(self) -> int | None:
        """How many messages expected a reply; for a throughput trial, how many were sent. None where unknown."""
        output = self.sockperf
        if output is None:
            return None
        if self.server_received is not None:
            return output.sent
        if output.observations is None or output.dropped is None:
            return None
        return output.observations + self.without_latency

    @property
    def missing(self) -> int | None:
        """How many messages that expected a reply got none; for a throughput trial, how many did not arrive."""
        if self.server_received is None or self.sockperf is None:
            return None if self.wanted is None else self.lost
        return None if self.sockperf.sent is None else max(0, self.sockperf.sent - self.server_received)

    @property
    def loss_rate(self) -> float | None:
        """The share `missing` / `wanted`, 0 to 1."""
        return self.missing / self.wanted if self.wanted and self.missing is not None else None


@dataclass(frozen=True, kw_only=True)
class ArmAddresses:
    """The addresses between which one arm's traffic runs."""

    source_ip: Address
    destination_ip: Address


@dataclass(frozen=True, kw_only=True)
class InterfaceFacts:
    """Properties of the interface that has an arm's address; None where the host does not report them."""

    interface: str | None = None
    leaves_by: str | None = None  # the interface by which the arm's traffic leaves
    driver: str | None = None
    mtu: int | None = None


@dataclass(frozen=True, kw_only=True)
class RunEnvironment:
    """The facts of both hosts, by role, before and after the run. after: None until the run has ended, empty when no host answered then.

    hashes: fingerprints of the facts that should not change, `before` and `after`. differences: the facts that changed during the run.
    """

    before: Environment = field(default_factory=dict)
    interfaces: Mapping[str, Mapping[Arm, InterfaceFacts]] = field(default_factory=dict)
    hashes: Mapping[str, str | None] = field(default_factory=dict)
    after: Environment | None = None
    differences: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of a run: its plan, hosts and versions. Times are ISO 8601 in UTC.

    place: the hosts' location and type as AWS describes them (region, zone, type, …). host_gbps: the baseline bandwidth of the slower
    host, in 10⁹ bit/s; None where AWS does not publish it. forced: failed checks of the hosts that the user overrode with `--force`.
    untuned: recommended settings that the hosts lack. stopped: whether somebody ended the run before its plan was complete, possibly
    because of its figures; reset when the run is resumed. emulated: the difference between the arms that was injected on purpose, in
    words. given: for hosts that enaxp did not make, the facts shown before anything was switched; None for a lab's hosts. pair_name,
    variant: the pair of a fleet that the run measured; None in a lab of one pair.
    """

    run_id: RunId
    lab: LabName
    target: TargetName
    isolation: IsolationText | None
    plan: BenchPlan
    connections: Mapping[Arm, ArmAddresses]
    argv: tuple[str, ...]
    versions: Mapping[str, str | None]
    started_at: str
    ended_at: str | None = None
    resumed_at: tuple[str, ...] = ()
    stopped: bool = False
    environment: RunEnvironment = RunEnvironment()
    place: Mapping[str, str | None] = field(default_factory=dict)
    host_gbps: float | None = None
    forced: tuple[str, ...] = ()
    untuned: tuple[str, ...] = ()
    pinning: Pinning = NOT_PINNED
    emulated: EmulatedText | None = None
    given: tuple[SaidText, ...] | None = None
    pair_name: PairName | None = None
    variant: VariantName | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_moment("started_at", self.started_at)
        if missing := set(ARMS) - set(self.connections):
            raise ValueError(f"connections lack {missing.pop()}")
        require_sound_plan(self.plan)

    @property
    def not_ena(self) -> str:
        """The notice for a run that did not measure ENA; empty for one that did."""
        if self.emulated is not None:
            return "emulated, not ENA"
        return "local, not ENA" if self.target == "local" else ""


def require_sound_plan(plan: BenchPlan) -> None:
    """Raises ValueError for a plan that no config gives: its names and numbers become parts of scripts, files and tables."""
    for scenario in plan.scenarios:
        scenario.require_sound()
    names = [scenario.name for scenario in plan.scenarios]
    if len(set(names)) < len(names):
        raise ValueError("plan has two scenarios of one name")
    trials = plan.most_iterations * plan.pairs_per_iteration * len(names) * 2
    if trials > MOST_TRIALS:
        raise ValueError(f"plan has {trials} trials, more than {MOST_TRIALS}")


def record_document(record: TrialRecord) -> Document:
    """A trial's line. It includes the derived share of SRD packets, for readers other than enaxp."""
    fields = fields_of(record)
    if record.srd is not None:
        fields["srd"]["share"] = record.srd.share
    return fields


def manifest_document(manifest: Manifest) -> Document:
    """The document of `manifest.json`. Parts of the environment that are not known yet are left out."""
    fields = fields_of(manifest)
    fields["environment"] = {
        name: value
        for name, value in fields["environment"].items()
        if getattr(manifest.environment, name) != getattr(RunEnvironment(), name)
    }
    return fields


def trial_name(trial: Trial, *, attempt: int) -> str:
    """The stem of a trial's file names, unique in its run."""
    arm = f"control-{trial.position}" if trial.control else trial.arm
    return f"{trial.number:04d}-{trial.scenario.name}-i{trial.iteration}-r{trial.repeat}-{arm}-a{attempt}"


class RunFolder:
    """The files of one run, `results/<lab>/<run id>/`; for a fleet, of one pair, `results/<lab>/<run id>/pairs/<pair>/`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        """The run id; for a pair, the run id of its fleet's bench."""
        above = self.path.resolve().parent
        return above.parent.name if above.name == PAIRS else self.path.name

    @classmethod
    def create(cls, results_dir: Path, *, lab: str, now: datetime) -> RunFolder:
        """A new folder named after `now` in UTC, `yyyymmdd-hhmmss`; if the name exists, the next second is used.

        Raises BenchError when the folder cannot be written.
        """
        return cls(new_folder(results_dir, lab=lab, now=now, holds=TRIAL_FOLDERS))

    @classmethod
    def of_pair(cls, fleet: Path, name: str) -> RunFolder:
        """The folder of a pair inside a fleet's folder, created if missing. Raises OSError."""
        path = fleet / PAIRS / name
        for folder in TRIAL_FOLDERS:
            (path / folder).mkdir(parents=True, exist_ok=True)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The run at `path`. Raises BenchError when it has no manifest; the message says what the path is instead."""
        if not (path / MANIFEST).is_file():
            todo = f"name one of its pairs: {path.name}/{pairs[0].name}" if (pairs := pair_paths(path)) else LIST_THEM
            raise BenchError(f"{path} is not a run: {what_is_there(path)}", todo=todo)
        refuse_links(path)
        return cls(path)

    @classmethod
    def find(cls, results_dir: Path, *, lab: str | None, run: str) -> RunFolder:
        """The run that `run` names: a path, a run id or a prefix of one, or `latest`; searched in this lab, or in all (None).

        A prefix `LAB/` names the lab. Raises BenchError when none matches, or when several do, and lists them.
        """
        return cls.open(find_path(results_dir, lab=lab, run=run))

    def append(self, record: TrialRecord) -> None:
        """Appends one trial's line and syncs it to disk before returning."""
        line = encode(record_document(record))
        with (self.path / "trials.jsonl").open("a+b") as file:
            _cut_half_line(file.fileno())
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def records(self) -> list[TrialRecord]:
        """Every trial attempted so far, in the order in which they ended.

        An incomplete last line is skipped; any other invalid line raises BenchError.
        """
        path = self.path / "trials.jsonl"
        if not path.exists():
            return []
        return list(_read_lines(path))

    def iterations_begun(self) -> int:
        """The number of the latest iteration in which a trial has ended; 0 before the first."""
        return max((record.iteration for record in self.records()), default=0)

    def write_raw(self, name: str, text: str) -> str:
        """Stores the text that sockperf printed in the trial called `name`; returns the file's path in the folder."""
        relative = f"raw/{name}.txt"
        _replace(self.path / relative, text.encode("utf-8", "replace"))
        return relative

    def write_histogram(self, name: str, histogram: Histogram) -> str:
        """Stores a trial's exact histogram; returns the file's path in the folder."""
        relative = f"histograms/{name}.csv.gz"
        _replace(self.path / relative, histogram.to_bytes())
        return relative

    def write_log(self, name: str, content: bytes) -> str:
        """Stores a trial's full log, gzipped as received; returns the file's path in the folder."""
        relative = f"logs/{name}.log.gz"
        (self.path / "logs").mkdir(exist_ok=True)
        _replace(self.path / relative, content)
        return relative

    def read_histogram(self, record: TrialRecord) -> Histogram | None:
        """A trial's histogram, or None when it has none. Raises BenchError when the file is missing or invalid."""
        return self._read_histogram(record.histogram_file)

    def read_planned_histogram(self, record: TrialRecord) -> Histogram | None:
        """Like read_histogram, with latencies from the planned send time."""
        return self._read_histogram(record.planned_histogram_file)

    def _read_histogram(self, relative: str | None) -> Histogram | None:
        from enaxp.bench.run_folder.histogram import Histogram

        if relative is None:
            return None
        path = self.path / relative
        try:
            if not path.resolve().is_relative_to(self.path.resolve()):
                raise ValueError("it is outside of the run's folder")
            return Histogram.from_bytes(read_capped(path, most_bytes=MOST_BYTES["histogram"]))
        except (OSError, ValueError, MemoryError) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise BenchError(f"{relative} cannot be read", said=said) from None

    def write_document(self, name: str, document: Mapping[str, object]) -> None:
        """Replaces a JSON file of the run atomically. Raises ValueError for NaN or infinity and OSError if it cannot be written; either way
        the old file stays."""
        _replace(self.path / name, encode(document, indent=2))

    def read_document(self, name: str) -> Document:
        """The content of one of the run's JSON files. Raises BenchError when it is missing or not a JSON object."""
        path = self.path / name
        try:
            return parse(read_capped(path, most_bytes=MOST_BYTES["document"]))
        except NoObjectError:
            raise BenchError(f"{path} holds no JSON object") from None
        except (OSError, ValueError, RecursionError) as error:
            raise BenchError(f"{path} cannot be read", said=_why_unreadable(path, error)) from None

    def write_manifest(self, manifest: Manifest) -> None:
        self.write_document(MANIFEST, manifest_document(manifest))

    def read_manifest(self) -> Manifest:
        """The run's manifest. Raises BenchError when it cannot be read."""
        return decode(self.read_document(MANIFEST), Manifest, what=str(self.path / MANIFEST), reads=(SCHEMA,))

    def write_text(self, name: str, text: str) -> Path:
        """Replaces one of the run's text files (`results.csv`, `summary.txt`, `report.html`) atomically; returns its path."""
        return self.write_bytes(name, text.encode())

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Replaces one of the run's files atomically; returns its path."""
        _replace(self.path / name, content)
        return self.path / name


def new_folder(results_dir: Path, *, lab: str, now: datetime, holds: Iterable[str]) -> Path:
    """A new run folder of a lab with these subfolders, named after `now` in UTC, `yyyymmdd-hhmmss`; if the name exists, the next second
    is used.

    Raises BenchError when the folder cannot be written.
    """
    moment = now.astimezone(UTC)
    try:
        (results_dir / lab).mkdir(parents=True, exist_ok=True)
        while True:
            path = results_dir / lab / moment.strftime(RUN_ID_FORM)
            try:
                path.mkdir()
            except FileExistsError:
                moment += timedelta(seconds=1)
                continue
            for name in holds:
                (path / name).mkdir()
            return path
    except OSError as error:
        raise BenchError(
            f"the results folder {results_dir} cannot be written",
            said=f"{error.filename or results_dir}: {error.strerror or error}",
            todo="give another one (--results-dir), or make this one writable for you; files of an earlier sudo belong to root",
        ) from error


def _why_unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if path.stat().st_size == 0:
        return "it is empty"
    return f"it is not JSON, or only half written: {error}"


def _read_lines(path: Path) -> Iterator[TrialRecord]:
    try:
        lines = read_capped(path, most_bytes=MOST_BYTES["trials"]).split(b"\n")
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BenchError(f"{path} cannot be read", said=said) from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            document = parse(line)
        except NoObjectError:
            raise BenchError(f"line {number} of {path} is not a JSON object") from None
        except (ValueError, RecursionError) as error:
            if number == len(lines):  # no newline after it: the write was cut
                return
            raise BenchError(f"line {number} of {path} is not JSON", said=str(error)) from None
        yield decode(document, TrialRecord, what=f"line {number} of {path}", reads=(SCHEMA,))


def _cut_half_line(descriptor: int) -> None:
    """Truncates the file after its last newline: the rest is a write that a crash interrupted.

    A complete record that lacks only its newline gets one.
    """
    size = os.fstat(descriptor).st_size
    tail = b""
    position = size
    while position > 0 and b"\n" not in tail:
        step = min(position, 65536)
        position -= step
        tail = os.pread(descriptor, step, position) + tail
    half = tail[tail.rfind(b"\n") + 1 :]
    if not half:
        return
    try:
        json.loads(half)
    except ValueError:
        os.ftruncate(descriptor, size - len(half))
    else:
        os.write(descriptor, b"\n")


def _replace(path: Path, content: bytes) -> None:
    """Replaces a file atomically."""
    write_whole(path, content, mode=FOR_ALL)


def refuse_links(path: Path) -> None:
    """Raises BenchError when a path in a run folder is a symbolic link: writing to it would write outside the folder."""
    links = [entry.name for entry in os.scandir(path) if entry.is_symlink()]
    if links:
        raise BenchError(f"{path} holds links ({', '.join(sorted(links)[:5])}), and a run has none", todo=LIST_THEM)
