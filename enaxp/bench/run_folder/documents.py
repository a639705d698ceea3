"""Documents: the JSON files of a run folder, validated when read. The boundary between files and the types of the bench.

    bytes ─▶ parse ─▶ Document ─▶ decode ─▶ a frozen dataclass          a frozen dataclass ─▶ encode ─▶ bytes

A folder may have been written by a later enaxp, by another program, or to a full disk. An error names its path in the document
(`$.plan.scenarios[0].mode`); unknown keys are ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from enaxp.errors import BenchError

Document = dict[str, Any]
_T = TypeVar("_T")


class OtherSchemaError(BenchError):
    """The document has a schema that this version of enaxp does not read."""


def parse(content: bytes) -> Document:
    """The JSON object in a file or line. Raises ValueError for anything else, including NaN and Infinity."""
    document = json.loads(content, parse_constant=_refuse, parse_float=_finite)
    if not isinstance(document, dict):
        raise NoObjectError
    if rb"\ud" in content.lower():  # half a character, which can be written nowhere: UnicodeEncodeError is a ValueError
        json.dumps(document, ensure_ascii=False).encode()
    return document


class NoObjectError(ValueError):
    """The text is JSON but not an object."""


def decode(document: Mapping[str, object], kind: type[_T], *, what: str, reads: Sequence[int]) -> _T:
    """The document decoded into the dataclass. Raises OtherSchemaError, and BenchError with the path of an invalid value."""
    require_schema(document, what=what, reads=reads)
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise BenchError(f"{what} is not what enaxp writes", said=str(error)) from None


def require_schema(document: Mapping[str, object], *, what: str, reads: Sequence[int]) -> None:
    """Raises OtherSchemaError when the document's schema is not one of `reads` (ascending)."""
    schema = document.get("schema")
    if schema in reads and not isinstance(schema, bool):
        return
    known = " and ".join(map(str, reads))
    if isinstance(schema, int) and schema > reads[-1]:
        raise OtherSchemaError(
            f"{what} is of schema {schema}, which a later enaxp wrote; this one reads {known}",
            todo="read the run with the version of enaxp that wrote it, or a newer one",
        )
    raise OtherSchemaError(f"{what} is of schema {schema!r}, which is none of enaxp's; this one reads {known}")


def fields_of(value: object) -> Document:
    """A dataclass as a JSON object: every field, in its order."""
    fields: Document = msgspec.to_builtins(value)
    return fields


def encode(document: Mapping[str, object], *, indent: int | None = None) -> bytes:
    """The document as JSON text with a final newline. Raises ValueError for NaN: a figure that was not measured must be null."""
    return (json.dumps(document, indent=indent, allow_nan=False) + "\n").encode()


def require_moment(name: str, text: str) -> None:
    """Raises ValueError when the text is not an ISO 8601 date and time."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}, which is no moment in time") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no figure")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is no figure")
    return value
