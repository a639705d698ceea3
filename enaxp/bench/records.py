"""Records: what a bench leaves behind, as it goes. One folder a run, one line a trial, nothing rewritten that has been written.

    runner ─▶ TrialRecord ─▶ trials.jsonl (one line, flushed) + raw/<trial>.txt + histograms/<trial>.csv.gz
    Manifest ─▶ manifest.json ;  result, table, summary ─▶ result.json, results.csv, summary.txt (each replaced whole)

A crash can leave half a last line: reading passes over it, appending cuts it off first. Everything a result needs is in the folder,
so that it can be computed again without the lab. A folder may come from anywhere: what it holds is checked before it is believed.
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

from enaxp.bench.documents import Document, NoObjectError, decode, encode, fields_of, parse, require_moment
from enaxp.bench.finding import find_path, what_is_there
from enaxp.bench.names import LIST_THEM, MANIFEST, PAIR_NAME, PAIRS, RUN_ID_FORM, pair_paths
from enaxp.bench.pinning import NOT_PINNED, CpusOf, Pinning
from enaxp.bench.schedule import BenchPlan, Trial
from enaxp.errors import BenchError
from enaxp.files import FOR_ALL, read_capped, write_whole
from enaxp.hosts.sockperf import Second, SockperfOutput
from enaxp.traffic import ARMS, SCENARIO_NAME, Arm

if TYPE_CHECKING:
    from enaxp.bench.histogram import Histogram

SCHEMA = 1
TargetName = Literal["aws", "local"]
SrdSource = Literal["device", "stand-in"]
MeasuredFrom = Literal["planned", "sent"]  # what latencies count from: the planned time of a message, or its send
Limit = Literal["receiver", "cpu", "allowance"]  # what a trial ran into, beside the network
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
    """What the `ena_srd_*` counters of a trial's own interfaces did during it, and where they come from.

    tx, eligible: packets the client sent over SRD, and could have. rx: packets it received over SRD. peer_…: the server likewise.
    mode: `ena_srd_mode` of the client's interface (bit 0 SRD, bit 1 UDP); peer_mode: of the server's. resources_pct: the larger part
    of both ends' memory for SRD connections in use.
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
    """What one interface carried during a trial, and its MTU at the end."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    mtu: int | None = None


@dataclass(frozen=True, kw_only=True)
class CoreTime:
    """How long a core worked during a trial, in s: on programs (and the kernel for them), and on interrupts, hard and soft."""

    programs_s: float
    interrupts_s: float

    @property
    def total_s(self) -> float:
        return self.programs_s + self.interrupts_s


@dataclass(frozen=True, kw_only=True)
class HostUsage:
    """What a host's receivers dropped during a trial, how busy its cores were, and which queue of the trial's interface received most.

    UDP's counters are those of the whole host. rx_dropped: packets that found no room in the ring of the trial's own interface, or in the
    kernel's queue; rx_overruns: in the ring, where the driver tells by ethtool. cores: by number, those that did something to speak of.
    rx_queue_cpus: the cores to which that queue's interrupt goes, as the kernel writes them. None: not told.
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
        """How many packets the host dropped that had reached it, as far as it tells. What overran the ring is told in two ways."""
        return (self.udp_rcvbuf_errors or 0) + max(self.rx_dropped or 0, self.rx_overruns or 0)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One line of `trials.jsonl`: one trial as it was attempted, valid or not.

    srd, interfaces and allowances are None where the counters are absent, which means unknown. interfaces holds, per role and arm,
    what each interface carried; allowances, per role, how far each `*_allowance_exceeded` counter moved. server_received is the
    number of messages that the servers of a throughput trial counted; background_gbps what arrived of the bulk flows beside a probe;
    late_sends how many messages of a paced trial were sent only after the next one was due; stalled_flows in how many flows of a
    ping-pong a message was lost, after which nothing more was sent: such a trial counts with what it measured until then; network_changes
    what became of MTU, routes and links during it, in words, and None when the hosts do not tell; usage, by role, what the hosts did;
    receive_buffer how many bytes the smallest receive buffer has, where a size was asked for; crossed: other interfaces carried it than
    those of the arm that its traffic is of: after a crossover, and in a control for the second interfaces; toggled: both arms used the
    same interfaces, and each attempt is one trial's own.
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
        """The arm whose traffic it was: ENA for both sides of a control."""
        return "ena" if self.control else self.arm

    @property
    def with_attempt(self) -> int:
        """The attempt that its partner must be of to count with it; 0 where SRD is toggled: trials are run again one by one there."""
        return 0 if self.toggled else self.attempt

    @property
    def lost(self) -> int:
        """How many messages that wanted a reply got none: dropped, or what a flow fell silent over. 0 where nothing is known."""
        return (self.sockperf.dropped or 0 if self.sockperf else 0) + self.stalled_flows

    @property
    def without_latency(self) -> int:
        """How many messages that wanted a reply have no latency: the lost ones, and those whose reply came out of order."""
        return self.lost + (self.sockperf.out_of_order or 0 if self.sockperf else 0)

    @property
    def wanted(self) -> int | None:
        """How many messages wanted a reply; of a throughput trial, those that were sent. None where it does not say."""
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
        """How many of the wanted messages got no reply; of a throughput trial, those that did not arrive."""
        if self.server_received is None or self.sockperf is None:
            return None if self.wanted is None else self.lost
        return None if self.sockperf.sent is None else max(0, self.sockperf.sent - self.server_received)

    @property
    def loss_rate(self) -> float | None:
        """The share of the wanted messages that is missing, 0 to 1."""
        return self.missing / self.wanted if self.wanted and self.missing is not None else None


