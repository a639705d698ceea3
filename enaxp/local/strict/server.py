"""The server of the strict AWS: one loopback port for all services.

serve() ─▶ StrictServer      a thread that answers requests through gate.py; another process drives it through driving.py
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from enaxp.local.strict.calls import Call
from enaxp.local.strict.capacity import Capacity
from enaxp.local.strict.faults import FaultPlan
from enaxp.local.strict.gate import CallGate
from enaxp.local.strict.lock import Lock
from enaxp.local.strict.machines import Machines, NoMachines
from enaxp.local.strict.quotas import Quotas
from enaxp.local.strict.timing import Timing

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

    from enaxp.local.strict.world import World
HOST = "127.0.0.1"
SILENT_S = 30.0  # how long a connection may say nothing


class StrictServer:
    """A running server."""

    def __init__(self, *, world: World, gate: CallGate, server: BaseWSGIServer, thread: threading.Thread) -> None:
        self._world = world
        self._gate = gate
        self._server = server
        self._thread = thread

    @property
    def endpoint_url(self) -> str:
        """The URL at which clients reach it."""
        return self._gate.endpoint_url

    @property
    def calls(self) -> list[Call]:
        """The latest calls, oldest first."""
        return list(self._gate.calls)

    def forget_calls(self) -> None:
        """Empties the log of calls."""
        self._gate.calls.clear()

    def set_faults(self, plan: FaultPlan) -> None:
        """In place of those there are."""
        self._gate.faults = plan

    def set_timing(self, timing: Timing) -> None:
        """It holds for what begins from now on, and for what has begun."""
        self._world.timing = timing

    def set_capacity(self, capacity: Capacity) -> None:
        """Launches from now on count against it, earlier ones do not."""
        self._world.set_capacity(capacity)

    def put_policies(
        self,
        identity: Iterable[Mapping[str, Any]],
        *,
        organisation: Iterable[Mapping[str, Any]] = (),
        access_key: str | None = None,
    ) -> None:
        """From now on a caller may do what these policy documents allow, and nothing else (`access/callers.py`)."""
        with self._world.lock:
            self._world.callers.put(identity, organisation=organisation, access_key=access_key)

    def lift_policies(self, access_key: str | None = None) -> None:
        """The caller may do everything again."""
        with self._world.lock:
            self._world.callers.lift(access_key)

    def set_throttling(self, *, on: bool) -> None:
        """Whether EC2 refuses what is asked more often than an account may; switched on, all buckets are full."""
        self._gate.throttling.switch(on=on)

    def set_latency(self, seconds: float) -> None:
        """Added to every call."""
        self._gate.latency_s = seconds

    def resources(self) -> list[str]:
        """Ids of everything alive."""
        return list(self._world.resources())

    def tick(self) -> None:
        """Brings everything to where it should be by now, also when nobody calls."""
        self._world.tick()

    def stop(self) -> None:
        """Ends the server and forgets everything in it."""
        from moto.core.base_backend import BackendDict

        from enaxp.local.strict.world import set_current

        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for (
            backend
        ) in BackendDict._instances:  # `reset` would first make each of them anew, images and parameters included
            backend.clear()
        set_current(None)


def serve(
    *,
    port: int = 0,
    timing: Timing | None = None,
    machines: Machines | None = None,
    faults: FaultPlan | None = None,
    quotas: Quotas | None = None,
    capacity: Capacity | None = None,
    public_addresses: Callable[[], str] | None = None,
    lock: Lock | None = None,
    on_end: Callable[[], None] | None = None,
) -> StrictServer:
    """A server on 127.0.0.1. One at a time in a process, because moto keeps its state there: raises RuntimeError for a second.

    public_addresses hands out the next Elastic IP; without it moto invents one. lock: without it whoever is on this computer may call,
    which is for tests without machines. on_end: what happens when its owner tells it to end.
    """
    from werkzeug.serving import WSGIRequestHandler, make_server

    from enaxp.local.strict.install import install, read_models_once

    read_models_once()  # before anything imports moto
    from enaxp.local.strict.world import World, is_served, set_current

    if is_served():
        raise RuntimeError("a strict server is running in this process already")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    world = World(
        timing=timing or Timing(),
        machines=machines or NoMachines(),
        quotas=quotas or Quotas(),
        capacity=capacity or Capacity(),
        public_address=public_addresses,
    )
    gate = CallGate(install(), world=world, faults=faults or FaultPlan(), lock=lock, on_end=on_end)

    class Patience(WSGIRequestHandler):
        timeout = SILENT_S

    server = make_server(HOST, port, gate, threaded=True, request_handler=Patience)
    gate.endpoint_url = f"http://{HOST}:{server.server_port}"
    set_current(world)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="strict AWS", daemon=True
    )
    thread.start()
    return StrictServer(world=world, gate=gate, server=server, thread=thread)
