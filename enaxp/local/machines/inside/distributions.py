"""Distributions: the systems that a machine with a root of its own can stand for, one class each: `DISTRIBUTIONS` has them by name.

A class says which programs its image has and has not, and what the system does with interfaces. Its stand-ins are in the folder of its
name below `standins/`. Here is the owner's side, too: which distribution an image is of, and who logs in.
"""

from __future__ import annotations

import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from enaxp.local.machines.inside.messages import BootInterface
from enaxp.local.machines.inside.place import Place, find_program, null, run, spawn, write

# The policy routes of Amazon Linux come when a first boot has long begun with its user data.
POLICY_ROUTES_AFTER_S = 1
# Between an interface that is found and the first that its system does with it: seconds there, 40 at worst.
UDEV_S = 1
CLOUD_INIT_RESULT = Path("/run/cloud-init/result.json")
# What `rpm -q amazon-ec2-net-utils` would tell of the image.
NET_UTILS_VERSION = Path("/usr/share/amazon-ec2-net-utils/version")

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


class Distribution(ABC):
    """A system that images have.

    user: who logs in, an ordinary user who may use sudo.  in_image_names: by what an image's name tells it, in small letters.
    not_on: programs by which a script would take a machine for another system.  not_installed: those that its image comes without, and
    that can be installed.
    """

    name: ClassVar[str]
    user: ClassVar[str]
    in_image_names: ClassVar[str]
    not_on: ClassVar[tuple[str, ...]]
    not_installed: ClassVar[tuple[str, ...]]

    @abstractmethod
    def put_files(self, interfaces: Sequence[BootInterface], place: Place) -> None:
        """Writes the network configuration files of the image."""

    @abstractmethod
    def keep_busy(self, environment: Mapping[str, str]) -> None:
        """Begins what the system itself runs in the first minutes of the first boot, such as upgrades that hold locks. Does not wait."""

    @abstractmethod
    def before_networkd(self, place: Place, environment: Mapping[str, str]) -> None:
        """Runs what a start of the machine does before networkd configures the interfaces. Raises CalledProcessError."""

    @abstractmethod
    def after_networkd(self, interfaces: Sequence[BootInterface], place: Place, environment: Mapping[str, str]) -> None:
        """Begins what a start of the machine runs once the interfaces are configured. Does not wait."""

    @abstractmethod
    def found(self, one: BootInterface, interfaces: Sequence[BootInterface]) -> str | None:
        """The script that udev begins for an interface that was plugged in; None where nothing happens. interfaces: all, with this one."""

    @abstractmethod
    def lost(self, name: str, place: Place, environment: Mapping[str, str]) -> None:
        """Ends what the system has begun for an interface that is taken away."""


class AmazonLinux(Distribution):
    """Its net-utils set policy routes a moment after networkd, which makes networkd reconfigure the interfaces."""

    name = "amazon-linux"
    user = "ec2-user"
    in_image_names = "amazon"
    not_on = ("apt-get", "netplan")
    not_installed = ("tc", "htop")

    def put_files(self, interfaces: Sequence[BootInterface], place: Place) -> None:
        write(Path("/usr/lib/systemd/network/80-ec2.network"), _EC2_NETWORK, mode=0o644)
        write(Path("/usr/bin/setup-policy-routes"), place.stand_in("setup-policy-routes").read_text(), mode=0o755)
        write(NET_UTILS_VERSION, "2.4.1\n", mode=0o644)

    def keep_busy(self, environment: Mapping[str, str]) -> None:
        """Does nothing: this distribution needs no such step."""

    def before_networkd(self, place: Place, environment: Mapping[str, str]) -> None:
        """Does nothing: this distribution needs no such step."""

    def after_networkd(self, interfaces: Sequence[BootInterface], place: Place, environment: Mapping[str, str]) -> None:
        units = Path("/run/systemd/system")
        write(units / "policy-routes@.service", _POLICY_ROUTES.format(remains="yes", verb="start"), mode=0o644)
        write(units / "refresh-policy-routes@.service", _POLICY_ROUTES.format(remains="no", verb="refresh"), mode=0o644)
        write(units / "refresh-policy-routes@.timer", _REFRESH_TIMER, mode=0o644)
        names = [one.name for one in interfaces]
        wanted = [f"policy-routes@{name}.service" for name in names]
        wanted += [f"refresh-policy-routes@{name}.timer" for name in names]
        command = f"sleep {POLICY_ROUTES_AFTER_S}; exec {place.stand_in('systemctl')} start {' '.join(wanted)}"
        with Path("/var/log/boot.log").open("ab") as log:
            spawn([shutil.which("sh") or "/bin/sh", "-c", command], environment, stdin=null(), output=log.fileno())

    def found(self, one: BootInterface, interfaces: Sequence[BootInterface]) -> str | None:
        write(Path("/run/enaxp", f"hot-{one.name}"), "", mode=0o644)
        return _FOUND_BY_AMAZON_LINUX.format(seconds=UDEV_S, name=one.name)

    def lost(self, name: str, place: Place, environment: Mapping[str, str]) -> None:
        units = [f"refresh-policy-routes@{name}.timer", f"policy-routes@{name}.service"]
        subprocess.run([str(place.stand_in("systemctl")), "stop", *units], env=dict(environment), check=False)
        Path(f"/run/systemd/network/70-{name}.network").unlink(missing_ok=True)
        shutil.rmtree(f"/run/systemd/network/70-{name}.network.d", ignore_errors=True)


