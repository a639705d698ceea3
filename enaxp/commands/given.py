"""Given: what `enaxp bench` does between hosts that exist already, and `enaxp restore`.

ids ─▶ discovered ─▶ questions ─▶ somebody says yes ─▶ the settings found, saved ─▶ toggled bench ─▶ settings put back
"""

from __future__ import annotations

import hashlib
import shutil
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from enaxp.bench.bench import RunSetup, carry_out, go_on
from enaxp.bench.crossover import Assign
from enaxp.bench.fleet.folder import FleetFolder, FleetManifest, PairEntry
from enaxp.bench.fleet.result import Fleet
from enaxp.bench.fleet.result import to_document as fleet_document
from enaxp.bench.fleet.side_by_side import plan_of_pair
from enaxp.bench.pair import Pair, connected
from enaxp.bench.records import RunFolder
from enaxp.bench.result import Result, to_document
from enaxp.bench.runner import RunOptions
from enaxp.bench.schedule import BenchPlan, schedule, seconds
from enaxp.bench.servers import server_ports
from enaxp.commands.bench import (
    BenchOptions,
    CutShort,
    bench_plan,
    finished,
    require_space,
    require_writable,
    work_out,
)
from enaxp.commands.fleet_bench import fleet_finished, why
from enaxp.config import GivenHostConfig, GivenPairConfig, Role, load_config
from enaxp.errors import AwsError, BenchError, EnaxpError, HostError, Interrupted, LabError, UsageError
from enaxp.hosts.connection import Host, as_root
from enaxp.hosts.doctor import is_recent_sockperf
from enaxp.hosts.marks import Marks
from enaxp.hosts.proxy import ProxyTarget, proxy_words
from enaxp.hosts.watching import HostTold, watch
from enaxp.lab.first_contact import verify
from enaxp.lab.given.discovery import GivenHostFound, GivenPairFound, discover
from enaxp.lab.given.putback import put_back
from enaxp.lab.given.questions import SRD_MTU, Question, questions, questions_of_hosts
from enaxp.lab.given.saved import GivenFolder, SavedSettings
from enaxp.lab.given.switching import switched
from enaxp.lab.software_by_ssh import put_piece
from enaxp.options import Options
from enaxp.reader import parse_duration
from enaxp.report.redact import without_private_words
from enaxp.session import Overrides, Session, open_session
from enaxp.terminal.live import bench_view
from enaxp.traffic import TOGGLED_HOME, SrdOn

WATCH_S = 10.0
VARIANT = "given"  # of several pairs: what they have in common is that they exist already
HOW_TO_INSTALL = (
    "give --install, which has the hosts run enaxp's own script for it as root (a package where there is a recent one, else built from a "
    "pinned commit); or install it there: `sudo apt-get install sockperf` on Debian and Ubuntu, `sudo dnf install sockperf` on Fedora"
)
KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")  # as ssh itself looks for them in ~/.ssh


@dataclass(frozen=True, kw_only=True)
class GivenOptions:
    """How given hosts are treated. install: put sockperf there where it is missing; fix: lower the MTU; watch_s: how long what else the
    interfaces carry is watched beforehand, in s.
    """

    assume_yes: bool = False
    install: bool = False
    fix: bool = False
    watch_s: float = WATCH_S


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line says of given hosts; None: not said."""

    server: str | None = None
    client: str | None = None
    ssh_user: str | None = None
    private_key: str | None = None


def given_pairs(options: Options, asked: Asked) -> tuple[GivenPairConfig, ...]:
    """The pairs of the command line, else those of the config; none where a lab is meant. Raises UsageError and ConfigError."""
    if (asked.server is None) != (asked.client is None):
        raise UsageError("--server and --client go together", todo="give both, or neither")
    told: dict[str, object] = {"given.ssh_user": asked.ssh_user, "given.private_key": asked.private_key}
    if asked.server is not None:
        told["given.pairs"] = [{"server": {"instance_id": asked.server}, "client": {"instance_id": asked.client}}]
    return load_config(
        options.config, overrides={name: value for name, value in told.items() if value is not None}
    ).given


def watch_seconds(text: str) -> float:
    """Of `--watch`. Raises UsageError."""
    try:
        found = parse_duration(text)
    except ValueError:
        found = 0.0
    if not 0.1 <= found <= 3600:
        raise UsageError(f"--watch {text!r} is no time from 100ms to 1h", todo="give something like 10s")
    return found


def toggled(overrides: Overrides) -> dict[str, object]:
    """The values of the config with the one order that there is between given hosts. Raises UsageError where another is asked for."""
    if overrides.get("bench.order") not in (None, "toggled"):
        raise UsageError("hosts that exist already are measured in order toggled", todo="leave --order out")
    return {**overrides, "bench.order": "toggled"}


def in_the_name_of(options: Options, pair: GivenPairConfig) -> Options:
    """The options, with the pair's own name for its runs where none is given."""
    return replace(options, lab=options.lab or given_name(pair))


