"""Lifecycle: inspects a lab, builds it, removes it. Each of the three functions combines the other modules of this package.

look()  = account → state → survey → resolved → spec → plan  ─▶ Snapshot     (calls nothing that changes anything)
up()    = Snapshot ─▶ save, sweep what must be replaced, apply ─▶ Snapshot
down()  = account → state → survey → sweep → a listing by tag that must be empty ─▶ Removal
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from enaxp.aws import Aws, in_parallel, partition_of
from enaxp.config import ROLES, Config
from enaxp.errors import HostError, LabError, NameTakenError, StateError, UsageError
from enaxp.lab import keys
from enaxp.lab.apply import apply
from enaxp.lab.events import LabWatcher
from enaxp.lab.fleet import pair_in, pairs_of, surplus_of
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.compute import Instance, InstanceWant
from enaxp.lab.kinds.network import ssh_ports
from enaxp.lab.kinds.software import SSM_KINDS
from enaxp.lab.model import (
    LAYERS,
    TAG_CREATED,
    TAG_EXPIRES,
    TAG_LAB_ID,
    TAG_OWNER,
    Found,
    Lab,
    Layer,
    Resource,
    as_text,
    from_text,
)
from enaxp.lab.ownership import bench_until, claim_of, is_being_measured, owner_of, require_own
from enaxp.lab.plan import SURPLUS, Plan, Step, make_plan
from enaxp.lab.resolved import given_gateway, pinned_of, resolve
from enaxp.lab.spec import Resolved, above, layer_of, of_layers, wanted
from enaxp.lab.state import BENCH_LOCK, State, StateFile, new_state
from enaxp.lab.survey import Survey, discover_lab_id, survey, survey_what_can_be_read
from enaxp.lab.sweep import Leftover, sweep_duplicates, sweep_keys, sweep_layers
from enaxp.lab.tags import put_tags
from enaxp.options import TargetName

REACHED_BY = ("eni", "eip")
_T = TypeVar("_T")
BUILT_LAYERS: tuple[Layer, ...] = ("network", "compute")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a lab lives: `aws`, or `local` with the isolation of its hosts."""

    name: TargetName
    isolation: str | None = None


@dataclass(frozen=True, kw_only=True)
class LabContext:
    """The inputs of every stage: config, account, state file and target.

    adopt: a lab of another owner may be taken over. despite_bench: a lab with a running bench may be changed and removed.
    """

    config: Config
    aws: Aws
    file: StateFile
    target: Target
    adopt: bool = False
    despite_bench: bool = False

    @property
    def caller(self) -> str:
        """The owner tag of resources created now."""
        return owner_of(self.aws.caller["Arn"])


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A lab at one moment: what exists, what is wanted, and the plan from one to the other.

    state: as `up` saves it before its first call; the file may have an older one, or not exist. lab: the lab's identity as in its tags.
    resolved: image, zone and so on. resources: the wanted resources of the requested layers, in dependency order. survey: the existing
    resources. key: the lab's own key pair, possibly not saved yet; None if the config gives one. notes: messages for the user, such as
    that a lab was found by its tags alone.
    """

    state: State
    lab: Lab
    resolved: Resolved
    resources: tuple[Resource, ...]
    survey: Survey
    plan: Plan
    key: keys.KeyPairFile | None
    notes: tuple[str, ...]


def types_wanted(snapshot: Snapshot) -> dict[str, str]:
    """The instance type of each host of every wanted pair, by the host's key."""
    return {key: want.type for key, want in _hosts_wanted(snapshot)}


def zones_wanted(snapshot: Snapshot) -> tuple[str, ...]:
    """The zones of the hosts of all wanted pairs: two where traffic between a pair's hosts crosses zones."""
    return tuple(dict.fromkeys(want.zone for _, want in _hosts_wanted(snapshot)))


def _hosts_wanted(snapshot: Snapshot) -> list[tuple[str, InstanceWant]]:
    """Key and properties of each host of every wanted pair."""
    return [
        (resource.key, resource.want)
        for resource in snapshot.resources
        if isinstance(resource.want, InstanceWant) and resource.layer == "compute"
    ]


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """The result of the first stages of `look`, before anything is resolved.

    state: a new one if there is no such lab. gateway: the internet gateway that a given VPC already has.
    """

    state: State
    survey: Survey
    gateway: str | None
    notes: tuple[str, ...]


