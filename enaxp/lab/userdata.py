"""User data: the script that a host runs at its first boot, and the parser of its done-marker. Pure: text in, text out.

HostBoot, software ─▶ render_userdata() ─▶ bash for RunInstances          done-marker's text ─▶ parse_done() ─▶ Boot
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime

import msgspec

from enaxp.errors import LabError
from enaxp.lab.software import pieces, without_comments
from enaxp.lab.templates import render
from enaxp.traffic import SRD_MTU

ROOT = "/var/lib/enaxp"
DONE_PATH = f"{ROOT}/done.json"
TIMER_PATH = "/etc/systemd/system/enaxp-ttl.timer"
LIMIT_BYTES = 16 * 1024  # before encoding: what RunInstances takes


@dataclass(frozen=True, kw_only=True)
class HostBoot:
    """The inputs of one host's first boot. interfaces: its addresses in device order. expires_at: when the host terminates itself, UTC.

    ssh_port: the port for sshd; None leaves the default.
    """

    hostname: str
    interfaces: tuple[str, ...]
    subnet_cidr: str
    expires_at: datetime | None
    ssh_port: int | None = None


@dataclass(frozen=True, kw_only=True)
class Boot:
    """The outcome of a first boot."""

    ok: bool
    failed_step: str | None
    log_tail: str
    in_words: str


def render_userdata(boot: HostBoot) -> str:
    """The user data script; the same input gives the same text. Raises LabError above AWS's limit of 16 KB."""
    return _rendered("userdata.sh.j2", boot, software=pieces())


def render_monitoring_userdata(boot: HostBoot, *, grafana: bool) -> str:
    """Like `render_userdata`, for the monitoring host. grafana: whether to install Grafana. Raises LabError above 16 KB."""
    return _rendered("monitoring.sh.j2", boot, grafana=grafana)


def _rendered(template: str, boot: HostBoot, **more: object) -> str:
    subnet = ipaddress.IPv4Network(boot.subnet_cidr)
    text = render(
        template,
        root=ROOT,
        done_path=DONE_PATH,
        hostname=boot.hostname,
        interfaces=boot.interfaces,
        subnet_cidr=boot.subnet_cidr,
        gateway=str(subnet[1]),  # AWS's router has the first address of every subnet
        mtu=SRD_MTU,
        ssh_port=boot.ssh_port,
        expires_at=_on_calendar(boot.expires_at) if boot.expires_at else None,
        **more,
    )
    text = without_comments(text)
    if len(text.encode()) > LIMIT_BYTES:
        raise LabError(
            f"the user data is {len(text.encode())} bytes long, AWS takes {LIMIT_BYTES}",
            todo="report this: it is a bug in enaxp",
        )
    return text


def done_command() -> str:
    """A shell command that prints the done-marker if it exists, else the current step: input of `parse_done`."""
    root = f'"${{ENAXP_ROOT:-}}{ROOT}'
    return f'cat {root}/done.json" 2>/dev/null || {{ echo STEP; cat {root}/step" 2>/dev/null; }}; true'


def timer_command(ends: datetime) -> str:
    """A shell command that sets the time at which the host terminates itself (UTC). It fails on a host without that timer."""
    return f"""
timer="${{ENAXP_ROOT:-}}{TIMER_PATH}"
root() {{ if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }}
[ -f "$timer" ] || {{ echo "there is no $timer" >&2; exit 3; }}
root sed -i 's/^OnCalendar=.*/OnCalendar={_on_calendar(ends)}/' "$timer" && root systemctl daemon-reload &&
root systemctl restart {TIMER_PATH.rpartition("/")[2]}
"""


def parse_done(text: str) -> Boot | str:
    """The outcome of the boot; while there is no done-marker, the name of the current step (empty: none yet)."""
    if text.startswith("STEP"):
        return text.removeprefix("STEP").strip()
    try:
        done = msgspec.json.decode(text.encode("utf-8", "replace"), type=_Done)
    except msgspec.MsgspecError:
        return Boot(
            ok=False, failed_step="done-marker", log_tail=text[-500:], in_words="its done-marker cannot be read"
        )
    steps = ", ".join(f"{step.name} {step.seconds} s" for step in done.steps)
    return Boot(
        ok=done.ok,
        failed_step=done.failed_step,
        log_tail=done.log_tail,
        in_words=done.note or steps or "nothing to do",
    )


@dataclass(frozen=True, kw_only=True)
class _DoneStep:
    """A step of the first boot, and how long it took."""

    name: str
    seconds: int | float | str


@dataclass(frozen=True, kw_only=True)
class _Done:
    """The done-marker, as `templates/userdata.sh.j2` writes it."""

    ok: bool
    failed_step: str | None
    log_tail: str = ""
    note: str = ""
    steps: tuple[_DoneStep, ...] = ()


def _on_calendar(moment: datetime) -> str:
    """The time in the format of systemd's OnCalendar."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
