"""sockperf: its command lines, and the parser of its output. Text in, plain data out: nothing is run here.

    client_command ─▶ argv ─▶ (a host runs it) ─▶ output ───▶ parse ─▶ SockperfOutput
                                               └▶ full log ─▶ reduce_log_command (run there) ─▶ read_reduced ─▶ ReducedLog

sockperf ends with exit code 0 after almost every failure (no server, refused, bad option), so success is determined from its output
alone. It writes ANSI colours even into a pipe, and the line that reports a signal may appear between other lines, or inside one.
"""

from __future__ import annotations

import math
import operator
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Literal, TypeVar

from enaxp.figures import sum_of_known
from enaxp.traffic import MODE_FACTS, Mode, Percentile, Protocol, Rate

Number = TypeVar("Number", int, float)
OutputMode = Mode | Literal["server"]
Measures = Literal["latency", "rtt", "rate"]

# sockperf leaves out the first 0.4 s and the last 0.05 s of a timed run.
WARM_UP_S, CUT_AT_END_S = 0.4, 0.05
CUT_S = WARM_UP_S + CUT_AT_END_S
# The share of the rest that must hold replies. A lost UDP reply stalls a ping-pong for good without one word in the output.
VALID_SHARE = 0.98
# The full log's clock starts with the process; the run itself begins no earlier than after a fixed sleep of so many s.
LOG_BEGINS_S = 2.0
# No message before the end of the valid window for longer than this, in s, is a silence; less is the scheduler of a busy host.
SILENCE_S = 0.1
STALLED = "replies stopped early"
# What a run takes beyond its duration: clock calibration, a fixed sleep of 2 s after the dummy messages, start and end.
OVERHEAD_S = 2.24
MEBI = 1.048576  # sockperf's "Mbps" are 2**20 bit/s
# The percentiles that sockperf prints of a run, by `Percentile.number`. Any other is known from the histogram of a full log only.
PRINTED = ("99.999", "99.99", "99.9", "99", "90", "75", "50", "25")


def printed_of(percentiles: Iterable[Percentile]) -> tuple[Percentile, ...]:
    """Those of these percentiles that sockperf prints."""
    return tuple(one for one in percentiles if one.number in PRINTED)


# -- output ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SockperfOutput:
    """The content of one saved output of sockperf. Values that it does not have are None.

    Latencies are in µs; they are half round trips where `measures` is latency, whole ones where it is rtt. `observations`, `sent`,
    `received` and `dropped` count the messages of the valid window; a throughput run has no such window, and `sent` counts all.
    `bandwidth_mbps` is in 10⁶ bit/s, at the sender.
    """

    ok: bool
    reason: str | None
    version: str | None
    mode: OutputMode | None
    measures: Measures | None
    mean_us: float | None
    std_dev_us: float | None
    min_us: float | None
    max_us: float | None
    percentiles_us: Mapping[str, float]
    observations: int | None
    sent: int | None
    received: int | None
    dropped: int | None
    duplicated: int | None
    out_of_order: int | None
    total_runtime_s: float | None
    valid_runtime_s: float | None
    messages_per_s: float | None
    bandwidth_mbps: float | None


@dataclass(frozen=True, kw_only=True)
class _SavedIn:
    """The file from which an output was read; `-` is standard input."""

    file: str


@dataclass(frozen=True, kw_only=True)
class ParsedFile(SockperfOutput, _SavedIn):
    """The document that `enaxp parse` prints for one file. (A dataclass has the fields of its last base class first: here `file`.)"""

    @classmethod
    def of(cls, file: str, output: SockperfOutput) -> ParsedFile:
        """The document of an output and its file."""
        return cls(file=file, **{field.name: getattr(output, field.name) for field in fields(output)})