def look(context: LabContext, *, layers: Iterable[Layer] | None = None) -> Snapshot:
    """The snapshot of the lab: what exists, what is wanted, and the plan. Changes nothing, not even the state file.

    layers: by default those that `up` builds, and any other layer of which something exists.
    """
    asked = None if layers is None else tuple(layers)
    sighting = _with_time_left(_sight(context, asked or ()), ttl_s=context.config.ttl_s)
    resolved = resolve(
        context.config,
        aws=context.aws,
        pinned=sighting.state.pinned,
        seen=sighting.survey,
        isolation=context.target.isolation,
        gateway=sighting.gateway,
    )
    state = replace(sighting.state, pinned=pinned_of(resolved))
    key = None if context.config.hosts.key else keys.load_or_generate(context.file.private_key)
    chosen = layers_there(sighting.survey) if asked is None else asked
    everything = _spec(context.config, resolved, key=key, expires_at=state.expires_at)
    resources = of_layers(everything, chosen)
    surplus = _surplus(context.config, resolved, everything, sighting.survey) if "compute" in chosen else []
    notes, until = sighting.notes, _measured_until(context, sighting.survey)
    if until is not None and (kept := _with_srd_as_it_is(resources, sighting.survey)) != resources:
        resources = kept
        notes = (*notes, f"a bench runs on the hosts, until {as_text(until)}: ENA Express stays as it has it")
    lab = _searched_in(state.as_lab(context.config.tags), asked or ())
    return Snapshot(
        state=state,
        lab=lab,
        resolved=resolved,
        resources=resources,
        survey=sighting.survey,
        plan=make_plan(resources, sighting.survey, state, lab, surplus=surplus),
        key=key,
        notes=(*notes, *_warnings(context.config, resources, sighting.survey)),
    )


def _surplus(config: Config, resolved: Resolved, wanted: Iterable[Resource], seen: Survey) -> list[str]:
    """Keys of the existing resources of pairs that the fleet should no longer have."""
    if resolved.fleet is None:
        return []
    pairs = pairs_of(config, resolved.fleet)
    return surplus_of(seen.found, pairs=pairs, wanted=(resource.key for resource in wanted))


def _with_srd_as_it_is(resources: Iterable[Resource], seen: Survey) -> tuple[Resource, ...]:
    """The wanted resources while a bench runs: ENA Express on the interfaces that have it now, because the bench may have moved it
    (crossover)."""
    ids = seen.ids()

    def kept(resource: Resource) -> Resource:
        found = seen.found.get(resource.key)
        if not isinstance(resource.want, InstanceWant) or found is None:
            return resource
        has = {eni for eni, srd in found.facts.get("srd", {}).items() if srd["srd"]}
        express = tuple(key for key in resource.want.enis if ids.get(key) in has)
        return replace(resource, want=replace(resource.want, express=express))

    return tuple(map(kept, resources))


def _warnings(config: Config, resources: Iterable[Resource], seen: Survey) -> Iterator[str]:
    """Warnings about settings that match the plan, or that enaxp leaves alone, and that are nevertheless dangerous."""
    if config.network.ssh_cidr.endswith("/0"):
        yield "warning: network.ssh_cidr lets everybody reach the hosts' SSH: give your own address, such as 203.0.113.7/32"
    for resource in resources:
        found = seen.found.get(resource.key)
        if resource.owned and found is not None and found.facts:
            yield from (f"warning: {text}" for text in KINDS[resource.kind].warnings(resource, found))


def _sight(context: LabContext, layers: tuple[Layer, ...]) -> Sighting:
    """The stages account, state and survey. layers: layers to search in addition to those in the state."""
    existing = _survey_existing(
        context, see=lambda state: _survey_with_given(context, state, kinds_of(context.config, state), layers=layers)
    )
    if existing is not None:
        state, notes, (gateway, seen) = existing
    else:
        state, notes = _first_state(context), tuple(context.file.notes)
        # No resource carries a lab-id that was made just now: only what is given is looked at.
        gateway, seen = _survey_with_given(context, state, ())
    return Sighting(state=_with_dates_of_tags(state, seen), survey=seen, gateway=gateway, notes=notes)


