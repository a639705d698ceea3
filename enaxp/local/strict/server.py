"""The HTTP server of the strict AWS: one loopback port for all services, and a few paths of its own for whoever drives it.

GET  /enaxp/resources     {"resources": [ids of what is alive]}
GET  /enaxp/calls      {"calls": [{"service", "action", "status", "code", "named", "at"}], "counts": {action: n}}     DELETE forgets them
POST /enaxp/faults     {"seed": 0, "faults": [{"action": "Create*", "phase": "after", "nth": 1, …}]}      replaces the plan
POST /enaxp/capacity   {"zones": {"us-east-1a": 0}, "late": false, "lacking": {"us-east-1b": ["c6i.8xlarge"]}}    likewise
POST /enaxp/timing     {"ids_unknown": 1.5}     changes what is named
POST /enaxp/latency    {"seconds": 0.15}        added to every call
"""

from __future__ import annotations

import collections
import io
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from enaxp.local.strict.capacity import Capacity
from enaxp.local.strict.faults import Fault, FaultPlan
from enaxp.local.strict.machines import Machines, NoMachines
from enaxp.local.strict.quotas import Quotas
from enaxp.local.strict.timing import Timing

REMEMBERED_CALLS = 100_000
OURS = "/enaxp/"
SERVED = {"ec2", "iam", "sts", "ssm", "ecr", "servicequotas"}  # moto knows more, and asks little of those who call them
IN_XML = {"iam", "sts", "s3", "autoscaling", "cloudformation", "elasticloadbalancing", "monitoring", "rds", "sns"}
INSTANCE_ID = re.compile(r"<instanceId>(i-[0-9a-f]{8,17})</instanceId>")
THING_ID = re.compile(
    r"(?:vpc|subnet|igw|rtb|rtbassoc|sg|eni|eni-attach|eipalloc|eipassoc|pg|key|vol|i)-[0-9a-f]{8,17}"
)
NAMING = ("RoleName", "InstanceProfileName", "KeyName", "GroupName", "Placement.GroupName", "IamInstanceProfile.Name")
LOOKING = ("Describe", "Get", "List")
ERROR_CODE = re.compile(r'<Code>([^<]*)</Code>|"__type":\s*"(?:[^"#]*#)?([^"]*)"')
StartResponse = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call as the server saw it. code is the error's, or empty; named: ids and names in a request that is to change something;
    at: when it came, in seconds of a clock that only ever goes on."""

    service: str
    action: str
    status: int
    code: str = ""
    named: tuple[str, ...] = ()
    at: float = 0.0


class Asked(NamedTuple):
    """Which service is called, what it is asked, and with what: (member, value)."""

    service: str
    action: str
    given: tuple[tuple[str, str], ...] = ()

    def named(self) -> tuple[str, ...]:
        """Ids, and names of what has no other id, in a request that is to change something."""
        if self.action.startswith(LOOKING):
            return ()
        return tuple(value for member, value in self.given if member in NAMING or THING_ID.fullmatch(value))


class HttpAnswer(NamedTuple):
    """A whole HTTP answer."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


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
        """The latest calls, oldest first."""
        return list(self._gate.calls)

    def forget_calls(self) -> None:
        self._gate.calls.clear()

    def set_faults(self, plan: FaultPlan) -> None:
        self._gate.faults = plan

    def set_timing(self, timing: Timing) -> None:
        """For what begins from now on, and for what is on its way."""
        self._world.timing = timing

    def set_capacity(self, capacity: Capacity) -> None:
        """From now on; launches before do not count."""
        self._world.set_capacity(capacity)

    def set_latency(self, seconds: float) -> None:
        self._gate.latency_s = seconds

    def resources(self) -> list[str]:
        """Ids of everything alive."""
        return list(self._world.resources())

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
        for service in ("ec2", "iam", "ssm", "ecr", "sts"):
            moto.backends.get_backend(service).reset()
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
) -> StrictServer:
    """A server on 127.0.0.1. One at a time in a process, because moto keeps its state there: raises RuntimeError for a second.

    public_addresses hands out the next Elastic IP; without it moto invents one.
    """
    from werkzeug.serving import make_server

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
    gate = _Gate(install(), world=world, faults=faults or FaultPlan())
    server = make_server("127.0.0.1", port, gate, threaded=True)
    set_current(world)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="strict AWS", daemon=True
    )
    thread.start()
    return StrictServer(world=world, gate=gate, server=server, thread=thread)