# Digits are bounded: the text may be anything, and int() refuses very long numbers. A figure ends where it ends: `17,676` is not 17.
_END = r"(?![\w.]|,[0-9])"
_FLOAT = rf" *([0-9]{{1,15}}(?:\.[0-9]{{1,15}})?){_END}"
_INT = rf" *([0-9]{{1,18}}){_END}"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[mKJHhl]")
# A receiver thread is ended by a signal of sockperf's own; its line falls anywhere in the output, and says nothing of the run.
_OWN_SIGNAL = re.compile(r"sockperf: Test end \(interrupted by signal [0-9]{1,3}\)\n?")
_BUFFER = re.compile(rf"Socket buffers sizes of fd [0-9]+: RX:{_INT} Byte")
_VERSION = re.compile(r"== version #([0-9]+(?:\.[0-9]+)*)")
# What is left out at the start: a time, in a run of a number of messages a number, and early versions do not say.
_TOTAL = re.compile(
    rf"\[Total Run\] RunTime={_FLOAT} sec(?:; Warm up ([a-z]+)={_INT}[^;\n]*)?; SentMessages={_INT}; ReceivedMessages={_INT}"
)
_STATISTICS = re.compile(r"Printing statistics for Server No: [0-9]+")
_VALID = re.compile(rf"\[Valid Duration\] RunTime={_FLOAT} sec; SentMessages={_INT}; ReceivedMessages={_INT}")
_MEAN = re.compile(rf"avg-(lat|latency|rtt)={_FLOAT}")
_HANDLED = re.compile(rf"Total{_INT} messages received and handled")
_MEAN_AS_IT_STANDS = re.compile(r"avg-(?:lat|latency|rtt)= *([^ \n]{1,20})")
_STD_DEV = re.compile(rf"avg-[a-z]+=[^(\n]*\(std-dev={_FLOAT}")
_LOSS = re.compile(rf"# dropped messages ={_INT}; # duplicated messages ={_INT}; # out-of-order messages ={_INT}")
_OBSERVATIONS = re.compile(rf"Total{_INT} observations")
_EXTREME = re.compile(rf"---> <(MAX|MIN)> observation ={_FLOAT}")
_PERCENTILE = re.compile(rf"---> percentile{_FLOAT} ={_FLOAT}")
_BURST = re.compile(rf"of burst of{_INT} messages")
_SENT_ONLY = re.compile(rf"Total of{_INT} messages sent in{_FLOAT} sec")
_MESSAGE_RATE = re.compile(rf"Summary: Message Rate is{_FLOAT} \[msg/sec\]")
_BANDWIDTH = re.compile(rf"Summary: BandWidth is{_FLOAT} [MG]Bps \({_FLOAT} ([MG])bps\)")
# The help text, and before it what was wrong: nothing where sockperf was asked for help, or does not know an option.
_HELP = re.compile(r"(?:(?:sockperf: |^)((?:'-|Invalid|Option )[^\n]*)\n[^\n]*\n\n)?^Usage: sockperf ", re.MULTILINE)
# Only its own: other programs, the loader of a preloaded library first, write into the same text.
_ERROR = re.compile(r"sockperf: ERROR: (?:\[fd=-?[0-9]+\] )?([^\n]*(?:\n \([^\n]*)?)")


def parse(text: str, *, log_ends_s: float | None = None) -> SockperfOutput:
    """The content of saved sockperf output, versions 3.5 to 3.10. Never raises: for text without a good run `ok` is false, with the
    reason.

    log_ends_s: when the last message of the run's full log was sent, if known. It distinguishes a run that began late from one that
    stalled.
    """
    plain = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    # A full log holds millions of rows after its own copy of the statistics.
    plain = plain.partition("packet, txTime(sec)")[0]
    has_own_signal = _OWN_SIGNAL.search(plain) is not None
    plain = _OWN_SIGNAL.sub("", plain)
    output = _figures(plain, mode=_mode(plain, has_own_signal=has_own_signal))
    reason = _fault(plain, output, log_ends_s=log_ends_s)
    return replace(output, ok=reason is None, reason=reason)


def has_stalled(output: SockperfOutput) -> bool:
    """Whether the only fault of a run is that it stalled before its end."""
    return output.reason is not None and output.reason.startswith(STALLED)


def measured_share(output: SockperfOutput) -> float:
    """The share of its time that a latency run measured, 0 to 1."""
    if output.total_runtime_s is None or output.valid_runtime_s is None or output.total_runtime_s <= CUT_S:
        return 0.0
    return min(1.0, output.valid_runtime_s / (output.total_runtime_s - CUT_S))