def _with_time_left(sighting: Sighting, *, ttl_s: float) -> Sighting:
    """The lab with a new expiry if the old one has passed: new resources must not expire at once."""
    now = datetime.now(UTC).replace(microsecond=0)
    if sighting.state.expires_at > now:
        return sighting
    return replace(
        sighting,
        state=replace(sighting.state, expires_at=now + timedelta(seconds=round(ttl_s))),
        notes=(*sighting.notes, "the lab's time had run out: it gets a new one"),
    )


def _spec(
    config: Config, resolved: Resolved, *, key: keys.KeyPairFile | None, expires_at: datetime
) -> tuple[Resource, ...]:
    """The stage spec: every resource of every layer."""
    return wanted(
        config,
        resolved,
        public_key=key.public_key if key else "",
        partition=partition_of(config.aws.region),
        expires_at=expires_at,
    )


def _survey_existing(context: LabContext, *, see: Callable[[State], _T]) -> tuple[State, tuple[str, ...], _T] | None:
    """The result of `existing_state` and that of `see` for this state; None if there is no such lab.

    If a state file names the lab, `see` runs in parallel with the call that identifies the caller: reading does no harm.
    """
    known = context.file.load()
    existing, seen = in_parallel(lambda: existing_state(context), lambda: see(known) if known else None)
    if existing is None:
        return None
    state, notes = existing
    return state, notes, see(state) if seen is None else seen


def _survey_with_given(
    context: LabContext, state: State, kinds: Iterable[str], *, layers: Iterable[Layer] = ()
) -> tuple[str | None, Survey]:
    """The internet gateway of a given VPC, and the survey of the lab and of all given resources."""
    lab = _searched_in(state.as_lab(context.config.tags), layers)
    gateway = given_gateway(context.config, context.aws, lab)
    given = [resource for resource in wanted_for_survey(context.config, gateway=gateway) if not resource.owned]
    return gateway, survey(context.aws, lab, state=state, resources=given, kinds=kinds)


def _searched_in(lab: Lab, layers: Iterable[Layer]) -> Lab:
    """The lab, with these layers added to those that are searched."""
    return replace(lab, layers=tuple({*lab.layers, *layers}))


def layers_there(seen: Survey) -> tuple[Layer, ...]:
    """The layers that `up` builds by default, and every other one of which something exists."""
    there = {layer_of(found.key) for found in seen.all()}
    return tuple(layer for layer in LAYERS if layer in BUILT_LAYERS or layer in there)


def up(
    context: LabContext, snapshot: Snapshot, *, watch: LabWatcher, partial: Callable[[str], None] | None = None
) -> Snapshot:
    """Carries out the snapshot's plan; returns a new snapshot. The caller must hold the lab's lock.

    partial: called for each pair for which AWS has no capacity, while the others go on; without it, that is an error.
    Raises AwsError or LabError for what AWS refused, Interrupted after Ctrl-C; in every case it can be run again to continue.
    """
    refuse_disowned(snapshot)
    refuse_another_port(snapshot, port=context.config.hosts.ssh_port)
    require_own_lab(context, snapshot.state, snapshot.survey)
    refuse_while_measured(context, snapshot)
    aws, file, lab = context.aws, context.file, snapshot.lab
    if snapshot.plan.changing or file.load() != snapshot.state:
        # The lab-id is on disk before the first call, and the key before AWS hears of it.
        file.save(snapshot.state)
    if snapshot.key is not None:
        keys.save(snapshot.key, file.private_key)
    plan = _after_removals(context, snapshot, watch=watch)
    try:
        applied = apply(
            plan, resources=snapshot.resources, aws=aws, lab=lab, file=file, watch=watch, partial=partial is not None
        )
    except NameTakenError:
        if not file.state.resources:  # the lab has another owner: nothing of it is stored here
            file.forget()
        raise
    duplicates = [step for step in plan.with_action("delete") if step.reason != SURPLUS]
    sweep_duplicates(duplicates, aws=aws, lab=lab, watch=watch)
    if partial is not None and applied.without_room:
        _end_single_hosts(context, snapshot, applied.without_room, watch=watch, tell=partial)
    _tag_with_new_end(snapshot, aws)
    return _afterwards(context, snapshot, applied.seen) if snapshot.plan.changing else snapshot


