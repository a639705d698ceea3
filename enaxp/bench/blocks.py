"""Blocks: which trials count. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from enaxp.bench.records import TrialRecord
from enaxp.traffic import ARMS, Arm

TrialPlace = tuple[str, int, int, int]


def counted(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials that count: not discarded, valid, and with a valid partner in the same attempt. Of each pair one attempt counts."""
    attempts: dict[tuple[TrialPlace, int], dict[Arm, TrialRecord]] = defaultdict(dict)
    for record in records:
        if record.valid and not record.discarded:
            place = (record.scenario, record.pair, record.iteration, record.repeat)
            attempts[place, record.attempt][record.arm] = record
    chosen: dict[TrialPlace, dict[Arm, TrialRecord]] = {}
    for (place, _), both in attempts.items():
        if len(both) == len(ARMS):
            chosen.setdefault(place, both)
    return [both[arm] for both in chosen.values() for arm in ARMS]
