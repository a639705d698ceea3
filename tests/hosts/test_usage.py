"""What a host tells of its cores, its UDP sockets and its interrupts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from enaxp.hosts.interrupts import TABLE
from enaxp.hosts.usage import CoreTicks, read_usage, usage_command
from tests.hosts.test_commands import INTERRUPTS, run

TOLD = """\
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors
Udp: 105 2 7 1000 6 0
cpu0 1 2 3 4000 50 6 7 80 0 0
cpu12 10 20 30 4000 50 60 70 80 0 0
dropped ens5 17
irq ens5-Tx-Rx-0 4
interface ens5
statistics 1 2 3 4 8900
"""


def test_a_cores_time_is_that_of_programs_and_of_interrupts_without_idling_waiting_and_steal() -> None:
    usage = read_usage(TOLD)

    assert usage is not None
    assert usage.cores == {0: CoreTicks(programs=6, interrupts=13), 12: CoreTicks(programs=60, interrupts=130)}
    assert (usage.udp["InErrors"], usage.udp["RcvbufErrors"]) == (7, 6)
    assert usage.irqs == {"ens5-Tx-Rx-0": "4"}
    assert usage.dropped == {"ens5": 17}
    assert read_usage("interface ens5\n") is None


def test_an_interfaces_interrupts_are_reported_with_the_core_that_serves_them(tmp_path: Path) -> None:
    (tmp_path / "interrupts").write_text(INTERRUPTS)
    for number, core in ((25, "1"), (27, "7")):
        (tmp_path / f"irq/{number}").mkdir(parents=True)
        (tmp_path / f"irq/{number}/effective_affinity_list").write_text(f"{core}\n")
    command = usage_command(["ens5", "ens50"]).replace(TABLE, str(tmp_path / "interrupts"))

    told = read_usage(run(command.replace("/proc/irq", str(tmp_path / "irq"))))

    assert told is not None
    assert told.irqs == {"ens5-Tx-Rx-0": "1", "ens50-Tx-Rx-0": "7"}  # 26 tells nothing


@pytest.mark.system
def test_this_machine_tells_its_cores_and_its_sockets() -> None:
    told = subprocess.run(["sh", "-c", usage_command(["lo"])], capture_output=True, text=True, check=True).stdout

    usage = read_usage(told)

    assert usage is not None
    assert usage.cores.keys() >= {0}
    assert {"InErrors", "RcvbufErrors"} <= usage.udp.keys()
    assert usage.dropped.keys() == {"lo"}
