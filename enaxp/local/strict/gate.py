"""The gate of the strict AWS: what every call passes on its way to moto, and its answer on the way back.

HTTP ─▶ lock.py ─▶ a path under /enaxp/? ─▶ driving.py
                     └──▶ latency ─▶ fault before? ─▶ moto's dispatch ─▶ fault after? ─▶ log of calls ─▶ answer
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from enaxp.local.process import started_at
from enaxp.local.strict.access.callers import NotAllowed
from enaxp.local.strict.access.policies import MalformedPolicyError
from enaxp.local.strict.calls import Asked, Call, read_asked, read_body, read_region, read_service
from enaxp.local.strict.driving import drive
from enaxp.local.strict.faults import Fault, FaultPlan
from enaxp.local.strict.lock import Lock, prove
from enaxp.local.strict.throttling import Throttling

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from enaxp.local.strict.world import World

REMEMBERED_CALLS = 100_000
OURS = "/enaxp/"
MOTO_S_OWN = "/moto-api"  # resets everything, and shows it: nobody has to
SERVED = {"ec2", "iam", "sts", "ssm", "ecr", "servicequotas"}  # moto knows more, and asks little of those who call them
# Services whose errors are XML as IAM's are.
IN_XML = {"iam", "sts", "s3", "autoscaling", "cloudformation", "elasticloadbalancing", "monitoring", "rds", "sns"}
INSTANCE_ID = re.compile(r"<instanceId>(i-[0-9a-f]{8,17})</instanceId>")
ERROR_CODE = re.compile(r'<Code>([^<]*)</Code>|"__type":\s*"(?:[^"#]*#)?([^"]*)"')


class HttpAnswer(NamedTuple):
    """A whole HTTP answer."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class CallGate:
    """The WSGI application of the server."""

    def __init__(
        self,
        application: WSGIApplication,
        *,
        world: World,
        faults: FaultPlan,
        lock: Lock | None,
        on_end: Callable[[], None] | None,
    ) -> None:
        self.application = application
        self.lock = lock
        self.on_end = on_end
        self.endpoint_url = ""  # known once the server listens
        self.world = world
        self.faults = faults
        self.throttling = Throttling()
        self.latency_s = 0.0
        self.calls: deque[Call] = deque(maxlen=REMEMBERED_CALLS)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if (why := self.lock.refusal(environ) if self.lock else None) is not None:
            answer = _error(read_service(environ), "AccessDenied", f"the local cloud refuses this: {why}", status=403)
        elif path.startswith(OURS):
            answer = self._drive(environ, path.removeprefix(OURS))
        else:
            asked, came = read_asked(environ), time.monotonic()
            time.sleep(self.latency_s)
            answer = self._meet_faults(environ, asked.service, asked.action)
            self.calls.append(_call(asked, answer, at=came))
        # moto would let any web page read its answers.
        headers = [(name, value) for name, value in answer.headers if not name.lower().startswith("access-control-")]
        start_response(answer.status, headers)
        return [answer.body]

    def _meet_faults(self, environ: WSGIEnvironment, service: str, action: str) -> HttpAnswer:
        """The answer, or the failure that the plan has for this call."""
        fault = self.faults.strike(action)
        if fault is not None and fault.phase == "before":
            return _failure(service, fault)
        if service == "ec2" and not self._has_token(environ, action):
            return _error(service, "RequestLimitExceeded", "Request limit exceeded.", status=503)
        answer = self._perform(environ, service, action)
        if fault is not None and fault.phase == "later":
            for instance_id in INSTANCE_ID.findall(answer.body.decode("utf-8", "replace")):
                self.world.fail_launch(instance_id, code=fault.code, message=fault.message)
            return answer
        return answer if fault is None else _failure(service, fault)

    def _has_token(self, environ: WSGIEnvironment, action: str) -> bool:
        if not self.throttling.is_on:
            return True
        with self.world.lock:
            return self.throttling.takes(read_region(environ), action, read_asked(environ).given)

    def _perform(self, environ: WSGIEnvironment, service: str, action: str) -> HttpAnswer:
        """moto's whole answer, so that it can still be thrown away. What moto cannot do becomes an error in the service's protocol."""
        if service not in SERVED or environ.get("PATH_INFO", "").startswith(MOTO_S_OWN):
            return _unserved(service, action)
        head = _RequestHead()
        try:
            body = b"".join(self.application(environ, head.start))  # type: ignore[arg-type]  # moto never calls what it gives back
        except NotAllowed as refusal:
            return _error(service, refusal.code, refusal.message, status=403 if service in {"ec2", *IN_XML} else 400)
        except NotImplementedError:
            return _unserved(service, action)
        except Exception as error:
            logging.getLogger(__name__).exception("%s %s", service, action)
            return _error(
                service, "InternalError", f"the local AWS failed: {type(error).__name__}: {error}", status=500
            )
        if "html" in dict(head.headers).get("Content-Type", "") and not head.status.startswith("2"):
            return _unserved(service, action)
        return HttpAnswer(head.status, head.headers, body)

    def prove(self, nonce: str) -> str:
        """Proves to the owner of the key that this process has it, too; empty where there is none."""
        if self.lock is None:
            return ""
        pid = os.getpid()
        return prove(self.lock.key, nonce=nonce, endpoint_url=self.endpoint_url, pid=pid, started=started_at(pid))

    def end(self) -> None:
        """Begins to end the cloud, where somebody waits to be told."""
        if self.on_end is not None:
            self.on_end()

    def _drive(self, environ: WSGIEnvironment, path: str) -> HttpAnswer:
        try:
            answer = drive(self, environ["REQUEST_METHOD"], path, read_body(environ) or b"{}")
        except (msgspec.MsgspecError, TypeError, MalformedPolicyError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, status="400 Bad Request")
        if answer is None:
            return _json({"error": "no such path"}, status="404 Not Found")
        return _json(answer)


class _RequestHead:
    """What the application says first: status and headers."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    def start(self, status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
        """WSGI's start_response."""
        self.status, self.headers = status, headers


def _call(asked: Asked, answer: HttpAnswer, *, at: float) -> Call:
    status = int(answer.status.split()[0])
    found = ERROR_CODE.search(answer.body.decode("utf-8", "replace")) if status >= 400 else None
    code = (found[1] or found[2]) if found else ""
    return Call(
        service=asked.service,
        action=asked.action,
        status=status,
        code=code,
        named=asked.named(),
        dry_run=("DryRun", "true") in asked.given,
        at=at,
    )


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
        from enaxp.local.strict.ec2.wire import error_answer

        return HttpAnswer(line, xml, error_answer(code, message)[2].encode())
    if service in IN_XML:
        from enaxp.local.strict.iam import error_body

        return HttpAnswer(line, xml, error_body(code, message).encode())
    return _json({"__type": code, "message": message}, status=line)


def _json(document: object, *, status: str = "200 OK") -> HttpAnswer:
    return HttpAnswer(status, [("Content-Type", "application/x-amz-json-1.1")], msgspec.json.encode(document))
