"""Commands: what the command line's verbs do, in terms of the lab, the hosts and the bench. One function a verb.

Everything is told through the session's console; what a command leaves is given back as plain data.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from enaxp.aws import both
from enaxp.config import Role
from enaxp.errors import HostError, LabError, NoValidResultError, UsageError
from enaxp.lab.cost import usd_per_hour, usd_so_far
from enaxp.lab.lifecycle import Picture, down, existing_state, look, up
from enaxp.lab.pins import sustained_gbps
from enaxp.lab.status import nothing_there, status_of
from enaxp.lab.things import LAYERS, Layer, as_text
from enaxp.monitor.commands import configure_monitoring, require_monitoring, require_room_for_monitoring
from enaxp.options import Options
from enaxp.session import Session

if TYPE_CHECKING:
    from enaxp.bench.pair import Pair
    from enaxp.bench.schedule import Plan
    from enaxp.console import Console
    from enaxp.hosts.doctor import Finding
    from enaxp.lab.cost import Prices
    from enaxp.lab.findings import Report
    from enaxp.lab.state_manager import Results

BENCH_LOCK = "bench.lock"
ROLE_KEYS = ("instance/server", "instance/client")
SRD_CHANGE_S = 60.0


def bring_up(
    session: Session, *, layers: Sequence[Layer], sure: bool, wait: bool, rollback: bool = False
) -> dict[str, Any]:
    """Builds what is missing and gives back the status; with `rollback` takes back what it made when that fails.

    Raises LabError when somebody says no.
    """
    say = session.console.say
    if "monitoring" in layers:
        require_room_for_monitoring(session)
    with session.file.lock("up"):
        picture = _look(session, layers)
        changed = tuple(step.key for step in picture.plan.changing)
        for note in picture.notes:
            say(note)
        if picture.plan.changing:
            _, prices = both(lambda: _check_beforehand(session, picture), session.prices)
            say_what_it_costs(session, picture, prices)
            if session.target.name == "aws" and not sure:
                session.console.plan(picture.plan)
                if not session.console.ask(f"Build this in account {picture.state.account}, {picture.state.region}?"):
                    raise LabError("nothing was changed", todo="answer y, or give --yes")
            picture = _build(session, picture, layers, rollback=rollback)
        else:
            up(picture, config=session.config, aws=session.aws, file=session.file, watch=session.console.lab_event)
            say("everything is as wanted: nothing to change")
    if not wait:
        return _status(session, picture, software={})
    return _wait_for_hosts(session, picture, layers, changed=changed)


def _wait_for_hosts(
    session: Session, picture: Picture, layers: Sequence[Layer], *, changed: Sequence[str]
) -> dict[str, Any]:
    """Until the hosts of these layers have all that they need; gives back the status then. Raises HostError."""
    from enaxp.lab.boot import log_of, wait_until_ready
    from enaxp.lab.state_manager import wait_for_software

    say = session.console.say
    status = _status(session, picture, software={})
    hosts = session.hosts(status) if "compute" in layers else {}
    watcher = session.monitoring_host(status) if "monitoring" in layers else None
    if not hosts and watcher is None:
        return status
    say("waiting for the hosts: SSH, then their first boot, then State Manager's word that the software is in place")
    wait_until_ready([*hosts.values(), *([watcher] if watcher else [])], say=say)
    if watcher:
        configure_monitoring(session, watcher)
    software = None
    if hosts:
        software = wait_for_software(
            picture, session.aws, changed=changed, log_of=lambda role, piece: log_of(hosts[role], piece), say=say
        )
    return _status(session, picture, software=software)


def _build(session: Session, picture: Picture, layers: Sequence[Layer], *, rollback: bool) -> Picture:
    """Carries the picture out, where there is room; gives back the lab as it is then."""
    from enaxp.errors import EnaxpError
    from enaxp.lab.room import take_back, up_where_there_is_room

    aws, file, watch, say = session.aws, session.file, session.console.lab_event, session.console.say
    try:
        return up_where_there_is_room(
            picture,
            look_again=lambda: _look(session, layers),
            config=session.config,
            aws=aws,
            file=file,
            watch=watch,
            note=say,
        )
    except EnaxpError:
        if rollback:
            say("this failed: taking back what it made")
            take_back(picture, aws=aws, file=file, watch=watch)
        raise


def preflight(session: Session) -> Report:
    """What `up` would check before it makes anything, all of it, whether or not something is to be made."""
    from enaxp.lab.lifecycle import BUILT_LAYERS
    from enaxp.lab.preflight import preflight_report

    return preflight_report(_look(session, BUILT_LAYERS), config=session.config, aws=session.aws)


def current_status(session: Session) -> dict[str, Any]:
    """The status document; that of nothing when there is no such lab."""
    if existing_state(session.config, aws=session.aws, file=session.file, target=session.target) is None:
        return nothing_there(
            lab=session.config.lab,
            target=session.target.name,
            endpoint_url=session.endpoint_url,
            region=session.config.aws.region,
        )
    return _status(session, _look(session))


@dataclass(frozen=True, kw_only=True)
class BenchWish:
    """What is asked of a bench besides its config. `resume` names a run that is to go on; its own plan is kept then.

    `report`: whether the page is drawn at the end, too.
    """

    argv: list[str]
    message_size: int | None = None
    crossover: bool = False
    control: bool = False
    until_pct: float | None = None
    max_iterations: int | None = None
    keep_full_log: bool = False
    resume: str | None = None
    force: bool = False
    report: bool = True


def run_bench(session: Session, wish: BenchWish) -> tuple[dict[str, Any], str, Path]:
    """The result, the summary and the folder of a run. Raises NoValidResultError when no scenario gave one."""
    from enaxp.bench.bench import carry_out, connected, go_on, result_of
    from enaxp.bench.records import RunFolder
    from enaxp.bench.result import has_valid_result
    from enaxp.bench.runner import Ways
    from enaxp.errors import BenchError, Interrupted
    from enaxp.monitor.textfile import published
    from enaxp.report.files import write_report_files
    from enaxp.report.render import draw_after_bench

    results, lab = session.options.results_dir, session.config.lab
    folder = RunFolder.find(results, lab=lab, run=wish.resume) if wish.resume else None
    plan = folder.read_manifest().plan if folder else _bench_plan(session, wish)
    with session.file.lock("bench", name=BENCH_LOCK):
        status = current_status(session)
        hosts = session.hosts(status)
        where = "local, not ENA" if session.target.name == "local" else str(status["availability_zone"])
        title = f"enaxp bench, lab {lab}, {where}"
        with connected(hosts) as pair, session.console.bench_view(plan, title=title, earlier=folder) as watch:
            crossed = folder is not None and plan.crossover  # killed while crossed, it is put right by the run itself
            forced = _require_health(session, pair, status, force=wish.force, crossed=crossed)
            done = (
                len({(r.scenario, r.iteration, r.repeat, r.control, r.arm) for r in folder.records()}) if folder else 0
            )
            _announce(session, plan, status, done=done)
            ways = Ways(watch=watch, keep_log=wish.keep_full_log, assign=_srd_changer(session, status))
            cut_short = None
            try:
                if folder:
                    with published(ways, pair=pair, folder=folder) as ways:
                        go_on(folder, pair=pair, ways=ways)
                else:
                    folder = RunFolder.create(results, lab=lab, now=datetime.now(UTC))
                    target, isolation = session.target.name, status["isolation"]
                    with published(ways, pair=pair, folder=folder) as ways:
                        carry_out(
                            plan,
                            pair=pair,
                            folder=folder,
                            lab=lab,
                            target=target,
                            isolation=isolation,
                            argv=wish.argv,
                            ways=ways,
                            place=_place(session, status),
                            host_gbps=_host_gbps(session, status),
                            forced=forced,
                        )
            except (Interrupted, BenchError, HostError) as error:
                if folder is None or not folder.records():
                    if folder and not (folder.path / "manifest.json").exists():  # nothing was begun
                        shutil.rmtree(folder.path)
                    raise
                cut_short = error
    try:
        result = result_of(folder)
        summary = write_report_files(folder, result)
    except OSError as error:
        if cut_short is not None:
            raise cut_short from error
        raise BenchError(
            f"writing the result into {folder.path}",
            said=str(error),
            todo=f"make room, then `enaxp bench --resume {folder.run_id}`: no trial is run again",
        ) from error
    if cut_short is not None:
        session.console.say(summary)
        if isinstance(cut_short, HostError):
            cut_short.todo += f"; then `enaxp bench --resume {folder.run_id}` goes on"
        raise cut_short
    if not has_valid_result(result):
        session.console.say(summary)
        raise NoValidResultError(
            "no trial of at least one arm was valid", said=_first_reason(folder), todo=f"look at {folder.path}/raw"
        )
    for line in draw_after_bench(folder) if wish.report else ():
        session.console.say(line)
    return result, summary, folder.path


def report_run(
    options: Options, run: str, *, formats: Sequence[str], charts: Path | None, console: Console
) -> dict[str, Any]:
    """Renders a run again from its folder, in each of the formats, and gives back what was written.

    html: the page and its picture, into the run's folder; md: text, to the console; png, svg: every chart, into `charts`.
    """
    from enaxp.bench.records import RunFolder
    from enaxp.report.figures import read_run
    from enaxp.report.markdown import render_markdown
    from enaxp.report.render import IMAGE_FORMATS, ImageFormat, write_charts, write_page

    folder = RunFolder.find(options.results_dir, lab=options.lab, run=run)
    images: list[ImageFormat] = [kind for kind in IMAGE_FORMATS if kind in formats]
    if charts and not images:
        images = ["png"]
    written = write_page(folder) if "html" in formats else []
    if images:
        written += write_charts(folder, into=charts or folder.path / "charts", formats=images)
    markdown = render_markdown(read_run(folder)) if "md" in formats else None
    if markdown is not None:
        console.result(markdown.rstrip())
    for path in written:
        console.say(f"wrote {path}")
    return {"run_id": folder.run_id, "written": [str(path) for path in written], "markdown": markdown}


def examine_hosts(session: Session, *, fix: bool) -> list[Finding]:
    """What the doctor finds; with `fix` after mending what can be mended safely, on both hosts alike."""
    from enaxp.bench.pair import connected
    from enaxp.hosts.doctor import fixes

    status = current_status(session)
    with connected(session.hosts(status)) as pair:
        findings = _findings(session, pair, status)
        commands = fixes(findings) if fix else []
        for connection in pair.by_role().values():
            for command in commands:
                session.console.say(f"  {connection.host.role}: {command}")
                as_root = f"sh -c {shlex.quote(command)}"
                answer = connection.run(f"if [ $(id -u) -eq 0 ]; then {as_root}; else sudo -n {as_root}; fi")
                if not answer.ok:
                    session.console.say(f"  {connection.host.role}: that failed: {answer.stderr.strip()[-200:]}")
        return _findings(session, pair, status) if commands else findings


def _findings(session: Session, pair: Pair, status: dict[str, Any]) -> list[Finding]:
    """Everything that the doctor looks at: what AWS says of both hosts, what each tells of itself, what must be the same on both."""
    from enaxp.hosts.doctor import ARMS, compare, examine, examine_lab, probe_command, read_facts

    instances = _instances(session, status)
    types = {role: instance["InstanceType"] for role, instance in instances.items()}
    zones = {role: instance["Placement"]["AvailabilityZone"] for role, instance in instances.items()}
    known = session.aws.ec2.describe_instance_types(InstanceTypes=sorted(set(types.values())))["InstanceTypes"]
    supporting = [kind["InstanceType"] for kind in known if kind["NetworkInfo"].get("EnaSrdSupported")]
    found, facts = examine_lab(types, zones, supporting=supporting), {}
    for role, connection in pair.by_role().items():
        peer = pair.client if role == "server" else pair.server
        own = {arm: connection.host.ip_of(arm) for arm in ARMS}
        text = connection.check(probe_command(own, {arm: peer.host.ip_of(arm) for arm in ARMS}))
        facts[role] = read_facts(text)
        found += examine(role, facts[role], attachments=status["hosts"][role])
    return [*found, *compare(facts)]


def _place(session: Session, status: dict[str, Any]) -> dict[str, str | None]:
    """What AWS says of the hosts, for whoever compares runs. Nothing on this machine, where it would be mere pretence."""
    if session.target.name != "aws":
        return {}
    instances = _instances(session, status).values()
    return {
        "region": status["region"],
        "availability_zone": status["availability_zone"],
        "instance_type": " and ".join(sorted({instance["InstanceType"] for instance in instances})),
        "image": " and ".join(sorted({instance["ImageId"] for instance in instances})),
        "placement": session.config.placement,
    }


def _host_gbps(session: Session, status: dict[str, Any]) -> float | None:
    """What the slower host carries all day, in Gbit/s; None on this machine, and where AWS does not say."""
    if session.target.name != "aws":
        return None
    types = {instance["InstanceType"] for instance in _instances(session, status).values()}
    return sustained_gbps(session.aws.ec2.describe_instance_types(InstanceTypes=sorted(types))["InstanceTypes"])


def _instances(session: Session, status: dict[str, Any]) -> dict[str, Any]:
    """What AWS says of each host's instance, by role."""
    ids = {host["instance_id"]: role for role, host in status["hosts"].items()}
    described = session.aws.ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
    return {ids[i["InstanceId"]]: i for reservation in described for i in reservation["Instances"]}


