"""Trial: carries out one trial and judges it.

    Trial ─▶ argv of each flow ─▶ one command on the client (counters, sockperf, counters, reduced logs) ─▶ Measured
             server's counters before and after, and what its bulk servers received ───────────────────────┘

Nothing is stored here and nothing is repeated: a failed trial gives a record with the reason.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from enaxp.bench.judging.gates import delivered_gbps, judge
from enaxp.bench.judging.limits import host_usage
from enaxp.bench.measuring.pair import Pair, Probes, counters_command, counters_text
from enaxp.bench.measuring.quiet import changes_of
from enaxp.bench.measuring.scripts import NO_SPACE, ClientRun, client_script, log_name, log_script, split
from enaxp.bench.measuring.servers import Ended, Servers, bulk_port, probe_port, sockets_of
from enaxp.bench.planning.pinning import NOT_PINNED, CpusOf, Pinning, pinned
from enaxp.bench.planning.schedule import BenchPlan, Trial, trial_seconds
from enaxp.bench.run_folder.records import HostUsage, InterfaceDelta, Interfaces, SrdDelta, TrialRecord, trial_name
from enaxp.errors import HostError
from enaxp.hosts import nic
from enaxp.hosts.numbers import whole_number
from enaxp.hosts.sockperf import (
    OVERHEAD_S,
    Pace,
    PlannedLog,
    ReducedLog,
    SockperfOutput,
    client_command,
    combine,
    has_stalled,
    join_logs,
    parse,
    read_planned,
    read_reduced,
    receive_buffer,
)
from enaxp.hosts.usage import Usage, read_usage
from enaxp.traffic import ARMS, Arm, other

FIRST_CLIENT_PORT = 20000
CLIENT_PORTS = 10000  # below Linux's range of ephemeral ports
GRACE_S = 10.0  # beyond its own time, a trial is ended after this long
ENDED_BY_DEADLINE = {"124", "137"}  # exit codes of timeout(1)
LITTLE_SPACE_KB = 1024


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The data of a trial that has ended. `planned`: for each flow with planned send times its reduced log; `logs`: full logs, gzipped.

    was_cut_off: a host was lost, or its answer was incomplete.
    """

    record: TrialRecord
    was_cut_off: bool = False
    raw: str = ""
    log: ReducedLog | None = None
    planned: tuple[PlannedLog, ...] = ()
    logs: tuple[bytes, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """The output of one trial from the hosts: text by part, counters before and after."""

    parts: Mapping[str, str]
    flows: int
    before: Mapping[str, Mapping[str, nic.Counters]]
    after: Mapping[str, Mapping[str, nic.Counters]]
    used: Mapping[str, tuple[Usage | None, Usage | None]]  # by role, before and after
    network_changes: tuple[str, ...] | None
    ended: Ended
    server_ended: bool = False  # of the probes; of those of the whole run looked at only when a flow fell silent

    def of_each_flow(self, part: str) -> list[str]:
        return [self.parts.get(f"{part}{flow}", "") for flow in range(self.flows)]

    @cached_property
    def logs(self) -> list[ReducedLog | None]:
        """The reduced full log of each flow, None where it cannot be read."""
        return [_read_log(text) for text in self.of_each_flow("log")]

    @cached_property
    def outputs(self) -> list[SockperfOutput]:
        """The parsed sockperf output of each flow, checked against its log."""
        return [
            parse(raw, log_ends_s=log.ends_s if log else None)
            for raw, log in zip(self.of_each_flow("raw"), self.logs, strict=True)
        ]


class Measurer:
    """Measures single trials of a plan on a pair of hosts."""

    def __init__(
        self,
        pair: Pair,
        plan: BenchPlan,
        *,
        servers: Servers,
        probes: Probes,
        pinning: Pinning = NOT_PINNED,
        first_port: int = 1,
        keep_log: bool = False,
    ) -> None:
        self._pair = pair
        self._plan = plan
        self._servers = servers
        self._probes = probes
        self._pinning = pinning
        self._keep_log = keep_log
        self._ports = itertools.count(first_port)

    def measure(self, trial: Trial, *, attempt: int) -> Measured:
        """The measured and judged trial. If a host is lost meanwhile, the trial is invalid for that reason."""
        run = self._run_of(trial, trial_name(trial, attempt=attempt))
        began = time.monotonic()
        begun = replace(_begun(trial, run, attempt=attempt), cpus=self._cpus_of(trial))
        try:
            answer = self._carry_out(trial, run)
            logs = self._logs(run) if self._keep_log and not trial.scenario.is_rate else ()
        except HostError as error:
            said = f"{error.where}: {error.said}"
            return Measured(record=replace(begun, wall_s=time.monotonic() - began, reason=said), was_cut_off=True)
        begun = replace(begun, wall_s=round(time.monotonic() - began, 3))
        return _judged(begun, answer, trial, self._probes, timeout_s=run.timeout_s, logs=logs)

    def _run_of(self, trial: Trial, name: str) -> ClientRun:
        """The processes on the client: the trial's flows, and background flows that outlast them."""
        scenario = trial.scenario
        rate = scenario.rate if not scenario.is_rate else None
        return ClientRun(
            name=name,
            flows=self._measured_flows(trial, name),
            bulk=self._bulk_flows(trial),
            timeout_s=trial_seconds(self._plan, scenario) + GRACE_S,
            pace=Pace(rate=rate, reply_every=scenario.reply_every or 1) if isinstance(rate, int) else None,
            keep_log=self._keep_log,
        )

    def _measured_flows(self, trial: Trial, name: str) -> list[list[str]]:
        scenario, (server_ip, client_ip) = trial.scenario, self._addresses(trial)
        port_of = bulk_port if scenario.is_rate else probe_port
        return [
            pinned(
                client_command(
                    server_ip=server_ip,
                    client_ip=client_ip,
                    mode=scenario.mode,
                    port=port_of(trial, flow),
                    client_port=self._next_port(),
                    protocol=scenario.protocol,
                    message_size=scenario.message_size,
                    duration_s=self._plan.duration_s,
                    rate=scenario.rate,
                    reply_every=scenario.reply_every,
                    full_log=log_name(name, flow),
                    sockets=sockets_of(scenario),
                ),
                self._pinning.client_cpus(trial, flow),
            )
            for flow in range(scenario.flows)
        ]

    def _bulk_flows(self, trial: Trial) -> list[list[str]]:
        """The background flows, which begin before the probe and end after it."""
        bulk, (server_ip, client_ip) = trial.scenario.background, self._addresses(trial)
        if bulk is None:
            return []
        return [
            pinned(
                client_command(
                    server_ip=server_ip,
                    client_ip=client_ip,
                    mode="throughput",
                    port=bulk_port(trial, flow),
                    client_port=self._next_port(),
                    protocol=bulk.protocol,
                    message_size=bulk.message_size,
                    duration_s=self._plan.duration_s + OVERHEAD_S + 2,
                    rate=bulk.rate,
                ),
                self._pinning.bulk_cpus(trial, flow),
            )
            for flow in range(bulk.flows)
        ]

    def _cpus_of(self, trial: Trial) -> CpusOf | None:
        """The cores of the measured flows and of their servers; None if not pinned."""
        flows = range(trial.scenario.flows)
        client = [cpu for flow in flows for cpu in self._pinning.client_cpus(trial, flow)]
        server = [cpu for flow in flows for cpu in self._pinning.server_cpus(trial.scenario, trial.arm, flow)]
        return {"server": tuple(server), "client": tuple(client)} if client else None

    def _addresses(self, trial: Trial) -> tuple[str, str]:
        """The addresses of server and client on the interfaces that carry the trial."""
        return self._pair.server.host.ip_of(trial.home), self._pair.client.host.ip_of(trial.home)

    def _next_port(self) -> int:
        return FIRST_CLIENT_PORT + next(self._ports) % CLIENT_PORTS

    def _carry_out(self, trial: Trial, run: ClientRun) -> _Answer:
        """Runs the trial's command on the client; before and after it the server's counters are read and its bulk servers started and
        ended."""
        client = self._pair.client
        own = self._servers.start_own(trial)
        server_before = counters_text(self._pair, self._probes, "server")
        script = client_script(run, counters=counters_command(self._pair, self._probes, "client"))
        text = client.check(script, timeout_s=run.timeout_s + 30)
        parts = split(text, needed=("before", "after", "ends", "free", "raw0", "log0", "end"))
        ended = self._servers.end_own(own)
        before = {"server": server_before, "client": parts["before"]}
        after = {"server": counters_text(self._pair, self._probes, "server"), "client": parts["after"]}
        answer = _Answer(
            parts=parts,
            flows=len(run.flows),
            before={role: nic.read_counters(text) for role, text in before.items()},
            after={role: nic.read_counters(text) for role, text in after.items()},
            used={role: (read_usage(text), read_usage(after[role])) for role, text in before.items()},
            network_changes=self._network_changes(before, after),
            ended=ended,
        )
        if any(map(has_stalled, answer.outputs)):  # a lost message, or a server that ended: the output is the same
            had_ended = ended.probe_had_ended if own.probes else not self._servers.probes_run(trial)
            return replace(answer, server_ended=had_ended)
        return answer

    def _network_changes(self, before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...] | None:
        """The changes of both hosts' networks during the trial; None if neither reports them."""
        told = [
            changes_of(role, self._probes[role], nic.read_network(before[role]), nic.read_network(after[role]))
            for role in before
        ]
        known = [changes for changes in told if changes is not None]
        return tuple(change for changes in known for change in changes) if known else None

    def _logs(self, run: ClientRun) -> tuple[bytes, ...]:
        """The full log of each flow, gzipped. Raises HostError."""
        texts = [self._pair.client.check(log_script(run, flow), timeout_s=120) for flow in range(len(run.flows))]
        try:
            return tuple(base64.b64decode(text) for text in texts)
        except binascii.Error as error:
            raise HostError("bringing a full log from the client", said=str(error)) from None


def _begun(trial: Trial, run: ClientRun, *, attempt: int) -> TrialRecord:
    """The record of a trial that has begun; it is invalid until judged."""
    first = run.flows[0]
    return TrialRecord(
        number=trial.number,
        scenario=trial.scenario.name,
        arm=trial.arm,
        iteration=trial.iteration,
        repeat=trial.repeat,
        attempt=attempt,
        discarded=trial.discarded,
        command="; ".join(map(shlex.join, run.flows)),
        client_port=int(first[first.index("--client_port") + 1]),
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        wall_s=0.0,
        valid=False,
        reason=None,
        sockperf=None,
        control=trial.control,
        crossed=trial.crossed,
        toggled=trial.toggled,
    )


def _judged(
    begun: TrialRecord, answer: _Answer, trial: Trial, probes: Probes, *, timeout_s: float, logs: tuple[bytes, ...]
) -> Measured:
    """The record of a trial that ran: its output parsed, every gate judged."""
    scenario = trial.scenario
    sockperf = combine(answer.outputs)
    log = join_logs([log for log in answer.logs if log]) if all(answer.logs) else None
    allowances = {role: nic.allowances_moved(answer.before[role], answer.after[role]) for role in answer.after}
    known = {role: by for role, by in allowances.items() if by is not None} or None
    received = answer.ended.received if scenario.is_rate else None
    planned = _read_planned(answer)
    record = replace(
        begun,
        sockperf=sockperf,
        throughput_gbps=delivered_gbps(scenario=scenario, sockperf=sockperf, received=received),
        srd=_srd(answer, trial, probes),
        interfaces=_carried(answer, trial, probes),
        allowances=known,
        network_changes=answer.network_changes,
        usage=_usage(answer, trial, probes),
        receive_buffer=_receive_buffer(answer) if scenario.buffer_size is not None else None,
        seconds=log.seconds if log else (),
        server_received=received,
        background_gbps=_background_gbps(answer, trial),
        late_sends=sum(log.late_sends for log in planned) if planned else None,
    )
    trouble = _trouble(answer, log=log, is_rate=scenario.is_rate, timeout_s=timeout_s)
    report = judge(scenario, record, logged=log.observations if log else None, trouble=trouble)
    stalled = sum(map(has_stalled, answer.outputs)) if report.valid else 0
    record = replace(record, valid=report.valid, reason=report.reason, stalled_flows=stalled)
    return Measured(record=record, raw=_raw_text(answer), log=log, planned=planned, logs=logs)


def _raw_text(answer: _Answer) -> str:
    """The text that sockperf printed: each measured flow, then each background flow."""
    beside = [text for name, text in answer.parts.items() if name.startswith("bulk")]
    return "\n".join([*answer.of_each_flow("raw"), *beside])


def _trouble(answer: _Answer, *, log: ReducedLog | None, is_rate: bool, timeout_s: float) -> str | None:
    """A failure around sockperf, in words; None if there was none.

    It is more precise than sockperf's own output, which is truncated then.
    """
    if answer.server_ended:
        return "the server's sockperf ended during the trial"
    if ENDED_BY_DEADLINE & set(answer.parts["ends"].split()):
        return f"it hung: its deadline of {timeout_s:.0f} s ended it"
    free = whole_number(answer.parts["free"].strip())
    if not is_rate and log is None and free is not None and free < LITTLE_SPACE_KB:
        return f"{NO_SPACE} on the client's disk: {free} kB are free where sockperf writes its full log"
    return None


def _read_log(text: str) -> ReducedLog | None:
    try:
        return read_reduced(text)
    except ValueError:
        return None


def _read_planned(answer: _Answer) -> tuple[PlannedLog, ...]:
    try:
        return tuple(read_planned(text) for text in answer.of_each_flow("planned"))
    except ValueError:
        return ()


def _background_gbps(answer: _Answer, trial: Trial) -> float | None:
    """The received bandwidth of the background flows, in 10⁹ bit/s over the time they ran; 0 where nothing arrived."""
    bulk, received = trial.scenario.background, answer.ended.received
    ran = [parse(text).total_runtime_s for name, text in answer.parts.items() if name.startswith("bulk")]
    longest = max((s for s in ran if s), default=None)
    if bulk is not None and received == 0:
        return 0.0
    if bulk is None or received is None or longest is None:
        return None
    return received * bulk.message_size * 8 / longest / 1e9


def _carried(answer: _Answer, trial: Trial, probes: Probes) -> Interfaces | None:
    """The traffic of each arm's interface on each host during the trial; None if no interface is known."""
    carried: dict[str, dict[Arm, InterfaceDelta]] = {}
    for role, homes in probes.items():
        for arm in ARMS:
            probe = homes.get(trial.home if arm == trial.treated_as else other(trial.home))
            if probe is None:  # hosts with one interface each
                continue
            before, after = _at(answer.before[role], probe), _at(answer.after[role], probe)
            if before and after:
                moved = nic.moved(before.statistics, after.statistics)
                carried.setdefault(role, {})[arm] = InterfaceDelta(**moved, mtu=after.mtu)
    return carried or None


def _srd(answer: _Answer, trial: Trial, probes: Probes) -> SrdDelta | None:
    """The increase of the trial's own `ena_srd_*` counters; None if the client's interface has none."""
    probe, peer = probes["client"][trial.home], probes["server"][trial.home]
    client, server = _device_moved(answer, "client", probe), _device_moved(answer, "server", peer)
    if client is None or "ena_srd_tx_pkts" not in client or "ena_srd_eligible_tx_pkts" not in client:
        return None
    resources = [
        _shown(answer, role, at, "ena_srd_resource_utilization") for role, at in (("client", probe), ("server", peer))
    ]
    source: Literal["device", "stand-in"] = "stand-in" if probe.is_stand_in else "device"
    return SrdDelta(
        tx=client["ena_srd_tx_pkts"],
        eligible=client["ena_srd_eligible_tx_pkts"],
        rx=client.get("ena_srd_rx_pkts"),
        peer_tx=(server or {}).get("ena_srd_tx_pkts"),
        peer_eligible=(server or {}).get("ena_srd_eligible_tx_pkts"),
        peer_rx=(server or {}).get("ena_srd_rx_pkts"),
        mode=_shown(answer, "client", probe, "ena_srd_mode"),
        peer_mode=_shown(answer, "server", peer, "ena_srd_mode"),
        resources_pct=max((used for used in resources if used is not None), default=None),
        source=source,
    )


def _receive_buffer(answer: _Answer) -> int | None:
    """The smallest receive buffer of the measured flows on either end, in bytes; None if none is reported."""
    told = [answer.ended.receive_buffer, *map(receive_buffer, answer.of_each_flow("raw"))]
    return min(filter(None, told), default=None)


def _usage(answer: _Answer, trial: Trial, probes: Probes) -> Mapping[str, HostUsage] | None:
    """The usage of each host during the trial; None if neither reports it."""
    told = {
        role: host_usage(before, after, device=_device_moved(answer, role, probe), interface=probe.interface or "")
        for role, (before, after) in answer.used.items()
        if before and after and (probe := probes[role][trial.home])
    }
    return told or None


def _device_moved(answer: _Answer, role: str, probe: nic.InterfaceProbe) -> dict[str, int] | None:
    before, after = _at(answer.before[role], probe), _at(answer.after[role], probe)
    return nic.moved(before.device, after.device) if before and after else None


def _shown(answer: _Answer, role: str, probe: nic.InterfaceProbe, counter: str) -> int | None:
    after = _at(answer.after[role], probe)
    return after.device.get(counter) if after else None


def _at(counters: Mapping[str, nic.Counters], probe: nic.InterfaceProbe) -> nic.Counters | None:
    return counters.get(probe.interface or "")
