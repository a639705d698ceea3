"""Lifecycle: the three things one does with a lab — look at it, bring it up, take it down — put together from the parts.

look()  = account → state → survey → resolved → spec → plan            (calls nothing that changes anything)
up()    = look, save, sweep what must be made anew, apply
down()  = look, sweep, and a listing by tag that must be empty
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from enaxp.aws import Aws, in_parallel
from enaxp.config import Config
from enaxp.errors import LabError, NameTakenError, StateError, UsageError
from enaxp.lab import keys
from enaxp.lab.apply import LabWatcher, apply
from enaxp.lab.kinds import KINDS
from enaxp.lab.model import (
    LAYERS,
    TAG_CREATED,
    TAG_EXPIRES,
    TAG_LAB_ID,
    Found,
    Lab,
    Layer,
    Resource,
    as_text,
    from_text,
)
from enaxp.lab.plan import Plan, make_plan
from enaxp.lab.resolved import check_account, given_gateway, partition_of, resolve
from enaxp.lab.spec import Resolved, above, layer_of, of_layers, wanted
from enaxp.lab.state import State, StateFile, new_state
from enaxp.lab.survey import Survey, discover_lab_id, survey
from enaxp.lab.sweep import sweep_duplicates, sweep_keys, sweep_layers
from enaxp.lab.tags import put_tags

REACHED_BY = ("eni", "eip")
_T = TypeVar("_T")
BUILT_LAYERS: tuple[Layer, ...] = ("network", "compute")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a lab lives: `aws`, or `local` with the isolation of its hosts."""

    name: str
    isolation: str | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What is wanted, what is there, and what stands between, at one moment."""

    state: State
    lab: Lab
    resolved: Resolved
    resources: tuple[Resource, ...]
    survey: Survey
    plan: Plan
    key: keys.KeyPairFile | None
    notes: tuple[str, ...]


def look(
    config: Config, *, aws: Aws, file: StateFile, target: Target, layers: Iterable[Layer] | None = None
) -> Snapshot:
    """The lab as it is and as it should be. Changes nothing anywhere, not even the state file.

    layers: without any, those that `up` builds by itself and whatever else of the lab is there.
    """
    there = _existing(
        config,
        aws=aws,
        file=file,
        target=target,
        see=lambda state: _survey_with_given(config, aws, state, KINDS, layers=layers or ()),
    )
    if there is not None:
        state, notes, (gateway, seen) = there
    else:
        state, notes = _newborn(config, aws=aws, target=target), tuple(file.notes)
        # No resource carries a lab-id that was made just now: only what is given is looked at.
        gateway, seen = _survey_with_given(config, aws, state, ())
    state = _with_dates_of_what_lives(state, seen)
    if state.expires_at <= datetime.now(UTC):
        state = replace(state, expires_at=_in(config.ttl_s))
        notes = (*notes, "the lab's time had run out: it gets a new one")
    resolved = resolve(config, aws=aws, pinned=state.pinned, found=seen, isolation=target.isolation, gateway=gateway)
    key = None if config.hosts.key else keys.load_or_generate(file.private_key)
    resources = of_layers(
        wanted(
            config,
            resolved,
            public_key=key.public_key if key else "",
            partition=partition_of(config.aws.region),
            expires_at=state.expires_at,
        ),
        layers_there(seen) if layers is None else layers,
    )
    pinned = {
        "ami": resolved.ami,
        "availability_zone": resolved.availability_zone,
        "ssh_cidr": resolved.ssh_cidr,
        "isolation": resolved.isolation,
    }
    state = replace(state, pinned=pinned)
    lab = _searching(state.as_lab(config.tags), layers or ())
    return Snapshot(
        state=state,
        lab=lab,
        resolved=resolved,
        resources=resources,
        survey=seen,
        plan=make_plan(resources, seen, state, lab),
        key=key,
        notes=notes,
    )


def _existing(
    config: Config, *, aws: Aws, file: StateFile, target: Target, see: Callable[[State], _T]
) -> tuple[State, tuple[str, ...], _T] | None:
    """As `existing_state`, with what is to be seen of the lab. Looking harms nobody: where a state file names the lab, it is begun
    while AWS is still being asked whose credentials these are."""
    known = file.load()
    existing, seen = in_parallel(
        lambda: existing_state(config, aws=aws, file=file, target=target), lambda: see(known) if known else None
    )
    if existing is None:
        return None
    state, notes = existing
    return state, notes, see(state) if seen is None else seen


def _survey_with_given(
    config: Config, aws: Aws, state: State, kinds: Iterable[str], *, layers: Iterable[Layer] = ()
) -> tuple[str | None, Survey]:
    """What there is of the lab and of what is given; first: the gateway of a given VPC. layers: to search besides those known."""
    lab = _searching(state.as_lab(config.tags), layers)
    gateway = given_gateway(config, aws, lab)
    given = [resource for resource in wanted_for_survey(config, gateway=gateway) if not resource.owned]
    return gateway, survey(aws, lab, state=state, resources=given, kinds=kinds)


def _searching(lab: Lab, layers: Iterable[Layer]) -> Lab:
    """The lab, to be searched in these layers, too."""
    return replace(lab, layers=tuple({*lab.layers, *layers}))


def layers_there(seen: Survey) -> tuple[Layer, ...]:
    """The layers that `up` builds by itself, and every other one of which something is there."""
    there = {layer_of(found.key) for found in seen.all()}
    return tuple(layer for layer in LAYERS if layer in BUILT_LAYERS or layer in there)


def up(snapshot: Snapshot, *, config: Config, aws: Aws, file: StateFile, watch: LabWatcher) -> Snapshot:
    """Carries out the snapshot's plan; gives back the lab as it is then. The caller holds the lab's lock.

    Raises AwsError or LabError for what AWS refused, Interrupted after Ctrl-C; running it again goes on in every case.
    """
    refuse_disowned(snapshot)
    if snapshot.plan.changing or file.load() != snapshot.state:
        # The lab-id is on disk before the first call, and the key before AWS hears of it.
        file.save(snapshot.state)
    if snapshot.key is not None:
        keys.save(snapshot.key, file.private_key)
    plan = snapshot.plan
    anew = plan.with_action("replace")
    if anew:
        sweep_keys([step.key for step in anew], aws=aws, lab=snapshot.lab, file=file, watch=watch)
        seen = survey(aws, snapshot.lab, state=file.state, resources=snapshot.resources)
        plan = make_plan(snapshot.resources, seen, file.state, snapshot.lab)
    try:
        looked_at = apply(plan, resources=snapshot.resources, aws=aws, lab=snapshot.lab, file=file, watch=watch)
    except NameTakenError:
        if (
            not file.state.resources
        ):  # somebody else has the lab: nothing of ours is there, and nothing is remembered of it
            file.forget()
        raise
    sweep_duplicates(plan.with_action("delete"), aws=aws, lab=snapshot.lab, watch=watch)
    _tag_with_the_new_end(snapshot, aws)
    return _afterwards(snapshot, looked_at, aws=aws, file=file) if snapshot.plan.changing else snapshot


def _afterwards(snapshot: Snapshot, looked_at: Mapping[str, Found], *, aws: Aws, file: StateFile) -> Snapshot:
    """After an `up` that ended well: the hosts and what they are reached by are as AWS shows them now; what else was made or changed
    is known by its id alone, for AWS has said yes to all of it."""
    seen = survey(aws, snapshot.lab, state=file.state, kinds=REACHED_BY)
    known = {key: Found(key=key, kind=it.kind, id=it.id, tags={}) for key, it in file.state.resources.items()}
    kept = {step.key for step in snapshot.plan.with_action("keep")}
    as_before = {key: found for key, found in snapshot.survey.found.items() if key in kept}
    return replace(snapshot, state=file.state, survey=Survey(found={**known, **as_before, **looked_at, **seen.found}))


def refuse_disowned(snapshot: Snapshot) -> None:
    """Raises LabError when something of the lab has lost the lab's id: whose it is now, nobody can tell from here."""
    lost = [f"{key} {found.id}" for key, found in snapshot.survey.disowned.items()]
    if lost:
        raise LabError(
            f"lab {snapshot.lab.name} knows {', '.join(lost)}, but the tag {TAG_LAB_ID} is not there any more",
            said="enaxp touches nothing that does not carry the lab's id",
            todo=f"put the tag back (its value is {snapshot.lab.lab_id}), or remove the resource yourself; then try again",
        )


