"""The HTTP server of the strict AWS: one loopback port for all services, and a few paths of its own for whoever drives it.

GET  /enaxp/things   {"things": [ids of what is alive]}
GET  /enaxp/calls    {"calls": [{"service", "action", "status"}], "counts": {action: n}}        DELETE forgets them
POST /enaxp/faults   {"seed": 0, "faults": [{"action": "Create*", "phase": "after", "nth": 1, …}]}
POST /enaxp/latency  {"seconds": 0.15}     added to every call
"""

from __future__ import annotations

import collections
import io
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from enaxp.local.strict.faults import Fault, FaultPlan
from enaxp.local.strict.machines import Machines, NoMachines
from enaxp.local.strict.timing import Timing

REMEMBERED_CALLS = 100_000
MANAGED_POLICIES = ("AmazonSSMManagedInstanceCore", "AmazonEC2ContainerRegistryReadOnly")
StartResponse = Callable[..., Any]


@dataclass(frozen=True)
class Call:
    """One call as the server saw it."""

    service: str
    action: str
    status: int


class StrictServer:
    """A running server."""

    def __init__(self, *, world: Any, gate: _Gate, server: Any, thread: threading.Thread) -> None:
        self._world = world
        self._gate = gate
        self._server = server
        self._thread = thread

    @property
    def endpoint_url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host}:{port}"

    @property
    def calls(self) -> list[Call]:
        return list(self._gate.calls)

    def forget_calls(self) -> None:
        self._gate.calls.clear()

    def set_faults(self, plan: FaultPlan) -> None:
        self._gate.faults = plan

    def set_latency(self, seconds: float) -> None:
        self._gate.latency_s = seconds

    def things(self) -> list[str]:
        """Ids of everything alive."""
        return list(self._world.things())

    def tick(self) -> None:
        """Lets time pass for what nobody looks at."""
        self._world.tick()

    def stop(self) -> None:
        """Ends the server and forgets everything in it."""
        import moto.backends

        from enaxp.local.strict.world import set_current

        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for service in ("ec2", "iam", "ssm", "sts"):
            moto.backends.get_backend(service).reset()
        set_current(None)


def serve(
    *,
    port: int = 0,
    timing: Timing | None = None,
    machines: Machines | None = None,
    faults: FaultPlan | None = None,
    public_addresses: Callable[[], str] | None = None,
) -> StrictServer:
    """A server on 127.0.0.1. One at a time in a process: moto keeps its state there.

    public_addresses hands out the next Elastic IP; without it moto invents one.
    """
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "true")
    from werkzeug.serving import make_server

    from enaxp.local.strict.install import install
    from enaxp.local.strict.world import World, set_current

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    world = World(timing=timing or Timing(), machines=machines or NoMachines(), public_address=public_addresses)
    set_current(world)
    gate = _Gate(install(MANAGED_POLICIES), world=world, faults=faults or FaultPlan())
    server = make_server("127.0.0.1", port, gate, threaded=True)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="strict AWS", daemon=True
    )
    thread.start()
    return StrictServer(world=world, gate=gate, server=server, thread=thread)


class _Gate:
    """What every call passes: its own paths, latency, faults, and the log of calls."""

    def __init__(self, application: Any, *, world: Any, faults: FaultPlan) -> None:
        self.application = application
        self.world = world
        self.faults = faults
        self.latency_s = 0.0
        self.calls: collections.deque[Call] = collections.deque(maxlen=REMEMBERED_CALLS)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith("/enaxp/"):
            return self._own(environ, path.removeprefix("/enaxp/"), start_response)
        service, action = _service_and_action(environ)
        if self.latency_s:
            time.sleep(self.latency_s)
        fault = self.faults.strike(action)
        if fault is not None and fault.phase == "before":
            return self._fail(fault, service, action, start_response)
        status, headers, body = self._perform(environ, service)
        if fault is not None:
            return self._fail(fault, service, action, start_response)
        self.calls.append(Call(service, action, int(status.split()[0])))
        start_response(status, headers)
        return body

    def _perform(self, environ: dict[str, Any], service: str) -> tuple[str, list[tuple[str, str]], list[bytes]]:
        """The application's whole answer, so that it can still be thrown away."""
        seen: dict[str, Any] = {}

        def remember(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
            seen.update(status=status, headers=headers)

        try:
            body = list(self.application(environ, remember))
        except Exception as error:
            answer = _error_body(service, "InternalError", f"the strict layer failed: {type(error).__name__}: {error}")
            return "500 Internal Server Error", answer[0], [answer[1]]
        return seen["status"], seen["headers"], body

    def _fail(self, fault: Fault, service: str, action: str, start_response: StartResponse) -> Iterable[bytes]:
        self.calls.append(Call(service, action, fault.status))
        headers, body = _error_body(service, fault.code, fault.message)
        start_response(f"{fault.status} Fault", headers)
        return [body]

    def _own(self, environ: dict[str, Any], what: str, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        answer: dict[str, Any] = {}
        if what == "things":
            answer = {"things": self.world.things()}
        elif what == "calls" and method == "DELETE":
            self.calls.clear()
        elif what == "calls":
            calls = list(self.calls)
            counts = collections.Counter(call.action for call in calls)
            answer = {"calls": [vars(call) for call in calls], "counts": dict(counts)}
        elif what == "faults":
            self.faults = FaultPlan.from_json(_json_body(environ))
        elif what == "latency":
            self.latency_s = float(_json_body(environ)["seconds"])
        else:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no such path"]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


def _service_and_action(environ: dict[str, Any]) -> tuple[str, str]:
    """Which service is called (from the signature) and what it is asked (from the body or the target header)."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    service = scope.group(1) if scope else ""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return service, target.rpartition(".")[2]
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(content)
    return service, parse_qs(content.decode("utf-8", "replace")).get("Action", [""])[0]


def _error_body(service: str, code: str, message: str) -> tuple[list[tuple[str, str]], bytes]:
    """An error in the service's own protocol."""
    if service == "ec2":
        from enaxp.local.strict.ec2 import error_answer

        return [("Content-Type", "text/xml")], error_answer(code, message)[2].encode()
    if service in {"iam", "sts"}:
        text = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        return [("Content-Type", "text/xml")], text.encode()
    return [("Content-Type", "application/x-amz-json-1.1")], json.dumps({"__type": code, "message": message}).encode()


def _json_body(environ: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}"))
