"""What the strict AWS keeps beside moto: the life of an instance, placement groups, ENA Express of an attachment.

Plain records. `world.py` moves them on as time passes; `ssm/runs.py` reads which instances run.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from enaxp.local.strict.machines import MachineSpec

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import PlacementGroupStrategyType
    from mypy_boto3_ec2.type_defs import EnaSrdSpecificationTypeDef

# EC2's states of an instance, with its code for each.
STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


@dataclass
class Life:
    """An instance's way from pending to gone. `instance` and `backend` are moto's; times are of the monotonic clock.

    machine: what was launched, and is launched again when the instance is started; None until it was.
    launch_failure: the StateReason with which it will end before it runs; None for one that will run.
    """

    instance: Any
    backend: Any
    group: str | None
    launched_at: float
    running_at: float | None = None
    attached: bool = False
    stopping_at: float | None = None
    ending_at: float | None = None
    ended_at: float | None = None
    released: bool = False
    machine: MachineSpec | None = None
    launch_failure: tuple[str, str] | None = None
    reason: tuple[str, str] = ("Client.UserInitiatedShutdown", "User initiated shutdown")

    @property
    def state(self) -> str:
        """One of `STATES`."""
        return str(self.instance._state.name)


@dataclass
class GroupInUse:
    """A placement group, with the names that its describe has."""

    name: str
    strategy: PlacementGroupStrategyType
    region: str
    created_at: float
    id: str = field(default_factory=lambda: f"pg-{uuid.uuid4().hex[:17]}")
    deleting_at: float | None = None


@dataclass
class AttachmentSrd:
    """ENA Express of one attachment."""

    on: bool = False
    udp: bool = False

    def as_specification(self) -> EnaSrdSpecificationTypeDef:
        """As AWS writes it."""
        return {"EnaSrdEnabled": self.on, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": self.udp}}
