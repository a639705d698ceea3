"""What the zones can take: which types they offer, and how many more instances there is room for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """zones: how many more instances a zone takes; what is not named has room for all.  lacking: types that a zone does not offer.

    late: a full zone accepts a launch all the same, and its instances end before they run.
    """

    zones: Mapping[str, int] = field(default_factory=dict)
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    late: bool = False

    def offers(self, zone: str, instance_type: str) -> bool:
        return instance_type not in self.lacking.get(zone, ())
