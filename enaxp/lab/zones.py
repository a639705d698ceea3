"""Zones: brings a lab up in the first zone that has room for both hosts, and takes back what a failed `up` made.

    up ─▶ no room in the zone ─▶ the next zone that offers the type ─▶ everything that stands on the old subnet is made anew ─▶ up …

A cluster placement group lies in one zone: the pair moves together. Each zone is tried once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from enaxp.aws import Aws
from enaxp.config import Config
from enaxp.errors import LabError, NoRoomError
from enaxp.lab.apply import LabWatcher
from enaxp.lab.lifecycle import Snapshot, up
from enaxp.lab.resolved import offering_zones
from enaxp.lab.state import StateFile
from enaxp.lab.survey import survey
from enaxp.lab.sweep import sweep_keys


def up_in_some_zone(
    snapshot: Snapshot,
    *,
    look_again: Callable[[], Snapshot],
    config: Config,
    aws: Aws,
    file: StateFile,
    watch: LabWatcher,
    note: Callable[[str], None],
) -> Snapshot:
    """As `up`, moving on from a zone without room.

    Raises LabError, with the zones tried, when none is left.
    """
    tried = [snapshot.resolved.availability_zone]
    while True:
        try:
            return up(snapshot, config=config, aws=aws, file=file, watch=watch)
        except NoRoomError as error:
            fixed = config.network.availability_zone != "auto" or config.network.subnet_id is not None
            left = (
                [] if fixed else [zone for zone in offering_zones(aws, config.hosts.instance_type) if zone not in tried]
            )
            if not left:
                raise LabError(
                    f"no room for two {config.hosts.instance_type}; tried: {', '.join(tried)}",
                    said=error.said,
                    todo="try again later, with another hosts.instance_type or aws.region; `enaxp down` removes what is there",
                ) from error
            note(f"{tried[-1]} has no room for a {config.hosts.instance_type}: moving on to {left[0]}")
            tried.append(left[0])
        pinned = {"availability_zone": tried[-1]}
        file.update(lambda state, pinned=pinned: replace(state, pinned={**state.pinned, **pinned}))  # type: ignore[misc]
        snapshot = look_again()


def rollback(before: Snapshot, *, aws: Aws, file: StateFile, watch: LabWatcher) -> None:
    """Removes what was made since `before`; what was there then stays. A lab of which nothing was there is forgotten."""
    lab, there = before.lab, set(before.survey.found)
    now = survey(aws, lab, state=file.state)
    sweep_keys({found.key for found in now.all()} - there, aws=aws, lab=lab, file=file, watch=watch)
    if not there and not survey(aws, lab, state=file.state).found:
        file.forget()
