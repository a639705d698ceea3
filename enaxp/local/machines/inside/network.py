"""Network: the interfaces of a machine made of namespaces, from its start to its next one. Runs in the machine, as root.

    start ─▶ links as the driver leaves them ─▶ the stand-in of networkd (`standins/namespaces/networkctl`) gives them what DHCP and the
             distribution's files say ─▶ on Amazon Linux, a moment later: policy routes, for which networkd configures them anew
    attached ─▶ a link as the driver leaves it ─▶ what udev begins: on Amazon Linux the same as above; on Ubuntu cloud-init's hotplug,
             which is there only once cloud-init has come to its end: an interface that is attached earlier is never configured

Whatever has been set by hand is gone after a restart, as on a real host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from enaxp.local.machines.inside.messages import BootInterface, DistributionName
from enaxp.local.machines.inside.place import Place, find_program, null, spawn, write

MTU_OF_THE_DRIVER, MTU_OF_DHCP = 1500, 9001
# The policy routes of Amazon Linux come when a first boot has long begun with its user data.
POLICY_ROUTES_AFTER_S = 1
# Between an interface that is found and the first that its system does with it: seconds there, 40 at worst.
UDEV_S = 1
CLOUD_INIT_RESULT = Path("/run/cloud-init/result.json")
# What `rpm -q amazon-ec2-net-utils` would tell of the image.
NET_UTILS_VERSION = Path("/usr/share/amazon-ec2-net-utils/version")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_OWN_BOOT_ID = Path("/run/enaxp/boot_id")
# Settings of the kernel that a network namespace has of its own, and that a restart takes back.
_IPV4 = Path("/proc/sys/net/ipv4")
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
# As cloud-init writes it on EC2, for the first interface and for each other.
_CLOUD_INIT_INTERFACE = """\
    {name}:
      dhcp4: true
      dhcp4-overrides: {{route-metric: {metric}}}
      match: {{macaddress: "{mac}"}}
      set-name: {name}
"""
_CLOUD_INIT_RULE = """\
      routes:
      - {{to: 0.0.0.0/0, via: {gateway}, on-link: true, table: {table}}}
      routing-policy:
      - {{from: {address}, table: {table}}}