def _tag_with_the_new_end(snapshot: Snapshot, aws: Aws) -> None:
    """A lab whose time had run out has a new one: what was there before says so, too."""
    ends = as_text(snapshot.lab.expires_at)
    ours = (found for found in snapshot.survey.found.values() if found.tags.get(TAG_LAB_ID) == snapshot.lab.lab_id)
    stale = [found for found in ours if found.tags.get(TAG_EXPIRES) != ends]
    replaced = {step.key for step in snapshot.plan.with_action("create", "replace")}
    put_tags(aws, [found for found in stale if found.key not in replaced], {TAG_EXPIRES: ends})


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What a `down` did: what was removed, what still carries the lab's tags, and whether anything of the lab remains at all."""

    removed: tuple[Found, ...]
    leftovers: tuple[Found, ...]
    lab_is_gone: bool


def down(
    config: Config,
    *,
    aws: Aws,
    file: StateFile,
    target: Target,
    layers: Iterable[Layer],
    watch: LabWatcher,
    note: Callable[[str], None],
) -> Removal:
    """Removes the layers (all of the lab: every layer). The caller holds the lab's lock.

    Raises LabError when another layer stands on one of them, or when something is in the way.
    """
    layers = tuple(layers)
    there = _existing(
        config,
        aws=aws,
        file=file,
        target=target,
        see=lambda state: survey(aws, _searching(state.as_lab(config.tags), LAYERS), state=state),
    )
    if there is None:
        file.forget()
        return Removal(removed=(), leftovers=(), lab_is_gone=True)
    state, notes, seen = there
    for text in notes:
        note(text)
    file.save(state)
    refuse_if_stood_on(seen, layers)
    lab = state.as_lab(config.tags)
    removed, seen = sweep_layers(layers, seen=seen, aws=aws, lab=lab, file=file, watch=watch)
    rest = [*seen.all(), *seen.disowned.values()]
    left = tuple(found for found in rest if layer_of(found.key) in layers)
    if not rest:
        file.forget()
    return Removal(removed=tuple(removed), leftovers=left, lab_is_gone=not rest)


