"""Commands of the monitoring: `exporter monitor`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from enaxp.cli.declare import PATH, argument, command, option
from enaxp.options import Options

PORT = click.IntRange(min=1, max=65535)


@command("exporter")
@option("--results", type=PATH, help="A results folder, or one run's.  [default: --results-dir]")
@option("--port", type=click.IntRange(min=0, max=65535), default=9091, help="0 is any that is free.")
@option("--address", default="127.0.0.1", help="To listen on.")
def exporter(options: Options, *, results: Path | None, port: int, address: str) -> None:
    """Serve the newest run of each lab to Prometheus, running or finished, until Ctrl-C."""
    from enaxp.commands.monitoring import serve_metrics

    serve_metrics(options, results or options.results_dir, address=address, port=port)


@command("monitor")
@argument(
    "push_image",
    required=False,
    metavar="[push-image]",
    type=click.Choice(["push-image"]),
    about="Instead: build the exporter's image, and put it into the lab's repository.",
)
@option("--open/--no-open", "open_it", default=True, help="Show it in a browser.")
@option("--grafana-port", type=PORT, default=3000, help="The local port for Grafana.")
@option("--prometheus-port", type=PORT, default=9090, help="The local port for Prometheus.")
@option("--accept-host-key", is_flag=True, help="Go on where the host's key could not be compared with what AWS tells.")
def monitor(
    options: Options,
    *,
    push_image: Literal["push-image"] | None,
    open_it: bool,
    grafana_port: int,
    prometheus_port: int,
    accept_host_key: bool,
) -> None:
    """Watch the lab's monitoring through an SSH tunnel, until Ctrl-C."""
    from enaxp.commands.monitoring import push_exporter_image, watch_monitoring
    from enaxp.session import open_session

    with open_session(options) as session:
        if push_image:
            push_exporter_image(session)
            return
        ports = {"grafana": grafana_port, "prometheus": prometheus_port}
        watch_monitoring(session, ports=ports, open_it=open_it, accept_host_key=accept_host_key)