class _Gate:
    """What every call passes: our own paths, latency, faults, and the log of calls."""

    def __init__(self, application: Any, *, world: Any, faults: FaultPlan) -> None:
        self.application = application
        self.world = world
        self.faults = faults
        self.latency_s = 0.0
        self.calls: collections.deque[Call] = collections.deque(maxlen=REMEMBERED_CALLS)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(OURS):
            answer = self._drive(environ, path.removeprefix(OURS))
        else:
            asked, came = _asked(environ), time.monotonic()
            time.sleep(self.latency_s)
            answer = self._meet_faults(environ, asked.service, asked.action)
            self.calls.append(_call(asked, answer, at=came))
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _meet_faults(self, environ: dict[str, Any], service: str, action: str) -> HttpAnswer:
        fault = self.faults.strike(action)
        if fault is not None and fault.phase == "before":
            return _failure(service, fault)
        answer = self._perform(environ, service, action)
        if fault is not None and fault.phase == "later":
            for instance_id in INSTANCE_ID.findall(answer.body.decode("utf-8", "replace")):
                self.world.fail_launch(instance_id, code=fault.code, message=fault.message)
            return answer
        return answer if fault is None else _failure(service, fault)

    def _perform(self, environ: dict[str, Any], service: str, action: str) -> HttpAnswer:
        """moto's whole answer, so that it can still be thrown away. What moto cannot do becomes an error in the service's protocol."""
        if service not in SERVED:
            return _unserved(service, action)
        seen: dict[str, Any] = {}

        def remember(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
            seen.update(status=status, headers=headers)

        try:
            body = b"".join(self.application(environ, remember))
        except NotImplementedError:
            return _unserved(service, action)
        except Exception as error:
            logging.getLogger(__name__).exception("%s %s", service, action)
            return _error(
                service, "InternalError", f"the local AWS failed: {type(error).__name__}: {error}", status=500
            )
        if "html" in dict(seen["headers"]).get("Content-Type", "") and not seen["status"].startswith("2"):
            return _unserved(service, action)
        return HttpAnswer(seen["status"], seen["headers"], body)

    def _drive(self, environ: dict[str, Any], what: str) -> HttpAnswer:
        try:
            answer = self._do(environ["REQUEST_METHOD"], what, environ)
        except (ValueError, TypeError, KeyError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, status="400 Bad Request")
        return _json({"error": "no such path"}, status="404 Not Found") if answer is None else _json(answer)

    def _do(self, method: str, what: str, environ: dict[str, Any]) -> dict[str, Any] | None:
        match method, what:
            case "GET", "resources":
                return {"resources": self.world.resources()}
            case "GET", "calls":
                calls = list(self.calls)
                counts = collections.Counter(call.action for call in calls)
                return {"calls": [asdict(call) for call in calls], "counts": dict(counts)}
            case "DELETE", "calls":
                self.calls.clear()
            case "POST", "faults":
                self.faults = FaultPlan.from_json(_json_body(environ))
            case "POST", "capacity":
                self.world.set_capacity(Capacity(**_json_body(environ)))
            case "POST", "timing":
                self.world.timing = replace(
                    self.world.timing, **{name: float(s) for name, s in _json_body(environ).items()}
                )
            case "POST", "latency":
                self.latency_s = float(_json_body(environ)["seconds"])
            case _:
                return None
        return {}


def _asked(environ: dict[str, Any]) -> Asked:
    """The service is in the signature; the action is in the body, or in a header with the members in a JSON body."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    service = scope.group(1) if scope else ""
    content = _body(environ)
    environ["wsgi.input"] = io.BytesIO(content)
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return Asked(service, target.rpartition(".")[2], tuple(_members(content)))
    given = tuple(parse_qsl(content.decode("utf-8", "replace")))
    return Asked(service, dict(given).get("Action", ""), given)


def _members(content: bytes) -> Iterator[tuple[str, str]]:
    """The texts at the top of a JSON document; none when it is not one."""
    try:
        document = json.loads(content or b"{}")
    except ValueError:
        return
    if isinstance(document, dict):
        yield from ((member, value) for member, value in document.items() if isinstance(value, str))


def _call(asked: Asked, answer: HttpAnswer, *, at: float) -> Call:
    status = int(answer.status.split()[0])
    found = ERROR_CODE.search(answer.body.decode("utf-8", "replace")) if status >= 400 else None
    code = (found[1] or found[2]) if found else ""
    return Call(service=asked.service, action=asked.action, status=status, code=code, named=asked.named(), at=at)


def _failure(service: str, fault: Fault) -> HttpAnswer:
    return _error(service, fault.code, fault.message, status=fault.status)


def _unserved(service: str, action: str) -> HttpAnswer:
    return _error(
        service, "InvalidAction", f"the local AWS does not serve {service or '?'}:{action or '?'}", status=400
    )


def _error(service: str, code: str, message: str, *, status: int) -> HttpAnswer:
    """An error in the service's own protocol; in JSON where we do not know it."""
    line, xml = f"{status} {code}", [("Content-Type", "text/xml")]
    if service == "ec2":
        from enaxp.local.strict.ec2 import error_answer

        return HttpAnswer(line, xml, error_answer(code, message)[2].encode())
    if service in IN_XML:
        from enaxp.local.strict.iam import error_body

        return HttpAnswer(line, xml, error_body(code, message).encode())
    return _json({"__type": code, "message": message}, status=line)


def _json(document: dict[str, Any], *, status: str = "200 OK") -> HttpAnswer:
    return HttpAnswer(status, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(document).encode())


def _json_body(environ: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(_body(environ) or b"{}"))


def _body(environ: dict[str, Any]) -> bytes:
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