def _end_single_hosts(
    context: LabContext,
    snapshot: Snapshot,
    without_room: Mapping[str, str],
    *,
    watch: LabWatcher,
    tell: Callable[[str], None],
) -> None:
    """Reports the pairs for which there was no capacity, and removes the one host of such a pair that was launched: alone it only costs
    money."""
    pairs = {pair.name: said for key, said in sorted(without_room.items()) if (pair := pair_in(key))}
    for name, said in pairs.items():
        tell(f"no room for pair {name}: {said}; the next `up` tries again")
    hosts = (f"instance/{name}/{role}" for name in pairs for role in ROLES)
    single = [key for key in hosts if key in context.file.state.resources]
    if single:
        sweep_keys(single, aws=context.aws, lab=snapshot.lab, file=context.file, watch=watch)


def _after_removals(context: LabContext, snapshot: Snapshot, *, watch: LabWatcher) -> Plan:
    """Removes the resources that must be replaced; returns the remaining plan."""
    leaving = [step.key for step in snapshot.plan.with_action("replace")] + snapshot.plan.surplus
    if not leaving:
        return snapshot.plan
    aws, file, lab = context.aws, context.file, snapshot.lab
    sweep_keys(leaving, aws=aws, lab=lab, file=file, watch=watch)
    kinds = kinds_of(context.config, file.state)
    seen = survey(aws, lab, state=file.state, resources=snapshot.resources, kinds=kinds)
    return make_plan(snapshot.resources, seen, file.state, lab)


def _afterwards(context: LabContext, snapshot: Snapshot, settled: Mapping[str, Found]) -> Snapshot:
    """The snapshot after a successful `up`. The hosts' interfaces and addresses are read once more, because AWS may show them only now.

    settled: the resources that `apply` read back. Of the others only the id is known: AWS has accepted their creation.
    """
    state = context.file.state
    seen = survey(context.aws, snapshot.lab, state=state, kinds=REACHED_BY)
    known = {key: Found(key=key, kind=it.kind, id=it.id, tags={}) for key, it in state.resources.items()}
    kept = {step.key for step in snapshot.plan.with_action("keep")}
    as_before = {key: found for key, found in snapshot.survey.found.items() if key in kept}
    return replace(snapshot, state=state, survey=Survey(found={**known, **as_before, **settled, **seen.found}))


def require_own_lab(context: LabContext, state: State, seen: Survey) -> None:
    """Raises LabError for a lab that is known by its tags alone and has another owner, unless `adopt` is set."""
    if context.adopt or context.file.load() is not None:
        return
    require_own(
        claim_of(seen),
        lab=state.lab,
        lab_id=state.lab_id,
        caller=context.caller,
        has_key=context.config.hosts.key is not None or context.file.private_key.exists(),
        now=datetime.now(UTC),
    )


def require_running(aws: Aws, snapshot: Snapshot, role: str) -> None:
    """Raises HostError when the instance of this role was stopped or terminated, so its host will not answer.

    role: in a fleet prefixed with the pair's name, as in keys.
    """
    known = snapshot.survey.found[f"instance/{role}"]
    found = KINDS[known.kind].look(aws, known.id)
    state = "gone" if found is None else found.gone or found.facts["state"]
    if state not in {"pending", "running"}:
        raise HostError(
            f"the {role} ({known.id}) cannot be reached any more",
            said=f"its instance is {state}" if found is None or not found.gone else state,
            todo="run `enaxp up` again: it starts stopped hosts, and replaces terminated ones",
        )


def refuse_disowned(snapshot: Snapshot) -> None:
    """Raises LabError when a resource of the state no longer has the lab-id tag: it may now belong to somebody else."""
    lost = [f"{key} {found.id}" for key, found in snapshot.survey.disowned.items()]
    if lost:
        raise LabError(
            f"lab {snapshot.lab.name} knows {', '.join(lost)}, but the tag {TAG_LAB_ID} is not there any more",
            said="enaxp touches nothing that does not carry the lab's id",
            todo=f"put the tag back (its value is {snapshot.lab.lab_id}), or remove the resource yourself; then try again",
        )


