"""Namespaces: a machine with a root, interfaces, host name and users of its own. Runs in the machine, as root, at boot.

The real file system is seen through an overlay whose writes stay in a tmpfs; /proc, /sys, /dev, /run and /tmp are the machine's own.
What belongs to the whole computer (kernel parameters outside of the network, devices) can be read there, not written.
"""

from __future__ import annotations

import contextlib
import ctypes
import grp
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from enaxp.local.machines.inside.distributions import DISTRIBUTIONS, Distribution
from enaxp.local.machines.inside.messages import BootInterface, BootOrder, Carries
from enaxp.local.machines.inside.network import (
    BOOT_ID,
    Network,
    first_boot_is_through,
    forget_what_is_not_on_disk,
    network_of,
    own_boot_id,
)
from enaxp.local.machines.inside.place import (
    Place,
    find_program,
    null,
    prepare,
    spawn,
    start_enabled,
    write,
)
from enaxp.local.machines.programs import SYSTEM_PATH

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MNT_DETACH = 2

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# Mounted anew in a machine, so what is mounted there, or deeper, on this computer is of no interest.
OWN_MOUNTS = ("/proc/", "/sys/", "/dev/", "/run/", "/tmp/")
# What a real instance would not find at its first boot, though this computer may have it.
NOT_THERE_YET = (
    "/var/lib/enaxp",
    "/var/lib/cloud",
    "/var/log/enaxp-boot.log",
    "/etc/enaxp",
    "/etc/systemd/system",
    "/etc/systemd/network",
    "/usr/lib/systemd/network",
    "/etc/netplan",
)
_PAM_KINDS = ("auth", "account", "session")
_READS_LOGS = "adm"  # the group that may read what cloud-init and the system log

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(kw_only=True)
class Namespaces:
    """Pid 1 of namespaces of its own, which the kernel ends with it. `network` is known from the boot on."""

    folder: Path
    network: Network | None = None

    def settle_in(self) -> None:
        enter(self.folder)

    def boot(self, order: BootOrder) -> Place:
        assert order.user is not None
        assert order.distribution is not None
        distribution = DISTRIBUTIONS[order.distribution]
        name_host(order.interfaces[0].private_ip)
        add_user(order.user, order.public_key)
        place = Place(root=Path("/"), kind="namespaces", init=1)
        let_use_sudo(order.user, place)
        prepare(place, marker=order.instance_id, public_key_file=".ssh/authorized_keys", also=distribution.name)
        for name in ("shutdown", "poweroff"):  # units name them by their whole path
            write(Path("/sbin") / name, place.stand_in(name).read_text(), mode=0o755)
        be_an_image_of(distribution)
        distribution.keep_busy(_environment(place))
        _mount(str(own_boot_id()), BOOT_ID, None, MS_BIND)
        self.network = network_of(order.interfaces, distribution)
        self.network.put_files(place)
        self.network.come_up(place, _environment(place))
        return place

    def listen_inside(self, port: int) -> socket.socket | None:
        listener = socket.create_server(("0.0.0.0", port), backlog=64)
        listener.setblocking(False)
        return listener

    def run_user_data(self, place: Place, text: str) -> int | None:
        script = write(place.path("/var/lib/cloud/instance/user-data.txt"), text, mode=0o700)
        with place.path("/var/log/cloud-init-output.log").open("ab") as log:
            os.fchown(log.fileno(), 0, grp.getgrnam(_READS_LOGS).gr_gid)
            os.fchmod(log.fileno(), 0o640)
            if not text.startswith("#!"):
                log.write(b"user data that does not begin with #! is not run\n")
                self.user_data_has_ended()
                return None
            # cloud-init runs the file itself, so that its first line decides by what.
            return spawn([str(script)], _environment(place), stdin=null(), output=log.fileno())

    def user_data_has_ended(self) -> None:
        first_boot_is_through()

    def start_script(self, place: Place, script: Path, timeout_s: int, *, output: int, errors: int) -> int:
        # The agent has a shell run the file, so that its first line decides by what, if it has one.
        argv = [find_program("timeout"), "--kill-after=5", str(timeout_s), "sh", "-c", str(script)]
        return spawn(argv, _environment(place), stdin=null(), output=output, errors=errors)

    def set_srd(self, place: Place, interface: str, mode: int, carries: Carries) -> None:
        # Without check: somebody may have taken the interface away, which is no reason to end the machine.
        subprocess.run([str(place.stand_in("ethtool")), "--set-srd", interface, str(mode), carries], check=False)

    def attach(self, place: Place, interface: BootInterface) -> None:
        assert self.network is not None
        self.network = self.network.with_also(interface)
        self.network.find(interface, _environment(place))

    def detach(self, place: Place, interface: str) -> None:
        assert self.network is not None
        self.network = self.network.without(interface)
        self.network.lose(interface, place, _environment(place))

    def leave(self) -> None:
        """Does nothing: the kernel does it."""

    def power_off(self) -> None:
        assert os.getpid() == 1, "outside of a namespace of its own this would end everything"
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        forget_what_is_not_on_disk()

    def power_on(self, place: Place, interfaces: Sequence[BootInterface]) -> None:
        assert self.network is not None
        self.network = self.network.with_all(interfaces)
        self.network.come_up(place, _environment(place))
        first_boot_is_through()  # cloud-init comes to its end at each boot, and runs user data at the first alone
        start_enabled(place, _environment(place))

    def start_again(self, place: Place) -> None:
        assert self.network is not None
        self.power_off()
        self.power_on(place, self.network.interfaces)


