"""Processes: a machine made of plain processes for each EC2 instance, where this computer does not allow namespaces.

    192.168.3.10 in the cloud ─▶ 127.64.3.10 here, mapped by the front of sockperf on a machine's PATH, and nowhere else

The second number is a slot that each cloud on the computer claims for itself. Interfaces, routes and ENA settings are unknown.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.errors import LocalTargetError
from enaxp.local.machines.fleet import Fleet, Machine, boot_order
from enaxp.local.machines.inside.messages import BootOrder
from enaxp.local.machines.inside.processes import ROOT_MARK, end_all, is_marked, marked, root_of

if TYPE_CHECKING:
    from enaxp.local.strict import MachineSpec

SLOTS = range(64, 127)
CLAIM_PORT = 49000  # below the ports that the kernel hands out by itself, and none that a lab uses


class ProcessMachines(Fleet):
    """Each machine is a tree of processes with a folder of its own. Raises LocalTargetError when no slot is left."""

    def __init__(self, run_dir: Path, *, ssh_port: int) -> None:
        super().__init__(run_dir, ssh_port=ssh_port)
        self._claim, self.slot = _claim_slot()

    def close(self) -> None:
        super().close()
        self._claim.close()

    def _start(self, machine: Machine, life_line: socket.socket) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", "enaxp.local.machines.inside.init", "processes", str(life_line.fileno())]
        with (machine.folder / "log").open("wb") as log:
            return subprocess.Popen(
                [*program, str(machine.folder.resolve())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[life_line.fileno()],
                start_new_session=True,
                env={**os.environ, ROOT_MARK: str(root_of(machine.folder))},
            )

    def _boot_order(self, spec: MachineSpec) -> BootOrder:
        return boot_order(spec, ssh_port=self.ssh_port, slot=self.slot)

    def _tidy(self, machine: Machine) -> None:
        # Its own first process does this as it ends, unless somebody killed that.
        end_all(lambda: marked(machine.folder), lambda pid: is_marked(pid, machine.folder))


def _claim_slot() -> tuple[socket.socket, int]:
    """A slot, and the socket that reserves it while open."""
    for slot in SLOTS:
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((f"127.{slot}.255.254", CLAIM_PORT))
        except OSError:
            claim.close()
            continue
        return claim, slot
    raise LocalTargetError(
        f"no slot of 127.{SLOTS.start}.0.0 to 127.{SLOTS.stop - 1}.0.0 is left for another local cloud",
        said=f"UDP port {CLAIM_PORT} is taken on each",
        todo="take labs down that you do not need (`enaxp ls`, `enaxp down`)",
    )