def _require_health(
    session: Session, pair: Pair, status: dict[str, Any], *, force: bool, crossed: bool
) -> tuple[str, ...]:
    """What is required and wrong, in words, when the bench is to go on in spite of it. Raises BenchError when it is not.

    crossed: ENA Express may be on the other pair of interfaces for now.
    """
    from enaxp.errors import BenchError
    from enaxp.hosts.doctor import required_and_bad, where_srd_is

    bad = required_and_bad(_findings(session, pair, status))
    wrong = [f"{f.host}: {f.check} is {f.have}, wanted {f.want}" for f in bad if not (crossed and where_srd_is(f))]
    if wrong and not force:
        raise BenchError(
            "ENA Express is not as it should be on these hosts",
            said="; ".join(wrong),
            todo="run `enaxp up` for what AWS sets, `enaxp doctor --fix` for the hosts' own settings, or give --force",
        )
    for line in wrong:
        session.console.say(f"going on in spite of this: {line}")
    return tuple(wrong)


def take_down(session: Session, *, layers: Sequence[Layer], sure: bool, force: bool) -> dict[str, Any]:
    """Removes the layers (none named: all of the lab) and gives back what was removed and what is left."""
    if session.file.is_locked(name=BENCH_LOCK) and not force:
        raise LabError(
            f"a bench of lab {session.config.lab} is running", todo="wait for it, stop it with Ctrl-C, or give --force"
        )
    if session.target.name == "aws" and not sure:
        what = " and ".join(layers) or "everything"
        if not session.console.ask(f"Remove {what} of lab {session.config.lab} in {session.config.aws.region}?"):
            raise LabError("nothing was changed", todo="answer y, or give --yes")
    return remove_layers(session, layers=layers)


