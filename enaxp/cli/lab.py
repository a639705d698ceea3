"""Commands of a lab: `init plan up status doctor down ls extend policy ssh`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from enaxp.cli.declare import argument, command, option, yes_option
from enaxp.options import Options

if TYPE_CHECKING:
    from enaxp.lab.model import Layer
    from enaxp.lab.status import Status
    from enaxp.session import Session

LAYER_NAMES = ("network", "compute", "monitoring")

layers_argument, layers_to_remove = (
    argument(
        "layers",
        nargs=-1,
        type=click.Choice(LAYER_NAMES),
        metavar="[LAYERS]...",
        about=f"network, compute, monitoring; {default} when none is named.",
    )
    for default in ("the first two", "the whole lab")
)
pairs_option = option(
    "--pairs",
    type=click.IntRange(min=1),
    metavar="N",
    help="A fleet of N pairs of hosts (of each variant of the config).",
)
adopt_option = option("--adopt", is_flag=True, help="Take over a lab of another owner.")
all_regions_option = option("--all-regions", is_flag=True, help="In every region of the account.")


@command("init")
@option("--force", is_flag=True, help="Replace a file that is there.")
def init(options: Options, *, force: bool) -> None:
    """Write a commented config/bench.yaml with every default into this folder."""
    from enaxp.config import write_default_config
    from enaxp.terminal.console import Console

    path = write_default_config(options.config or Path("config/bench.yaml"), replace=force)
    Console(as_json=options.as_json).result(f"wrote {path}")


@command("plan")
@layers_argument
@option("--check", is_flag=True, help="Exit 3 when something would change.")
@pairs_option
@option("--unfold", is_flag=True, help="Show every resource of a fleet separately.")
def plan(options: Options, *, layers: tuple[Layer, ...], check: bool, pairs: int | None, unfold: bool) -> None:
    """Show what `up` would change, and why. Changes nothing."""
    from enaxp.commands.lab import say_what_it_costs
    from enaxp.commands.monitoring import require_room_for_monitoring
    from enaxp.commands.status import look_at
    from enaxp.lab.documents import plan_document
    from enaxp.lab.lifecycle import types_wanted
    from enaxp.session import open_session
    from enaxp.terminal.lab import folded_plan_text, plan_text

    chosen = _layers(layers)
    with open_session(options, overrides={"fleet.pairs": pairs}) as session:
        if "monitoring" in chosen:
            require_room_for_monitoring(session)
        snapshot = look_at(session, chosen)
    for note in snapshot.notes:
        session.console.say(note)
    if options.as_json:
        session.console.document(plan_document(snapshot.plan))
    else:
        session.console.result(plan_text(snapshot.plan) if unfold else folded_plan_text(snapshot.plan))
        say_what_it_costs(session, snapshot, session.prices(types_wanted(snapshot)))
    if check and snapshot.plan.changing:
        sys.exit(3)


@command("up")
@layers_argument
@yes_option
@option("--no-wait", is_flag=True, help="Return once AWS is done, without waiting for SSH and software.")
@option("--ttl", envvar="ENAXP_TTL", help="How long the hosts live, e.g. 4h.")
@option(
    "--max-usd-per-hour",
    type=click.FloatRange(min=0, min_open=True),
    envvar="ENAXP_MAX_USD_PER_HOUR",
    metavar="USD",
    help="Exit 2, with nothing made, if the lab would cost more.",
)
@pairs_option
@option("--partial", is_flag=True, help="Continue without pairs of a fleet for which AWS has no capacity.")
@option("--rollback", is_flag=True, help="If it fails, remove what it created.")
@option("--skip-preflight", is_flag=True, help="Build without the checks in advance.")
@option("--all", "everything", is_flag=True, help="Every layer: the monitoring, too.")
@adopt_option
@option(
    "--replace", "may_replace", is_flag=True, help="Do not ask before running hosts are replaced, or a fleet's removed."
)
@option("--force", is_flag=True, help="Change hosts even while a bench runs on them.")
def up(
    options: Options,
    *,
    layers: tuple[Layer, ...],
    yes: bool,
    no_wait: bool,
    ttl: str | None,
    max_usd_per_hour: float | None,
    pairs: int | None,
    partial: bool,
    rollback: bool,
    skip_preflight: bool,
    everything: bool,
    adopt: bool,
    may_replace: bool,
    force: bool,
) -> None:
    """Build the lab, or what is missing of it."""
    from enaxp.commands.lab import bring_up, wait_for_hosts
    from enaxp.commands.status import status_in
    from enaxp.lab.model import LAYERS
    from enaxp.session import open_session

    with open_session(options, overrides={"ttl": ttl, "fleet.pairs": pairs}) as session:
        session = replace(session, adopt=adopt, despite_bench=force)
        chosen = LAYERS if everything else _layers(layers)
        built = bring_up(
            session,
            layers=chosen,
            assume_yes=yes,
            may_replace=may_replace,
            rollback=rollback,
            max_usd_per_hour=max_usd_per_hour,
            skip_preflight=skip_preflight,
            partial=partial,
        )
        status = status_in(session, built.snapshot, software={}) if no_wait else wait_for_hosts(session, built)
        _show_status(session, status)


@command("status")
def status(options: Options) -> None:
    """Show the lab: resources, hosts, addresses, and ENA Express as read back."""
    from enaxp.commands.status import current_status
    from enaxp.session import open_session

    with open_session(options) as session:
        _show_status(session, current_status(session))


@command("doctor")
@option("--fix", is_flag=True, help="Correct what can be corrected safely, on both hosts alike.")
@option("--preflight", is_flag=True, help="Check the account instead, for what `up` is about to do.")
def doctor(options: Options, *, fix: bool, preflight: bool) -> None:
    """Check on both hosts what ENA Express requires and recommends. Exit 1 when something required is wrong."""
    if preflight:
        _preflight(options)
        return
    from enaxp.commands.doctor import examine_hosts
    from enaxp.hosts.doctor import required_and_bad
    from enaxp.session import open_session
    from enaxp.terminal.lab import findings_text

    with open_session(options) as session:
        findings = examine_hosts(session, fix=fix)
        if options.as_json:
            session.console.document(findings)
        else:
            session.console.result(findings_text(findings))
    if required_and_bad(findings):
        sys.exit(1)


@command("down")
@layers_to_remove
@yes_option
@option("--force", is_flag=True, help="Remove it even while a bench runs.")
@option("--expired", is_flag=True, help="Remove every expired lab.")
@all_regions_option
@option("--lab-id", help="Remove the lab of this id, whatever its name.")
@adopt_option
@option(
    "--with-foreign",
    is_flag=True,
    help="Also remove endpoints and security groups that others created in the lab's own VPC.",
)
def down(
    options: Options,
    *,
    layers: tuple[Layer, ...],
    yes: bool,
    force: bool,
    expired: bool,
    all_regions: bool,
    lab_id: str | None,
    adopt: bool,
    with_foreign: bool,
) -> None:
    """Remove the lab, or layers of it, and verify by tag that nothing is left. Exit 1 when something is, with the reason."""
    from enaxp.commands.lab import confirm_removal, remove_layers, require_no_bench
    from enaxp.errors import UsageError
    from enaxp.lab.documents import removal_document
    from enaxp.session import open_session

    if sum((bool(layers), expired, lab_id is not None)) > 1:
        raise UsageError("layers, --expired and --lab-id do not go together", todo="give one of them")
    if all_regions and not expired:
        raise UsageError("--all-regions goes with --expired", todo="give both, or --region")
    if with_foreign and (expired or lab_id is not None):
        raise UsageError("--with-foreign is for one lab, known by its name", todo="leave it out, or give --lab")
    if expired:
        _down_expired(options, everywhere=all_regions, yes=yes, force=force)
        return
    if lab_id is not None:
        _down_by_id(options, lab_id=lab_id, yes=yes, force=force)
        return
    with open_session(options) as session:
        session = replace(session, adopt=adopt, despite_bench=force)
        if not force:
            require_no_bench(session)
        if not yes:
            confirm_removal(session, layers, with_foreign=with_foreign)
        removal = remove_layers(session, layers=layers, with_foreign=with_foreign)
        if options.as_json:
            session.console.document(removal_document(removal))
    if removal.leftovers:
        sys.exit(1)


def _down_expired(options: Options, *, everywhere: bool, yes: bool, force: bool) -> None:
    """`down --expired`: lab by lab. Exit 1 when one could not be removed, or a region could not be asked."""
    from enaxp.commands.labs import confirm_removal_of_labs, expired_labs, remove_labs
    from enaxp.lab.documents import removals_document
    from enaxp.session import open_session

    with open_session(options) as session:
        over = expired_labs(replace(session, despite_bench=force), everywhere=everywhere)
        if not yes:
            confirm_removal_of_labs(session, over.labs)
        done = remove_labs(session, over.labs, force=force)
        if options.as_json:
            session.console.document(removals_document(done))
    if over.is_partial or not all(one.is_done for one in done):
        sys.exit(1)


def _down_by_id(options: Options, *, lab_id: str, yes: bool, force: bool) -> None:
    """`down --lab-id`: one lab, or none."""
    from enaxp.commands.labs import confirm_removal_of_labs, labs_with_id, remove_lab
    from enaxp.lab.documents import removal_document
    from enaxp.lab.lifecycle import Removal
    from enaxp.session import open_session

    with open_session(options) as session:
        labs = labs_with_id(session, lab_id)
        if not yes:
            confirm_removal_of_labs(session, labs)
        removals = [remove_lab(session, lab, force=force) for lab in labs]
        [removal] = removals or [Removal(removed=(), leftovers=(), lab_is_gone=True)]
        if options.as_json:
            session.console.document(removal_document(removal))
    if removal.leftovers:
        sys.exit(1)


@command("ls")
@all_regions_option
def ls(options: Options, *, all_regions: bool) -> None:
    """List the labs of a region with age, end and hourly cost, from their tags and instances alone."""
    from enaxp.commands.labs import standing_labs
    from enaxp.session import open_session
    from enaxp.terminal.lab import labs_text

    with open_session(options) as session:
        labs = standing_labs(session, everywhere=all_regions)
        if options.as_json:
            session.console.document(labs)
        else:
            session.console.result(labs_text(labs))


@command("extend")
@argument("by", metavar="TIME", about="How much longer, e.g. 2h.")
def extend(options: Options, *, by: str) -> None:
    """Postpone the lab's expiry: its tags, its state and the hosts' timers. Works during a bench."""
    from enaxp.commands.labs import extend_lab
    from enaxp.session import open_session

    with open_session(options) as session:
        status = extend_lab(session, by=by)
        if options.as_json:
            session.console.document(status)


@command("policy")
@option(
    "--role", metavar="ROLE", help="The role in the given instance profile: a name or an ARN (asked of AWS without)."
)
@option("--part", type=click.IntRange(min=1), help="Where one policy is not long enough: only this one of them.")
@option(
    "--given",
    metavar="ID",
    multiple=True,
    help="Of a bench between instances that exist already: each one's id, or its interface's; repeat it.",
)
def policy(options: Options, *, role: str | None, part: int | None, given: tuple[str, ...]) -> None:
    """Print the IAM policy that allows what enaxp does for this lab, and nothing else."""
    from enaxp.aws import Aws
    from enaxp.commands.policy import given_policy_document, policy_document
    from enaxp.lab.state import StateFile
    from enaxp.session import config_without_session
    from enaxp.terminal.console import Console

    config = config_without_session(options)
    state = StateFile(options.state_dir, config.lab).load()
    fleet = state.pinned.fleet or None if state else None
    console, aws = Console(as_json=True), Aws(region=config.aws.region, profile=options.profile)
    if given:
        console.document(given_policy_document(config, aws, ids=given))
        return
    console.document(policy_document(config, aws, role=role, part=part, say=console.say, fleet=fleet))


@command("ssh")
@argument(
    "role", type=click.Choice(["server", "client", "monitoring"]), about="Which host: server, client or monitoring."
)
@argument(
    "command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]", about="What to run there; a login without."
)
@option("--pair", metavar="NAME", help="Of which pair of a fleet, such as main-2; the first one's without.")
def ssh(
    options: Options,
    *,
    role: Literal["server", "client", "monitoring"],
    command: tuple[str, ...],
    pair: str | None,
) -> None:
    """Log in to a host, or run a command on it."""
    from enaxp.commands.ssh import ssh_to_host
    from enaxp.session import open_session

    with open_session(options) as session:
        code = ssh_to_host(session, role=role, command=command, pair=pair)
    sys.exit(code)


def _layers(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Those that were named, else those that are built without a name."""
    from enaxp.lab.lifecycle import BUILT_LAYERS

    return layers or BUILT_LAYERS


def _preflight(options: Options) -> None:
    """`doctor --preflight`: checks the account. Exit 1 when `up` would fail."""
    from enaxp.commands.lab import preflight
    from enaxp.lab.documents import preflight_document
    from enaxp.session import open_session
    from enaxp.terminal.lab import preflight_text

    with open_session(options) as session:
        report = preflight(session)
        if options.as_json:
            session.console.document(preflight_document(report))
        else:
            session.console.result(preflight_text(report))
    if report.of("failure"):
        sys.exit(1)


def _show_status(session: Session, status: Status) -> None:
    from enaxp.terminal.lab import status_text

    if session.console.as_json:
        session.console.document(status)
    else:
        session.console.result(status_text(status, proxy_command=session.config.hosts.proxy_command))
