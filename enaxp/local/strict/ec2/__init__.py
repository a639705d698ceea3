"""EC2: the actions that moto lacks or answers differently from AWS; everything else goes through the rules and on to moto.

request ─▶ tick ─▶ form ─▶ permission ─▶ token seen before? ─▶ rules ─▶ DryRun? ─▶ moto's action (or one of ours) ─▶ answer

describe.py    listings: filters, pages, what is not known yet
network.py     security groups' rules, interfaces, ENA Express, Elastic IPs, keys
placement.py   placement groups
instances.py   launching and terminating
wire.py        errors as they travel
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import time
from typing import Any, NamedTuple

from moto.core.utils import camelcase_to_underscores
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response

from enaxp.local.strict import rules
from enaxp.local.strict.access.guard import require_allowed
from enaxp.local.strict.ec2.describe import Describes
from enaxp.local.strict.ec2.instances import InstanceActions
from enaxp.local.strict.ec2.network import NetworkActions
from enaxp.local.strict.ec2.placement import PlacementActions
from enaxp.local.strict.ec2.wire import error_answer
from enaxp.local.strict.resource_types import id_pattern
from enaxp.local.strict.world import World, current

# Actions that are idempotent by their ClientToken, and beginnings of those whose answers hold new ids.
TOKENED = {"RunInstances", "CreateNetworkInterface", "CreateRouteTable"}
MAKING = ("Create", "Allocate", "Import", "Run")
ID = re.compile(rf">({id_pattern()})<")
MotoAnswer = tuple[int, dict[str, str], Any]


class Remembered(NamedTuple):
    """The request that an idempotency token was used for."""

    digest: str
    answer: MotoAnswer
    instances: frozenset[str]


class StrictEC2Response(Describes, InstanceActions, NetworkActions, PlacementActions, EC2Response):
    """EC2 with AWS's rules. Each action is a method with its name, as everywhere in moto."""

    def call_action(self) -> MotoAnswer:
        world = current()
        with world.lock:
            world.prepare(self.ec2_backend)
            world.tick()
            try:
                return self._meet_rules(world, self._get_action())
            except EC2ClientError as error:
                return error_answer(str(error.code), str(error.message))
            except NotImplementedError as error:
                return _unserved(str(error))

    def _meet_rules(self, world: World, action: str) -> MotoAnswer:
        if not inspect.isfunction(getattr(type(self), camelcase_to_underscores(action), None)):
            return error_answer("InvalidAction", f"The action {action} is not valid for this web service.")
        request = rules.Request(action=action, get=self._get_param, backend=self.ec2_backend, world=world)
        rules.check_form(request)
        require_allowed(self, "ec2")
        token = self._get_param("ClientToken") if action in TOKENED else None
        known: Remembered | None = world.tokens.get((request.region, action, token)) if token else None
        digest = self._digest()
        if known is not None:
            _check_repetition(world, known, digest)
        else:
            rules.check(request)
        if self._get_param("DryRun"):
            return error_answer("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
        if known is not None:
            return known.answer
        answer: MotoAnswer = super().call_action()
        if answer[0] < 400:
            made = frozenset(ID.findall(str(answer[2]))) if action.startswith(MAKING) else frozenset()
            for id in made:
                world.born.setdefault(id, time.monotonic())
            if token:
                instances = frozenset(id for id in made if id.startswith("i-"))
                world.tokens[request.region, action, token] = Remembered(digest, answer, instances)
        return answer

    def _digest(self) -> str:
        asked = {member: value for member, value in self._get_params().items() if member != "DryRun"}
        return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def _unserved(said: str) -> MotoAnswer:
    """moto raises the same for an action and for a filter that it lacks. AWS has both: rules told apart what AWS has not."""
    return error_answer("InvalidAction", f"the local AWS does not serve this. {said}")


def _check_repetition(world: World, known: Remembered, digest: str) -> None:
    """The same token gives the same answer, as long as it comes with the same request and its instances live."""
    if known.digest != digest:
        raise rules.RefusedByEc2(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        )
    lives = [world.lives.get(instance_id) for instance_id in known.instances]
    if any(life is None or life.state in {"shutting-down", "terminated"} for life in lives):
        raise rules.RefusedByEc2(
            "IdempotentInstanceTerminated",
            "The client token you have provided is associated with a resource that is already deleted.",
        )


__all__ = ["StrictEC2Response", "error_answer"]
