"""Driving the strict AWS from another process: the paths under /enaxp/, and the JSON documents that go with them.

    GET    resources  ─▶ Resources     ids of everything alive
    GET    calls      ─▶ Calls         the latest calls, and how many of each action        DELETE calls forgets them
    POST   faults     ◀─ FaultsOrder   {"seed": 0, "faults": [{"action": "Create*", "phase": "after", "nth": 1, …}]}
    POST   capacity   ◀─ Capacity      {"zones": {"us-east-1a": 0}, "late": false, "lacking": {"us-east-1b": ["c6i.8xlarge"]}}
    POST   timing     ◀─               {"ids_unknown": 1.5}      changes what is named
    POST   proof     ◀─ ProofOrder    {"nonce": "…"}             ─▶ Proof: that the cloud knows its owner's key
    POST   end                         the cloud is to end, and its machines with it
    POST   throttling ◀─ ThrottlingOrder {"on": true}            EC2 refuses what is asked more often than an account may
    POST   latency    ◀─ LatencyOrder  {"seconds": 0.15}         added to every call
    POST   policies   ◀─ PoliciesOrder {"identity": [DOCUMENT, …], "organisation": […], "access_key": null}    what a caller may do
    DELETE policies                    everybody may do everything again

Faults and capacity replace what was set before. An order with an unknown member is refused.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from enaxp.local.strict.calls import Call
from enaxp.local.strict.capacity import Capacity
from enaxp.local.strict.faults import FaultPlan, FaultsOrder
from enaxp.local.strict.throttling import Throttling

if TYPE_CHECKING:
    from enaxp.local.strict.world import World


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Ids of everything alive."""

    resources: list[str]


@dataclass(frozen=True, kw_only=True)
class Calls:
    """The latest calls, oldest first, and how many there were of each action."""

    calls: list[Call]
    counts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The proof that only this cloud can give (`lock.prove`)."""

    proof: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """An order was carried out. It has no members."""


class LatencyOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long every call is to take besides what it takes."""

    seconds: float


class ThrottlingOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether EC2 throttles."""

    on: bool


class ProofOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the proof has to be bound to."""

    nonce: str


class PoliciesOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Policies to be put on a caller (null: on everybody without his own), as `enaxp policy` prints them."""

    identity: list[dict[str, Any]]
    organisation: list[dict[str, Any]] = []
    access_key: str | None = None


class Driven(Protocol):
    """What can be set and read: the gate of a running server."""

    world: World
    faults: FaultPlan
    throttling: Throttling
    latency_s: float
    calls: deque[Call]

    def prove(self, nonce: str) -> str:
        """The proof of this cloud."""

    def end(self) -> None:
        """Begins to end it."""


def drive(gate: Driven, method: str, path: str, body: bytes) -> Resources | Calls | Proof | Done | None:
    """Carries out one request; None for a path that there is not.

    Raises msgspec.MsgspecError for a document that is not as it must be, TypeError for a timing that there is not.
    """
    match method, path:
        case "GET", "resources":
            return Resources(resources=gate.world.resources())
        case "GET", "calls":
            calls = list(gate.calls)
            return Calls(calls=calls, counts=Counter(call.action for call in calls))
        case "DELETE", "calls":
            gate.calls.clear()
        case "POST", "faults":
            gate.faults = FaultPlan.of(msgspec.json.decode(body, type=FaultsOrder))
        case "POST", "capacity":
            gate.world.set_capacity(msgspec.json.decode(body, type=Capacity))
        case "POST", "timing":
            gate.world.timing = replace(gate.world.timing, **msgspec.json.decode(body, type=dict[str, float]))
        case "POST", "proof":
            return Proof(proof=gate.prove(msgspec.json.decode(body, type=ProofOrder).nonce))
        case "POST", "end":
            gate.end()
        case "POST", "throttling":
            gate.throttling.switch(on=msgspec.json.decode(body, type=ThrottlingOrder).on)
        case "POST", "latency":
            gate.latency_s = msgspec.json.decode(body, type=LatencyOrder).seconds
        case "POST", "policies":
            order = msgspec.json.decode(body, type=PoliciesOrder)
            gate.world.callers.put(order.identity, organisation=order.organisation, access_key=order.access_key)
        case "DELETE", "policies":
            gate.world.callers.clear()
        case _:
            return None
    return Done()