"""
_FOUND_BY_AMAZON_LINUX = """\
sleep {seconds}
networkctl reconfigure {name}
exec systemctl start policy-routes@{name}.service refresh-policy-routes@{name}.timer
"""
_FOUND_BY_UBUNTU = """\
sleep {seconds}
mv /run/enaxp/50-cloud-init.yaml /etc/netplan/50-cloud-init.yaml
exec netplan apply
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
            write(NET_UTILS_VERSION, "2.4.1\n", mode=0o644)
            return
        write(Path("/etc/netplan/50-cloud-init.yaml"), self._cloud_init_text(), mode=0o600)

    def _cloud_init_text(self) -> str:
        text = "network:\n  version: 2\n  ethernets:\n"
        for index, one in enumerate(self.interfaces):
            text += _CLOUD_INIT_INTERFACE.format(name=one.name, mac=_mac(one.name), metric=100 * (index + 1))
            if index > 0:
                text += _CLOUD_INIT_RULE.format(address=one.private_ip, gateway=one.gateway, table=100 + index)
        return text

    def with_also(self, interface: BootInterface) -> Network:
        """The network with one more interface, whose settings are as the kernel has them now."""
        return self.with_all([*(one for one in self.interfaces if one.name != interface.name), interface])

    def without(self, name: str) -> Network:
        """The network without the interface of this name."""
        return self.with_all([one for one in self.interfaces if one.name != name])

    def with_all(self, interfaces: Sequence[BootInterface]) -> Network:
        """The network with these interfaces, and what the kernel had of each before anybody changed it."""
        of_no_interface = {path: text for path, text in self.settings.items() if path.parent.parent.name != "conf"}
        own = {path: self.settings.get(path, "") or path.read_text() for path in _settings_of(interfaces)}
        return replace(self, interfaces=interfaces, settings={**of_no_interface, **own})

    def find(self, one: BootInterface, place: Place, environment: Mapping[str, str]) -> None:
        """The driver finds an interface in a machine that runs, and udev begins what the distribution does then. Does not wait."""
        _ip_batch(_as_the_driver_leaves(one))
        if self.distribution == "amazon-linux":
            write(Path("/run/enaxp", f"hot-{one.name}"), "", mode=0o644)
            script = _FOUND_BY_AMAZON_LINUX
        elif CLOUD_INIT_RESULT.exists():
            write(Path("/run/enaxp/50-cloud-init.yaml"), self._cloud_init_text(), mode=0o600)
            script = _FOUND_BY_UBUNTU
        else:
            return
        with Path("/var/log/boot.log").open("ab") as log:
            argv = [find_program("sh"), "-ec", script.format(seconds=UDEV_S, name=one.name)]
            spawn(argv, environment, stdin=null(), output=log.fileno())

    def lose(self, name: str, place: Place, environment: Mapping[str, str]) -> None:
        """Forgets an interface: what networkd set for it goes, and what refreshes it ends."""
        _forget(name)
        Path(f"/run/enaxp/srd-{name}").unlink(missing_ok=True)  # counters belong to a device, and that is gone
        if self.distribution == "amazon-linux":
            units = [f"refresh-policy-routes@{name}.timer", f"policy-routes@{name}.service"]
            subprocess.run([str(place.stand_in("systemctl")), "stop", *units], env=dict(environment), check=False)
            Path(f"/run/systemd/network/70-{name}.network").unlink(missing_ok=True)
            shutil.rmtree(f"/run/systemd/network/70-{name}.network.d", ignore_errors=True)
        subprocess.run([str(place.stand_in("networkctl")), "--lost", name], env=dict(environment), check=False)

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
            lines += _as_the_driver_leaves(one)
        _ip_batch(lines)
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


def _as_the_driver_leaves(one: BootInterface) -> list[str]:
    """Forgets what was known of the interface, notes what DHCP would tell; gives back lines for `ip`."""
    _forget(one.name)
    lease = f"{one.private_ip} {one.prefix} {one.gateway} {MTU_OF_DHCP}\n"
    write(Path("/run/enaxp/leases") / one.name, lease, mode=0o644)
    return [
        f"link set {one.name} down",
        f"address flush dev {one.name}",
        f"link set {one.name} mtu {MTU_OF_THE_DRIVER}",
        f"link set {one.name} up",
    ]


def _forget(name: str) -> None:
    """What the stand-ins keep of an interface."""
    for path in ("leases/", "configured-", "rings-", "hot-"):
        Path(f"/run/enaxp/{path}{name}").unlink(missing_ok=True)


def _ip_batch(lines: Sequence[str]) -> None:
    given = "\n".join(lines) + "\n"
    subprocess.run(["ip", "-4", "-batch", "-"], input=given, text=True, capture_output=True, check=True)


def first_boot_is_through() -> None:
    """cloud-init has come to its end, and says so where it does."""
    write(CLOUD_INIT_RESULT, '{"v1": {"errors": []}}\n', mode=0o644)


def network_of(interfaces: Sequence[BootInterface], distribution: DistributionName) -> Network:
    """The network of a machine that has just been born, with the kernel's settings as they are now."""
    for knob in ("all", "default"):
        ipv6 = Path(f"/proc/sys/net/ipv6/conf/{knob}/disable_ipv6")
        if ipv6.exists():
            ipv6.write_text("1")  # its chatter would be counted as traffic of the lab
    paths = [_IPV4 / name for name in _SETTINGS] + _settings_of(interfaces)
    return Network(
        interfaces=interfaces,
        distribution=distribution,
        settings={path: path.read_text() for path in paths if path.exists()},
    )


def _settings_of(interfaces: Sequence[BootInterface]) -> list[Path]:
    return [_IPV4 / "conf" / one.name / name for one in interfaces for name in _OF_AN_INTERFACE]


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