def bench_between_given(
    options: Options,
    pairs: Sequence[GivenPairConfig],
    bench_options: BenchOptions,
    wishes: GivenOptions,
    *,
    overrides: Overrides,
) -> None:
    """Measures the pairs and prints what was found: one run, or of several pairs, one after the other, what they come to as a fleet."""
    its_own = replace(options, lab=options.lab or given_name(*pairs))
    with open_session(its_own, overrides=overrides) as session:
        if len(pairs) == 1:
            result, summary, folder = run_given_bench(session, pairs[0], bench_options, wishes)
            document = to_document(result)
        else:
            fleet, summary, folder = run_given_fleet(session, pairs, bench_options, wishes)
            document = fleet_document(fleet)
        with session.console.also_kept_in(folder):
            if options.as_json:
                session.console.document(document)
            session.console.result(f"{summary}\nrun folder: {folder}")


def given_name(*pairs: GivenPairConfig) -> str:
    """Under which name the runs of these pairs are kept: made of the ids, and telling none of them."""
    ids = " ".join(f"{pair.server.instance_id} {pair.client.instance_id}" for pair in pairs)
    return f"given-{hashlib.sha256(ids.encode()).hexdigest()[:8]}"


def run_given_bench(
    session: Session, pair: GivenPairConfig, options: BenchOptions, wishes: GivenOptions
) -> tuple[Result, str, Path]:
    """The result, the summary and the folder of a toggled run between two hosts. Raises as `run_bench`; and UsageError when nobody says
    yes, BenchError when the hosts are not fit for it.
    """
    results, lab = session.options.results_dir, session.config.lab
    earlier = RunFolder.find(results, lab=lab, run=options.resume) if options.resume else None
    plan = earlier.read_manifest().plan if earlier else bench_plan(session, options)
    if not plan.is_toggled:
        raise UsageError(
            f"run {options.resume} is a lab's: it was not toggled", todo="go on with it without given hosts"
        )
    require_writable(earlier.path if earlier else results / lab)
    bench = _GivenBench(session, pair, options, wishes, plan, earlier=earlier)
    folder, cut_short = bench.carry_out(lambda: RunFolder.create(results, lab=lab, now=datetime.now(UTC)))
    return finished(session, folder, cut_short, draws=options.report)


def run_given_fleet(
    session: Session, pairs: Sequence[GivenPairConfig], options: BenchOptions, wishes: GivenOptions
) -> tuple[Fleet, str, Path]:
    """The fleet that several pairs come to, each with a run of its own, its summary and its folder. A pair that is lost does not stop the
    others. Raises as `run_fleet_bench`.
    """
    if options.resume is not None:
        raise UsageError("--resume goes on with one pair's run", todo="name the pair by --server and --client")
    results, lab, plan = session.options.results_dir, session.config.lab, bench_plan(session, options)
    require_writable(results / lab)
    folder = FleetFolder.create(results, lab=lab, now=datetime.now(UTC))
    named = {f"{VARIANT}-{number}": pair for number, pair in enumerate(pairs, 1)}
    manifest = FleetManifest(
        run_id=folder.run_id,
        lab=lab,
        target="local" if session.target.name == "local" else "aws",
        plan=plan,
        pairs=tuple(PairEntry(name=name, variant=VARIANT) for name in named),
        started_at=_now(),
        argv=tuple(without_private_words(options.argv)),
    )
    folder.write_manifest(manifest)
    lost: dict[str, str] = {}
    stopped = False
    for name, pair in named.items():
        session.console.say(f"pair {name}: {pair.server.instance_id} and {pair.client.instance_id}")
        bench = _GivenBench(session, pair, options, wishes, plan_of_pair(plan, name), name=name)
        cut_short = _of_the_pair(bench, folder.pair(name))
        stopped = isinstance(cut_short, Interrupted)
        lost[name] = "" if cut_short is None or stopped else why(cut_short)[:2000]
        if lost[name]:
            session.console.say(f"pair {name} was lost: {lost[name]}")
        if stopped:
            break
    folder.write_manifest(replace(manifest.with_lost(lost), ended_at=None if stopped else _now()))
    goes_on = "`enaxp bench --server ID --client ID`"
    return fleet_finished(session, folder, stopped=stopped, draws=options.report, goes_on=goes_on)


