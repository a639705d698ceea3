"""The world behind the strict AWS: all that moto does not keep, and the passing of time.

Everything here belongs to one cloud and is touched only while its lock is held. Nothing needs to be read for time to pass: `tick`
brings everything to where it should be by now, and is called before each action and by the owner of the server.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models.instances import InstanceState, StateReason

from enaxp.local.strict.machines import Machines
from enaxp.local.strict.timing import Timing

STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


@dataclass
class Life:
    """An instance's way from pending to gone. Times are of the monotonic clock."""

    instance: Any
    backend: Any
    group: str | None
    launched_at: float
    running_at: float | None = None
    attached: bool = False
    ending_at: float | None = None
    ended_at: float | None = None
    released: bool = False
    reason: tuple[str, str] = ("Client.UserInitiatedShutdown", "User initiated shutdown")

    @property
    def state(self) -> str:
        return str(self.instance._state.name)


@dataclass
class PlacementGroup:
    """A placement group, with the names that its describe has."""

    name: str
    strategy: str
    region: str
    tags: dict[str, str]
    created_at: float
    id: str = field(default_factory=lambda: f"pg-{uuid.uuid4().hex[:17]}")
    deleting_at: float | None = None


@dataclass
class Srd:
    """ENA Express of one attachment."""

    on: bool = False
    udp: bool = False

    def as_specification(self) -> dict[str, Any]:
        return {"EnaSrdEnabled": self.on, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": self.udp}}


class World:
    """One cloud's own memory."""

    def __init__(self, *, timing: Timing, machines: Machines, public_address: Callable[[], str] | None) -> None:
        self.timing = timing
        self.machines = machines
        self.public_address = public_address
        self.lock = threading.RLock()
        self.lives: dict[str, Life] = {}
        self.groups: dict[tuple[str, str], PlacementGroup] = {}
        self.srd: dict[str, Srd] = {}
        self.born: dict[str, float] = {}  # id → when it was made
        self.profiles: dict[str, float] = {}  # instance profile → when it got its role
        self.tokens: dict[tuple[str, str], Any] = {}
        self._prepared: set[tuple[str, str]] = set()

    # -- time ----------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Brings everything to where it should be by now."""
        now = time.monotonic()
        with self.lock:
            for life in list(self.lives.values()):
                self._advance(life, now)
            for key, group in list(self.groups.items()):
                if group.deleting_at is not None and now >= group.deleting_at + self.timing.placement_group:
                    del self.groups[key]

    def _advance(self, life: Life, now: float) -> None:
        machine, timing = life.instance.id, self.timing
        if life.state == "pending":
            failure = self.machines.failure(machine)
            if failure is not None:
                life.reason = ("Server.InternalError", f"Internal error on launch: {failure}")
                self.end(life)
            elif now >= life.launched_at + timing.instance_running and self.machines.is_up(machine):
                self._set_state(life, "running")
                life.running_at = now
        if life.state == "running" and life.running_at is not None:
            life.attached = life.attached or now >= life.running_at + timing.attach
            if self.machines.has_shut_down(machine):
                life.reason = ("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
                self.end(life)
        ending_at = life.ending_at if life.state == "shutting-down" else None
        if ending_at is not None and now >= ending_at + timing.terminate and self.machines.is_gone(machine):
            self._terminated(life, now)
        if life.state == "terminated" and life.ended_at is not None:
            self._fade(life, now)

    def end(self, life: Life) -> None:
        """The instance begins to shut down."""
        if life.state in {"shutting-down", "terminated"}:
            return
        self._set_state(life, "shutting-down")
        life.ending_at = time.monotonic()
        self.machines.terminate(life.instance.id)

    def _terminated(self, life: Life, now: float) -> None:
        instance = life.instance
        released = dict(instance.nics)
        instance.nics = {0: released[0]}  # moto's own terminate only wants one to look at
        instance.nics[0].delete_on_termination = False
        instance.terminate()
        instance.nics = released
        self._set_state(life, "terminated")
        code, message = life.reason
        instance.state_reason = StateReason(f"{code}: {message}", code)
        instance._reason = f"{message} ({time.strftime('%Y-%m-%d %H:%M:%S GMT', time.gmtime())})"
        life.ended_at = now

    def _fade(self, life: Life, now: float) -> None:
        """What is left of a terminated instance: interfaces come free, then its tags go, then its entry."""
        assert life.ended_at is not None
        since = now - life.ended_at
        if not life.released and since >= self.timing.eni_release:
            for eni in life.instance.nics.values():
                eni.instance, eni.attachment_id, eni.device_index, eni.status = None, None, None, "available"
                self.srd.pop(eni.id, None)
                if eni.delete_on_termination:
                    life.backend.enis.pop(eni.id, None)
            life.instance.__class__ = _without_interfaces(type(life.instance))
            life.released = True
        if since >= self.timing.tags_of_terminated:
            life.backend.tags.pop(life.instance.id, None)
        if since >= self.timing.entry_of_terminated + self.timing.tags_of_terminated:
            for reservation_id, reservation in list(life.backend.reservations.items()):
                if life.instance in reservation.instances:
                    del life.backend.reservations[reservation_id]
            self.lives.pop(life.instance.id, None)

    @staticmethod
    def _set_state(life: Life, name: str) -> None:
        life.instance._state = InstanceState(name, STATES[name])

    # -- looking -------------------------------------------------------------------------------------------------------

    def life_of_eni(self, eni: Any) -> Life | None:
        return self.lives.get(eni.instance.id) if eni.instance else None

    def attachment_status(self, eni: Any) -> str:
        life = self.life_of_eni(eni)
        if life is None:
            return "attached"
        if life.state in {"shutting-down", "terminated"}:
            return "detaching"
        return "attached" if life.attached else "attaching"

    def is_blind_to(self, id: str) -> bool:
        """Whether listings by tag still miss this new thing."""
        return time.monotonic() - self.born.get(id, float("-inf")) < self.timing.tags_blind

    def is_unknown(self, id: str) -> bool:
        """Whether calls still do not know this new id."""
        return time.monotonic() - self.born.get(id, float("-inf")) < self.timing.ids_unknown

    def prepare(self, backend: Any) -> None:
        """Removes the default VPC, which accounts may not have: a sloppy call without ids must not find one."""
        key = (backend.account_id, backend.region_name)
        if key in self._prepared:
            return
        self._prepared.add(key)
        for vpc_id in list(backend.vpcs):
            for subnets in backend.subnets.values():
                for subnet_id in [i for i, subnet in subnets.items() if subnet.vpc_id == vpc_id]:
                    del subnets[subnet_id]
            for table_id in [i for i, table in backend.route_tables.items() if table.vpc_id == vpc_id]:
                del backend.route_tables[table_id]
            for acl_id in [i for i, acl in backend.network_acls.items() if acl.vpc_id == vpc_id]:
                del backend.network_acls[acl_id]
            backend.groups.pop(vpc_id, None)
            del backend.vpcs[vpc_id]

    def things(self) -> list[str]:
        """Ids of everything that somebody made and that is still there."""
        from moto.ec2.models import ec2_backends
        from moto.iam.models import iam_backends

        with self.lock:
            self.tick()
            found: list[str] = []
            for account, region in sorted(self._prepared):
                found += _things_of(ec2_backends[account][region])
            found += [group.id for group in self.groups.values()]
            iam = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
            found += [role.name for role in iam.roles.values()] + [
                profile.name for profile in iam.instance_profiles.values()
            ]
            return found


def _things_of(backend: Any) -> Iterator[str]:
    yield from backend.vpcs
    yield from (subnet for zone in backend.subnets.values() for subnet in zone)
    yield from backend.internet_gateways
    yield from (table.id for table in backend.route_tables.values() if table.main_association_id is None)
    yield from (group.id for groups in backend.groups.values() for group in groups.values() if group.name != "default")
    yield from backend.enis
    yield from (address.allocation_id for address in backend.addresses)
    yield from (key.key_name for key in backend.key_pairs.values())
    for reservation in backend.reservations.values():
        yield from (instance.id for instance in reservation.instances if instance._state.name != "terminated")


def _without_interfaces(instance_class: type) -> type:
    """A terminated instance's class: it has no interfaces and no addresses any more."""

    class Terminated(instance_class):
        network_interfaces: Any = ()
        private_ip = private_ip_address = private_dns_name = None
        public_ip = public_ip_address = public_dns_name = None

    return Terminated


class _Current:
    """The world of the server in this process: moto's state is the process' own, too, so there is one at a time."""

    world: World | None = None


def current() -> World:
    if _Current.world is None:
        raise RuntimeError("no strict server is running in this process")
    return _Current.world


def set_current(world: World | None) -> None:
    _Current.world = world
