"""Watching: the properties of a given host's interface, and its traffic over a few seconds while enaxp sends none.

Connection, own and peer address ─▶ watch() ─▶ HostTold
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from enaxp.errors import HostError
from enaxp.hosts import nic
from enaxp.hosts.connection import Connection
from enaxp.hosts.numbers import DIGITS, whole_number
from enaxp.hosts.sockperf import VERSION_COMMAND

BUSY_GBPS, BUSY_PACKETS = 0.1, 10_000  # from here on what else an interface carries is called busy
BUSY_LOAD = 0.5  # runnable processes for each core
_MARK = "--8<-- enaxp watched"


@dataclass(frozen=True, kw_only=True)
class HostTold:
    """The facts about a given host and its measured interface. None: not reported.

    gbps, packets: the interface's traffic per second, both directions together, averaged over `seconds`. load: the load average of the
    last minute. cores: their number. shows_srd: whether the driver has the `ena_srd_…` counters.
    """

    interface: str | None
    mtu: int | None
    driver: str | None
    shows_srd: bool
    sockperf: str
    machine: str
    seconds: float
    gbps: float | None = None
    packets: float | None = None
    load: float | None = None
    cores: int | None = None

    @property
    def is_busy(self) -> bool:
        """Whether other traffic or processes are large enough to disturb a measurement."""
        traffic = (self.gbps or 0) >= BUSY_GBPS or (self.packets or 0) >= BUSY_PACKETS
        return traffic or bool(self.load and self.cores and self.load >= BUSY_LOAD * self.cores)

    @property
    def other_traffic(self) -> str:
        """`0.013 Gbit/s in 2,100 packets a second over 10 s, load 0.20 on 8 cores`."""
        if self.gbps is None or self.packets is None:
            carried = "what else the interface carries is not told"
        else:
            carried = f"{self.gbps:.3f} Gbit/s in {self.packets:,.0f} packets a second over {self.seconds:g} s"
        return carried if self.load is None else f"{carried}, load {self.load:.2f} on {self.cores or '?'} cores"


def watch(connection: Connection, *, own_ip: str, peer_ip: str, seconds: float) -> HostTold:
    """The facts about the host and its interface with this address, watched for this many seconds. Raises HostError."""
    probe_text = connection.check(nic.probe_command(own_ip, peer_ip))
    interface = nic.read_probe(probe_text).interface
    text = connection.check(watch_command(interface, seconds=seconds), timeout_s=30 + seconds)
    return read_told(probe_text, text, seconds=seconds)


def watch_command(interface: str | None, *, seconds: float) -> str:
    """A shell command that prints the interface's counters before and after, then the host's facts."""
    counters = nic.counters_command([interface] if interface else [])
    mark = f"echo {shlex.quote(_MARK)}"
    host = f'echo "sockperf $({VERSION_COMMAND})"; echo "machine $(uname -m)"; echo "load $(cat /proc/loadavg)"; echo "cores $(nproc)"'
    return f"{counters}; {mark}; sleep {seconds:g}; {counters}; {mark}; {host}"


def read_told(probe_text: str, text: str, *, seconds: float) -> HostTold:
    """The facts in the output of `probe_command` and `watch_command`. Raises HostError for other text."""
    probe = nic.read_probe(probe_text)
    if text.count(_MARK) != 2:
        raise HostError("watching a host: its answer is not whole", said=text[-200:], todo="begin again")
    before, after, host = text.split(_MARK)
    told = {name: rest.strip() for name, _, rest in (line.partition(" ") for line in host.strip().splitlines())}
    was, now = (nic.read_counters(part).get(probe.interface or "") for part in (before, after))
    moved = nic.moved(was.statistics, now.statistics) if was and now else None
    load = told.get("load", "").split(" ")[0]
    return HostTold(
        interface=probe.interface,
        mtu=probe.mtu,
        driver=probe.driver,
        shows_srd=now is not None and "ena_srd_mode" in now.device and "ena_srd_tx_pkts" in now.device,
        sockperf=told.get("sockperf", ""),
        machine=told.get("machine", ""),
        seconds=seconds,
        gbps=(moved["rx_bytes"] + moved["tx_bytes"]) * 8 / seconds / 1e9 if moved else None,
        packets=(moved["rx_packets"] + moved["tx_packets"]) / seconds if moved else None,
        load=float(load) if re.fullmatch(rf"{DIGITS}([.]{DIGITS})?", load) else None,
        cores=whole_number(told.get("cores")),
    )