@dataclass(frozen=True, kw_only=True)
class ArmAddresses:
    """The addresses one arm's traffic runs between."""

    source_ip: Address
    destination_ip: Address


@dataclass(frozen=True, kw_only=True)
class InterfaceFacts:
    """What a host tells of the interface that has an arm's address; None where it does not tell."""

    interface: str | None = None
    leaves_by: str | None = None  # the interface by which the arm's traffic leaves
    driver: str | None = None
    mtu: int | None = None


@dataclass(frozen=True, kw_only=True)
class RunEnvironment:
    """What both hosts were, by role, before the run and after it. after: None before the end, empty when no host answered then.

    hashes: fingerprints of what lasts, `before` and `after`. differences: the facts that changed in between.
    """

    before: Environment = field(default_factory=dict)
    interfaces: Mapping[str, Mapping[Arm, InterfaceFacts]] = field(default_factory=dict)
    hashes: Mapping[str, str | None] = field(default_factory=dict)
    after: Environment | None = None
    differences: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a run is: its plan, where and with what it was made. Times are ISO 8601 in UTC.

    place: what AWS says of the hosts (region, zone, type, …). host_gbps: what the slower host carries all day, in 10⁹ bit/s; None where
    AWS does not say. forced: what was wrong with the hosts, when the bench went on all the same; untuned: what is recommended and they
    were without. stopped: whether somebody ended it before its plan was carried out, who may have looked at its figures; not so any
    more once it is resumed.
    emulated: what was put in between the arms on purpose, in words. given: of hosts that exist already, what was said of them before
    anything was switched; None for those of a lab. pair_name, variant:
    which pair of a fleet it measured; None of a lab that has one.
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
        for scenario in self.plan.scenarios:
            scenario.require_sound()
        names = [scenario.name for scenario in self.plan.scenarios]
        if len(set(names)) < len(names):
            raise ValueError("plan has two scenarios of one name")
        trials = self.plan.most_iterations * self.plan.pairs_per_iteration * len(names) * 2
        if trials > MOST_TRIALS:
            raise ValueError(f"plan has {trials} trials, more than {MOST_TRIALS}")

    @property
    def not_ena(self) -> str:
        """What to say of a run that did not measure ENA; empty for one that did."""
        if self.emulated is not None:
            return "emulated, not ENA"
        return "local, not ENA" if self.target == "local" else ""


def record_document(record: TrialRecord) -> Document:
    """A trial's line. It holds the share of SRD packets, too, for whoever reads it without enaxp."""
    fields = fields_of(record)
    if record.srd is not None:
        fields["srd"]["share"] = record.srd.share
    return fields


def manifest_document(manifest: Manifest) -> Document:
    """What `manifest.json` holds. Of the environment, what is not known yet is left out."""
    fields = fields_of(manifest)
    fields["environment"] = {
        name: value
        for name, value in fields["environment"].items()
        if getattr(manifest.environment, name) != getattr(RunEnvironment(), name)
    }
    return fields


def trial_name(trial: Trial, *, attempt: int) -> str:
    """The stem of a trial's files, unique in its run."""
    arm = f"control-{trial.position}" if trial.control else trial.arm
    return f"{trial.number:04d}-{trial.scenario.name}-i{trial.iteration}-r{trial.repeat}-{arm}-a{attempt}"


