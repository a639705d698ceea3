"""Monitoring: the implementation of `enaxp exporter`, `enaxp monitor` and `enaxp up monitoring`."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import webbrowser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.commands.status import current_status
from enaxp.errors import HostError, HostKeyError, LocalTargetError, UsageError
from enaxp.options import Options
from enaxp.terminal.console import Console

if TYPE_CHECKING:
    from enaxp.hosts.connection import Host
    from enaxp.lab.status import Status
    from enaxp.session import Session

TUNNEL_S = 30.0


def serve_metrics(options: Options, folder: Path, *, address: str, port: int) -> None:
    """Serves metrics until Ctrl-C or SIGTERM. Raises UsageError if the results folder does not exist."""
    from enaxp.monitor.exporter import serving

    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", todo="give the results folder of a bench: --results DIR")
    console = Console(as_json=options.as_json)
    with _until_told_to_end() as ended, serving(folder, address=address, port=port) as url:
        console.say(f"serving {folder} at {url}")
        ended.wait()


def require_room_for_monitoring(session: Session) -> None:
    """Raises UsageError or LocalTargetError, before anything is created, if this lab or this machine cannot have the layer."""
    config = session.config
    if config.network.subnet_id or not config.monitoring.subnet_cidr:
        raise UsageError(
            "the layer monitoring needs a subnet of its own",
            said="network.subnet_id is somebody else's" if config.network.subnet_id else "vpc_cidr has no room for one",
            todo="use a larger network.vpc_cidr, or `enaxp exporter` with a Prometheus of your own",
        )
    if session.target.name != "local":
        return
    missing = [program for program in ("prometheus", "promtool") if shutil.which(program) is None]
    if missing:
        raise LocalTargetError(
            f"the monitoring needs {' and '.join(missing)} on this machine", todo="apt-get install prometheus"
        )
    if session.target.isolation != "namespaces":
        raise LocalTargetError(
            "hosts that are plain processes cannot be monitored",
            said="each needs a port 9100 of its own",
            todo="use `enaxp exporter` instead, or a machine that allows namespaces",
        )


def configure_monitoring(session: Session, host: Host) -> None:
    """Writes the monitoring host's configuration and waits until it answers. Raises HostError."""
    from enaxp.hosts.connection import connect
    from enaxp.lab.fleet import pairs_of
    from enaxp.monitor.deploy import deploy

    session.console.say("  monitoring: configuring")
    connection = connect(host, patience_s=60)
    try:
        pairs = pairs_of(session.config, session.file.state.pinned.fleet or None)
        deploy(connection, session.config, password_file=session.file.grafana_password, pairs=pairs)
    finally:
        connection.close()
    if session.target.name == "local":
        session.console.say("  monitoring: Prometheus is ready. Grafana has no package: on this machine it is left out")
    session.console.say("  monitoring: `enaxp monitor` shows it")


def require_monitoring(session: Session, status: Status) -> Host:
    """The monitoring host. Raises UsageError if there is none."""
    host = session.monitoring_host(status)
    if host is None:
        raise UsageError(f"lab {session.config.lab} has no monitoring", todo="run `enaxp up monitoring` first")
    return host


def watch_monitoring(
    session: Session, *, ports: Mapping[str, int], open_it: bool, accept_host_key: bool = False
) -> None:
    """Keeps an SSH tunnel to the monitoring host open until Ctrl-C, prints the local URLs, and with `open_it` opens the first one.

    ports: the local ports by service, `grafana` and `prometheus`. A broken tunnel is reopened. Raises HostKeyError if the host's key is
    unverified, unless it is to be accepted, HostError if the tunnel cannot be opened at first, UsageError if a port is in use.
    """
    status = current_status(session)
    host = require_monitoring(session, status)
    if not accept_host_key:
        _require_verified(session, status)
    urls = {name: f"http://127.0.0.1:{ports[name]}" for name in status.urls}
    for name in urls:
        _require_free(name, ports[name])
    with _until_told_to_end() as ended, _tunnel(host, {n: ports[n] for n in urls}) as failed:
        _wait_for(ports[next(iter(urls))], failed)
        for name, url in urls.items():
            session.console.say(f"{name}: {url}")
        if "grafana" in urls:
            session.console.say(f"Grafana's user is admin, its password lies in {session.file.grafana_password}")
        if session.console.as_json:
            session.console.document({"urls": urls})
        if open_it:
            webbrowser.open(next(iter(urls.values())))
        ended.wait()


