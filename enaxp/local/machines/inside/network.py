"""Network: the interfaces of a machine made of namespaces, from its start to its next one. Runs in the machine, as root.

    start ─▶ links as the driver leaves them ─▶ the stand-in of networkd (`standins/namespaces/networkctl`) gives them what DHCP and the
             distribution's files say ─▶ on Amazon Linux, a moment later: policy routes, for which networkd configures them anew

Whatever has been set by hand is gone after a restart, as on a real host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from enaxp.local.machines.inside.messages import BootInterface, DistributionName
from enaxp.local.machines.inside.place import Place, null, spawn, write

MTU_OF_THE_DRIVER, MTU_OF_DHCP = 1500, 9001
# The policy routes of Amazon Linux come when a first boot has long begun with its user data.
POLICY_ROUTES_AFTER_S = 1
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_OWN_BOOT_ID = Path("/run/enaxp/boot_id")
# Settings of the kernel that a network namespace has of its own, and that a restart takes back.
_SETTINGS = ("tcp_limit_output_bytes", "tcp_autocorking")
_OF_AN_INTERFACE = ("arp_ignore", "arp_announce", "rp_filter")

_EC2_NETWORK = """\
[Match]
Driver=ena ixgbevf vif
[Link]
MTUBytes=9001
[Network]
DHCP=yes
[DHCPv4]
UseMTU=no
"""
_POLICY_ROUTES = """\
[Unit]
Description=Policy routes of %i
[Service]
Type=oneshot
RemainAfterExit={remains}
ExecStart=/usr/bin/setup-policy-routes %i {verb}
"""
_REFRESH_TIMER = """\
[Timer]
OnActiveSec=30
OnUnitInactiveSec=60
"""
_CLOUD_INIT_INTERFACE = """\
    {name}:
      dhcp4: true
      match: {{macaddress: "{mac}"}}
      set-name: {name}
"""


@dataclass(frozen=True, kw_only=True)
class Network:
    """The interfaces, and what sets them. `settings`: those that the kernel had before anybody changed them, by their path."""

    interfaces: Sequence[BootInterface]
    distribution: DistributionName
    settings: Mapping[Path, str]

    def put_files(self, place: Place) -> None:
        """What the image brings: the distribution's files. Raises FileNotFoundError when this computer has no netplan for an Ubuntu."""
        if self.distribution == "amazon-linux":
            write(Path("/usr/lib/systemd/network/80-ec2.network"), _EC2_NETWORK, mode=0o644)
            write(Path("/usr/bin/setup-policy-routes"), place.stand_in("setup-policy-routes").read_text(), mode=0o755)
            return
        text = "network:\n  version: 2\n  ethernets:\n"
        for one in self.interfaces:
            text += _CLOUD_INIT_INTERFACE.format(name=one.name, mac=_mac(one.name))
        write(Path("/etc/netplan/50-cloud-init.yaml"), text, mode=0o600)

    def come_up(self, place: Place, environment: Mapping[str, str]) -> None:
        """Sets addresses, MTU and routes as a start of the machine does. Raises CalledProcessError."""
        self._start_anew()
        if self.distribution == "ubuntu":
            _run([str(place.stand_in("netplan")), "generate"], environment)
        _run([str(place.stand_in("networkctl")), "--boot"], environment)
        if self.distribution == "amazon-linux":
            self._begin_policy_routes(place, environment)

    def _start_anew(self) -> None:
        """The links as the driver leaves them, and a new boot."""
        for path, value in self.settings.items():
            path.write_text(value)
        lines = [
            "link set lo up",
            "rule flush",
            "rule add priority 32766 lookup main",
            "rule add priority 32767 lookup default",
        ]
        for one in self.interfaces:
            lines += [f"link set {one.name} down", f"address flush dev {one.name}"]
            lines += [f"link set {one.name} mtu {MTU_OF_THE_DRIVER}", f"link set {one.name} up"]
            lease = f"{one.private_ip} {one.prefix} {one.gateway} {MTU_OF_DHCP}\n"
            write(Path("/run/enaxp/leases") / one.name, lease, mode=0o644)
            for state in ("configured", "rings"):
                Path("/run/enaxp", f"{state}-{one.name}").unlink(missing_ok=True)
        subprocess.run(
            ["ip", "-4", "-batch", "-"], input="\n".join(lines) + "\n", text=True, capture_output=True, check=True
        )
        _OWN_BOOT_ID.write_text(f"{uuid.uuid4()}\n")

    def _begin_policy_routes(self, place: Place, environment: Mapping[str, str]) -> None:
        units = Path("/run/systemd/system")
        write(units / "policy-routes@.service", _POLICY_ROUTES.format(remains="yes", verb="start"), mode=0o644)
        write(units / "refresh-policy-routes@.service", _POLICY_ROUTES.format(remains="no", verb="refresh"), mode=0o644)
        write(units / "refresh-policy-routes@.timer", _REFRESH_TIMER, mode=0o644)
        names = [one.name for one in self.interfaces]
        wanted = [f"policy-routes@{name}.service" for name in names]
        wanted += [f"refresh-policy-routes@{name}.timer" for name in names]
        command = f"sleep {POLICY_ROUTES_AFTER_S}; exec {place.stand_in('systemctl')} start {' '.join(wanted)}"
        with Path("/var/log/boot.log").open("ab") as log:
            spawn([shutil.which("sh") or "/bin/sh", "-c", command], environment, stdin=null(), output=log.fileno())


def network_of(interfaces: Sequence[BootInterface], distribution: DistributionName) -> Network:
    """The network of a machine that has just been born, with the kernel's settings as they are now."""
    for knob in ("all", "default"):
        ipv6 = Path(f"/proc/sys/net/ipv6/conf/{knob}/disable_ipv6")
        if ipv6.exists():
            ipv6.write_text("1")  # its chatter would be counted as traffic of the lab
    ipv4 = Path("/proc/sys/net/ipv4")
    paths = [ipv4 / name for name in _SETTINGS]
    paths += [ipv4 / "conf" / one.name / name for one in interfaces for name in _OF_AN_INTERFACE]
    return Network(
        interfaces=interfaces,
        distribution=distribution,
        settings={path: path.read_text() for path in paths if path.exists()},
    )


def forget_what_is_not_on_disk() -> None:
    """Empties /tmp and /run, but for what the machine itself keeps there."""
    kept = {"enaxp", "sshd"}
    for folder in (Path("/tmp"), Path("/run")):
        for path in folder.iterdir():
            if folder.name == "run" and path.name in kept:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def own_boot_id() -> Path:
    """The file that tells this boot from others: the kernel's is the same for the whole computer."""
    _OWN_BOOT_ID.parent.mkdir(parents=True, exist_ok=True)
    _OWN_BOOT_ID.write_text(f"{uuid.uuid4()}\n")
    return _OWN_BOOT_ID


def _mac(name: str) -> str:
    return Path("/sys/class/net", name, "address").read_text().strip()


def _run(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    subprocess.run(
        argv, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