def _figures(plain: str, *, mode: OutputMode | None) -> SockperfOutput:
    """Every figure in the text, not judged yet. A figure that appears twice is ambiguous, and is None."""
    version, is_rate = _only(_VERSION, plain), _SENT_ONLY.search(plain) is not None
    extremes = _each_once(_EXTREME.findall(plain))
    return SockperfOutput(
        ok=False,
        reason=None,
        version=version.group(1) if version else None,
        mode=mode,
        measures="rate" if is_rate else _measures(plain),
        mean_us=_float(_MEAN, plain, group=2),
        std_dev_us=_float(_STD_DEV, plain),
        min_us=extremes.get("MIN"),
        max_us=extremes.get("MAX"),
        percentiles_us=_each_once((f"{float(p):g}", value) for p, value in _PERCENTILE.findall(plain)),
        observations=_int(_OBSERVATIONS, plain),
        sent=_int(_SENT_ONLY, plain) if is_rate else _int(_VALID, plain, group=2),
        received=_int(_VALID, plain, group=3),
        dropped=_int(_LOSS, plain, group=1),
        duplicated=_int(_LOSS, plain, group=2),
        out_of_order=_int(_LOSS, plain, group=3),
        total_runtime_s=_float(_SENT_ONLY, plain, group=2) if is_rate else _float(_TOTAL, plain),
        valid_runtime_s=_float(_VALID, plain),
        messages_per_s=_float(_MESSAGE_RATE, plain) if is_rate else None,
        bandwidth_mbps=_bandwidth_mbps(plain) if is_rate else None,
    )


def _only(pattern: re.Pattern[str], plain: str) -> re.Match[str] | None:
    """The only match of the pattern; None if there are several: then the text is of several servers or runs."""
    first, second = (*islice(pattern.finditer(plain), 2), None, None)[:2]
    return first if second is None else None


def _each_once(lines: Iterable[tuple[str, str]]) -> dict[str, float]:
    """The figures of lines of the form `name = value`, without those that appear twice."""
    told = list(lines)
    names = Counter(name for name, _ in told)
    return {name: float(value) for name, value in told if names[name] == 1}


def _float(pattern: re.Pattern[str], plain: str, *, group: int = 1) -> float | None:
    found = _only(pattern, plain)
    return float(found.group(group)) if found else None


def _int(pattern: re.Pattern[str], plain: str, *, group: int = 1) -> int | None:
    found = _only(pattern, plain)
    return int(found.group(group)) if found else None


def _measures(plain: str) -> Measures | None:
    mean = _only(_MEAN, plain)
    if mean is None:
        return None
    return "rtt" if mean.group(1) == "rtt" else "latency"


def _bandwidth_mbps(plain: str) -> float | None:
    """The bandwidth in 10⁶ bit/s, whichever unit was printed."""
    bandwidth = _only(_BANDWIDTH, plain)
    if bandwidth is None:
        return None
    _, value, unit = bandwidth.groups()
    # Up to 3.7, --increase_output_precision (nine decimals) writes G where M is meant.
    in_giga = unit == "G" and len(value.partition(".")[2]) < 9
    return float(value) * (1000 if in_giga else 1) * MEBI


def _mode(plain: str, *, has_own_signal: bool) -> OutputMode | None:
    """The mode. sockperf never prints it: it is inferred from the lines present and the number of messages in flight."""
    if _says(plain, "[SERVER] listen on") or _says(plain, "bind socket, IP to bind"):
        return "server"
    if _SENT_ONLY.search(plain):
        return "throughput"
    total = _only(_TOTAL, plain)
    if not total:
        return None
    sent, received = int(total.group(4)), int(total.group(5))
    burst = _BURST.search(plain)
    in_flight = int(burst.group(1)) if burst else 1
    # Ping-pong has one burst in flight at most, and no receiver thread to end by a signal.
    two_threads = has_own_signal and "interrupted by user" not in plain
    return "under-load" if two_threads or sent - received > in_flight else "ping-pong"


def _fault(plain: str, output: SockperfOutput, *, log_ends_s: float | None) -> str | None:
    """Why this output is not that of a good run, in words; None when it is good."""
    return (
        _fault_of_kind(plain, output.mode)
        or _fault_told(plain)
        or (_fault_of_rate(output) if output.mode == "throughput" else _fault_of_latency(plain, output, log_ends_s))
    )