def remove_layers(session: Session, *, layers: Sequence[Layer]) -> dict[str, Any]:
    """As `take_down`, without asking."""
    say = session.console.say
    with session.file.lock("down"):
        removal = down(
            session.config,
            aws=session.aws,
            file=session.file,
            target=session.target,
            layers=tuple(layers) or LAYERS,
            watch=session.console.lab_event,
            note=say,
        )
    for found in removal.leftovers:
        say(f"left over: {found.key} {found.id}")
    if removal.lab_is_gone:
        say(
            f"{len(removal.removed)} things removed; a listing by tag shows nothing of lab {session.config.lab} any more"
        )
    else:
        say(f"{len(removal.removed)} things removed")
    instance_type = next((str(found.facts["type"]) for found in removal.removed if found.key in ROLE_KEYS), None)
    prices = session.prices(instance_type) if removal.removed else None
    cost = usd_so_far(prices, removal.removed, now=datetime.now(UTC))
    if cost is not None:
        say(f"what was removed has cost about {cost:.2f} USD in all")
    return {
        "removed": [{"key": found.key, "kind": found.kind, "id": found.id} for found in removal.removed],
        "leftovers": [{"key": found.key, "kind": found.kind, "id": found.id} for found in removal.leftovers],
    }


def parse_files(files: Sequence[str]) -> list[dict[str, Any]]:
    """What the parser reads in each file. Raises UsageError for a file that cannot be opened."""
    from enaxp.hosts.sockperf import parse

    outputs = []
    for name in files:
        try:
            content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            raise UsageError(f"{name} cannot be read", said=error.strerror or str(error)) from None
        outputs.append(parse(content.decode("utf-8", errors="replace")).to_json(name))
    return outputs


