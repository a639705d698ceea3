"""The capacity of the zones: the types that each offers, and the number of further instances that it has room for."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Capacity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """zones: how many more instances a zone takes; what is not named has room for all.  lacking: types that a zone does not offer.

    late: a full zone accepts a launch all the same, and its instances end before they run.
    """

    zones: Mapping[str, int] = {}
    lacking: Mapping[str, tuple[str, ...]] = {}
    late: bool = False

    def offers(self, zone: str, instance_type: str) -> bool:
        """Whether the zone has this type at all."""
        return instance_type not in self.lacking.get(zone, ())