def refuse_another_port(snapshot: Snapshot, *, port: int) -> None:
    """Raises UsageError when hosts that are kept listen for SSH on another port. A host's port is set once, at first boot; a security
    group that opens only the new port would block all access.
    """
    replaced = {step.key for step in snapshot.plan.with_action("replace")}
    there = snapshot.survey.found
    staying = [key for key, found in there.items() if found.kind == Instance.name and key not in replaced]
    group = there.get("security-group")
    opened = ssh_ports(group) if group and group.facts else {port}
    if staying and opened and port not in opened:
        was = ", ".join(map(str, sorted(opened)))
        raise UsageError(
            f"hosts.ssh_port is {port}, and the hosts of lab {snapshot.lab.name} listen for SSH on {was}",
            said="a host is told its port at its first boot",
            todo="restore hosts.ssh_port, or replace the hosts: `enaxp down compute`, then `enaxp up`",
        )


def _tag_with_new_end(snapshot: Snapshot, aws: Aws) -> None:
    """Updates the expiry tag of existing resources, if the lab got a new expiry."""
    ends = as_text(snapshot.lab.expires_at)
    ours = (found for found in snapshot.survey.found.values() if found.tags.get(TAG_LAB_ID) == snapshot.lab.lab_id)
    stale = [found for found in ours if found.tags.get(TAG_EXPIRES) != ends]
    replaced = {step.key for step in snapshot.plan.with_action("create", "replace")}
    put_tags(aws, [found for found in stale if found.key not in replaced], {TAG_EXPIRES: ends})


def kinds_of(config: Config, state: State) -> tuple[str, ...]:
    """The kinds that the lab may have. With a given profile: no role or profile, and without Systems Manager: no SSM resources, unless
    the state has one. Users who configure these often lack permission to read such resources."""
    known = {entry.kind for entry in state.resources.values() if entry.owned} | {i.kind for i in state.intents.values()}
    without = {"role", "instance-profile"} if config.hosts.instance_profile else set[str]()
    never = (without if config.hosts.ssm else without | SSM_KINDS) - known
    return tuple(kind for kind in KINDS if kind not in never)


@dataclass(frozen=True, kw_only=True)
class Removal:
    """The outcome of a `down`: what was removed, what was not and why, and whether anything of the lab remains."""

    removed: tuple[Found, ...]
    leftovers: tuple[Leftover, ...]
    lab_is_gone: bool


def down(
    context: LabContext,
    *,
    layers: Iterable[Layer],
    watch: LabWatcher,
    note: Callable[[str], None],
    with_foreign: bool = False,
) -> Removal:
    """Removes the layers as far as AWS allows; every layer means the whole lab. The caller must hold the lab's lock.

    with_foreign: also removes endpoints and security groups that others created in the lab's own VPC. Raises LabError when a remaining
    layer depends on one of the layers.
    """
    layers, file, aws, tags = tuple(layers), context.file, context.aws, context.config.tags

    def see(state: State) -> Survey:
        return survey_what_can_be_read(aws, state.as_lab(tags), state=state, kinds=kinds_of(context.config, state))

    existing = _survey_existing(context, see=see)
    if existing is None:
        file.forget()
        return Removal(removed=(), leftovers=(), lab_is_gone=True)
    state, notes, seen = existing
    for text in notes:
        note(text)
    require_own_lab(context, state, seen)
    until = _measured_until(context, seen)
    if until is not None:
        raise is_being_measured(lab=state.lab, until=until)
    file.save(state)
    refuse_if_stood_on(seen, layers)
    swept = sweep_layers(
        layers,
        seen=seen,
        aws=aws,
        lab=state.as_lab(tags),
        file=file,
        watch=watch,
        kinds=kinds_of(context.config, state),
        with_foreign=with_foreign,
    )
    is_gone = not (swept.left or swept.seen.all() or swept.seen.disowned)
    if is_gone:
        file.forget()
    return Removal(removed=swept.removed, leftovers=swept.left, lab_is_gone=is_gone)


