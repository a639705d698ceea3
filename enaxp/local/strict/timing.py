"""The durations of the strict AWS's operations, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Quick, but never instant: what takes time on AWS takes some here.

    network_pending: VPCs, subnets and interfaces are `pending` first.  instance_running: pending → running, at least.
    attach: attaching → attached, after that.  status_checks: initializing → ok, after running.
    terminate: shutting-down → terminated, at least.  eni_release: interfaces of a terminated instance stay in use for so long.
    gateway_busy: a gateway cannot be detached for so long after the last address was unmapped.
    placement_group: pending → available, and deleting → gone.  placement_group_release: in use for so long after its last instance.
    profile_visible: EC2 does not know an instance profile for so long after it got its role.
    ssm_document: a document is being made for so long.  ssm_online: a running instance registers with Systems Manager after so long.
    ssm_credentials: the permissions of an instance's role do not work for so long after it runs.
    tags_of_terminated, entry_of_terminated: how long those stay to be seen.
    ids_unknown: a new id (of IAM, too) is unknown to other calls for so long.  tags_blind: listings by tag miss a new resource so long.
    flapping: the chance (0 to 1) that what was known already is missed again, for `flapping_for` seconds from its making.
    """

    network_pending: float = 0.1
    instance_running: float = 0.6
    attach: float = 0.2
    status_checks: float = 0.5
    terminate: float = 0.8
    eni_release: float = 0.3
    gateway_busy: float = 0.0
    placement_group: float = 0.3
    placement_group_release: float = 0.3
    profile_visible: float = 2.0
    ssm_document: float = 0.1
    ssm_online: float = 0.3
    ssm_credentials: float = 0.0
    tags_of_terminated: float = 5.0
    entry_of_terminated: float = 60.0
    ids_unknown: float = 0.0
    tags_blind: float = 0.0
    flapping: float = 0.0
    flapping_for: float = 10.0

    @classmethod
    def instant(cls) -> Timing:
        """Nothing takes any time; terminated instances keep their entry for a while all the same."""
        return cls(**{field.name: 0.0 for field in fields(cls) if not field.name.endswith("_of_terminated")})
