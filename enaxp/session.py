"""Session: the common context of every command — config, target, AWS, the lab's state file, the console.

    options + ENAXP_… + config file + the lab's state ─▶ Session ─▶ commands

Besides `local/` and the demo, only this module knows the local target: it starts the local cloud if the target is local, and stops it
when no lab is left in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.aws import Aws
from enaxp.config import ROLES, Config, load_config
from enaxp.errors import UsageError
from enaxp.hosts.connection import Host
from enaxp.hosts.proxy import ProxyTarget, proxy_words
from enaxp.lab.lifecycle import LabContext, Target
from enaxp.lab.state import State, StateFile, make_state_folder
from enaxp.options import Options, TargetName
from enaxp.region import Region, find_region
from enaxp.terminal.console import Console

if TYPE_CHECKING:
    from enaxp.lab.cost import Prices
    from enaxp.lab.status import HostStatus, MonitoringStatus, Status

Overrides = Mapping[str, object]  # values of the config by their path, `bench.iterations`


@dataclass(frozen=True, kw_only=True)
class Session:
    """An open session. `endpoint_url` is None on AWS. adopt, despite_bench: as in LabContext."""

    options: Options
    config: Config
    target: Target
    aws: Aws
    file: StateFile
    console: Console
    endpoint_url: str | None = None
    adopt: bool = False
    despite_bench: bool = False

    @property
    def lab_context(self) -> LabContext:
        """The context for inspecting, building and removing the lab."""
        return LabContext(
            config=self.config,
            aws=self.aws,
            file=self.file,
            target=self.target,
            adopt=self.adopt,
            despite_bench=self.despite_bench,
        )

    @property
    def prices_file(self) -> Path:
        """The cache file for answers of AWS's price list. It is in a subfolder, because a lab may have any name. Creates the state
        folder."""
        with contextlib.suppress(OSError):  # what cannot be kept is asked again
            make_state_folder(self.options.state_dir)
        return self.options.state_dir / "cache" / "prices.json"

    def prices(self, types: Mapping[str, str] | None = None) -> Prices | None:
        """Prices per hour for instances of these types by their keys (by default the config's type); None on the local target, and if
        unknown.
        """
        from enaxp.lab.cost import find_prices

        if self.target.name != "aws":
            return None
        types = types or {}
        names = list(dict.fromkeys(types.values())) or [self.config.hosts.instance_type]
        small = find_prices(self.aws, self.config.monitoring.instance_type, kept_in=self.prices_file)
        known = {name: find_prices(self.aws, name, kept_in=self.prices_file) for name in names}
        first = known[names[0]]
        if first is None:
            return None
        prices = replace(first, monitoring=small.instance if small else None)
        return replace(prices, hosts=self._of_hosts(prices, known, types))

    def _of_hosts(
        self, prices: Prices, known: Mapping[str, Prices | None], types: Mapping[str, str]
    ) -> dict[str, float | None]:
        """USD per hour of each host of a fleet, including its public address, by key."""
        from enaxp.lab.fleet import addresses_of, pair_in

        address = prices.address if addresses_of(self.config, fleet=True) == "assigned" else 0.0
        return {
            key: None if (own := known[name]) is None else own.instance + own.disk + address
            for key, name in types.items()
            if pair_in(key)
        }

    def hosts(self, status: Status) -> dict[str, Host]:
        """The SSH access to each host of the lab, by role. Raises UsageError when a host, or a part of it, is missing."""
        if set(status.hosts) != set(ROLES):
            raise UsageError(f"lab {self.config.lab} has no hosts", todo="run `enaxp up` first")
        return {role: self._host_of_pair(host) for role, host in status.hosts.items()}

    def all_hosts(self, status: Status) -> dict[str, Host]:
        """The SSH access to every host of the lab's pairs, by its place: `server`, or in a fleet `main-1/server`, which is also its role
        there. A fleet may lack hosts (`up --partial`). Raises UsageError when a part of a host, or of the only pair, is missing."""
        if not status.pairs:
            return self.hosts(status)
        return {place: replace(self._host_of_pair(host), role=place) for place, host in status.every_host().items()}

    def monitoring_host(self, status: Status) -> Host | None:
        """The SSH access to the monitoring host; None if there is none."""
        host = status.monitoring
        return self._host("monitoring", host, ena_ip=host.ip, ena_express_ip=host.ip) if host else None

    def _host_of_pair(self, host: HostStatus) -> Host:
        if host.ena is None or host.ena_express is None:
            raise UsageError(f"the {host.role} of lab {self.config.lab} lacks an interface", todo="run `enaxp up`")
        return self._host(host.role, host, ena_ip=host.ena.ip, ena_express_ip=host.ena_express.ip)

    def verify_host(self, role: str, host: HostStatus | MonitoringStatus, *, patience_s: float = 0.0) -> bool:
        """As `verify_key`, of a host of the lab."""
        return self.verify_key(
            role, host.instance_id, known_hosts=self.file.known_hosts(host.instance_id), patience_s=patience_s
        )

    def verify_key(self, role: str, instance_id: str, *, known_hosts: Path, patience_s: float = 0.0) -> bool:
        """Compares a host's SSH key with the one that AWS tells, and keeps it; says so where AWS tells none. patience_s: how long AWS is
        asked for it. Raises HostKeyError when the key is another.
        """
        from enaxp.lab.first_contact import verify

        why_not = verify(self.aws, instance_id, known_hosts=known_hosts, patience_s=patience_s)
        if why_not:
            self.console.say(f"warning: the first contact to the {role} is unverified: {why_not}")
        return not why_not

    def _host(self, role: str, host: HostStatus | MonitoringStatus, *, ena_ip: str, ena_express_ip: str) -> Host:
        if host.ssh.host is None:
            raise UsageError(f"the {role} of lab {self.config.lab} has no public address", todo="run `enaxp up`")
        if not self.file.known_hosts(host.instance_id).exists():
            self.verify_host(role, host)
        given = self.config.hosts.key
        through = ProxyTarget(
            address=host.ssh.host,
            port=host.ssh.port,
            user=host.ssh.user,
            instance_id=host.instance_id,
            region=self.config.aws.region,
        )
        return Host(
            role=role,
            name=host.name,
            address=host.ssh.host,
            port=host.ssh.port,
            user=host.ssh.user,
            private_key=given.private_key if given else self.file.private_key,
            known_hosts=self.file.known_hosts(host.instance_id),
            ena_ip=ena_ip,
            ena_express_ip=ena_express_ip,
            proxy=proxy_words(self.config.hosts.proxy_command, through),
        )


@contextlib.contextmanager
def open_session(options: Options, *, overrides: Overrides | None = None) -> Iterator[Session]:
    """A context with the session of one command. Raises ConfigError, UsageError or LocalTargetError before any AWS call."""
    console = Console(as_json=options.as_json)
    given = _given(options, overrides)
    config = load_config(options.config, overrides=given)
    file = StateFile(options.state_dir, config.lab)
    state = file.load()
    for note in file.notes:
        console.say(note)
    target = _target_name(options, state)
    config = _in_its_region(config, state, target=target, options=options, say=console.say)
    on_aws = Session(
        options=options,
        config=config,
        target=Target(name="aws"),
        aws=Aws(region=config.aws.region, profile=options.profile, only_account=config.aws.account, tell=console.say),
        file=file,
        console=console,
    )
    if target == "aws":
        yield on_aws
        return
    with _on_this_computer(on_aws, state, given=given) as session:
        yield session


def config_without_session(options: Options) -> Config:
    """The config as a session would have it, for commands that need nothing else. Raises as `open_session`."""
    config = load_config(options.config, overrides=_given(options, None))
    state = StateFile(options.state_dir, config.lab).load()
    say = Console(as_json=options.as_json).say
    return _in_its_region(config, state, target=_target_name(options, state), options=options, say=say)


def _given(options: Options, overrides: Overrides | None) -> dict[str, object]:
    """The config values set by options, by their path."""
    asked = {"lab": options.lab, "aws.region": options.region, **(overrides or {})}
    return {path: value for path, value in asked.items() if value is not None}


def _in_its_region(
    config: Config, state: State | None, *, target: TargetName, options: Options, say: Callable[[str], None]
) -> Config:
    """The config with `auto` replaced by the actual region, which is printed. On the local target the caller's AWS settings are
    ignored."""
    if not config.aws.region_is_auto:
        return config
    if state is not None:
        region = Region(name=state.region, source="where the lab lives")
    elif target == "local":
        return config
    else:
        region = find_region(profile=options.profile)
    if target == "aws":
        say(f"region {region.name} ({region.source})")
    return replace(config, aws=replace(config.aws, region=region.name))


def _target_name(options: Options, state: State | None) -> TargetName:
    """The requested target, else that of the existing lab, else aws. Raises UsageError when the lab is on another target than
    requested."""
    if state is None:
        return options.target or "aws"
    if options.target not in (None, state.target):
        raise UsageError(
            f"lab {state.lab} lives on target {state.target}, not {options.target}",
            todo="leave --target out, or use another --lab",
        )
    return state.target


@contextlib.contextmanager
def _on_this_computer(session: Session, state: State | None, *, given: Overrides) -> Iterator[Session]:
    """A context with a session on the local target, whose cloud runs meanwhile. given: the config values set by options."""
    from enaxp.local import cloud

    options, region = session.options, session.config.aws.region
    pinned = state.pinned.isolation if state else None
    isolation = (pinned or "auto") if options.isolation == "auto" else options.isolation
    make_state_folder(options.state_dir)
    with cloud.running(options.state_dir, isolation=isolation, say=session.console.say) as local:
        yield replace(
            session,
            config=load_config(options.config, overrides={**given, "aws.region": region, **local.overrides}),
            target=Target(name="local", isolation=local.isolation),
            aws=Aws(
                region=region,
                endpoint_url=local.endpoint_url,
                access_key=local.access_key,
                secret_key=local.secret_key,
                poll_s=local.poll_s,
                grace_s=local.grace_s,
                tell=session.console.say,
            ),
            endpoint_url=local.endpoint_url,
        )