def ssh_to_host(session: Session, *, role: Role | Literal["monitoring"], command: Sequence[str]) -> int:
    """Runs the system's ssh on a host of the lab, attached to this terminal; gives back its exit code."""
    from enaxp.hosts.connection import ssh_command

    status = current_status(session)
    host = require_monitoring(session, status) if role == "monitoring" else session.hosts(status)[role]
    return subprocess.run([*ssh_command(host), *command], check=False).returncode


def _look(session: Session, layers: Sequence[Layer] | None = None) -> Picture:
    return look(session.config, aws=session.aws, file=session.file, target=session.target, layers=layers)


def _check_beforehand(session: Session, picture: Picture) -> None:
    """What speaks against building this, before anything of it is made. Raises LabError with all of it at once."""
    from enaxp.lab.preflight import preflight_report

    if not picture.plan.with_action("create"):
        return
    report = preflight_report(picture, config=session.config, aws=session.aws)
    for finding in report.of("warning"):
        session.console.say(f"warning: {finding.check}: {finding.text}")
    report.require()


def _status(session: Session, picture: Picture, *, software: Results | None = None) -> dict[str, Any]:
    from enaxp.lab.state_manager import results

    return status_of(
        picture,
        config=session.config,
        endpoint_url=session.endpoint_url,
        prices=session.prices(),
        software=results(picture, session.aws) if software is None else software,
        now=datetime.now(UTC),
    )


