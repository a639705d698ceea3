"""Tables: the tables and columns of `enaxp query` and `enaxp export`: type, unit and description of each column, for SQL, Parquet, Athena
and the help. Pure.

A value that was not measured, or that an older version did not record, is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from enaxp.hosts.sockperf import printed_of
from enaxp.traffic import LATENCY_METRICS, PERCENTILES, THROUGHPUT, Percentile

ColumnType = Literal["text", "integer", "number", "boolean", "moment"]
TableName = Literal["runs", "pairs", "arms", "effects", "trials"]
Cell = str | int | float | bool | datetime | None
Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """One column. `about` says what it is, with its unit. Moments are in UTC, without a zone of their own."""

    name: str
    type: ColumnType
    about: str


@dataclass(frozen=True)
class Table:
    """One table. `about` says what a row of it is."""

    name: TableName
    about: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        return tuple(column.name for column in self.columns)


def _text(name: str, about: str) -> Column:
    return Column(name, "text", about)


def _integer(name: str, about: str) -> Column:
    return Column(name, "integer", about)


def _number(name: str, about: str) -> Column:
    return Column(name, "number", about)


def _boolean(name: str, about: str) -> Column:
    return Column(name, "boolean", about)


def _moment(name: str, about: str) -> Column:
    return Column(name, "moment", about)


LAB = _text("lab", "the lab's name")
DAY = _text("day", "the day on which the run began, in UTC: yyyy-mm-dd")
RUN_ID = _text("run_id", "the run's folder, unique in its lab")
PAIR_NAME = _text("pair_name", "the host pair, such as main-1; `main` where a lab has one")
VARIANT = _text("variant", "what host pairs have in common; `main` where there is one")
SCENARIO = _text("scenario", "the scenario, such as udp-latency")
ARM = _text("arm", "ena or ena_express")
_OF_A_RUN = (LAB, DAY, RUN_ID)
_OF_A_PAIR = (*_OF_A_RUN, PAIR_NAME, VARIANT)

_PERCENTILES = tuple(_number(f"{one.name}_us", f"{one.label} in µs; null beyond measurement") for one in PERCENTILES)

PRINTED: tuple[Percentile, ...] = printed_of(PERCENTILES)  # the only ones that are known of a single trial

TABLES: Mapping[TableName, Table] = {
    table.name: table
    for table in (
        Table(
            "runs",
            "a bench and its folder; of many pairs, what it says of one is of the first",
            (
                *_OF_A_RUN,
                _moment("started_at", "when it began"),
                _moment("ended_at", "when it ended; null for a run that goes on, or was cut off"),
                _text("target", "aws or local; figures of a local run are emulated"),
                _text("isolation", "what the hosts of the local target were"),
                _text("region", "the AWS region"),
                _text("availability_zone", "the zone of the hosts"),
                _text("instance_type", "of both hosts"),
                _text("placement", "cluster or none"),
                _integer("iterations", "as planned"),
                _integer("repeats", "pairs of trials in an iteration"),
                _number("duration_s", "of a trial, in s"),
                _text("order", "interleaved, parallel or toggled"),
                _integer("seed", "of the order"),
                _number("margin_pct", "differences smaller than this are of no interest, in per cent"),
                _boolean("crossover", "whether the interfaces swapped their arms half way"),
                _text("cpus", "how sockperf was pinned"),
                _integer("scenarios", "how many were planned"),
                _integer("scenarios_decided", "how many came to a word other than inconclusive, partial or invalid"),
                _number("host_gbps", "what the slower host carries all day, in 10⁹ bit/s"),
                _number(
                    "usd", "what both hosts cost for as long as it took, in USD by list prices; null where unknown"
                ),
                _text("enaxp_version", "of the enaxp that measured"),
                _integer("schema", "of its result.json"),
            ),
        ),
        Table(
            "pairs",
            "one scenario on one host pair of a run, and the verdict on it",
            (
                *_OF_A_PAIR,
                SCENARIO,
                _text("verdict", "faster, slower, same, mixed, partial, slightly-…, inconclusive or invalid"),
                _text("headline", "the verdict in words"),
                _boolean("decided", "whether it is other than inconclusive, partial or invalid"),
                _boolean("proven", "whether SRD carried the one arm and not the other; null where no counter tells"),
                _number("srd_share", "of the eligible packets of the ENA Express arm, 0 to 1"),
                _text("srd_source", "device, stand-in (of the local target) or none"),
                _number("interface_pct", "what the interface, or a drift between the halves, made, in per cent"),
                _integer("warnings", "how many"),
            ),
        ),
        Table(
            "arms",
            "one arm of a scenario, over its trials that count",
            (
                *_OF_A_PAIR,
                SCENARIO,
                ARM,
                _integer("trials", "attempted, without the discarded ones"),
                _integer("valid_trials", "that count"),
                _integer("failed_attempts", "that failed a gate"),
                _integer("observations", "latencies measured"),
                _number("mean_us", "of what arrived, in µs"),
                *_PERCENTILES,
                _number("max_us", "in µs"),
                _text("measured_from", "what latencies count from: planned, or sent"),
                _integer("sent", "messages"),
                _integer("received", "messages"),
                _integer("dropped", "messages"),
                _number("loss_rate", "of the messages that wanted a reply, 0 to 1"),
                _number("loss_low", "lower end of its 95 % interval, 0 to 1"),
                _number("loss_high", "upper end of its 95 % interval, 0 to 1"),
                _number("throughput_gbps", "that arrived, in 10⁹ bit/s"),
                _number("background_gbps", "of the bulk flows beside a probe, in 10⁹ bit/s"),
                _text("limits", "what was the limit in over half of the trials: receiver, cpu, allowance, with commas"),
            ),
        ),
        Table(
            "effects",
            "the change that ENA Express makes to one metric of a scenario",
            (
                *_OF_A_PAIR,
                SCENARIO,
                _text("metric", f"{', '.join(LATENCY_METRICS)}, or {THROUGHPUT}"),
                _boolean("is_primary", "whether the verdict rests on it"),
                _text("code", "faster (better), slower, same, slightly-…, inconclusive or invalid"),
                _number("estimate_pct", "ENA Express against ENA in per cent; a latency that falls is below 0"),
                _number("low_pct", "lower end of its interval, in per cent"),
                _number("high_pct", "upper end of its interval, in per cent"),
                _number("confidence_pct", "the level of the interval, in per cent"),
                _number("margin_pct", "in per cent"),
                _number("improvement_pct", "the guide's figure, of the merged arms; above 0 is better"),
                _boolean("thin", "whether too few messages lie beyond the quantile to decide anything"),
                _number("p_value", "the level at which the interval just yields a firm word"),
            ),
        ),
        Table(
            "trials",
            "one sockperf run of one arm, also one that does not count",
            (
                *_OF_A_PAIR,
                SCENARIO,
                ARM,
                _integer("number", "its place in the plan"),
                _integer("iteration", "from 1"),
                _integer("repeat", "from 0, which is discarded"),
                _integer("attempt", "from 1"),
                _boolean("discarded", "whether it is a warm-up"),
                _boolean("control", "whether it is one of a control, with SRD off"),
                _boolean("crossed", "whether other interfaces carried it than those of its arm"),
                _boolean("valid", "whether it counts"),
                _text("reason", "why it does not count"),
                _moment("started_at", "when it began"),
                _number("wall_s", "how long it took, in s"),
                _integer("observations", "latencies measured"),
                _number("mean_us", "as sockperf printed it, in µs"),
                *(_number(f"{one.name}_us", f"{one.label} as sockperf printed it, in µs") for one in PRINTED),
                _number("max_us", "as sockperf printed it, in µs"),
                _integer("sent", "messages"),
                _integer("received", "messages"),
                _integer("dropped", "messages"),
                _number("loss_rate", "of the messages that wanted a reply, 0 to 1"),
                _number("throughput_gbps", "that arrived, in 10⁹ bit/s"),
                _integer("srd_packets", "that the client sent over SRD"),
                _integer("srd_eligible", "that it could have sent so"),
                _number("srd_share", "the one of the other, 0 to 1"),
                _integer("stalled_flows", "flows of a ping-pong that fell silent over a lost message"),
            ),
        ),
    )
}
NAMES: tuple[TableName, ...] = tuple(TABLES)
PARTITIONED_BY = (LAB.name, DAY.name)  # of the exported files: the names of their folders say these
