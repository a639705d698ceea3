"""Session: what every command needs, put together once — config, target, AWS, the lab's state file, the console.

    options + ENAXP_… + config file + the lab's state ─▶ Session ─▶ commands

The only place outside `local/` that knows that there is a local target: it starts the cloud on this machine when the target is
local, and lets it stop again when nothing of any lab is left in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enaxp.aws import Aws
from enaxp.config import Config, load_config
from enaxp.errors import UsageError
from enaxp.hosts.connection import Host
from enaxp.lab.lifecycle import Target
from enaxp.lab.state import StateFile
from enaxp.options import Options
from enaxp.terminal.console import Console

if TYPE_CHECKING:
    from enaxp.lab.cost import Prices


@dataclass(frozen=True, kw_only=True)
class Session:
    """An open session. `endpoint_url` is None on AWS."""

    options: Options
    config: Config
    target: Target
    aws: Aws
    file: StateFile
    console: Console
    endpoint_url: str | None = None

    @property
    def prices_file(self) -> Path:
        """Where answers of AWS's price list are kept."""
        return self.options.state_dir / "prices.json"

    def prices(self, instance_type: str | None = None) -> Prices | None:
        """What things cost an hour, with hosts of this type (the config's); None on this machine, and where it is not known."""
        from enaxp.lab.cost import find_prices

        if self.target.name != "aws":
            return None
        hosts = find_prices(self.aws, instance_type or self.config.hosts.instance_type, kept_in=self.prices_file)
        small = find_prices(self.aws, self.config.monitoring.instance_type, kept_in=self.prices_file)
        return replace(hosts, monitoring=small.instance if small else None) if hosts else None

    def hosts(self, status: Mapping[str, Any]) -> dict[str, Host]:
        """How each host of a status document is reached. Raises UsageError when there are none."""
        if set(status["hosts"]) != {"server", "client"}:
            raise UsageError(f"lab {self.config.lab} has no hosts", todo="run `enaxp up` first")
        return {
            role: self._host(role, host, ena_ip=host["ena"]["ip"], ena_express_ip=host["ena_express"]["ip"])
            for role, host in status["hosts"].items()
        }

    def monitoring_host(self, status: Mapping[str, Any]) -> Host | None:
        """How the host of the layer monitoring is reached; None when there is none."""
        host = status.get("monitoring")
        return self._host("monitoring", host, ena_ip=host["ip"], ena_express_ip=host["ip"]) if host else None

    def _host(self, role: str, host: Mapping[str, Any], *, ena_ip: str, ena_express_ip: str) -> Host:
        given = self.config.hosts.key
        return Host(
            role=role,
            name=host["name"],
            address=host["ssh"]["host"],
            port=host["ssh"]["port"],
            user=host["ssh"]["user"],
            private_key=given.private_key if given else self.file.private_key,
            known_hosts=self.file.known_hosts(host["instance_id"]),
            ena_ip=ena_ip,
            ena_express_ip=ena_express_ip,
        )


@contextlib.contextmanager
def open_session(options: Options, *, overrides: Mapping[str, Any] | None = None) -> Iterator[Session]:
    """A session for one command. Raises ConfigError, UsageError or LocalTargetError before anything is called."""
    console = Console(as_json=options.as_json)
    asked = {"lab": options.lab, "aws.region": options.region, **(overrides or {})}
    given = {path: value for path, value in asked.items() if value is not None}
    config = load_config(options.config, overrides=given)
    file = StateFile(options.state_dir, config.lab)
    state = file.load()
    for note in file.notes:
        console.say(note)
    name = options.target or (state.target if state else "aws")
    if state is not None and name != state.target:
        raise UsageError(
            f"lab {config.lab} lives on target {state.target}, not {name}",
            todo="leave --target out, or use another --lab",
        )
    if state is not None and options.region is None and state.region != config.aws.region:
        config = load_config(options.config, overrides={**given, "aws.region": state.region})
    if name == "aws":
        aws = Aws(region=config.aws.region, profile=options.profile)
        yield Session(options=options, config=config, target=Target(name="aws"), aws=aws, file=file, console=console)
        return
    from enaxp.local import cloud

    pinned = str(state.pinned.get("isolation")) if state and options.isolation == "auto" else options.isolation
    with cloud.running(options.state_dir, isolation=pinned, say=console.say) as local:
        yield Session(
            options=options,
            config=load_config(options.config, overrides={**given, "aws.region": config.aws.region, **local.overrides}),
            target=Target(name="local", isolation=local.isolation),
            aws=Aws(
                region=config.aws.region,
                endpoint_url=local.endpoint_url,
                access_key=local.access_key,
                secret_key=local.secret_key,
                poll_s=local.poll_s,
                grace_s=local.grace_s,
            ),
            file=file,
            console=console,
            endpoint_url=local.endpoint_url,
        )
