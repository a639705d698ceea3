"""What is run on a host to learn of it, run here: with the programs' real words, and others' words among them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from enaxp.hosts.cpus import cpus_command, read_cpus
from enaxp.hosts.interrupts import TABLE, numbers_command
from enaxp.hosts.sockperf import VERSION_COMMAND

SCRIPT = Path(__file__).parents[2] / "templates/software/sockperf.sh"
LOADER = "ERROR: ld.so: object 'libfast.so.8.9.5' from LD_PRELOAD cannot be preloaded: ignored."
INTERRUPTS = """\
           CPU0       CPU1
 24:          3          0   PCI-MSI 81920-edge      ena-mgmnt@pci:0000:00:05.0
 25:      51234          0   PCI-MSI 81921-edge      ens5-Tx-Rx-0
 26:          0      61234   PCI-MSI 81922-edge      ens5-Tx-Rx-1
 27:      71234          0   PCI-MSI 98305-edge      ens50-Tx-Rx-0
 28:          7          0   PCI-MSI 98306-edge      lens5-Tx-Rx-0
 29:          9          0   PCI-MSI 98307-edge      eth0
NMI:          0          0   Non-maskable interrupts of ens5
"""


def run(script: str, **variables: str) -> str:
    return subprocess.check_output(
        ["bash", "-c", script], text=True, env={**os.environ, **variables}, stderr=subprocess.DEVNULL
    )


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("sockperf, version 3.10-no.git\n   compiled Jan 11 2025", "3.10"),
        ("sockperf, version 3.7-no.git\n   compiled 2021-08-23 12:14:23", "3.7"),
        ("sockperf, version 3.8-0.git31ee322aa82a", "3.8"),
        ("nothing of a version 1", ""),
    ],
)
@pytest.mark.parametrize("command", [VERSION_COMMAND, f"eval \"$(sed -n '/^version()/,/^}}/p' {SCRIPT})\"; version"])
def test_the_version_is_sockperfs_own(command: str, printed: str, version: str, tmp_path: Path) -> None:
    program = tmp_path / "sockperf"
    program.write_text(f"#!/bin/sh\necho \"{LOADER}\" >&2\nprintf '%s\\n' '{printed}'\n")
    program.chmod(0o755)

    assert run(command, PATH=f"{tmp_path}:{os.environ['PATH']}").strip() == version


@pytest.mark.parametrize(
    ("interface", "numbers"), [("ens5", "25 26"), ("ens50", "27"), ("eth0", "29"), ("eth", ""), ("e.s5", "")]
)
def test_an_interfaces_interrupts_are_its_own_alone(interface: str, numbers: str, tmp_path: Path) -> None:
    (tmp_path / "interrupts").write_text(INTERRUPTS)
    command = numbers_command('"$dev"').replace(TABLE, str(tmp_path / "interrupts"))

    assert run(command, dev=interface).split() == numbers.split()


@pytest.mark.parametrize(("interface", "serving"), [("ens5", {1, 2}), ("ens50", {7})])
def test_the_cores_that_serve_an_interface_are_not_those_of_another_whose_name_begins_alike(
    interface: str, serving: set[int], tmp_path: Path
) -> None:
    (tmp_path / "interrupts").write_text(INTERRUPTS)
    for number, core in ((25, 1), (26, 2), (27, 7), (28, 3)):
        (tmp_path / f"irq/{number}").mkdir(parents=True)
        (tmp_path / f"irq/{number}/effective_affinity_list").write_text(f"{core}\n")
    command = cpus_command([interface]).replace(TABLE, str(tmp_path / "interrupts"))

    told = run(command.replace("/proc/irq", str(tmp_path / "irq")))

    assert read_cpus(told).serving == serving
