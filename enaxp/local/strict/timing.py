"""How long things take in the strict AWS, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Quick, but never instant: what takes time on AWS takes some here.

    instance_running: pending → running, at least.  attach: attaching → attached, after that.  terminate: shutting-down → terminated, at
    least.  eni_release: interfaces of a terminated instance stay in use for so long.  placement_group: pending → available.
    profile_visible: EC2 does not know an instance profile for so long after it got its role.  tags_of_terminated, entry_of_terminated:
    how long those stay to be seen.  ids_unknown: a new id is unknown to other calls for so long.  tags_blind: listings by tag miss a
    new thing for so long.
    """

    instance_running: float = 0.6
    attach: float = 0.2
    terminate: float = 0.8
    eni_release: float = 0.3
    placement_group: float = 0.3
    placement_group_release: float = 0.3
    profile_visible: float = 2.0
    tags_of_terminated: float = 5.0
    entry_of_terminated: float = 60.0
    ids_unknown: float = 0.0
    tags_blind: float = 0.0

    @classmethod
    def instant(cls) -> Timing:
        """Nothing takes any time."""
        return cls(**{field.name: 0.0 for field in fields(cls)})