def _environment(place: Place) -> dict[str, str]:
    return {"PATH": place.search_path, "HOME": "/root", "LANG": "C.UTF-8"}


def enter(scratch: Path) -> None:
    """Makes the machine's root file system on `scratch` (an empty folder of this computer, hidden in the machine), and moves into it.

    Raises OSError when the kernel does not allow it.
    """
    _mount("enaxp", scratch, "tmpfs", data="mode=0755")
    os.chdir(
        scratch
    )  # paths from here on are short and free of the commas and colons that overlay options cannot carry
    for number, disk in enumerate(["/", *_disks()]):
        _overlay(Path(disk), Path("root") / disk.lstrip("/"), Path(f"layer{number}"))
    root = Path("root")
    _proc_and_sys(root)
    _devices(root / "dev")
    for name, mode in (("run", "0755"), ("tmp", "1777")):
        _mount(name, root / name, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode}")
    _move_into(root)
    for path in map(Path, NOT_THERE_YET):
        _remove(path)
    for folder in ("/etc/systemd/system", "/run/enaxp", "/run/sshd", "/var/log", "/var/lib"):
        Path(folder).mkdir(parents=True, exist_ok=True)


def be_an_image_of(distribution: Distribution) -> None:
    """Removes the programs by which a script would take the machine for another system than it stands for, and those that its image
    comes without: these can be installed."""
    for name in distribution.not_on:
        _remove_program(name)
    repository = Path("/run/enaxp/repository")
    repository.mkdir(parents=True)
    for name in distribution.not_installed:
        if (found := shutil.which(name, path=SYSTEM_PATH)) is not None:
            shutil.copy(found, repository / name)
            _remove_program(name)


def _remove_program(name: str) -> None:
    for folder in SYSTEM_PATH.split(":"):
        Path(folder, name).unlink(missing_ok=True)


