"""Network: the interfaces of a machine made of namespaces, from its start to its next one. Runs in the machine, as root.

    start ─▶ links as the driver leaves them ─▶ the stand-in of networkd (`standins/namespaces/networkctl`) gives them what DHCP and the
             distribution's files say ─▶ on Amazon Linux, a moment later: policy routes, for which networkd configures them anew
    attached ─▶ a link as the driver leaves it ─▶ what udev begins: on Amazon Linux the same as above; on Ubuntu cloud-init's hotplug,
             which is there only once cloud-init has come to its end: an interface that is attached earlier is never configured

Whatever has been set by hand is gone after a restart, as on a real host.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from enaxp.local.machines.inside.distributions import CLOUD_INIT_RESULT, Distribution
from enaxp.local.machines.inside.messages import BootInterface
from enaxp.local.machines.inside.place import Place, find_program, null, run, spawn, write

MTU_OF_THE_DRIVER, MTU_OF_DHCP = 1500, 9001
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_OWN_BOOT_ID = Path("/run/enaxp/boot_id")
# Settings of the kernel that a network namespace has of its own, and that a restart takes back.
_IPV4 = Path("/proc/sys/net/ipv4")
_SETTINGS = ("tcp_limit_output_bytes", "tcp_autocorking")
_OF_AN_INTERFACE = ("arp_ignore", "arp_announce", "rp_filter")


@dataclass(frozen=True, kw_only=True)
class Network:
    """The interfaces, and what sets them. `settings`: those that the kernel had before anybody changed them, by their path."""

    interfaces: Sequence[BootInterface]
    distribution: Distribution
    settings: Mapping[Path, str]

    def put_files(self, place: Place) -> None:
        """What the image brings: the distribution's files."""
        self.distribution.put_files(self.interfaces, place)

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

    def find(self, one: BootInterface, environment: Mapping[str, str]) -> None:
        """The driver finds an interface in a machine that runs, and udev begins what the distribution does then. Does not wait."""
        _ip_batch(_as_the_driver_leaves(one))
        script = self.distribution.found(one, self.interfaces)
        if script is None:
            return
        with Path("/var/log/boot.log").open("ab") as log:
            spawn([find_program("sh"), "-ec", script], environment, stdin=null(), output=log.fileno())

    def lose(self, name: str, place: Place, environment: Mapping[str, str]) -> None:
        """Forgets an interface: what networkd set for it goes, and what refreshes it ends."""
        _forget(name)
        Path(f"/run/enaxp/srd-{name}").unlink(missing_ok=True)  # counters belong to a device, and that is gone
        self.distribution.lost(name, place, environment)
        subprocess.run([str(place.stand_in("networkctl")), "--lost", name], env=dict(environment), check=False)

    def come_up(self, place: Place, environment: Mapping[str, str]) -> None:
        """Sets addresses, MTU and routes as a start of the machine does. Raises CalledProcessError."""
        self._start_anew()
        self.distribution.before_networkd(place, environment)
        run([str(place.stand_in("networkctl")), "--boot"], environment)
        self.distribution.after_networkd(self.interfaces, place, environment)

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


def network_of(interfaces: Sequence[BootInterface], distribution: Distribution) -> Network:
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