def say_what_it_costs(session: Session, picture: Picture, prices: Prices | None) -> None:
    """What everything that is wanted costs an hour, and until its time is over, before any of it is made."""
    if session.target.name != "aws":
        return
    say = session.console.say
    hourly = usd_per_hour(prices, (thing.key for thing in picture.things if thing.owned))
    if prices is None or hourly is None:
        say(f"what {session.config.hosts.instance_type} costs in {session.config.aws.region} is not known here")
        return
    hours = max(0.0, (picture.state.expires_at - datetime.now(UTC)).total_seconds() / 3600)
    say(
        f"cost: about {hourly:.2f} USD an hour, {hourly * hours:.2f} USD until it ends at "
        f"{as_text(picture.state.expires_at)} ({prices.source}; traffic not counted)"
    )


def _bench_plan(session: Session, wish: BenchWish) -> Plan:
    """The plan of the config and the wish, with a seed: a new one unless one was given. Raises UsageError when they contradict."""
    from enaxp.bench.schedule import Background, Plan, Scenario

    _refuse_contradictions(session, wish)
    bench, scenarios = session.config.bench, []
    for name in bench.scenarios:
        asked = session.config.scenarios[name]
        bulk = asked.background
        background = (
            Background(protocol=bulk.protocol, flows=bulk.flows, message_size=bulk.message_size) if bulk else None
        )
        scenarios.append(
            Scenario(
                name=name,
                mode=asked.mode,
                protocol=asked.protocol,
                message_size=asked.message_size,
                csv_name=asked.csv_name,
                rate=asked.rate,
                reply_every=asked.reply_every,
                flows=asked.flows,
                background=background,
            )
        )
    if wish.message_size is not None:
        scenarios = [replace(scenario, message_size=wish.message_size) for scenario in scenarios]
    return Plan(
        iterations=bench.iterations,
        repeats=bench.repeats,
        duration_s=bench.duration_s,
        order=bench.order,
        seed=bench.seed if bench.seed is not None else secrets.randbits(32),
        margin_pct=bench.margin_pct,
        scenarios=tuple(scenarios),
        crossover=wish.crossover,
        control=wish.control,
        until_pct=wish.until_pct,
        max_iterations=(wish.max_iterations or 5 * bench.iterations) if wish.until_pct is not None else None,
    )


