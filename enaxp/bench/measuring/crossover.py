"""Crossover: in the middle of a run SRD moves to the other pair of interfaces (an API call), so that a difference between the interfaces
is not mistaken for an effect of SRD. For a control SRD is switched off on both pairs in the same way; in order `toggled` it is switched
on and off on the one pair that carries both arms.

the option + the plan ─▶ why_not_crossed ─▶ whether the run is crossed over
assign(srd_on) ─▶ (AWS has it) ─▶ wait until `ena_srd_mode` of all four devices shows it ─▶ trials go on
"""

from __future__ import annotations

import time
from collections.abc import Callable

from enaxp.bench.measuring.pair import Pair, Probes, counters_text
from enaxp.errors import BenchError
from enaxp.hosts import nic
from enaxp.traffic import Order, SrdOn, has_srd

# Gives ENA Express to these interfaces and takes it from the others. Comes back when the control plane reads so.
Assign = Callable[[SrdOn], None]

DEVICES_S = 90.0
TOGGLE_SETTLES_S = 2.0  # after the devices show a switch: flows that were set up before it are gone by then
FEWEST = 4  # iterations: two in each half, for a spread in each
FEWEST_BY_ITSELF = (
    6  # below, a crossover costs too much precision to be the default (half width × 1.43 at 4, × 1.10 at 6)
)


def why_not_crossed(
    *, is_aws: bool, order: Order, iterations: int, is_open_ended: bool, has_control: bool
) -> tuple[str, str]:
    """Two reasons, each empty if there is none: why a run cannot be crossed over, and why it is not crossed over by default."""
    if order == "parallel":
        cannot = "both arms run at once"
    elif order == "toggled":
        cannot = "both arms use the same interfaces"
    elif is_open_ended:
        cannot = "with --until half of the run is not known beforehand"
    elif has_control:
        cannot = "a control measures the interfaces by themselves"
    elif iterations < FEWEST:
        cannot = f"a crossover takes {FEWEST} iterations at least"
    else:
        cannot = ""
    if cannot:
        return cannot, cannot
    if not is_aws:
        return "", "which the local target does only when asked"
    if iterations % 2 or iterations < FEWEST_BY_ITSELF:
        return "", f"which is done by itself for an even number of iterations, {FEWEST_BY_ITSELF} at least"
    return "", ""


def wait_for_devices(
    pair: Pair, probes: Probes, *, srd_on: SrdOn, put_back_by: str = "enaxp up", patience_s: float = DEVICES_S
) -> None:
    """Waits until every interface whose counters include `ena_srd_mode` has SRD as wanted. Raises BenchError when one does not in time.

    put_back_by: the command that restores ENA Express if the bench cannot; named in the error.
    """
    deadline = time.monotonic() + patience_s
    while wrong := _not_there_yet(pair, probes, srd_on=srd_on):
        if time.monotonic() >= deadline:
            raise BenchError(
                f"ENA Express was changed over, but after {patience_s:.0f} s these interfaces do not show it: {', '.join(wrong)}",
                todo=f"run `{put_back_by}`: it puts ENA Express back where it belongs",
            )
        time.sleep(0.5)


def _not_there_yet(pair: Pair, probes: Probes, *, srd_on: SrdOn) -> list[str]:
    wrong = []
    for role in pair.by_role():
        counters = nic.read_counters(counters_text(pair, probes, role))
        for home, probe in probes[role].items():
            interface = probe.interface
            seen = counters.get(interface or "")
            mode = seen.device.get("ena_srd_mode") if seen else None
            # Without SRD the flag for UDP has no effect, and may stay.
            if mode is not None and (mode & 0b11 != 0b11 if has_srd(home, srd_on=srd_on) else mode & 0b01):
                wrong.append(f"{interface} on the {role}")
    return wrong
