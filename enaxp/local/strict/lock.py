"""The lock of a cloud: who may call it, told by a key that only its owner can read.

    request ─▶ addressed to this cloud by its own name? ─▶ sent by no web page? ─▶ signed with the key (SigV4)? ─▶ None, or why not

Every path is behind it. A web page cannot sign, whatever its name comes to mean; another user of the computer has no key.
The other way round the cloud proves to its owner that it knows the key, so that nobody who took over its port is believed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from enaxp.local.strict.calls import MAX_BODY_BYTES, read_body

if TYPE_CHECKING:
    from collections.abc import Mapping
    from wsgiref.types import WSGIEnvironment

SIGNED_FOR = timedelta(minutes=5)  # how far a request's time may be from ours, as AWS has it
SERVICE = "enaxp"  # what requests to the cloud's own paths are signed for
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[A-Z0-9]{16,128})/(?P<day>\d{8})/(?P<region>[a-z0-9-]{1,64})/(?P<service>[a-z0-9-]{1,64})"
    r"/aws4_request, ?SignedHeaders=(?P<headers>[a-z0-9;-]{1,1024}), ?Signature=(?P<signature>[0-9a-f]{64})"
)
TIMESTAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """An access key of a local cloud: its clients sign their requests with it."""

    access_key: str
    secret_key: str


def new_access_key() -> AccessKey:
    """A random one."""
    id = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(15))
    return AccessKey(access_key=f"ENAXP{id}", secret_key=secrets.token_urlsafe(30))


@dataclass(frozen=True, kw_only=True)
class Lock:
    """Lets those in who sign with the key."""

    key: AccessKey

    def refusal(self, environ: WSGIEnvironment, *, now: datetime | None = None) -> str | None:
        """The reason why a request is refused; None if it is allowed. Reads the request's body, and puts it back."""
        body = read_body(environ)
        if body is None:
            return f"its body is longer than {MAX_BODY_BYTES} bytes, or of unknown length"
        if environ.get("HTTP_HOST") != f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}":
            return "it is not addressed to this cloud by its own name"
        if "HTTP_ORIGIN" in environ:
            return "web pages may not call this cloud"
        claimed = AUTHORIZATION.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
        if claimed is None:
            return "it is not signed"
        if not hmac.compare_digest(claimed["key"], self.key.access_key):
            return "it is signed with another access key"
        if not _is_recent(environ.get("HTTP_X_AMZ_DATE", ""), now or datetime.now(UTC)):
            return f"its signature is not of the last {SIGNED_FOR.seconds // 60} minutes"
        headers = _signed_headers(environ, claimed["headers"].split(";"))
        if headers is None:
            return "its signature leaves out headers that matter"
        if not hmac.compare_digest(claimed["signature"], self._signature(environ, claimed, headers, body)):
            return "its signature is wrong"
        return None

    def _signature(
        self, environ: WSGIEnvironment, claimed: re.Match[str], headers: Mapping[str, str], body: bytes
    ) -> str:
        """The expected signature, computed by botocore's own signer."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        # A server decodes the path and keeps the query as it was sent.
        path = quote(environ.get("PATH_INFO", "").encode("latin-1"), safe="/~")
        query = environ.get("QUERY_STRING", "")
        url = f"http://{environ['HTTP_HOST']}{path}" + (f"?{query}" if query else "")
        request = AWSRequest(method=environ["REQUEST_METHOD"], url=url, headers=dict(headers), data=body)
        request.context["timestamp"] = headers["x-amz-date"]
        if "x-amz-content-sha256" in headers:  # the signer would believe it
            request.headers.replace_header("x-amz-content-sha256", hashlib.sha256(body).hexdigest())
        signer = SigV4Auth(Credentials(self.key.access_key, self.key.secret_key), claimed["service"], claimed["region"])
        return str(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))


def prove(key: AccessKey, *, nonce: str, endpoint_url: str, pid: int, started: str) -> str:
    """What only a cloud can say that knows the key: bound to the question, and to where and in which process it is served."""
    text = "\n".join(["enaxp cloud", nonce, endpoint_url, str(pid), started])
    return hmac.new(key.secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _is_recent(timestamp: str, now: datetime) -> bool:
    try:
        at = datetime.strptime(timestamp, TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(now - at) <= SIGNED_FOR


def _signed_headers(environ: WSGIEnvironment, names: list[str]) -> dict[str, str] | None:
    """The headers that were signed, by name; None when one is missing, or one that decides what is done was not signed."""
    given = {
        name.removeprefix("HTTP_").lower().replace("_", "-"): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name == "CONTENT_TYPE" and value)
    }
    must = {"host", *(name for name in given if name.startswith("x-amz-"))}
    if not must <= set(names) <= set(given):
        return None
    return {name: given[name] for name in names}
