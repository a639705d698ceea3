"""Shapes: whether parsed JSON can be what enaxp writes, before anything is worked out from it. Pure; raises or gives back nothing.

A run folder may be of a later enaxp, of another program, or damaged. A field of the wrong kind would else end in a traceback, or in a
wrong figure. Fields that are left out are found missing where the record is put together; those of a later enaxp are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from enaxp.errors import BenchError
from enaxp.traffic import ARMS

Types = Mapping[str, tuple[type, ...]]
_MAYBE_TEXT = (str, type(None))
_MAYBE_NUMBER = (int, float, type(None))
# The fields that figures are worked out from, or that name files. A field that is left out is found missing by its dataclass.
RECORD: Types = {
    **dict.fromkeys(("number", "iteration", "repeat", "attempt", "client_port", "pair"), (int,)),
    **dict.fromkeys(("scenario", "arm", "command", "started_at"), (str,)),
    **dict.fromkeys(("discarded", "valid", "control", "crossed"), (bool,)),
    **dict.fromkeys(("reason", "histogram_file", "planned_histogram_file", "raw_file"), _MAYBE_TEXT),
    **dict.fromkeys(("throughput_gbps", "server_received", "background_gbps", "late_sends"), _MAYBE_NUMBER),
    "wall_s": (int, float),
}
_OUTPUT: Types = {
    **dict.fromkeys(("observations", "sent", "received", "dropped", "out_of_order"), (int, type(None))),
    **dict.fromkeys(("mean_us", "max_us", "total_runtime_s", "valid_runtime_s"), _MAYBE_NUMBER),
    "percentiles_us": (dict,),
}
MANIFEST: Types = {
    **dict.fromkeys(("run_id", "lab", "target", "started_at"), (str,)),
    **dict.fromkeys(("isolation", "ended_at"), _MAYBE_TEXT),
    **dict.fromkeys(("plan", "connections", "versions", "environment", "place"), (dict,)),
    **dict.fromkeys(("argv", "forced", "resumed_at"), (list, tuple)),
    "host_gbps": (int, float, type(None)),
}
_PLAN: Types = {
    **dict.fromkeys(("iterations", "repeats"), (int,)),
    **dict.fromkeys(("duration_s", "margin_pct"), (int, float)),
    "scenarios": (list, tuple),
}
_SRD: Types = {
    **dict.fromkeys(("tx", "eligible"), (int,)),
    **dict.fromkeys(("rx", "peer_rx", "mode", "peer_mode", "resources_pct"), (int, type(None))),
}
_WITHIN: Mapping[str, Types] = {
    "sockperf": _OUTPUT,
    "srd": _SRD,
    "plan": _PLAN,
    "environment": dict.fromkeys(("before", "after"), (dict,)),
}
_KNOWN: Mapping[str, tuple[str, ...]] = {"arm": ARMS, "target": ("aws", "local")}


def require_schema(fields: Mapping[str, Any], what: str, *, reads: int) -> None:
    """Raises BenchError when `fields` is nothing that this enaxp wrote, or could have."""
    schema = fields.get("schema")
    if schema == reads and not isinstance(schema, bool):
        return
    if isinstance(schema, int) and schema > reads:
        raise BenchError(
            f"{what} is of schema {schema}, which a later enaxp wrote; this one reads {reads}",
            todo="read the run with the enaxp that wrote it, or a newer one",
        )
    raise BenchError(f"{what} is of schema {schema!r}, which is none of enaxp's; this one reads {reads}")


def require_types(fields: Mapping[str, Any], types: Types, what: str) -> None:
    """Raises BenchError, naming the field, when one that is there is of another kind than it can be."""
    for name, allowed in types.items():
        value = fields.get(name)
        # A bool is an int to Python, and to nobody else.
        if name in fields and (not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)):
            raise _strange(what, name, value)
    for name, known in _KNOWN.items():
        if name in fields and fields[name] not in known:
            raise _strange(what, name, fields[name])
    for name, own in _WITHIN.items():
        if isinstance(fields.get(name), dict):
            require_types(fields[name], own, what)
    if "started_at" in fields:
        _require_moment(fields["started_at"], what)
    for moment in ("before", "after"):
        for role, facts in (fields.get("environment") or {}).get(moment, {}).items():
            require_types({role: facts}, {role: (dict,)}, what)


def _require_moment(text: str, what: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise _strange(what, "started_at", text) from None


def _strange(what: str, name: str, value: object) -> BenchError:
    return BenchError(f"{what} is not what enaxp writes", said=f"{name} is {_short(value)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