def refuse_while_measured(context: LabContext, snapshot: Snapshot) -> None:
    """Raises LabError if the plan would change the hosts, or remove anything, while a bench runs on them, from any computer. New pairs of a
    fleet are allowed.
    """
    until = _measured_until(context, snapshot.survey)
    is_here = not context.despite_bench and context.file.is_locked(name=BENCH_LOCK)
    touched = [step.key for step in snapshot.plan.changing if _disturbs(step, snapshot.survey)]
    if touched and (is_here or until is not None):
        raise is_being_measured(lab=snapshot.state.lab, until=until, changing=touched)


def _disturbs(step: Step, seen: Survey) -> bool:
    """Whether a step can disturb a bench on the existing hosts."""
    if step.action in {"replace", "delete"}:
        return True
    if step.action == "create":
        pair = pair_in(step.key)
        return layer_of(step.key) == "compute" and (pair is None or _has_host(pair.name, seen))
    return layer_of(step.key) == "compute" and bool(step.changes)


def _has_host(pair: str, seen: Survey) -> bool:
    return any(f"instance/{pair}/{role}" in seen.found for role in ROLES)


def _measured_until(context: LabContext, seen: Survey) -> datetime | None:
    """The expected end of a running bench, from the hosts' tags; None if none runs, or the context ignores it."""
    until = bench_until(seen)
    if until is None or until <= datetime.now(UTC) or context.despite_bench or _bench_was_ours(context, seen):
        return None
    return until


def _bench_was_ours(context: LabContext, seen: Survey) -> bool:
    """Whether the bench in the hosts' tags was started on this computer and no longer runs: then it was killed."""
    until = bench_until(seen)
    is_ours = until is not None and context.file.bench_until() == as_text(until)
    return is_ours and not context.file.is_locked(name=BENCH_LOCK)


def refuse_if_stood_on(seen: Survey, layers: Iterable[Layer]) -> None:
    """Raises LabError when a layer that is kept depends on one that is to be removed."""
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


def _first_state(context: LabContext) -> State:
    """The initial state of a lab that does not exist yet."""
    return new_state(
        lab=context.config.lab,
        account=context.aws.account(),
        region=context.config.aws.region,
        target=context.target.name,
        now=datetime.now(UTC),
        ttl_s=context.config.ttl_s,
        owner=context.caller,
    )


def existing_state(context: LabContext) -> tuple[State, tuple[str, ...]] | None:
    """The stages account and state: the lab's state, from the file or else reconstructed from the tagged lab on AWS; and messages for the
    user. None if there is no such lab.

    Raises StateError if account or region are not the lab's, UsageError if the target is not.
    """
    config, state = context.config, context.file.load()
    account, lab_id = in_parallel(
        context.aws.account,
        lambda: None if state else discover_lab_id(context.aws, lab=config.lab, region=config.aws.region),
    )
    if state is not None:
        _refuse_contradiction(state, context, account)
        return state, tuple(context.file.notes)
    if lab_id is None:
        return None
    adopted = replace(_first_state(context), lab_id=lab_id)
    text = f"there is no state file, but a lab {config.lab} with the id {lab_id} lives in {config.aws.region}: adopted by its tags"
    return adopted, (*context.file.notes, text)


def wanted_for_survey(config: Config, *, gateway: str | None) -> tuple[Resource, ...]:
    """The wanted resources as far as known before anything is resolved: enough to tell which are given."""
    unknown = Resolved(ami="", availability_zone="", ssh_cidr="", gateway=gateway)
    return wanted(config, unknown, public_key="", partition="aws", expires_at=datetime.now(UTC))


def _with_dates_of_tags(state: State, seen: Survey) -> State:
    """A state without resources, with the dates from the resources' tags: repeated requests must have exactly these."""
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
    return replace(
        state,
        created_at=from_text(tags[TAG_CREATED]),
        expires_at=from_text(tags[TAG_EXPIRES]),
        owner=tags.get(TAG_OWNER),
    )


def _refuse_contradiction(state: State, context: LabContext, account: str) -> None:
    """Raises UsageError or StateError when the state's target, account or region differ from the requested ones."""
    target, region = context.target, context.config.aws.region
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
    if state.region != region:
        raise StateError(
            f"lab {state.lab} lives in {state.region}, not in {region}",
            todo=f"use --region {state.region}, or another --lab",
        )
