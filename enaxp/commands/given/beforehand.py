"""Beforehand: checks and confirmation before ENA Express of given hosts is switched.

AWS's answers ─▶ refused? ─▶ hosts watched, fixed as far as requested ─▶ refused? ─▶ notices shown ─▶ user confirms
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from enaxp.bench.measuring.pair import Pair
from enaxp.bench.measuring.servers import server_ports
from enaxp.bench.planning.schedule import schedule, seconds
from enaxp.commands.bench import require_space
from enaxp.commands.given.asked import GivenBench
from enaxp.config import Role
from enaxp.errors import BenchError, HostError, UsageError
from enaxp.hosts.connection import as_root
from enaxp.hosts.doctor import is_recent_sockperf
from enaxp.hosts.watching import HostTold, watch
from enaxp.lab.given.discovery import GivenHostFound, GivenPairFound, discover
from enaxp.lab.given.notices import Notice, notices_of_aws, notices_of_hosts
from enaxp.lab.software_by_ssh import put_piece
from enaxp.traffic import SRD_MTU

PROBE_S = 0.01  # where only the settings of an interface matter, not what it carries
HOW_TO_INSTALL = (
    "give --install, which has the hosts run enaxp's own script for it as root (a package where there is a recent one, else built from a "
    "pinned commit); or install it there: `sudo apt-get install sockperf` on Debian and Ubuntu, `sudo dnf install sockperf` on Fedora"
)


def fit_pair(bench: GivenBench) -> GivenPairFound:
    """The pair as described by AWS. Raises BenchError if that alone makes the hosts unsuitable, UsageError and AwsError as `discover`."""
    found = discover(bench.session.aws, bench.pair)
    _refuse(notices_of_aws(found, ports=server_ports(bench.plan)), force=bench.options.force)
    return found


def agreed(bench: GivenBench, found: GivenPairFound, pair: Pair) -> tuple[str, ...]:
    """The notices shown before the switch, after the user has confirmed. Raises UsageError without confirmation, BenchError for
    unsuitable hosts."""
    say, plan = bench.session.console.say, bench.plan
    if bench.wishes.fix:
        _lower_mtu(bench, found, pair)
    say(f"watching what else the interfaces carry for {bench.wishes.watch_s:g} s")
    told = _watched(found, pair, seconds=bench.wishes.watch_s)
    told = _with_sockperf(bench, found, pair, told)
    ports = server_ports(plan)
    notices = [*notices_of_aws(found, ports=ports), *notices_of_hosts(told, has_tcp="tcp" in ports)]
    _refuse(notices, force=bench.options.force)
    if bench.earlier is None:
        results, options = bench.session.options.results_dir, bench.options
        require_space(plan, pair, results, keep_log=options.keep_full_log, force=options.force)
    for notice in notices:
        say(f"  {notice.text}")
    trials = len(schedule(replace(plan, until_pct=None)))
    takes = f"{trials} trials of {plan.duration_s:g} s, about {seconds(plan) / 60:.1f} min"
    say(f"{takes}; order toggled, seed {plan.seed}")
    enis = " and ".join(host.setting.eni for host in found.hosts)
    question = f"Switch ENA Express of {enis} on and off for this time, and put it back at the end?"
    if not bench.wishes.assume_yes and not bench.session.console.ask_for_yes(question):
        raise UsageError("nothing was switched: nobody said yes", todo="confirm at a terminal, or give --yes")
    return tuple(notice.text for notice in notices)


def _refuse(notices: Sequence[Notice], *, force: bool) -> None:
    wrong = [one for one in notices if one.refuses and not (one.can_be_forced and force)]
    if wrong:
        forced = ", or --force" if all(one.can_be_forced for one in wrong) else ""
        raise BenchError(
            "these hosts cannot be measured so; nothing was switched",
            said="; ".join(one.text for one in wrong),
            todo=f"put that right{forced}",
        )


def _watched(found: GivenPairFound, pair: Pair, *, seconds: float) -> dict[Role, HostTold]:
    """The facts about each host's interface, watched in parallel for this many seconds."""

    def one(host: GivenHostFound) -> HostTold:
        peer = found.client if host.role == "server" else found.server
        return watch(pair.by_role()[host.role], own_ip=host.ip, peer_ip=peer.ip, seconds=seconds)

    with ThreadPoolExecutor(len(found.hosts)) as pool:
        return dict(zip((host.role for host in found.hosts), pool.map(one, found.hosts), strict=True))


def _with_sockperf(
    bench: GivenBench, found: GivenPairFound, pair: Pair, told: Mapping[Role, HostTold]
) -> dict[Role, HostTold]:
    """The hosts, each with a recent enough sockperf. Raises HostError if a host has none and installing is not allowed."""
    now = dict(told)
    for host in found.hosts:
        one = told[host.role]
        if is_recent_sockperf(one.sockperf, machine=one.machine):
            continue
        if not bench.wishes.install:
            has = f"sockperf {one.sockperf}, which is too old" if one.sockperf else "no sockperf"
            raise HostError(f"the {host.role} has {has}", todo=HOW_TO_INSTALL)
        bench.session.console.say(f"  {host.role}: putting sockperf in place")
        put_piece(pair.by_role()[host.role], host.role, "sockperf")
        now[host.role] = replace(one, sockperf="installed")
    return now


def _lower_mtu(bench: GivenBench, found: GivenPairFound, pair: Pair) -> None:
    """Lowers the MTU where it is larger than SRD supports. Prints how to undo it."""
    for role, told in _watched(found, pair, seconds=PROBE_S).items():
        if told.interface is None or told.mtu is None or told.mtu <= SRD_MTU:
            continue
        command = f"ip link set dev {told.interface} mtu {SRD_MTU}"
        pair.by_role()[role].check(as_root(command))
        undo = f"sudo ip link set dev {told.interface} mtu {told.mtu}"
        bench.session.console.say(f"  {role}: {command}; `{undo}` there takes it back")
