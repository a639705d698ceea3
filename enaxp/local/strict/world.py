"""The world behind the strict AWS: all that moto does not keep, and the passing of time.

Everything here belongs to one cloud and is touched only while its lock is held. `tick` brings everything to where it should be by now;
it is called before each action, and at short intervals by the owner of the server, so that time passes also when nobody asks.

    pending ─▶ running ─▶ shutting-down ─▶ terminated ─▶ interfaces released ─▶ tags gone ─▶ entry gone
       └─ launch failed ────────▲  ├─ shut down from inside, with behaviour stop ─▶ stopped
                                   └─ StopInstances ─▶ stopping ─▶ stopped ─ StartInstances ─▶ pending
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models.instances import Instance, InstanceState, StateReason
from moto.ec2.utils import random_public_ip

from enaxp.local.strict.access.callers import Callers
from enaxp.local.strict.capacity import Capacity
from enaxp.local.strict.life import STATES, AttachmentSrd, GroupInUse, Life
from enaxp.local.strict.machines import Machines
from enaxp.local.strict.quotas import Quotas
from enaxp.local.strict.resource_types import standing_in
from enaxp.local.strict.ssm.runs import ScriptRuns
from enaxp.local.strict.timing import Timing

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import SummaryStatusType

LONG_AGO = float("-inf")


class World:
    """What one cloud remembers besides what moto does."""

    def __init__(
        self,
        *,
        timing: Timing,
        machines: Machines,
        quotas: Quotas,
        capacity: Capacity,
        public_address: Callable[[], str] | None,
    ) -> None:
        self.timing = timing
        self.machines = machines
        self.quotas = quotas
        self.capacity = capacity
        self.callers = Callers()
        self.taken: Counter[str] = Counter()  # zone → instances that were launched there since capacity was set
        self.public_address = public_address
        self.block_public_access = "off"  # or block-bidirectional, block-ingress: of the account, in every region
        self.lock = threading.RLock()
        self.lives: dict[str, Life] = {}
        self.groups: dict[tuple[str, str], GroupInUse] = {}  # (region, name) → group
        self.srd: dict[str, AttachmentSrd] = {}  # interface → its attachment's ENA Express
        self.born: dict[str, float] = {}  # id, or what/name → when it was made
        self.profiles: dict[str, float] = {}  # instance profile → when it got its role
        self.unmapped: dict[str, float] = {}  # VPC → when an address was last taken off in it
        self.tokens: dict[tuple[str, str, str], Any] = {}  # (region, action, token) → what it was used for
        self.runs = ScriptRuns(lives=self.lives, machines=machines, timing=lambda: self.timing)
        self._prepared: set[tuple[str, str]] = set()
        self._random = random.Random(0)

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
            self.runs.tick()

    def _advance(self, life: Life, now: float) -> None:
        """Takes an instance through as many states as are due."""
        if life.state == "pending":
            self._grow(life, now)
        if life.state == "running" and life.running_at is not None:
            life.attached = life.attached or now >= life.running_at + self.timing.attach
            if self.machines.has_shut_down(life.instance.id):
                self._shut_down_inside(life)
        if life.state == "stopping" and now >= (life.stopping_at or now) + self.timing.terminate:
            self._stopped(life)
        if life.state == "shutting-down" and life.ending_at is not None:
            due = now >= life.ending_at + self.timing.terminate
            if due and self.machines.is_gone(life.instance.id):
                self._terminated(life, now)
        if life.state == "terminated":
            self._fade(life, now)

    def _grow(self, life: Life, now: float) -> None:
        due = now >= life.launched_at + self.timing.instance_running
        failure = self.machines.failure(life.instance.id)
        if failure is not None:
            life.reason = ("Server.InternalError", f"Internal error on launch: {failure}")
            self.end(life)
        elif due and life.launch_failure is not None:
            life.reason = life.launch_failure
            self.end(life)
        elif due and self.machines.is_up(life.instance.id):
            self.set_state(life, "running")
            life.running_at = now

    def _shut_down_inside(self, life: Life) -> None:
        life.reason = ("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
        if life.instance.instance_initiated_shutdown_behavior == "terminate":
            self.end(life)
        else:
            life.instance.stop()
            self._explain(life)

    def stop(self, life: Life) -> None:
        """The instance begins to stop, if it runs. Interfaces, Elastic IPs and ENA Express stay."""
        if life.state in {"pending", "running"}:
            self.set_state(life, "stopping")
            life.stopping_at, life.running_at = time.monotonic(), None
            self.machines.stop(life.instance.id)

    def _stopped(self, life: Life) -> None:
        if self.machines.is_gone(life.instance.id):
            life.instance.stop()  # moto takes the address that AWS assigned away, as AWS does
            self._explain(life)

    def assign_address(self, life: Life) -> None:
        """Gives the first interface a public address, if the launch asked for that and there is no other interface: "if we release the
        public IP address of your instance and it has a secondary network interface, we do not assign a new public IP address"."""
        first = life.instance.nics[0]
        if not first.public_ip_auto_assign or len(life.instance.nics) > 1 or first.association.get("allocationId"):
            return
        first.public_ip = self.public_address() if self.public_address else random_public_ip()

    def start(self, life: Life) -> None:
        """The instance begins to run again, if it had stopped."""
        if life.state == "stopped" and life.machine is not None:
            self.set_state(life, "pending")
            life.launched_at = time.monotonic()
            self.machines.launch(life.machine)

    def end(self, life: Life) -> None:
        """The instance begins to shut down, if it has not already."""
        if life.state in {"shutting-down", "terminated"}:
            return
        self.set_state(life, "shutting-down")
        life.ending_at = time.monotonic()
        self.machines.terminate(life.instance.id)

    def _terminated(self, life: Life, now: float) -> None:
        """moto's terminate would take the interfaces away at once: they are put aside for it."""
        instance = life.instance
        interfaces, instance.nics = instance.nics, {}
        instance.terminate()
        instance.nics = interfaces
        self.set_state(life, "terminated")
        self._explain(life)
        life.ended_at = now

    @staticmethod
    def _explain(life: Life) -> None:
        code, message = life.reason
        life.instance.state_reason = StateReason(f"{code}: {message}", code)
        when = time.strftime("%Y-%m-%d %H:%M:%S GMT", time.gmtime())
        life.instance._reason = f"{message} ({when})"

    def _fade(self, life: Life, now: float) -> None:
        """What is left of a terminated instance: interfaces come free, then its tags go, then its entry."""
        since = now - (life.ended_at or now)
        if not life.released and since >= self.timing.eni_release:
            self._release(life)
        if since >= self.timing.tags_of_terminated:
            life.backend.tags.pop(life.instance.id, None)
        if since >= self.timing.tags_of_terminated + self.timing.entry_of_terminated:
            for reservation_id, reservation in list(life.backend.reservations.items()):
                if life.instance in reservation.instances:
                    del life.backend.reservations[reservation_id]
            self.lives.pop(life.instance.id, None)

    def _release(self, life: Life) -> None:
        """Interfaces come free, or go with their instance; addresses stay on those that stay."""
        backend = life.backend
        for eni in life.instance.nics.values():
            eni.instance, eni.attachment_id, eni.device_index, eni.status = None, None, None, "available"
            self.srd.pop(eni.id, None)
            if eni.delete_on_termination:
                for address in [one for one in backend.addresses if one.eni is eni]:
                    backend.disassociate_address(association_id=address.association_id)
                backend.enis.pop(eni.id, None)
                eni.subnet.del_subnet_ip(eni.private_ip_address)
        life.instance.__class__ = _Ended
        life.released = True

    @staticmethod
    def set_state(life: Life, name: str) -> None:
        """Puts moto's instance into this state."""
        life.instance._state = InstanceState(name, STATES[name])

    def fail_launch(self, instance_id: str, *, code: str, message: str) -> None:
        """The instance will never run: it ends with this StateReason instead."""
        with self.lock:
            if instance_id in self.lives:
                self.lives[instance_id].launch_failure = (code, message)

    # -- room --------------------------------------------------------------------------------------------------------

    def set_capacity(self, capacity: Capacity) -> None:
        """From now on: earlier launches do not count."""
        with self.lock:
            self.capacity = capacity
            self.taken.clear()

    def has_room(self, zone: str, instances: int = 1) -> bool:
        """Whether the zone takes so many more instances."""
        return zone not in self.capacity.zones or self.taken[zone] + instances <= self.capacity.zones[zone]

    # -- looking -------------------------------------------------------------------------------------------------------

    def life_of_eni(self, eni: Any) -> Life | None:
        """The instance that an interface is attached to."""
        return self.lives.get(eni.instance.id) if eni.instance else None

    def members(self, group: str, backend: Any) -> list[Life]:
        """The instances for which a placement group counts as in use: those in it, and those that ended a while ago."""
        lag, now = self.timing.placement_group_release, time.monotonic()
        return [
            life
            for life in self.lives.values()
            if life.group == group and life.backend is backend and (life.ended_at is None or now < life.ended_at + lag)
        ]

    def attachment_status(self, eni: Any) -> str:
        """As a describe tells it."""
        life = self.life_of_eni(eni)
        if life is None:
            return "attached"
        if self.is_young(f"attachment/{eni.id}", self.timing.attach):
            return "attaching"
        if life.state in {"shutting-down", "terminated"}:
            return "detaching"
        return "attached" if life.attached else "attaching"

    def checks_of(self, instance: Any) -> SummaryStatusType:
        """The status of both checks of an instance."""
        life = self.lives.get(instance.id)
        if life is None or life.state != "running" or life.running_at is None:
            return "not-applicable"
        return "ok" if self._since(life.running_at) >= self.timing.status_checks else "initializing"

    def is_blind_to(self, id: str) -> bool:
        """Whether listings by tag still miss this new resource."""
        return self._is_missed(id, self.timing.tags_blind)

    def is_unknown(self, id: str) -> bool:
        """Whether calls still do not know this new id."""
        return self._is_missed(id, self.timing.ids_unknown)

    def _is_missed(self, id: str, at_first: float) -> bool:
        """Always for the first seconds of its life, and then by chance for a while: reads come from copies of different age."""
        age = self._since(self.born.get(id, LONG_AGO))
        return age < at_first or (age < self.timing.flapping_for and self._random.random() < self.timing.flapping)

    def is_pending(self, id: str) -> bool:
        """Whether this part of the network is still being made."""
        return self.is_young(id, self.timing.network_pending)

    def is_young(self, id: str, seconds: float) -> bool:
        """Whether it was made less than so long ago."""
        return self._since(self.born.get(id, LONG_AGO)) < seconds

    def is_ready(self, group: GroupInUse) -> bool:
        """Whether instances can be put into this group."""
        return group.deleting_at is None and self._since(group.created_at) >= self.timing.placement_group

    @staticmethod
    def _since(moment: float) -> float:
        return time.monotonic() - moment

    # -- the whole -----------------------------------------------------------------------------------------------------

    def prepare(self, backend: Any) -> None:
        """Removes the default VPC, which accounts may not have: a sloppy call without ids must not find one."""
        key = (backend.account_id, backend.region_name)
        if key in self._prepared:
            return
        self._prepared.add(key)
        for vpc_id in list(backend.vpcs):
            for subnets in backend.subnets.values():
                _drop(subnets, vpc_id)
            _drop(backend.route_tables, vpc_id)
            _drop(backend.network_acls, vpc_id)
            backend.groups.pop(vpc_id, None)
            del backend.vpcs[vpc_id]

    def resources(self) -> list[str]:
        """Ids of everything that somebody made and that is still there."""
        from moto.ec2.models import ec2_backends
        from moto.ecr.models import ecr_backends
        from moto.iam.models import iam_backends
        from moto.ssm.models import ssm_backends

        with self.lock:
            self.tick()
            found = [
                id
                for account, region in sorted(self._prepared)
                for id in standing_in(ec2_backends[account][region], self)
            ]
            iam = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
            found += [role.name for role in iam.roles.values()]
            found += [profile.name for profile in iam.instance_profiles.values()]
            found += [name for region in ssm_backends[DEFAULT_ACCOUNT_ID].values() for name in region._documents]
            found += [name for region in ecr_backends[DEFAULT_ACCOUNT_ID].values() for name in region.repositories]
            found += [f"association-{id}" for id in self.runs.associations]
            return found


class _OfVpc(Protocol):
    """A resource that belongs to a VPC."""

    vpc_id: str


OfVpc = TypeVar("OfVpc", bound=_OfVpc)


def _drop(resources: dict[str, OfVpc], vpc_id: str) -> None:
    """Removes those of this VPC."""
    for id in [id for id, resource in resources.items() if resource.vpc_id == vpc_id]:
        del resources[id]


class _Ended(Instance):
    """A terminated instance: it has no interfaces and no addresses any more."""

    network_interfaces: Any = ()
    private_ip = private_ip_address = private_dns_name = None
    public_ip = public_ip_address = public_dns_name = None


class _Current:
    """The world of the server in this process: moto's state is the process' own, too, so there is one at a time."""

    world: World | None = None


def current() -> World:
    """The world of the server in this process. Raises RuntimeError when there is none."""
    if _Current.world is None:
        raise RuntimeError("no strict server is running in this process")
    return _Current.world


def set_current(world: World | None) -> None:
    """Makes it the world of this process; None: there is none any more."""
    _Current.world = world


def is_served() -> bool:
    """Whether this process has a world already."""
    return _Current.world is not None
