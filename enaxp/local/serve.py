"""The cloud's own process: `python -m enaxp.local.serve FOLDER ISOLATION REASON`.

Started by `cloud.py`, ended by its owner's word or SIGTERM.

strict AWS on loopback ◀─ Machines (instances become hosts)      a tick moves what takes time, asked or not
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import msgspec

from enaxp.local.cloud import LocalCloud, of_this_process, publish
from enaxp.local.machines import IsolationName
from enaxp.local.machines.access import public_addresses, ssh_port, ssh_user
from enaxp.local.machines.namespaces import NamespaceMachines
from enaxp.local.machines.processes import ProcessMachines
from enaxp.local.strict import Timing, serve
from enaxp.local.strict.lock import Lock, new_access_key

TICK_S = 0.1


def main(folder: Path, isolation: IsolationName, reason: str) -> None:
    """Serves until it is told to end. The machines end with this process, however it ends."""
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the command in the foreground
    port = ssh_port()
    kind = NamespaceMachines if isolation == "namespaces" else ProcessMachines
    machines = kind(folder / "machines", ssh_port=port)
    key, (pid, started) = new_access_key(), of_this_process()
    server = serve(
        timing=Timing(),
        machines=machines,
        public_addresses=public_addresses(port),
        lock=Lock(key=key),
        on_end=stop.set,
    )
    try:
        publish(
            folder,
            LocalCloud(
                pid=pid,
                started=started,
                endpoint_url=server.endpoint_url,
                isolation=isolation,
                reason=reason,
                ssh_port=port,
                ssh_user=ssh_user(isolation),
                access_key=key.access_key,
                secret_key=key.secret_key,
            ),
        )
        while not stop.wait(TICK_S):
            server.tick()
    finally:
        server.stop()
        machines.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), msgspec.convert(sys.argv[2], IsolationName), sys.argv[3])