def _of_the_pair(bench: _GivenBench, folder: RunFolder) -> EnaxpError | None:
    """Measures a pair into this folder, and works its run out. Gives back what ended it early."""
    try:
        _, cut_short = bench.carry_out(lambda: folder)
    except EnaxpError as error:
        return error
    if folder.records():
        work_out(folder, None)
    return cut_short


class _GivenBench:
    """One bench between given hosts. name: of the pair, where it is one of several."""

    def __init__(
        self,
        session: Session,
        config: GivenPairConfig,
        options: BenchOptions,
        wishes: GivenOptions,
        plan: BenchPlan,
        *,
        earlier: RunFolder | None = None,
        name: str | None = None,
    ) -> None:
        self._session = session
        self._config = config
        self._options = options
        self._wishes = wishes
        self._plan = plan
        self._earlier = earlier
        self._name = name
        self._say = session.console.say
        self._folder = GivenFolder(session.options.state_dir)

    def carry_out(self, new_folder: Callable[[], RunFolder]) -> tuple[RunFolder, CutShort | None]:
        """The run's folder, and what ended it early; raises that when no trial ended. new_folder: where a new run goes."""
        self._session.aws.account()  # another one than the config allows is asked for nothing
        found = self._discovered()
        with self._folder.held(host.setting.eni for host in found.hosts):
            if self._put_back_what_is_left(found):
                found = self._discovered()
            with connected({host.role: self._host(host) for host in found.hosts}) as pair:
                marks = Marks(pair.by_role, {host.role: host.setting.eni for host in found.hosts}, who=_who())
                marks.hold()
                said = self._settled(found, pair)
                return self._between(pair, found, marks, said=said, new_folder=new_folder)

    def _between(
        self,
        pair: Pair,
        found: GivenPairFound,
        marks: Marks,
        *,
        said: tuple[str, ...],
        new_folder: Callable[[], RunFolder],
    ) -> tuple[RunFolder, CutShort | None]:
        """Measures, and puts back what was found. Where that fails, what was measured is worked out all the same."""
        measured: tuple[RunFolder, CutShort | None] | None = None
        try:
            with switched(self._session.aws, self._folder, self._saved(found), say=self._say) as switch:

                def assign(srd_on: SrdOn) -> None:
                    marks.hold()  # a connection that was lost has taken its lock along
                    switch(srd_on)

                measured = self._measure(pair, found, assign, said=said, new_folder=new_folder)
        except AwsError as error:
            if measured is None:
                raise
            return measured[0], error
        return measured

    # -- before anything is switched -----------------------------------------------------------------------------------------

    def _discovered(self) -> GivenPairFound:
        found = discover(self._session.aws, self._config)
        self._refuse(questions(found, ports=server_ports(self._plan)))
        return found

    def _put_back_what_is_left(self, found: GivenPairFound) -> bool:
        """Puts back what a killed bench left switched on these interfaces, so that what is found is what they had."""
        enis = {host.setting.eni for host in found.hosts}
        left = [one for one in self._folder.all() if enis & {interface.eni for interface in one.interfaces}]
        for one in left:
            self._say("an earlier bench was ended before it put ENA Express back: that comes first")
            with self._folder.held({interface.eni for interface in one.interfaces} - enis):
                put_back(self._session.aws, self._folder, one, say=self._say)
        return bool(left)

    def _settled(self, found: GivenPairFound, pair: Pair) -> tuple[str, ...]:
        """What was said beforehand, once somebody has said yes to it. Raises UsageError when nobody has, BenchError for what is unfit."""
        if self._wishes.fix:
            self._lower_mtu(found, pair)
        self._say(f"watching what else the interfaces carry for {self._wishes.watch_s:g} s")
        told = self._watched(found, pair)
        told = self._with_sockperf(found, pair, told)
        has_tcp = "tcp" in server_ports(self._plan)
        asked = [
            *questions(found, ports=server_ports(self._plan)),
            *questions_of_hosts(told, has_tcp=has_tcp),
        ]
        self._refuse(asked)
        if self._earlier is None:
            require_space(
                self._plan,
                pair,
                self._session.options.results_dir,
                keep_log=self._options.keep_full_log,
                force=self._options.force,
            )
        for question in asked:
            self._say(f"  {question.text}")
        trials = len(schedule(replace(self._plan, until_pct=None)))
        takes = f"{trials} trials of {self._plan.duration_s:g} s, about {seconds(self._plan) / 60:.1f} min"
        self._say(f"{takes}; order toggled, seed {self._plan.seed}")
        enis = " and ".join(host.setting.eni for host in found.hosts)
        question_text = f"Switch ENA Express of {enis} on and off for this time, and put it back at the end?"
        if not self._wishes.assume_yes and not self._session.console.ask_for_yes(question_text):
            raise UsageError("nothing was switched: nobody said yes", todo="say yes at a terminal, or give --yes")
        return tuple(question.text for question in asked)

    def _refuse(self, asked: Sequence[Question]) -> None:
        wrong = [one for one in asked if one.refuses and not (one.can_be_forced and self._options.force)]
        if wrong:
            forced = ", or --force" if all(one.can_be_forced for one in wrong) else ""
            raise BenchError(
                "these hosts cannot be measured so; nothing was switched",
                said="; ".join(one.text for one in wrong),
                todo=f"put that right{forced}",
            )

    def _watched(self, found: GivenPairFound, pair: Pair) -> dict[Role, HostTold]:
        def one(host: GivenHostFound) -> HostTold:
            peer = found.client if host.role == "server" else found.server
            connection = pair.by_role()[host.role]
            return watch(connection, own_ip=host.ip, peer_ip=peer.ip, seconds=self._wishes.watch_s)

        with ThreadPoolExecutor(2) as pool:
            return dict(zip((host.role for host in found.hosts), pool.map(one, found.hosts), strict=True))

    def _with_sockperf(self, found: GivenPairFound, pair: Pair, told: Mapping[Role, HostTold]) -> dict[Role, HostTold]:
        """The hosts, each with a sockperf that is recent enough. Raises HostError where one has none and none is to be installed."""
        now = dict(told)
        for host in found.hosts:
            one = told[host.role]
            if is_recent_sockperf(one.sockperf, machine=one.machine):
                continue
            if not self._wishes.install:
                raise HostError(f"the {host.role} has {_sockperf_in_words(one.sockperf)}", todo=HOW_TO_INSTALL)
            self._say(f"  {host.role}: putting sockperf in place")
            put_piece(pair.by_role()[host.role], host.role, "sockperf")
            now[host.role] = replace(one, sockperf="installed")
        return now

    def _lower_mtu(self, found: GivenPairFound, pair: Pair) -> None:
        """Only what was asked for by --fix. Says how it is undone."""
        for host, told in zip(found.hosts, self._probed(found, pair), strict=True):
            if told.interface is None or told.mtu is None or told.mtu <= SRD_MTU:
                continue
            command = f"ip link set dev {told.interface} mtu {SRD_MTU}"
            pair.by_role()[host.role].check(as_root(command))
            self._say(
                f"  {host.role}: {command}; `sudo ip link set dev {told.interface} mtu {told.mtu}` there takes it back"
            )

    def _probed(self, found: GivenPairFound, pair: Pair) -> list[HostTold]:
        hosts = {"server": found.client.ip, "client": found.server.ip}
        return [
            watch(pair.by_role()[host.role], own_ip=host.ip, peer_ip=hosts[host.role], seconds=0.01)
            for host in found.hosts
        ]

    # -- measuring -----------------------------------------------------------------------------------------------------------

    def _measure(
        self,
        pair: Pair,
        found: GivenPairFound,
        assign: Assign,
        *,
        said: tuple[str, ...],
        new_folder: Callable[[], RunFolder],
    ) -> tuple[RunFolder, CutShort | None]:
        console = self._session.console
        title = f"enaxp bench, your hosts, {found.server.zone}"
        with bench_view(console, self._plan, title=title, earlier=self._earlier) as watcher:
            options = RunOptions(watch=watcher, keep_log=self._options.keep_full_log, assign=assign, puts_back=False)
            folder = self._earlier or new_folder()
            try:
                if self._earlier:
                    go_on(folder, pair=pair, options=options)
                else:
                    carry_out(self._setup(found, said), pair=pair, folder=folder, options=options)
            except (Interrupted, BenchError, HostError, AwsError) as error:
                if not folder.records():
                    if not (folder.path / "manifest.json").exists():
                        shutil.rmtree(folder.path)
                    raise
                return folder, error
            return folder, None

    def _setup(self, found: GivenPairFound, said: tuple[str, ...]) -> RunSetup:
        hosts = found.hosts
        return RunSetup(
            plan=self._plan,
            lab=self._session.config.lab,
            target="local" if self._session.target.name == "local" else "aws",
            isolation=self._session.target.isolation,
            argv=tuple(without_private_words(self._options.argv)),
            place={
                "region": self._session.aws.region,
                "availability_zone": _joined(host.zone for host in hosts),
                "instance_type": _joined(host.instance_type for host in hosts),
                "image": _joined(host.image for host in hosts),
                "instances": " and ".join(host.instance_id for host in hosts),
            },
            host_gbps=found.gbps,
            given=said,
            pair_name=self._name,
            variant=VARIANT if self._name else None,
        )

    def _saved(self, found: GivenPairFound) -> SavedSettings:
        return SavedSettings(
            lab=self._session.config.lab,
            account=self._session.aws.account(),
            region=self._session.aws.region,
            target=self._session.target.name,
            saved_at=datetime.now(UTC).replace(microsecond=0),
            server=found.server.setting,
            client=found.client.setting,
        )

    def _host(self, found: GivenHostFound) -> Host:
        """How the host is reached. Its key is compared with what AWS tells, where AWS tells it."""
        config = self._config.server if found.role == "server" else self._config.client
        if found.address is None:
            raise UsageError(
                f"AWS tells no address of the {found.role} {found.instance_id}", todo="give its `address` in the config"
            )
        known_hosts = self._folder.known_hosts(found.instance_id)
        if not known_hosts.exists():
            why_not = verify(self._session.aws, found.instance_id, known_hosts=known_hosts)
            if why_not:
                self._say(f"warning: the first contact to the {found.role} is unverified: {why_not}")
        return Host(
            role=found.role,
            name=found.name,
            address=found.address,
            port=config.ssh_port,
            user=config.ssh_user,
            private_key=private_key_of(config),
            known_hosts=known_hosts,
            ena_ip=found.ip,
            ena_express_ip=found.ip,
            proxy=self._proxy(config, found.address),
            homes=(TOGGLED_HOME,),
        )

    def _proxy(self, config: GivenHostConfig, address: str) -> tuple[str, ...]:
        if config.proxy_command is None:
            return ()
        target = ProxyTarget(
            address=address,
            port=config.ssh_port,
            user=config.ssh_user,
            instance_id=config.instance_id,
            region=self._session.aws.region,
        )
        return proxy_words(config.proxy_command, target)