def _require_verified(session: Session, status: Status) -> None:
    """Raises HostKeyError if the host's key is unverified: what the user types into its pages, such as a password, is sent to it."""
    if status.monitoring and not session.verify_host("monitoring", status.monitoring):
        raise HostKeyError(
            "the monitoring host's key could not be compared with what AWS tells",
            said="a password would be sent to whoever answers at its address",
            todo="try again later, or give --accept-host-key if its key is known to be right",
        )


def push_exporter_image(session: Session) -> None:
    """Builds the exporter's image and pushes it to the lab's repository. Raises UsageError that names what is missing, LabError,
    AwsError."""
    from enaxp.lab.kinds.monitoring import EcrRepository, repository_name
    from enaxp.lab.model import TAG_LAB
    from enaxp.monitor.image import find_program, push

    config = session.config
    if session.target.name == "local":
        raise UsageError("a lab on this machine has no registry to push to", todo="use --target aws")
    repository = EcrRepository().look(session.aws, repository_name(config.lab, config.aws.region))
    if repository is None or repository.tags.get(TAG_LAB) != config.lab:
        raise UsageError(f"lab {config.lab} has no repository for an image", todo="run `enaxp up monitoring` first")
    image = push(session.aws, repository.facts["uri"], program=find_program())
    if session.console.as_json:
        session.console.document({"image": image})
    else:
        session.console.result(f"pushed {image}")


@contextlib.contextmanager
def _tunnel(host: Host, ports: Mapping[str, int]) -> Iterator[threading.Event]:
    """An SSH tunnel from these local ports, reopened whenever it breaks. The event is set when it has broken."""
    from enaxp.hosts.connection import ssh_command
    from enaxp.lab.status import PORTS

    forwards = [word for n, port in ports.items() for word in ("-L", f"127.0.0.1:{port}:127.0.0.1:{PORTS[n]}")]
    options = ["-N", "-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=5", "-o", "BatchMode=yes"]
    command = ssh_command(host, *options, *forwards)
    over, failed = threading.Event(), threading.Event()

    def keep_open() -> None:
        while not over.is_set():
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
            while process.poll() is None and not over.wait(0.2):
                pass
            if process.poll() is None:
                process.terminate()
            process.wait()
            if not over.is_set():
                failed.set()
            over.wait(1)

    keeper = threading.Thread(target=keep_open, daemon=True)
    keeper.start()
    try:
        yield failed
    finally:
        over.set()
        keeper.join()


def _wait_for(port: int, failed: threading.Event) -> None:
    """Returns when the local port accepts connections. Raises HostError when the tunnel fails, or after TUNNEL_S."""
    deadline = time.monotonic() + TUNNEL_S
    while time.monotonic() < deadline and not failed.is_set():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise HostError(
        "the tunnel to the monitoring host could not be opened",
        todo="check that the host is up (`enaxp status`) and that network.ssh_cidr contains this machine",
    )


def _require_free(name: str, port: int) -> None:
    """Raises UsageError when the port is already in use."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise UsageError(
            f"port {port} of this machine is taken", said=str(error), todo=f"give another --{name}-port"
        ) from None


@contextlib.contextmanager
def _until_told_to_end() -> Iterator[threading.Event]:
    """An event that is set by Ctrl-C and SIGTERM."""
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
