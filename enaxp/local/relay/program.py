"""The relay program: delays UDP messages to a sockperf server by a known time, drops some, and keeps a record. One file,
standard library only, since it runs on hosts.

    client ─▶ relay (ADDRESS:PORT) ─ waits ─▶ sockperf server (ADDRESS:PORT + 20000) ─▶ relay ─▶ client
                      └─▶ FOLDER/record/PORT.jsonl: how long each message took until the next one, by the client's port

    program.py FOLDER SOCKPERF ARGUMENT...

It stands before each UDP server whose port or address is in FOLDER/holds.json, and is SOCKPERF for everything else. It busy-waits for the
end of a delay: a sleep would be late by about as much as the delay itself. Hosts may have a Python as old as 3.7.

A ping-pong sends a message as soon as it has the answer to the one before. So from the arrival of one to that of the next, by the
kernel's time stamps, is a whole round trip and the moment that the client takes to send again, which is the same with every hold. The
time from a message's arrival to the sending of its answer would leave out how long the client takes to be woken, and a relay that has
just waited out a hold makes way for it sooner: on a computer that does nothing else that came to 0.3 µs of half a round trip.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any, NoReturn

BEHIND = 20000  # the real server's port is so far above
SPIN_NS = 300_000  # the end of a wait that is spun
BIN_NS = 100  # times in the record are rounded down to whole ones of these
PAUSE_MS = 150  # without a message for so long, a trial has ended
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@ll")
SEED = 1


class Hold:
    """`us` microseconds for every message, and `tail_us` more for the share `tail` of them; the share `loss` is lost, and everything that
    comes later than `until_s` seconds after the first message of a trial."""

    def __init__(
        self, us: float = 0.0, tail: float = 0.0, tail_us: float = 0.0, loss: float = 0.0, until_s: float = 0.0
    ) -> None:
        self._ns, self._tail, self._tail_ns, self._loss = int(us * 1000), tail, int(tail_us * 1000), loss
        self._until_s, self._began = until_s, 0.0
        self._random = random.Random(SEED)

    def begin(self) -> None:
        """A trial begins."""
        self._began = time.monotonic()

    def is_lost(self) -> bool:
        if self._until_s and time.monotonic() > self._began + self._until_s:
            return True
        return bool(self._loss) and self._random.random() < self._loss

    def next_ns(self) -> int:
        is_late = self._tail and self._random.random() < self._tail
        return self._ns + self._tail_ns if is_late else self._ns


class Record:
    """How long it was from each message that was answered to the next one, counted, until it is written: a line for each client's port."""

    def __init__(self, folder: str, port: int) -> None:
        self._path, self._port = os.path.join(folder, "record", f"{port}.jsonl"), port  # noqa: PTH118 - no imports but what it needs
        self.client_port = 0
        self.counts: dict[int, int] = {}

    def add(self, ns: int) -> None:
        place = ns // BIN_NS
        self.counts[place] = self.counts.get(place, 0) + 1

    def write(self) -> None:
        if self.counts:
            line = {"port": self._port, "client_port": self.client_port, "bins": self.counts}
            with open(self._path, "a", encoding="ascii") as file:  # noqa: PTH123
                file.write(json.dumps(line) + "\n")
            self.counts = {}


def relay(front: socket.socket, back: socket.socket, hold: Hold, record: Record) -> NoReturn:
    """Carries messages to and fro until the process is ended. Answers go to whoever sent last."""
    poller, now = select.poll(), time.perf_counter_ns
    front_number = front.fileno()
    for side in (front, back):
        poller.register(side, select.POLLIN)
    client: Any = None
    arrived = answered = 0  # when the latest message came; the same once its answer has been sent
    while True:
        ready = poller.poll(PAUSE_MS) if record.counts else poller.poll()
        if not ready:
            record.write()
        for number, _ in ready:
            try:
                if number == front_number:
                    message, extra, _, sender = front.recvmsg(65536, 64)
                    began = now()
                    seconds, rest = TIMESPEC.unpack_from(extra[0][2])
                    before, arrived = arrived, seconds * 1_000_000_000 + rest
                    if sender != client:
                        record.write()
                        client, record.client_port = sender, sender[1]
                        hold.begin()
                    elif answered == before:
                        record.add(arrived - before)
                    if hold.is_lost():
                        continue
                    wait(began + hold.next_ns())
                    back.send(message)
                elif client:
                    answer = back.recv(65536)
                    answered = arrived  # before it is sent: whoever is woken by it may run first
                    front.sendto(answer, client)
            except ConnectionRefusedError:  # the server behind is not up yet, or gone already
                continue


def wait(until: int) -> None:
    """Until this moment of the clock in ns."""
    now = time.perf_counter_ns
    if until - now() > SPIN_NS:
        time.sleep((until - now() - SPIN_NS) / 1e9)
    while now() < until:
        pass


def stand_before(folder: str, sockperf: str, arguments: list[str], ip: str, port: int, hold: Hold) -> NoReturn:
    """The server behind the relay and the relay itself, both ended by SIGINT as a server is."""
    front, back = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    front.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    front.bind((ip, port))
    back.connect((ip, port + BEHIND))
    place = arguments.index("-p") + 1
    server = subprocess.Popen([sockperf, *arguments[:place], str(port + BEHIND), *arguments[place + 1 :]])
    record = Record(folder, port)

    def end(*_: object) -> None:
        server.send_signal(signal.SIGINT)
        server.wait()
        record.write()
        sys.exit(0)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    gc.disable()  # nothing here refers in circles, and a collection would be one more stall
    relay(front, back, hold, record)


def main(folder: str, sockperf: str, *arguments: str) -> None:
    """Stands before the server that the arguments ask for, if its port or its address is in the table; else becomes sockperf."""
    with open(os.path.join(folder, "holds.json"), encoding="ascii") as file:  # noqa: PTH118, PTH123
        holds = json.load(file)
    options = dict(zip(arguments, arguments[1:]))  # noqa: B905, RUF007 - an old Python
    port = options.get("-p", "")
    ip = options.get("-i", "")
    hold = holds.get(port) or holds.get(ip)
    if arguments[:1] == ("server",) and hold and "--tcp" not in arguments:
        stand_before(folder, sockperf, list(arguments), ip, int(port), Hold(**hold))
    os.execv(sockperf, [sockperf, *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