def name_host(private_ip: str) -> None:
    """Gives the host the name that EC2 would: ip-192-168-3-10."""
    name = f"ip-{private_ip.replace('.', '-')}"
    Path("/proc/sys/kernel/hostname").write_text(name)
    Path("/etc/hostname").write_text(f"{name}\n")
    # Only what stands in this file has a name: no answer is waited for from a server that cannot be reached.
    Path("/etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
    write(Path("/etc/hosts"), f"127.0.0.1 localhost {name}\n", mode=0o644)


def add_user(name: str, public_key: str) -> None:
    """Adds the user who logs in: an ordinary one, with a group of the same name and no password."""
    number = _free_number()
    home = Path("/home") / name
    entries = {
        "/etc/passwd": f"{name}:x:{number}:{number}::{home}:/bin/bash",
        "/etc/group": f"{name}:x:{number}:",
        "/etc/shadow": f"{name}:*:19000:0:99999:7:::",
    }
    for file, entry in entries.items():
        there = _lines(Path(file)) if Path(file).exists() else []
        others = [line for line in there if not line.startswith(f"{name}:")]
        Path(file).write_text("\n".join([*others, entry]) + "\n")
    _join_group(name, _READS_LOGS)
    _remove(home)  # this computer may have a user of that name
    keys = write(home / ".ssh" / "authorized_keys", f"{public_key}\n", mode=0o600)
    for path, mode in ((home, 0o700), (keys.parent, 0o700), (keys, 0o600)):
        path.chmod(mode)
        os.chown(path, number, number)


def let_use_sudo(user: str, place: Place) -> None:
    """Lets the user do everything by the real sudo, without a password, as cloud-init does. Its path is that of Amazon Linux: nothing
    below /usr/local is found by its name alone."""
    path = f"{place.bin}:/sbin:/bin:/usr/sbin:/usr/bin"
    rules = f'Defaults !syslog, secure_path="{path}"\nroot ALL=(ALL:ALL) ALL\n{user} ALL=(ALL) NOPASSWD:ALL\n'
    write(Path("/etc/sudoers"), rules, mode=0o440)
    write(Path("/etc/pam.d/sudo"), "".join(f"{kind} required pam_permit.so\n" for kind in _PAM_KINDS), mode=0o644)


def _join_group(user: str, group: str) -> None:
    """Makes the user a member of a group, which is made where there is none."""
    lines = _lines(Path("/etc/group"))
    if not any(line.startswith(f"{group}:") for line in lines):
        lines.append(f"{group}:x:{_free_number()}:")
    with_user = [
        f"{line}{'' if line.endswith(':') else ','}{user}" if line.startswith(f"{group}:") else line for line in lines
    ]
    Path("/etc/group").write_text("\n".join(with_user) + "\n")


def _free_number() -> int:
    """The first number of an ordinary user that neither a user nor a group has."""
    taken = {line.split(":")[2] for file in ("/etc/passwd", "/etc/group") for line in _lines(Path(file)) if line}
    return next(number for number in range(1000, 60000) if str(number) not in taken)


def _overlay(disk: Path, target: Path, layer: Path) -> None:
    """The files of a disk, with writes kept in `layer`."""
    upper, work = layer / "upper", layer / "work"
    target.mkdir(parents=True, exist_ok=True)
    upper.mkdir(parents=True)
    work.mkdir()
    _mount("enaxp", target, "overlay", data=f"lowerdir={disk},upperdir={upper},workdir={work}")


def _disks() -> Iterator[str]:
    """Where this computer has file systems besides /. Each needs an overlay of its own: that of / shows an empty folder there."""
    on_disk = {line.strip() for line in _lines(Path("/proc/filesystems")) if not line.startswith("nodev")} | {"zfs"}
    for line in _lines(Path("/proc/self/mountinfo")):
        before, _, after = line.partition(" - ")
        place = before.split()[4]
        plain = not any(mark in place for mark in ("\\", ",", ":"))
        if place == "/" or not plain or f"{place}/".startswith(OWN_MOUNTS) or after.split()[0] not in on_disk:
            continue
        if Path(place).is_dir():
            yield place


def _proc_and_sys(root: Path) -> None:
    guarded = MS_NOSUID | MS_NODEV | MS_NOEXEC
    _mount("proc", root / "proc", "proc", guarded)
    _guard(root / "proc/sys", writable=("net", "kernel/hostname"))
    _mount("sysfs", root / "sys", "sysfs", guarded)
    _guard(root / "sys", writable=("devices/virtual/net",))


def _guard(folder: Path, *, writable: Sequence[str]) -> None:
    """Makes a folder read-only, except these parts of it."""
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_BIND | MS_REMOUNT
    _mount(str(folder), folder, None, MS_BIND)
    for path in (folder / name for name in writable):
        if path.exists():
            _mount(str(path), path, None, MS_BIND)
    _mount("none", folder, None, flags | MS_RDONLY)


def _devices(dev: Path) -> None:
    _mount("dev", dev, "tmpfs", MS_NOSUID, "mode=0755")
    for name in (name for name in DEVICES if Path("/dev", name).exists()):
        (dev / name).touch()
        _mount(f"/dev/{name}", dev / name, None, MS_BIND)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    _mount("devpts", dev / "pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    _mount("shm", dev / "shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    targets = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
    for name, target in targets.items():
        (dev / name).symlink_to(target)


def _move_into(root: Path) -> None:
    os.chdir(root)
    Path("mnt").mkdir(exist_ok=True)
    subprocess.run(["pivot_root", ".", "mnt"], capture_output=True, text=True, check=True)
    os.chdir("/")
    _check(_libc.umount2(b"/mnt", MNT_DETACH), "umount2", "/mnt")


def _mount(source: str, target: Path, kind: str | None, flags: int = 0, data: str = "") -> None:
    done = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode() if kind else None, ctypes.c_ulong(flags), data.encode()
    )
    _check(done, f"mounting {kind or source}", str(target))


def _check(done: int, what: str, path: str) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}", path)


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
