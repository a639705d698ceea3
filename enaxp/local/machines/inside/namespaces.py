"""Namespaces: a machine with a root, interfaces, host name and users of its own. Runs in the machine, as root, at boot.

The real file system is seen through an overlay whose writes stay in a tmpfs; /proc, /sys, /dev, /run and /tmp are the machine's own.
What belongs to the whole computer (kernel parameters outside of the network, devices) can be read there, not written.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from enaxp.local.machines.inside.messages import BootInterface, BootOrder, Carries
from enaxp.local.machines.inside.place import Place, find_program, null, prepare, spawn, start_enabled, write

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MNT_DETACH = 2

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# Mounted anew in a machine, so what is mounted there, or deeper, on this computer is of no interest.
OWN_MOUNTS = ("/proc/", "/sys/", "/dev/", "/run/", "/tmp/")
# What a real instance would not find at its first boot, though this computer may have it.
NOT_THERE_YET = ("/var/lib/enaxp", "/var/lib/cloud", "/var/log/enaxp-boot.log", "/etc/systemd/system")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class Namespaces:
    """Pid 1 of namespaces of its own, which the kernel ends with it."""

    folder: Path

    def settle_in(self) -> None:
        enter(self.folder)

    def boot(self, order: BootOrder) -> Place:
        assert order.user is not None
        put_up_interfaces(order.interfaces)
        name_host(order.interfaces[0].private_ip)
        add_user(order.user, order.public_key)
        place = Place(root=Path("/"), kind="namespaces", init=1)
        prepare(place, marker=order.instance_id, public_key_file=".ssh/authorized_keys")
        for name in ("shutdown", "poweroff"):  # units name them by their whole path
            write(Path("/sbin") / name, place.stand_in(name).read_text(), mode=0o755)
        return place

    def run_user_data(self, place: Place, text: str) -> None:
        script = write(place.path("/var/lib/cloud/instance/user-data.txt"), text, mode=0o700)
        with place.path("/var/log/cloud-init-output.log").open("ab") as log:
            if not text.startswith("#!"):
                log.write(b"user data that does not begin with #! is not run\n")
                return
            # cloud-init runs the file itself, so that its first line decides by what.
            spawn([str(script)], _environment(place), stdin=null(), output=log.fileno())

    def start_script(self, place: Place, script: Path, timeout_s: int, *, output: int, errors: int) -> int:
        # The agent has a shell run the file, so that its first line decides by what, if it has one.
        argv = [find_program("timeout"), "--kill-after=5", str(timeout_s), "sh", "-c", str(script)]
        return spawn(argv, _environment(place), stdin=null(), output=output, errors=errors)

    def set_srd(self, place: Place, interface: str, mode: int, carries: Carries) -> None:
        # Without check: somebody may have taken the interface away, which is no reason to end the machine.
        subprocess.run([str(place.stand_in("ethtool")), "--set-srd", interface, str(mode), carries], check=False)

    def leave(self) -> None:
        """Nothing to do: it is the kernel's."""

    def start_again(self, place: Place) -> None:
        assert os.getpid() == place.init, "outside of a namespace of its own this would end everything"
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        start_enabled(place, _environment(place))


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


def put_up_interfaces(interfaces: Sequence[BootInterface]) -> None:
    """Sets addresses, and the default route by the first interface, as AWS's DHCP does. Raises CalledProcessError."""
    for knob in ("all", "default"):
        _set(f"/proc/sys/net/ipv6/conf/{knob}/disable_ipv6", "1")  # its chatter would be counted as traffic of the lab
    lines = ["link set lo up"]
    for one in interfaces:
        lines += [f"address add {one.private_ip}/{one.prefix} dev {one.name}", f"link set {one.name} up"]
    if interfaces:
        lines.append(f"route add default via {interfaces[0].gateway} dev {interfaces[0].name}")
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, capture_output=True, check=True)


def name_host(private_ip: str) -> None:
    """Gives the host the name that EC2 would: ip-192-168-3-10."""
    name = f"ip-{private_ip.replace('.', '-')}"
    _set("/proc/sys/kernel/hostname", name)
    Path("/etc/hostname").write_text(f"{name}\n")


def add_user(name: str, public_key: str) -> None:
    """Adds the user who logs in. It is another name of root, so that nothing depends on sudo being there."""
    home = Path("/home") / name
    (home / ".ssh").mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / ".ssh" / "authorized_keys").write_text(f"{public_key}\n")
    for file, entry in (("/etc/passwd", f"{name}:x:0:0::{home}:/bin/bash"), ("/etc/shadow", f"{name}:*:19000::::::")):
        others = [
            line for line in (_lines(Path(file)) if Path(file).exists() else []) if not line.startswith(f"{name}:")
        ]
        Path(file).write_text("\n".join([entry, *others]) + "\n")  # first, so that uid 0 is shown by this name


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


def _set(knob: str, value: str) -> None:
    if Path(knob).exists():
        Path(knob).write_text(value)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