def _fault_of_kind(plain: str, mode: OutputMode | None) -> str | None:
    """Why the text is not the output of one client that started, in words."""
    if not plain.strip():
        return "empty: sockperf printed nothing"
    if "test was performed using the following parameters" in plain:
        return "a full log, not sockperf's own output"
    if told_help := _HELP.search(plain):
        return f"sockperf refused its options: {told_help.group(1) or 'it printed its help and did not start'}"
    if several := _several(plain):
        return f"{several} in one text; one is read at a time"
    if error := _ERROR.search(plain):
        return f"sockperf stopped: {' '.join(error.group(1).split())}"
    if mode == "server":
        return "output of a server, which measures nothing"
    if "sockperf" not in plain and not _VALID.search(plain):
        return "not output of sockperf"
    return None


def _several(plain: str) -> str | None:
    """The items that the text has more than once, in words; None if all its figures belong together."""
    runs = max(len(pattern.findall(plain)) for pattern in (_VERSION, _TOTAL, _SENT_ONLY))
    if runs > 1:
        return f"{runs} runs of sockperf"
    servers = max(len(pattern.findall(plain)) for pattern in (_STATISTICS, _VALID, _MEAN, _OBSERVATIONS))
    return f"statistics of {servers} servers" if servers > 1 else None


def _says(plain: str, words: str) -> bool:
    """Whether a line of sockperf's own has these words."""
    return re.search(rf"sockperf: [^\n]*{re.escape(words)}", plain) is not None


def _fault_told(plain: str) -> str | None:
    """The error that sockperf itself reports."""
    return next((reason for words, reason in _FAULTS_TOLD.items() if _says(plain, words)), None)


# sockperf's words → what they mean for the run.
_FAULTS_TOLD = {
    "Is the server down?": "no messages were received from the server: is it down?",
    "No messages were sent": "no messages were sent: interrupted before the start",
    "No valid observations found": "no observation fell into the valid window: too short, or too few replies",
    "Test end before test start": "no observation fell into the valid window: too short, or too few replies",
    "Test end (interrupted by user)": "interrupted by the user before its time was over",
    "Test ends uncompleted": "the number of messages asked for took too long",
}


def _fault_of_rate(output: SockperfOutput) -> str | None:
    if not output.sent or not output.total_runtime_s:
        return "no messages were sent"
    if not output.messages_per_s or output.bandwidth_mbps is None:
        return "no message rate and bandwidth in it: cut short"
    return None


def _fault_of_latency(plain: str, output: SockperfOutput, log_ends_s: float | None) -> str | None:
    total, valid = output.total_runtime_s, output.valid_runtime_s
    if output.mean_us is None or total is None or valid is None:
        return _fault_of_statistics(plain)
    if not output.observations:
        return "no observations in it"
    needed = VALID_SHARE * (total - CUT_S)
    is_silent = log_ends_s is None or _silence_s(total, log_ends_s) > SILENCE_S
    if _is_timed(plain) and valid < needed - 1e-9 and is_silent:
        return (
            f"{STALLED}: {valid:.3f} s of {total:.3f} s are valid, {needed:.3f} s are needed "
            "(a lost reply or a dead server stalls the rest of a run; replies may also be too rare for its length)"
        )
    if not _is_timed(plain) and not _says(plain, "Test end (number of packets reached)"):
        return "not said how much was left out at the start, as by versions before 3.5: whether replies stopped early is not known"
    return None


def _silence_s(total_s: float, log_ends_s: float) -> float:
    """The least time for which nothing was sent before the end of the valid window. The run may have begun later than assumed, never
    earlier: so a short stall of a run that began late is not detected."""
    return LOG_BEGINS_S + total_s - CUT_AT_END_S - log_ends_s


def _is_timed(plain: str) -> bool:
    """Whether the run was limited by time, and says so; only such runs have the cut of CUT_S."""
    total = _only(_TOTAL, plain)
    return total is not None and total.group(2) == "time"


def _fault_of_statistics(plain: str) -> str:
    """Why the first lines of every run's statistics are missing or cannot be parsed."""
    if mean := _MEAN_AS_IT_STANDS.search(plain):
        if not _MEAN.search(plain):
            return f"the mean is {mean.group(1)}: no latency, as when the clock of the client's CPU cannot be relied on"
        return (
            "the statistics are not whole: [Total Run] or [Valid Duration] is missing, or has a form that is not read"
        )
    if _says(plain, "Test ended"):
        return "no statistics in it: cut short after the end of the run"
    return "no statistics in it: sockperf did not come to its end"


