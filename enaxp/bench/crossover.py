"""Crossover: which pair of interfaces carries SRD, changed by the control plane in the middle of a run.

assign(crossed) ─▶ (AWS has it) ─▶ wait until `ena_srd_mode` of all four devices shows it ─▶ trials go on
"""

from __future__ import annotations

import time
from collections.abc import Callable

from enaxp.bench.pair import Pair, Probes, counters_text
from enaxp.errors import BenchError
from enaxp.hosts import nic
from enaxp.traffic import ARMS

# Gives ENA Express to one pair of interfaces and takes it from the other; True: crossed. Comes back when the control plane reads so.
Assign = Callable[[bool], None]

DEVICES_S = 90.0


def wait_for_devices(pair: Pair, probes: Probes, *, crossed: bool, patience_s: float = DEVICES_S) -> None:
    """Waits until every interface whose counters tell its mode has SRD as wanted. Raises BenchError when one does not get there."""
    deadline = time.monotonic() + patience_s
    while wrong := _not_there_yet(pair, probes, crossed=crossed):
        if time.monotonic() >= deadline:
            raise BenchError(
                f"ENA Express was changed over, but after {patience_s:.0f} s these interfaces do not show it: {', '.join(wrong)}",
                todo="run `enaxp up`: it puts ENA Express back where it belongs",
            )
        time.sleep(0.5)


def _not_there_yet(pair: Pair, probes: Probes, *, crossed: bool) -> list[str]:
    wrong = []
    for role in pair.by_role():
        counters = nic.read_counters(counters_text(pair, probes, role))
        for home in ARMS:
            interface = probes[role][home].interface
            seen = counters.get(interface or "")
            mode = seen.device.get("ena_srd_mode") if seen else None
            wanted = (home == "ena_express") != crossed
            if mode is not None and (mode & 0b11 == 0b11) != wanted:
                wrong.append(f"{interface} on the {role}")
    return wrong
