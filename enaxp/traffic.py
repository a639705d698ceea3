"""Traffic: the names of arms, scenarios, metrics and percentiles, defined once for all modules.

    Arm       `ena` (SRD off) or `ena_express` (SRD on)
    Scenario  what traffic: one kind of trial, from the config through the schedule to the result
    Metric    a figure that has an effect: the mean, some percentiles, throughput

To add a percentile: one line in `PERCENTILES`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

Arm = Literal["ena", "ena_express"]
ARMS: tuple[Arm, Arm] = ("ena", "ena_express")
ARM_NAMES: Mapping[Arm, str] = {"ena": "ENA", "ena_express": "ENA Express"}

# Which pair of interfaces has SRD: the second as `up` sets it, the first after a crossover, none in a control.
SrdOn = Literal["second", "first", "none"]

Mode = Literal["ping-pong", "under-load", "throughput"]
Protocol = Literal["udp", "tcp"]
# interleaved: the two trials of a pair one after the other. parallel: both at once, as in the guide; they may disturb each other.
# toggled: both arms on the same interfaces, SRD switched on and off there between the arms' trials of an iteration.
Order = Literal["interleaved", "parallel", "toggled"]
Rate = int | Literal["max"] | None  # messages a second
MODES: tuple[Mode, ...] = get_args(Mode)
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
ORDERS: tuple[Order, ...] = get_args(Order)
TOGGLED_HOME: Arm = "ena_express"  # whose interfaces carry both arms in order `toggled`
SRD_MTU = 8900  # bytes of the largest packet that SRD carries; a larger one silently goes by plain ENA
BUFFER_SIZES = (4096, MOST_BUFFER := 2**30)
BUSY_POLLS_US = (1, 10_000)
SCENARIO_NAME = r"[a-z][a-z0-9-]{0,39}(@(max|[0-9]{1,10}))?"
CSV_NAME = r"[A-Za-z0-9_][A-Za-z0-9_@-]{0,80}"  # in a table it does not begin as a formula does


@dataclass(frozen=True, kw_only=True)
class ModeFacts:
    """The properties in which modes differ, besides sockperf's options and output. Code that depends on the mode reads one of these.

    waits_for_reply: a message is sent only after the reply to the one before it, so one that is lost ends the flow.
    sends_one_way: nothing is answered but throughput is measured, and sockperf writes no full log.
    threads: the number of busy threads of one flow's client.
    needs_rate: `rate` may not be null.  takes_reply_every: the scenario may say how many messages get one reply.
    words: a description of the traffic, with {protocol}, {size}, {rate}, {flows}, {sockets} and {beside} to be filled in.
    """

    waits_for_reply: bool = False
    sends_one_way: bool = False
    threads: int = 1
    needs_rate: bool = False
    takes_reply_every: bool = False
    words: str


MODE_FACTS: Mapping[Mode, ModeFacts] = {
    "ping-pong": ModeFacts(
        waits_for_reply=True,
        words="{protocol} ping-pong, {size}, one at a time{sockets}{beside}; latency is half a round trip",
    ),
    "under-load": ModeFacts(
        threads=2,
        needs_rate=True,
        takes_reply_every=True,
        words="{protocol} under load, {size}, {rate}{flows}, whatever is answered{sockets}{beside}",
    ),
    "throughput": ModeFacts(
        sends_one_way=True,
        words="{protocol} one way, {size}, {rate}{flows}{sockets}",
    ),
}


def other(arm: Arm) -> Arm:
    """The other arm."""
    return "ena" if arm == "ena_express" else "ena_express"


def toggled_srd(arm: Arm) -> SrdOn:
    """The interfaces that have SRD during an arm's trials in order `toggled`."""
    return "second" if arm == "ena_express" else "none"


def has_srd(home: Arm, *, srd_on: SrdOn) -> bool:
    """Whether the interfaces of an arm have SRD. `home`: the arm to which they belong by address; ENA's are the first ones."""
    return srd_on == ("second" if home == "ena_express" else "first")


@dataclass(frozen=True, kw_only=True)
class Percentile:
    """A percentile of a trial's latencies. `p` is from 0 to 1; `has_effect`: whether the arms are compared by it.

    One that sockperf itself does not print (`hosts.sockperf.PRINTED`) is not exported during a run, and is no column of `trials`.
    """

    name: str
    p: float
    has_effect: bool = True

    @property
    def number(self) -> str:
        """As sockperf and Prometheus count it, in per cent without trailing zeros: `99.9`."""
        return f"{self.p * 100:.10g}"

    @property
    def label(self) -> str:
        """As people write it: `P99.9`."""
        return self.name.upper().replace("_", ".")


PERCENTILES: tuple[Percentile, ...] = (
    Percentile(name="p50", p=0.5),
    Percentile(name="p90", p=0.9),
    Percentile(name="p99", p=0.99),
    Percentile(name="p99_9", p=0.999),
    Percentile(name="p99_99", p=0.9999, has_effect=False),
)
QUANTILES: Mapping[str, float] = {percentile.name: percentile.p for percentile in PERCENTILES}

