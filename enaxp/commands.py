"""Commands: what the command line's verbs do, in terms of the lab, the hosts and the bench. One function a verb.

Everything is told through the session's console; what a command leaves is given back as plain data.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from enaxp.config import Role
from enaxp.errors import LabError, NoValidResultError, UsageError
from enaxp.lab.lifecycle import Picture, down, existing_state, look, up
from enaxp.lab.status import nothing_there, status_of
from enaxp.lab.things import LAYERS, Layer
from enaxp.session import Session

BENCH_LOCK = "bench.lock"


def bring_up(session: Session, *, layers: Sequence[Layer], sure: bool, wait: bool) -> dict[str, Any]:
    """Builds what is missing and gives back the status. Raises LabError when somebody says no."""
    from enaxp.lab.boot import wait_until_ready

    say = session.console.say
    with session.file.lock("up"):
        picture = _look(session, layers)
        for note in picture.notes:
            say(note)
        if picture.plan.changing:
            if session.target.name == "aws" and not sure:
                session.console.plan(picture.plan)
                if not session.console.ask(f"Build this in account {picture.state.account}, {picture.state.region}?"):
                    raise LabError("nothing was changed", todo="answer y, or give --yes")
            up(picture, config=session.config, aws=session.aws, file=session.file, watch=session.console.lab_event)
            picture = _look(session, layers)
        else:
            up(picture, config=session.config, aws=session.aws, file=session.file, watch=session.console.lab_event)
            say("everything is as wanted: nothing to change")
    status = status_of(picture, config=session.config, endpoint_url=session.endpoint_url)
    if wait and "compute" in layers:
        say("waiting for the hosts: SSH, then the software that their first boot installs")
        wait_until_ready(session.hosts(status).values(), say=say)
    return status


def current_status(session: Session) -> dict[str, Any]:
    """The status document; that of nothing when there is no such lab."""
    if existing_state(session.config, aws=session.aws, file=session.file, target=session.target) is None:
        return nothing_there(
            lab=session.config.lab,
            target=session.target.name,
            endpoint_url=session.endpoint_url,
            region=session.config.aws.region,
        )
    return status_of(_look(session, LAYERS), config=session.config, endpoint_url=session.endpoint_url)


def run_bench(session: Session, *, message_size: int | None, argv: list[str]) -> tuple[dict[str, Any], str, Path]:
    """The result, the summary and the folder of a new run. Raises NoValidResultError when no scenario gave one."""
    from enaxp.bench.bench import carry_out, connected, result_of
    from enaxp.bench.records import RunFolder
    from enaxp.bench.result import has_valid_result
    from enaxp.bench.schedule import schedule, seconds
    from enaxp.errors import Interrupted
    from enaxp.report.files import write_report_files

    plan = _bench_plan(session, message_size)
    with session.file.lock("bench", name=BENCH_LOCK):
        status = current_status(session)
        hosts = session.hosts(status)
        _require_express(status)
        with connected(hosts) as pair:
            folder = RunFolder.create(session.options.results_dir, lab=session.config.lab, now=datetime.now(UTC))
            trials = len(schedule(plan))
            ends = datetime.now() + timedelta(seconds=seconds(plan))
            session.console.say(
                f"{trials} trials of {plan.duration_s:g} s, discarded ones included: about {seconds(plan) / 60:.1f} min, "
                f"until {ends:%H:%M:%S}; order {plan.order}, seed {plan.seed}"
            )
            interrupted = None
            try:
                carry_out(
                    plan,
                    pair=pair,
                    folder=folder,
                    lab=session.config.lab,
                    target=session.target.name,
                    isolation=status["isolation"],
                    argv=argv,
                    watch=session.console.bench_progress,
                )
            except Interrupted as error:
                interrupted = error
    result = result_of(folder)
    summary = write_report_files(folder, result)
    if interrupted is not None:
        session.console.say(summary)
        raise interrupted
    if not has_valid_result(result):
        session.console.say(summary)
        raise NoValidResultError(
            "no trial of at least one arm was valid", said=_first_reason(folder), todo=f"look at {folder.path}/raw"
        )
    return result, summary, folder.path


def take_down(session: Session, *, layers: Sequence[Layer], sure: bool, force: bool) -> dict[str, Any]:
    """Removes the layers (none named: all of the lab) and gives back what was removed and what is left."""
    say = session.console.say
    if session.file.is_locked(name=BENCH_LOCK) and not force:
        raise LabError(
            f"a bench of lab {session.config.lab} is running", todo="wait for it, stop it with Ctrl-C, or give --force"
        )
    if session.target.name == "aws" and not sure:
        what = " and ".join(layers) or "everything"
        if not session.console.ask(f"Remove {what} of lab {session.config.lab} in {session.config.aws.region}?"):
            raise LabError("nothing was changed", todo="answer y, or give --yes")
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


def ssh_to_host(session: Session, *, role: Role, command: Sequence[str]) -> int:
    """Runs the system's ssh on a host of the lab, attached to this terminal; gives back its exit code."""
    program = shutil.which("ssh")
    if program is None:
        raise UsageError(
            "there is no ssh program on this machine", todo="install OpenSSH's client (apt-get install openssh-client)"
        )
    host = session.hosts(current_status(session))[role]
    options = {
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(host.known_hosts.absolute()),
        "StrictHostKeyChecking": "accept-new",
        "LogLevel": "ERROR",
    }
    arguments = [program, "-F", os.devnull, "-i", str(host.private_key.absolute()), "-p", str(host.port)]
    for name, value in options.items():
        arguments += ["-o", f"{name}={value}"]
    return subprocess.run([*arguments, f"{host.user}@{host.address}", *command], check=False).returncode


def _look(session: Session, layers: Sequence[Layer]) -> Picture:
    return look(session.config, aws=session.aws, file=session.file, target=session.target, layers=layers)


def _bench_plan(session: Session, message_size: int | None) -> Any:
    """The plan of the config, with a seed: a new one unless one was given."""
    from enaxp.bench.schedule import Background, Plan, Scenario

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
    if message_size is not None:
        scenarios = [replace(scenario, message_size=message_size) for scenario in scenarios]
    return Plan(
        iterations=bench.iterations,
        repeats=bench.repeats,
        duration_s=bench.duration_s,
        order=bench.order,
        seed=bench.seed if bench.seed is not None else secrets.randbits(32),
        margin_pct=bench.margin_pct,
        scenarios=tuple(scenarios),
    )


def _require_express(status: dict[str, Any]) -> None:
    """Raises LabError unless ENA Express and its UDP flag read back as on, at both ends, and off on the ENA arm."""
    for role, host in status["hosts"].items():
        express, plain = host["ena_express"], host["ena"]
        if not (express["srd"] and express["srd_udp"]) or plain["srd"]:
            raise LabError(
                f"ENA Express is not as it should be on the {role}",
                said=f"express interface: {_on(express['srd'])}, UDP {_on(express['srd_udp'])}; ENA interface: {_on(plain['srd'])}",
                todo="run `enaxp up`: it repairs this",
            )


def _on(value: bool) -> str:
    return "on" if value else "off"


def _first_reason(folder: Any) -> str:
    reasons = [record.reason for record in folder.records() if record.reason]
    return reasons[0] if reasons else "no trial ended"
