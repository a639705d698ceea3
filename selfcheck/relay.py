#!/usr/bin/python3
"""Relay: holds every UDP message back for a known time on its way to a sockperf server, or loses it. One file, standard library only.

    client ─▶ relay (ADDRESS:PORT) ─ waits ─▶ sockperf server (ADDRESS:PORT + 20000) ─▶ relay ─▶ client

Installed as `sockperf` before the real one on a host, it stands before each UDP server of an address that is in DELAYS, and is the real
sockperf for everything else. It waits by spinning: a sleep is late by as much as what is to be added.
"""

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

SOCKPERF = "/usr/bin/sockperf"
DELAYS = Path("/etc/enaxp-study-delays.json")
BEHIND = 20000  # the real server's port is so far above


class Delay:
    """`us` microseconds for every message, and `tail_us` more for the share `tail` of them; the share `loss` is lost, and everything that
    comes later than `until_s` seconds after the first message of a run. A second without any message ends a run."""

    def __init__(self, us=0.0, tail=0.0, tail_us=0.0, loss=0.0, until_s=0.0, seed=1):
        self._until_s, self._began, self._latest = until_s, 0.0, 0.0
        self._ns, self._tail, self._tail_ns, self._loss = int(us * 1000), tail, int(tail_us * 1000), loss
        self._random = random.Random(seed)

    def is_lost(self):
        if self._until_s:
            now = time.monotonic()
            if now - self._latest > 1:
                self._began = now
            self._latest = now
            if now > self._began + self._until_s:
                return True
        return self._loss and self._random.random() < self._loss

    def next_ns(self):
        is_late = self._tail and self._random.random() < self._tail
        return self._ns + self._tail_ns if is_late else self._ns


def relay(ip, port, delay):
    """Carries messages to and fro until the process is ended. Answers go to whoever sent last."""
    front, back = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    front.bind((ip, port))
    back.connect((ip, port + BEHIND))
    poller, client, clock = select.poll(), None, time.perf_counter_ns
    for side in (front, back):
        poller.register(side, select.POLLIN)
    while True:
        for ready, _ in poller.poll():
            try:
                if ready == front.fileno():
                    message, client = front.recvfrom(65536)
                    if delay.is_lost():
                        continue
                    until = clock() + delay.next_ns()
                    while clock() < until:
                        pass
                    back.send(message)
                elif client:
                    front.sendto(back.recv(65536), client)
            except ConnectionRefusedError:  # the server behind is not up yet, or gone already
                continue


def stand_before(ip, port, arguments, delay):
    """The server behind the relay and the relay itself, both ended by SIGINT as a server is."""
    server = subprocess.Popen([SOCKPERF, *arguments])

    def end(*_):
        server.send_signal(signal.SIGINT)
        server.wait()
        sys.exit(0)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    relay(ip, port, delay)


def stay_on_one_core():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(arguments):
    stay_on_one_core()
    delays = json.loads(DELAYS.read_text()) if DELAYS.exists() else {}
    options = dict(zip(arguments, arguments[1:]))  # noqa: B905, RUF007 - hosts may have a Python older than 3.10
    ip = options.get("-i", "")
    if arguments[:1] == ["server"] and ip in delays and "--tcp" not in arguments:
        place = arguments.index("-p") + 1
        behind = [*arguments[:place], str(int(arguments[place]) + BEHIND), *arguments[place + 1 :]]
        stand_before(ip, int(arguments[place]), behind, Delay(**delays[ip]))
    os.execv(SOCKPERF, [SOCKPERF, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