def _refuse_contradictions(session: Session, wish: BenchWish) -> None:
    bench = session.config.bench
    if wish.crossover and bench.iterations < 2:
        raise UsageError("a crossover needs two iterations at least", todo="give --iterations 2 or more")
    if wish.crossover and wish.until_pct is not None:
        raise UsageError("--crossover and --until do not go together", said="half of an unknown number is unknown")
    if wish.control and bench.order == "parallel":
        raise UsageError(
            "--control and --order parallel do not go together", said="both arms would share one interface"
        )
    if wish.max_iterations is not None and wish.until_pct is None:
        raise UsageError("--max-iterations is the limit of --until", todo="give --until, or --iterations alone")


def _announce(session: Session, plan: Plan, status: dict[str, Any], *, done: int) -> None:
    """Says how long it takes, what it costs, and when the lab would end before it."""
    from enaxp.bench.schedule import schedule, seconds

    say, trials = session.console.say, len(schedule(replace(plan, until_pct=None)))
    takes_s = seconds(plan) * max(0, trials - done) / trials
    ends = datetime.now(UTC) + timedelta(seconds=takes_s)
    already = f", {done} of them done" if done else ""
    hourly = status["usd_per_hour"]
    cost = f", about {hourly * takes_s / 3600:.2f} USD" if hourly else ""
    say(
        f"{trials} trials of {plan.duration_s:g} s, discarded ones included{already}: about {takes_s / 60:.1f} min, "
        f"until {ends.astimezone():%H:%M:%S}{cost}; order {plan.order}, seed {plan.seed}"
    )
    if plan.until_pct is not None:
        say(
            f"it goes on until the intervals are within ±{plan.until_pct:g}%, or {plan.most_iterations} iterations are done"
        )
    if status["expires_at"] and datetime.fromisoformat(status["expires_at"]) < ends:
        say(
            f"warning: the lab ends at {status['expires_at']}, before this bench does; `enaxp extend` gives it more time"
        )


def _srd_changer(session: Session, status: dict[str, Any]) -> Callable[[bool], None]:
    """What gives ENA Express to the one pair of interfaces and takes it from the other, and comes back when AWS reads so."""
    from enaxp.lab.kinds.compute import set_srd, srd_of

    interfaces = {
        host[arm]["eni"]: arm == "ena_express" for host in status["hosts"].values() for arm in ("ena", "ena_express")
    }

    def change_over(crossed: bool) -> None:
        wanted = {eni: on != crossed for eni, on in interfaces.items()}
        for eni, on in sorted(wanted.items(), key=lambda item: item[1]):  # off first: never both
            set_srd(session.aws, eni=eni, on=on)
        deadline = time.monotonic() + SRD_CHANGE_S
        for pause_s in session.aws.pauses():
            answer = session.aws.ec2.describe_network_interfaces(NetworkInterfaceIds=list(wanted))
            have = {i["NetworkInterfaceId"]: srd_of(i["Attachment"]) for i in answer["NetworkInterfaces"]}
            if all(have[eni] == {"srd": on, "srd_udp": on} for eni, on in wanted.items()):
                return
            if time.monotonic() >= deadline:
                raise LabError(
                    "ENA Express was changed over, but AWS does not read so", said=str(have), todo="run `enaxp up`"
                )
            time.sleep(pause_s)

    return change_over


def _first_reason(folder: Any) -> str:
    reasons = [record.reason for record in folder.records() if record.reason]
    return reasons[0] if reasons else "no trial ended"