# -- commands --------------------------------------------------------------------------------------------------------------

# Prints the version of the sockperf that is installed. What others write beside it, a loader's error first, may hold numbers, too.
VERSION_COMMAND = r"sockperf --version 2>/dev/null | sed -n 's/.*version \([0-9][0-9.]*[0-9]\).*/\1/p' | head -n 1"


@dataclass(frozen=True, kw_only=True)
class SocketOptions:
    """Socket options on both ends: buffer size in bytes, busy-poll time in µs. None: the system's default."""

    buffer_size: int | None = None
    busy_poll_us: int | None = None

    @property
    def argv(self) -> list[str]:
        buffer = [] if self.buffer_size is None else ["--buffer-size", str(self.buffer_size)]
        return [*buffer, *([] if self.busy_poll_us is None else ["--lls", str(self.busy_poll_us)])]


AS_THE_SYSTEM_DOES = SocketOptions()
SERVER_TAKES = 65507  # sockperf's default message size in bytes


def server_command(
    *, ip: str, port: int, protocol: Protocol, message_size: int = 0, sockets: SocketOptions = AS_THE_SYSTEM_DOES
) -> list[str]:
    """The argv of a server that answers on one address and port until SIGINT. message_size: of the longest message it will receive; a
    longer one ends the connection.
    """
    longer = ["-m", str(message_size)] if message_size > SERVER_TAKES else []
    return ["sockperf", "server", *_at(ip, port, protocol), *longer, *sockets.argv]


def client_command(
    *,
    mode: Mode,
    server_ip: str,
    port: int,
    client_ip: str,
    client_port: int,
    protocol: Protocol,
    message_size: int,
    duration_s: float,
    rate: Rate = None,
    reply_every: int | None = None,
    full_log: str | None = None,
    sockets: SocketOptions = AS_THE_SYSTEM_DOES,
) -> list[str]:
    """The argv of one client. `rate`: messages per second; `reply_every`: for under-load only; None leaves sockperf's default.

    The client's port is always given together with its address: without the address 3.10 binds an IPv6 socket and stops. sockperf
    truncates durations to whole seconds, so they are rounded up. A throughput run has no full log.
    """
    argv = ["sockperf", mode, *_at(server_ip, port, protocol), "--client_ip", client_ip]
    argv += ["--client_port", str(client_port), "-m", str(message_size), "-t", str(math.ceil(duration_s))]
    if rate is not None:
        argv += ["--mps", str(rate)]
    if reply_every is not None and MODE_FACTS[mode].takes_reply_every:
        argv += ["--reply-every", str(reply_every)]
    if full_log is not None and not MODE_FACTS[mode].sends_one_way:
        argv += ["--full-log", full_log]
    return [*argv, *sockets.argv]


def _at(ip: str, port: int, protocol: Protocol) -> list[str]:
    # UDP is the default and has no option of its own: sockperf refuses --udp.
    return ["-i", ip, "-p", str(port), *(["--tcp"] if protocol == "tcp" else [])]


def received_by_server(text: str) -> int | None:
    """The number of messages that a server received, from its output at its end; None if missing."""
    return _int(_HANDLED, _ANSI.sub("", text))


