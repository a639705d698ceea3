"""Calls: which service and action a request is for, and what is kept of it once it is answered."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from enaxp.local.strict.resource_types import TYPES, id_pattern

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

RESOURCE_ID = re.compile(id_pattern("rtbassoc", "eni-attach", "eipassoc"))
# Members of a request that name what has no other id.
NAMING = (
    "RoleName",
    "InstanceProfileName",
    "IamInstanceProfile.Name",
    *(member for one in TYPES for member in one.names),
)
MAX_BODY_BYTES = 1 << 20  # the largest request of enaxp's, a document of Systems Manager, has 64 KB
LOOKING = ("Describe", "Get", "List")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call as the server saw it. code is the error's, or empty; named: ids and names in a request that is to change something;
    dry_run: it was only asked about; at: when it came, in seconds of a clock that only ever goes on."""

    service: str
    action: str
    status: int
    code: str = ""
    named: tuple[str, ...] = ()
    dry_run: bool = False
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
        return tuple(value for member, value in self.given if member in NAMING or RESOURCE_ID.fullmatch(value))


def read_asked(environ: WSGIEnvironment) -> Asked:
    """The service is in the signature; the action is in the body, or in a header with the members in a JSON body.

    Reads the body, and puts it back for the application.
    """
    service = read_service(environ)
    content = read_body(environ) or b""
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return Asked(service, target.rpartition(".")[2], tuple(_members(content)))
    given = tuple(parse_qsl(content.decode("utf-8", "replace")))
    return Asked(service, dict(given).get("Action", ""), given)


def read_service(environ: WSGIEnvironment) -> str:
    """The service that a request is signed for; empty without one."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    return scope.group(1) if scope else ""


def read_region(environ: WSGIEnvironment) -> str:
    """The region that a request is signed for; empty without one."""
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/[^/]+/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    return scope.group(1) if scope else ""


def read_body(environ: WSGIEnvironment) -> bytes | None:
    """The whole body of a request, which is put back for whoever reads it next; None when it is too long, or nobody says how long."""
    length = str(environ.get("CONTENT_LENGTH") or "0")
    if (
        not (length.isascii() and length.isdigit())
        or int(length) > MAX_BODY_BYTES
        or "HTTP_TRANSFER_ENCODING" in environ
    ):
        environ["wsgi.input"] = io.BytesIO()
        environ["CONTENT_LENGTH"] = "0"
        return None
    body = bytes(environ["wsgi.input"].read(int(length)))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _members(content: bytes) -> Iterator[tuple[str, str]]:
    """The texts at the top of a JSON document; none when it is not one."""
    try:
        document = json.loads(content or b"{}")
    except ValueError:
        return
    if isinstance(document, dict):
        yield from ((member, value) for member, value in document.items() if isinstance(value, str))
