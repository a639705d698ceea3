"""Zones: builds a lab in the first zone with capacity for both hosts, and rolls back a failed `up`.

    up ─▶ no capacity in the zone ─▶ next zone that offers the type ─▶ replace everything that depends on the old subnet ─▶ up …

A cluster placement group is in one zone, so the pair moves together. Each zone is tried once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from enaxp.errors import LabError, NoRoomError
from enaxp.lab.events import LabWatcher
from enaxp.lab.fleet import pairs_of
from enaxp.lab.lifecycle import LabContext, Snapshot, kinds_of, look, up
from enaxp.lab.model import Layer
from enaxp.lab.resolved import zones_offering_all
from enaxp.lab.state import State
from enaxp.lab.survey import survey
from enaxp.lab.sweep import sweep_keys


def up_in_some_zone(
    context: LabContext,
    snapshot: Snapshot,
    *,
    layers: Iterable[Layer] | None,
    watch: LabWatcher,
    note: Callable[[str], None],
    partial: bool = False,
) -> Snapshot:
    """Like `up`, but tries the next zone if one has no capacity. layers: the argument of `look` that gave the snapshot.

    A fleet does not change zones once one of its hosts was launched; with `partial`, pairs without capacity are left out.
    Raises LabError, with the zones tried, when none is left.
    """
    layers = None if layers is None else tuple(layers)
    tried = [snapshot.resolved.availability_zone]
    pairs = pairs_of(context.config, snapshot.resolved.fleet)
    types = tuple(dict.fromkeys(pair.instance_type for pair in pairs))
    instance_type = " or ".join(types)
    while True:
        try:
            return up(context, snapshot, watch=watch)
        except NoRoomError as error:
            if snapshot.resolved.fleet is not None and _has_launched(context):
                if partial:
                    return up(context, look(context, layers=layers), watch=watch, partial=note)
                raise LabError(
                    f"{error.where}: the zones of this fleet have no room for all of it",
                    said=error.said,
                    todo="give --partial to go on without the pairs that there is no room for, or try again later; "
                    "`enaxp down` removes what is there",
                ) from error
            left = _zones_left(context, tried, types=types)
            if not left:
                raise LabError(
                    f"no room for two {instance_type}; tried: {', '.join(tried)}",
                    said=error.said,
                    todo="try again later, or with another hosts.instance_type or aws.region; `enaxp down` removes the existing resources",
                ) from error
        note(f"{tried[-1]} has no room for a {instance_type}: moving on to {left[0]}")
        tried.append(left[0])
        _pin_zone(context, left[0])
        snapshot = look(context, layers=layers)


def rollback(context: LabContext, before: Snapshot, *, watch: LabWatcher) -> None:
    """Removes the resources created since `before`; older ones stay. If there were none, the lab's state is deleted too."""
    aws, file, lab, there = context.aws, context.file, before.lab, set(before.survey.found)
    kinds = kinds_of(context.config, file.state)
    now = survey(aws, lab, state=file.state, kinds=kinds)
    sweep_keys({found.key for found in now.all()} - there, aws=aws, lab=lab, file=file, watch=watch)
    if not there and not survey(aws, lab, state=file.state, kinds=kinds).found:
        file.forget()


def _has_launched(context: LabContext) -> bool:
    return any(entry.kind == "instance" for entry in context.file.state.resources.values())


def _zones_left(context: LabContext, tried: list[str], *, types: tuple[str, ...]) -> list[str]:
    """The zones that offer the type and were not tried yet; none if the config fixes the zone."""
    network = context.config.network
    second = context.file.state.pinned.second_zone
    if network.availability_zone != "auto" or network.subnet_id is not None:
        return []
    return [zone for zone in zones_offering_all(context.aws, types) if zone not in tried and zone != second]


def _pin_zone(context: LabContext, zone: str) -> None:
    def pin(state: State) -> State:
        return replace(state, pinned=replace(state.pinned, availability_zone=zone))

    context.file.update(pin)