# `mean`, `throughput`, or the name of a percentile that has an effect.
Metric = str
MEAN: Metric = "mean"
THROUGHPUT: Metric = "throughput"
MAX: Metric = "max"  # shown, never compared: it grows with the number of messages
LATENCY_METRICS: tuple[Metric, ...] = (MEAN, *(one.name for one in PERCENTILES if one.has_effect))
LATENCY_PRIMARIES: tuple[Metric, ...] = ("p50", "p99")
SERVICE_PERCENTILES: tuple[Metric, ...] = (
    "p50",
    "p99",
    "p99_9",
)  # shown with service time (from the actual send), next to latency from the planned send time
THROUGHPUT_METRICS: tuple[Metric, ...] = (THROUGHPUT,)
METRICS: tuple[Metric, ...] = (*LATENCY_METRICS, *THROUGHPUT_METRICS)


def metric_label(metric: str) -> str:
    """A metric's display name: `P99.9`, `mean`, `throughput`."""
    return {one.name: one.label for one in PERCENTILES}.get(metric, metric)


def metric_text(metric: str) -> str:
    """A metric's name on the command line and in plain text: `p99.9`, `mean`, `throughput`."""
    return metric_label(metric).lower()


def figure_name(metric: str) -> str:
    """The member of an arm's figures that holds the metric: `p99_us`, `throughput_gbps`."""
    return "throughput_gbps" if metric == THROUGHPUT else f"{metric}_us"


@dataclass(frozen=True, kw_only=True)
class Background:
    """Background flows of a latency probe. `message_size` in bytes.

    share: of the hosts' baseline bandwidth that all flows together use, 0 to 1; None: unlimited. rate: the resulting messages per second
    of each flow, once known.
    """

    protocol: Protocol
    flows: int
    message_size: int
    share: float | None = None
    rate: int | None = None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The traffic of one kind of trial. `rate` in messages per second; `message_size` in bytes.

    buffer_size: of a socket's receive and send buffer each, in bytes; None: the system's own. busy_poll_us: how long an idle receiver
    polls the NIC instead of waiting for an interrupt, in µs; None: not at all.
    """

    name: str
    mode: Mode
    protocol: Protocol
    message_size: int
    csv_name: str
    rate: Rate = None
    reply_every: int | None = None
    flows: int = 1
    background: Background | None = None
    buffer_size: int | None = None
    busy_poll_us: int | None = None

    def require_sound(self) -> None:
        """Raises ValueError for values that no config allows, because names become parts of file names, scripts and tables, and numbers
        become arguments."""
        if not re.fullmatch(SCENARIO_NAME, self.name):
            raise ValueError(f"{self.name!r} is no name of a scenario")
        if not re.fullmatch(CSV_NAME, self.csv_name):
            raise ValueError(f"{self.csv_name!r} is no csv_name")
        bulk = self.background
        whole = {
            "message_size": (self.message_size, 14, 1048575),
            "flows": (self.flows, 1, 64),
            "rate": (1 if self.rate in (None, "max") else self.rate, 1, 2**30),
            "reply_every": (self.reply_every or 1, 1, 2**30),
            "buffer_size": (self.buffer_size or MOST_BUFFER, *BUFFER_SIZES),
            "busy_poll_us": (self.busy_poll_us or 1, *BUSY_POLLS_US),
            "background.flows": (bulk.flows if bulk else 1, 1, 64),
            "background.message_size": (bulk.message_size if bulk else 14, 14, 1048575),
        }
        for name, (value, low, high) in whole.items():
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} of scenario {self.name} is {value}, not from {low} to {high}")

    @property
    def as_asked(self) -> Scenario:
        """The scenario without the rate of its background flows, which follows from their share and varies slightly if the baseline is
        measured."""
        if self.background is None:
            return self
        return replace(self, background=replace(self.background, rate=None))

    @property
    def facts(self) -> ModeFacts:
        """The facts of its mode."""
        return MODE_FACTS[self.mode]

    @property
    def is_rate(self) -> bool:
        """Whether the scenario measures throughput; others measure latency."""
        return self.facts.sends_one_way

    @property
    def sleeps(self) -> bool:
        """Whether the client sleeps while it cannot send (it sends as fast as possible). Otherwise it busy-waits."""
        return self.is_rate and not isinstance(self.rate, int) and self.busy_poll_us is None

    @property
    def has_own_sockets(self) -> bool:
        """Whether its socket options differ from other scenarios', so that it cannot share a server with them."""
        return self.buffer_size is not None or self.busy_poll_us is not None

    @property
    def is_paced(self) -> bool:
        """Whether messages have a planned send time, from which latency can be measured too."""
        return isinstance(self.rate, int) and not self.is_rate

    @property
    def is_idle(self) -> bool:
        """Whether the probe is the only traffic: then no allowance of the instance may be exceeded."""
        return self.facts.waits_for_reply and self.background is None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that it measures."""
        return THROUGHPUT_METRICS if self.is_rate else LATENCY_METRICS

    @property
    def primaries(self) -> tuple[Metric, ...]:
        """Its primary metrics, on which the verdict is based."""
        return THROUGHPUT_METRICS if self.is_rate else LATENCY_PRIMARIES