def refuse_if_stood_on(seen: Survey, layers: Iterable[Layer]) -> None:
    """Raises LabError when a layer that is not to be removed stands on one that is."""
    layers = tuple(layers)
    there = [layer_of(found.key) for found in seen.all()]
    for layer in layers:
        standing = [other for other in above(layer) if other in there and other not in layers]
        if standing:
            raise LabError(
                f"layer {standing[0]} stands on layer {layer}",
                said=f"{there.count(standing[0])} resources of it are there",
                todo=f"run `enaxp down {standing[0]}` first, or `enaxp down` for everything",
            )


def _newborn(config: Config, *, aws: Aws, target: Target) -> State:
    return new_state(
        lab=config.lab,
        account=aws.account(),
        region=config.aws.region,
        target=target.name,
        now=datetime.now(UTC),
        ttl_s=config.ttl_s,
    )


def existing_state(
    config: Config, *, aws: Aws, file: StateFile, target: Target
) -> tuple[State, tuple[str, ...]] | None:
    """The state of the lab: from the file, else of the tagged lab that lives on AWS; None when there is no such lab. Second: what
    to tell. Raises StateError for another account or region than the lab's."""
    state = file.load()
    account, lab_id = in_parallel(
        aws.account, lambda: None if state else discover_lab_id(aws, lab=config.lab, region=config.aws.region)
    )
    check_account(config, account)
    if state is not None:
        _refuse_contradiction(state, config, account, target)
        return state, tuple(file.notes)
    if lab_id is None:
        return None
    adopted = replace(_newborn(config, aws=aws, target=target), lab_id=lab_id)
    text = f"there is no state file, but a lab {config.lab} with the id {lab_id} lives in {config.aws.region}: adopted by its tags"
    return adopted, (*file.notes, text)


def wanted_for_survey(config: Config, *, gateway: str | None) -> tuple[Resource, ...]:
    """The resources as far as they are known before anything is pinned: enough to know which are given."""
    unknown = Resolved(ami="", availability_zone="", ssh_cidr="", gateway=gateway)
    return wanted(config, unknown, public_key="", partition="aws", expires_at=datetime.now(UTC))


def _with_dates_of_what_lives(state: State, seen: Survey) -> State:
    """The dates that the resources' own tags carry: requests must repeat them to the letter."""
    tags = next(
        (
            found.tags
            for found in seen.found.values()
            if found.tags.get(TAG_LAB_ID) == state.lab_id and TAG_CREATED in found.tags and TAG_EXPIRES in found.tags
        ),
        None,
    )
    if state.resources or tags is None:
        return state
    return replace(state, created_at=from_text(tags[TAG_CREATED]), expires_at=from_text(tags[TAG_EXPIRES]))


def _refuse_contradiction(state: State, config: Config, account: str, target: Target) -> None:
    if state.target != target.name:
        raise UsageError(
            f"lab {state.lab} lives on target {state.target}, not {target.name}",
            todo="leave --target out, or use another --lab",
        )
    if state.account != account:
        raise StateError(
            f"lab {state.lab} belongs to account {state.account}, these credentials to {account}",
            todo="choose the other --profile",
        )
    if state.region != config.aws.region:
        raise StateError(
            f"lab {state.lab} lives in {state.region}, not in {config.aws.region}",
            todo=f"use --region {state.region}, or another --lab",
        )


def _in(seconds: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=round(seconds))