class RunFolder:
    """One run's files under `results/<lab>/<run id>/`; of a fleet, one pair's under `results/<lab>/<run id>/pairs/<pair>/`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        """The run's; of a pair, that of the fleet's run."""
        above = self.path.resolve().parent
        return above.parent.name if above.name == PAIRS else self.path.name

    @classmethod
    def create(cls, results_dir: Path, *, lab: str, now: datetime) -> RunFolder:
        """A new folder named after `now` in UTC, `yyyymmdd-hhmmss`; a name that is taken yields to the next second.

        Raises BenchError where the system refuses to write there.
        """
        return cls(new_folder(results_dir, lab=lab, now=now, holds=TRIAL_FOLDERS))

    @classmethod
    def of_pair(cls, fleet: Path, name: str) -> RunFolder:
        """The folder of a pair below a fleet's, made if it is not there. Raises OSError."""
        path = fleet / PAIRS / name
        for folder in TRIAL_FOLDERS:
            (path / folder).mkdir(parents=True, exist_ok=True)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The run at `path`. Raises BenchError, saying what is there instead, when it holds no manifest."""
        if not (path / MANIFEST).is_file():
            todo = f"name one of its pairs: {path.name}/{pairs[0].name}" if (pairs := pair_paths(path)) else LIST_THEM
            raise BenchError(f"{path} is not a run: {what_is_there(path)}", todo=todo)
        _refuse_links(path)
        return cls(path)

    @classmethod
    def find(cls, results_dir: Path, *, lab: str | None, run: str) -> RunFolder:
        """The run that `run` names: a path, a run id, the beginning of one, or `latest`; of the lab, or of any (None).

        `LAB/` before one of these names the lab. Raises BenchError when there is none, or when there are several, naming them.
        """
        return cls.open(find_path(results_dir, lab=lab, run=run))

    def append(self, record: TrialRecord) -> None:
        """Write one trial's line and put it on the disk before coming back."""
        line = encode(record_document(record))
        with (self.path / "trials.jsonl").open("a+b") as file:
            _cut_half_line(file.fileno())
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def records(self) -> list[TrialRecord]:
        """Every trial attempted so far, in the order it ended.

        Half a last line is passed over; any other bad line raises BenchError.
        """
        path = self.path / "trials.jsonl"
        if not path.exists():
            return []
        return list(_read_lines(path))

    def iterations_begun(self) -> int:
        """The number of the latest iteration of which a trial has ended; 0 before the first."""
        return max((record.iteration for record in self.records()), default=0)

    def write_raw(self, name: str, text: str) -> str:
        """Keep the text sockperf printed in the trial called `name`; gives back the file's path in the folder."""
        relative = f"raw/{name}.txt"
        _replace(self.path / relative, text.encode("utf-8", "replace"))
        return relative

    def write_histogram(self, name: str, histogram: Histogram) -> str:
        """Keep a trial's exact histogram; gives back the file's path in the folder."""
        relative = f"histograms/{name}.csv.gz"
        _replace(self.path / relative, histogram.to_bytes())
        return relative

    def write_log(self, name: str, content: bytes) -> str:
        """Keep a trial's full log, gzipped as it came; gives back the file's path in the folder."""
        relative = f"logs/{name}.log.gz"
        (self.path / "logs").mkdir(exist_ok=True)
        _replace(self.path / relative, content)
        return relative

    def read_histogram(self, record: TrialRecord) -> Histogram | None:
        """A trial's histogram, or None when it has none. Raises BenchError when the file is missing or nonsense."""
        return self._read_histogram(record.histogram_file)

    def read_planned_histogram(self, record: TrialRecord) -> Histogram | None:
        """As read_histogram, with latencies from the planned send time."""
        return self._read_histogram(record.planned_histogram_file)

    def _read_histogram(self, relative: str | None) -> Histogram | None:
        from enaxp.bench.histogram import Histogram

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
        """Write one of the run's JSON files whole. Raises ValueError for NaN, and leaves the file that is there."""
        _replace(self.path / name, encode(document, indent=2))

    def read_document(self, name: str) -> Document:
        """What one of the run's JSON files holds. Raises BenchError when it is not there or no JSON object."""
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
        """Write one of the run's text files (`results.csv`, `summary.txt`, `report.html`) whole; gives back where it is."""
        return self.write_bytes(name, text.encode())

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Write one of the run's files whole; gives back where it is."""
        _replace(self.path / name, content)
        return self.path / name


def new_folder(results_dir: Path, *, lab: str, now: datetime, holds: Iterable[str]) -> Path:
    """A new folder of a lab, named after `now` in UTC, `yyyymmdd-hhmmss`, with these folders in it; a name that is taken yields to the
    next second.

    Raises BenchError where the system refuses to write there.
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
            todo="give another one (--results-dir), or make this one yours; files of an earlier sudo belong to root",
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
    """Cut off what follows the last newline: a write that a crash ended.

    A whole record that lacks its newline alone is given it.
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
    """Write a file whole or not at all."""
    write_whole(path, content, mode=FOR_ALL)


def _refuse_links(path: Path) -> None:
    """Raises BenchError when something in a run folder leads elsewhere: what is written there would be written elsewhere."""
    links = [entry.name for entry in os.scandir(path) if entry.is_symlink()]
    if links:
        raise BenchError(f"{path} holds links ({', '.join(sorted(links)[:5])}), and a run has none", todo=LIST_THEM)