class Ubuntu(Distribution):
    """cloud-init writes what netplan turns into files of networkd. Its hotplug is there only once cloud-init has come to its end."""

    name = "ubuntu"
    user = "ubuntu"
    in_image_names = "ubuntu"
    not_on = ("dnf",)
    not_installed = ("htop",)

    def put_files(self, interfaces: Sequence[BootInterface], place: Place) -> None:
        write(Path("/etc/netplan/50-cloud-init.yaml"), _cloud_init_text(interfaces), mode=0o600)

    def keep_busy(self, environment: Mapping[str, str]) -> None:
        """Unattended upgrades hold the locks of apt: for minutes there, for seconds here."""
        held = (("/var/lib/apt/lists/lock", 2), ("/var/lib/dpkg/lock-frontend", 4))
        for path, seconds in held:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            spawn([find_program("flock"), path, "sleep", str(seconds)], environment, stdin=null(), output=null())

    def before_networkd(self, place: Place, environment: Mapping[str, str]) -> None:
        run([str(place.stand_in("netplan")), "generate"], environment)

    def after_networkd(self, interfaces: Sequence[BootInterface], place: Place, environment: Mapping[str, str]) -> None:
        """Does nothing: this distribution needs no such step."""

    def found(self, one: BootInterface, interfaces: Sequence[BootInterface]) -> str | None:
        if not CLOUD_INIT_RESULT.exists():
            return None
        write(Path("/run/enaxp/50-cloud-init.yaml"), _cloud_init_text(interfaces), mode=0o600)
        return _FOUND_BY_UBUNTU.format(seconds=UDEV_S, name=one.name)

    def lost(self, name: str, place: Place, environment: Mapping[str, str]) -> None:
        """Does nothing: this distribution needs no such step."""


AMAZON_LINUX = AmazonLinux()
DISTRIBUTIONS: Mapping[str, Distribution] = {one.name: one for one in (Ubuntu(), AMAZON_LINUX)}


def distribution_of(image_name: str) -> Distribution:
    """The first distribution that an image's name tells; Amazon Linux where it tells none."""
    told = (one for one in DISTRIBUTIONS.values() if one.in_image_names in image_name.lower())
    return next(told, AMAZON_LINUX)


def _cloud_init_text(interfaces: Sequence[BootInterface]) -> str:
    text = "network:\n  version: 2\n  ethernets:\n"
    for index, one in enumerate(interfaces):
        mac = Path("/sys/class/net", one.name, "address").read_text().strip()
        text += _CLOUD_INIT_INTERFACE.format(name=one.name, mac=mac, metric=100 * (index + 1))
        if index > 0:
            text += _CLOUD_INIT_RULE.format(address=one.private_ip, gateway=one.gateway, table=100 + index)
    return text
