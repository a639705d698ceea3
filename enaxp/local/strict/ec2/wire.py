"""EC2's errors as they travel: moto would answer each with 400, and botocore repeats a call only after a 5xx."""

from __future__ import annotations

from xml.sax.saxutils import escape

# HTTP status of the codes that are not answered with 400.
STATUS_OF = {
    "DryRunOperation": 412,
    "UnauthorizedOperation": 403,
    "RequestLimitExceeded": 503,
    "Unavailable": 503,
    "InternalError": 500,
    "InsufficientInstanceCapacity": 500,
    "InsufficientAddressCapacity": 500,
}


def error_answer(code: str, message: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an EC2 error."""
    body = (
        "<?xml version='1.0' encoding='UTF-8'?><Response><Errors><Error>"
        f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        "</Error></Errors><RequestID>00000000-0000-4000-8000-000000000000</RequestID></Response>"
    )
    return STATUS_OF.get(code, 400), {"Content-Type": "text/xml"}, body