def private_key_of(config: GivenHostConfig) -> Path:
    """The key that is given, or the first of those that ssh itself would take. Raises UsageError when there is none."""
    if config.private_key is not None:
        return config.private_key
    there = [path for name in KEYS if (path := Path.home() / ".ssh" / name).exists()]
    if not there:
        raise UsageError(
            f"which key opens {config.instance_id}?", todo="give --private-key, or `given.private_key` in the config"
        )
    return there[0]


def _sockperf_in_words(version: str) -> str:
    return f"sockperf {version}, which is too old" if version else "no sockperf"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _who() -> str:
    return f"a bench from {socket.gethostname()}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _joined(values: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(values))


# -- restore -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What became of one pair's settings. error: None where they are as they were found."""

    server: str
    client: str
    interfaces: tuple[str, str]
    error: str | None = None


def restore(options: Options) -> list[Restored]:
    """Puts back every setting that a bench was killed before it could. One that fails does not stop the others."""
    return [_restored(options, saved) for saved in GivenFolder(options.state_dir).all()]


def _restored(options: Options, saved: SavedSettings) -> Restored:
    done = Restored(
        server=saved.server.instance_id,
        client=saved.client.instance_id,
        interfaces=(saved.server.eni, saved.client.eni),
    )
    folder = GivenFolder(options.state_dir)
    its_own = replace(options, lab=saved.lab, region=saved.region, target=saved.target)
    try:
        with open_session(its_own) as session, folder.held(done.interfaces):
            if session.aws.account() != saved.account:
                raise LabError(
                    f"the settings are of account {saved.account}, these credentials of {session.aws.account()}",
                    todo="choose another --profile",
                )
            put_back(session.aws, folder, saved, say=session.console.say)
    except EnaxpError as error:
        return replace(done, error=str(error))
    return done
