"""Fleet: what both kinds of machines share. (Being built.)"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enaxp.local.strict import MachineSpec


class Fleet:
    """The machines of one cloud. Calls come from any thread and return at once."""

    def __init__(self, run_dir: Path, *, ssh_port: int) -> None:
        self.run_dir = run_dir
        self.ssh_port = ssh_port

    def launch(self, machine: MachineSpec) -> None:
        raise NotImplementedError

    def is_up(self, instance_id: str) -> bool:
        raise NotImplementedError

    def failure(self, instance_id: str) -> str | None:
        raise NotImplementedError

    def set_srd(self, instance_id: str, *, device_index: int, srd: bool, udp: bool) -> None:
        raise NotImplementedError

    def set_public_ip(self, instance_id: str, *, device_index: int, public_ip: str | None) -> None:
        raise NotImplementedError

    def terminate(self, instance_id: str) -> None:
        raise NotImplementedError

    def is_gone(self, instance_id: str) -> bool:
        raise NotImplementedError

    def has_shut_down(self, instance_id: str) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        """Ends every machine."""
        raise NotImplementedError