def receive_buffer(text: str) -> int | None:
    """The receive buffer in bytes that the kernel granted, half of what it reports; the smallest if several are printed; None if none is.

    The kernel grants at most net.core.rmem_max.
    """
    told = [int(size) // 2 for size in _BUFFER.findall(_ANSI.sub("", text))]
    return min(told, default=None)


def combine(outputs: Sequence[SockperfOutput]) -> SockperfOutput:
    """Several parallel flows combined into one: counts and rates are summed. If one failed, all count as failed; if one stalled, the
    combination has stalled, with what the others measured.

    It has no percentiles: those of the flows do not give them. They are taken from the flows' histograms, merged.
    """
    first, *others = outputs
    if not others:
        return first
    for flow, output in enumerate(outputs, start=1):
        if not output.ok and not has_stalled(output):
            return replace(output, reason=f"flow {flow} of {len(outputs)}: {output.reason}")
    stalled = [output for output in outputs if has_stalled(output)]
    weights = [output.observations or 0 for output in outputs]
    means = [output.mean_us for output in outputs if output.mean_us is not None]
    return replace(
        first,
        ok=not stalled,
        reason=f"{STALLED} in {len(stalled)} of {len(outputs)} flows" if stalled else None,
        valid_runtime_s=min((o.valid_runtime_s for o in outputs if o.valid_runtime_s is not None), default=None),
        mean_us=sum(map(operator.mul, means, weights)) / sum(weights) if sum(weights) else None,
        std_dev_us=None,
        min_us=min((o.min_us for o in outputs if o.min_us is not None), default=None),
        max_us=max((o.max_us for o in outputs if o.max_us is not None), default=None),
        percentiles_us={},
        observations=sum_of_known(output.observations for output in outputs),
        sent=sum_of_known(output.sent for output in outputs),
        received=sum_of_known(output.received for output in outputs),
        dropped=sum_of_known(output.dropped for output in outputs),
        duplicated=sum_of_known(output.duplicated for output in outputs),
        out_of_order=sum_of_known(output.out_of_order for output in outputs),
        messages_per_s=sum_of_known(output.messages_per_s for output in outputs),
        bandwidth_mbps=sum_of_known(output.bandwidth_mbps for output in outputs),
    )


# -- full log --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Second:
    """The observations sent in one second of a trial, counted from the start of its process. Latencies in µs, rounded down to 0.1."""

    second: int
    count: int
    p50_us: float
    p99_us: float
    max_us: float


@dataclass(frozen=True, kw_only=True)
class ReducedLog:
    """A full log reduced on its host: lines of `value_ns count`, each value once, and a summary of each second.

    ends_s: when the last message was sent, in s from the start of its process.
    """

    histogram_rows: bytes
    observations: int
    seconds: tuple[Second, ...]
    ends_s: float


# Three kinds of lines: `second tenth_of_µs count`, then `-1 value_ns count`, then `-2 rows whole last_sent`. Latencies are counted as
# the text they are, so that no binary fraction comes between them and whole ns. A finished log ends with a rule of dashes.
_COUNT = r"""
function flush() { for (bin in bins) print second, bin, bins[bin]; split("", bins) }
!begun { begun = ($1 == "packet,"); next }
NF == 4 {
  if (int($2) != second) { flush(); second = int($2) }
  seen[$4]++; bins[int($4 * 10)]++; rows++; last = $2; next
}
NF == 1 && /^-+$/ { rule = NR }
END {
  flush()
  for (text in seen) {
    if (text !~ /^[0-9]+[.][0-9][0-9][0-9]$/) { rule = 0; continue }
    ns = text; sub(/[.]/, "", ns); sub(/^0+/, "", ns)
    print -1, (ns == "" ? "0" : ns), seen[text]
  }
  sub(/,/, "", last); print -2, rows + 0, (rows && rule == NR), last
}
"""
# Fed with those lines in order. Ranks are whole numbers: ceil(n/2) = n - floor(n/2) and ceil(99n/100) = n - floor(n/100).
_SUM_UP = r"""
function close_second(   i, below, half, most, p50) {
  if (!count) return
  half = count - int(count / 2); most = count - int(count / 100)
  for (i = 1; below < most; i++) {
    if (below < half && below + many[i] >= half) p50 = bin[i]
    below += many[i]
  }
  print "second", second, count, p50, bin[i - 1], bin[lines]
  count = 0; lines = 0
}
$1 == -2 { rows = $2; whole = $3; last = $4; next }
$1 == -1 { print $2, $3; all += $3; next }
$1 != second { close_second(); second = $1 }
{ lines++; bin[lines] = $2; many[lines] = $3; count += $3 }
END {
  close_second()
  if (!whole || all != rows) exit 1
  print "end", rows, last
}
"""


def reduce_log_command(log_path: str) -> str:
    """A shell pipeline that reduces the full log at `log_path` to text for `read_reduced`, with coreutils and any awk.

    It fails (exit 1, no last line) when the log is missing, empty or not complete.
    """
    return (
        f"LC_ALL=C awk {shlex.quote(_COUNT)} {shlex.quote(log_path)}"
        f" | LC_ALL=C sort -k1,1n -k2,2n | LC_ALL=C awk {shlex.quote(_SUM_UP)}"
    )


# Backwards over the log, each message was planned a period before the next one, or when it was sent if that was earlier: sockperf
# sends what is late in one go until it is on time again, and the period does not count what was lost in between. sockperf rounds
# its period down to its clock, so a thousandth less than asked for is a bound that a long log does not outrun.
_PLANNED = r"""
$2 + 0 > 0 && NF == 4 && $4 ~ /^[0-9]+[.][0-9]+$/ {
  sent = $2 + 0
  planned = (seen && later - period < sent) ? later - period : sent
  later = planned; seen = 1
  late += (sent - planned > patience)
  many[sprintf("%.0f", (sent - planned) * 1e9 + $4 * 1e3)]++
}
END { for (ns in many) { print ns, many[ns]; all += many[ns] } print "late", late + 0; print "end", all + 0 }
"""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The planned send times: `rate` messages per second, of which one in `reply_every` is answered."""

    rate: int
    reply_every: int = 1

    @property
    def send_s(self) -> float:
        """Seconds from one message to the next."""
        return 1 / self.rate

    @property
    def answer_s(self) -> float:
        """Seconds from one answered message to the next."""
        return self.reply_every / self.rate


@dataclass(frozen=True, kw_only=True)
class PlannedLog:
    """A full log reduced to latencies from the planned send time, in lines of `value_ns count`. `late_sends`: how many messages
    were sent only after the next one was due."""

    histogram_rows: bytes
    late_sends: int


def reduce_planned_command(log_path: str, pace: Pace) -> str:
    """A shell pipeline that counts latencies from the planned send time in the full log at `log_path`, for `read_planned`.

    The delay before the send counts in full, the network time as sockperf counts it (half of the round trip).
    """
    variables = f"-v period={pace.answer_s * 0.999:.12f} -v patience={pace.send_s:.12f}"
    return f"tac {shlex.quote(log_path)} | LC_ALL=C awk {variables} {shlex.quote(_PLANNED)}"


def read_planned(text: str) -> PlannedLog:
    """The log in the output of `reduce_planned_command`. Raises ValueError when the output is incomplete, or has no message."""
    whole = re.fullmatch(r"((?:[0-9]+ [0-9]+\n)+)late ([0-9]+)\nend [0-9]+\n?", text)
    if whole is None:
        raise ValueError("the reduced log does not come to its end")
    return PlannedLog(histogram_rows=whole[1].encode(), late_sends=int(whole[2]))


def join_logs(logs: Sequence[ReducedLog]) -> ReducedLog:
    """The reduced logs of parallel flows merged into one. The summary per second is kept only for a single flow."""
    if len(logs) == 1:
        return logs[0]
    return ReducedLog(
        histogram_rows=b"".join(log.histogram_rows for log in logs),
        observations=sum(log.observations for log in logs),
        seconds=(),
        ends_s=max(log.ends_s for log in logs),
    )


def read_reduced(text: str) -> ReducedLog:
    """The log in the output of `reduce_log_command`. Raises ValueError when the output is incomplete or invalid."""
    lines = text.splitlines()
    end = re.fullmatch(r"end ([0-9]{1,15}) ([0-9]{1,9}[.][0-9]{1,9})", lines[-1]) if lines else None
    if end is None:
        raise ValueError("the reduced log does not come to its end: sockperf's full log is missing, empty or cut short")
    return ReducedLog(
        histogram_rows="".join(f"{line}\n" for line in lines[:-1] if not line.startswith("second ")).encode(),
        observations=int(end.group(1)),
        seconds=tuple(_read_second(line) for line in lines if line.startswith("second ")),
        ends_s=float(end.group(2)),
    )


def _read_second(line: str) -> Second:
    words = line.split()[1:]
    if len(words) != 5 or not all(re.fullmatch(r"[0-9]{1,15}", word) for word in words):
        raise ValueError(f"the reduced log holds {line!r}")
    second, count, p50, p99, largest = map(int, words)
    return Second(second=second, count=count, p50_us=p50 / 10, p99_us=p99 / 10, max_us=largest / 10)
