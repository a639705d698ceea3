"""Processes: a machine that is a folder and a tree of processes, where this computer allows no more. Runs as that tree's root.

It shares the computer's network, users and file system, so nothing that would change them is run: user data is only checked.
"""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from enaxp.local.machines.inside.messages import BootInterface, BootOrder, Carries
from enaxp.local.machines.inside.place import Place, find_program, null, prepare, spawn, start_enabled, write
from enaxp.local.process import kill_if

PR_SET_CHILD_SUBREAPER = 36
ROOT_MARK = "ENAXP_ROOT"
NOTE = "user data was checked but not run: hosts are plain processes here"
SCRIPT_NOTE = "this was checked but not run: hosts are plain processes here"


@dataclass(frozen=True, kw_only=True)
class BootDone:
    """How user data went, as `templates/userdata.sh.j2` writes it at its end; `note` is added here."""

    ok: bool
    failed_step: str | None
    log_tail: str
    note: str
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The supervisor of a tree of processes. The kernel gives it those that lost their parent, so it knows them all."""

    folder: Path

    def settle_in(self) -> None:
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "this kernel does not let a process adopt its orphans")

    def boot(self, order: BootOrder) -> Place:
        if os.geteuid() == 0:
            # Where sshd locks up its unprivileged half. The same for every sshd of the computer, so it stays.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        place = Place(root=root_of(self.folder), kind="processes", init=os.getpid())
        keys = write(place.path("/run/enaxp/authorized_keys"), f"{order.public_key}\n", mode=0o600)
        home = place.path("/home")
        home.mkdir(parents=True, exist_ok=True)
        words = {"@SLOT@": str(order.slot), "@SOCKPERF@": find_program("sockperf")}
        prepare(place, marker=order.instance_id, home=home, public_key_file=str(keys), words=words)
        put_addresses(place, order.interfaces)
        return place

    def listen_inside(self, port: int) -> socket.socket | None:
        """Nowhere: there are no addresses of its own, and those of this computer would be open to it."""
        return None

    def run_user_data(self, place: Place, text: str) -> int | None:
        script = write(place.path("/var/lib/cloud/instance/user-data.txt"), text, mode=0o700)
        checked = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
        is_sound = checked.returncode == 0
        done = BootDone(ok=is_sound, failed_step=None if is_sound else "syntax", log_tail=checked.stderr, note=NOTE)
        new = write(place.path("/var/lib/enaxp/done.json.new"), json.dumps(asdict(done)), mode=0o644)
        new.replace(new.with_suffix(""))
        return None

    def user_data_has_ended(self) -> None:
        """Does nothing: the script has not run."""

    def start_script(self, place: Place, script: Path, timeout_s: int, *, output: int, errors: int) -> int:
        """Checks the script's syntax and does not run it: it would change this computer."""
        checked = f'{shlex.quote(find_program("bash"))} -n "$1" && echo {shlex.quote(SCRIPT_NOTE)}'
        argv = [find_program("sh"), "-c", checked, "sh", str(script)]
        return spawn(argv, {"PATH": place.search_path}, stdin=null(), output=output, errors=errors)

    def set_srd(self, place: Place, interface: str, mode: int, carries: Carries) -> None:
        """Does nothing: there is no interface, and what its counters would say is unknown."""

    def attach(self, place: Place, interface: BootInterface) -> None:
        with _addresses(place).open("a") as file:
            file.write(f"{interface.private_ip} {interface.name}\n")

    def detach(self, place: Place, interface: str) -> None:
        lines = _addresses(place).read_text().splitlines()
        left = [f"{line}\n" for line in lines if not line.endswith(f" {interface}")]
        write(_addresses(place), "".join(left), mode=0o644)

    def power_off(self) -> None:
        self.leave()

    def power_on(self, place: Place, interfaces: Sequence[BootInterface]) -> None:
        put_addresses(place, interfaces)
        start_enabled(place, {"PATH": place.search_path})

    def leave(self) -> None:
        end_all(lambda: descendants(os.getpid()), lambda pid: pid in set(descendants(os.getpid())))

    def start_again(self, place: Place) -> None:
        self.leave()
        start_enabled(place, {"PATH": place.search_path})


def _addresses(place: Place) -> Path:
    """The addresses of the machine's interfaces, which its front of sockperf lets it use: ADDRESS NAME, one a line."""
    return place.path("/run/enaxp/addresses")


def put_addresses(place: Place, interfaces: Sequence[BootInterface]) -> None:
    """Replaces the file with the machine's addresses, one `ADDRESS NAME` per line, which its sockperf wrapper allows. Raises OSError."""
    write(_addresses(place), "".join(f"{one.private_ip} {one.name}\n" for one in interfaces), mode=0o644)


def root_of(folder: Path) -> Path:
    """The folder with the files of the machine that has this folder."""
    return folder.resolve() / "root"


def end_all(find: Callable[[], Iterator[int]], is_ours: Callable[[int], bool]) -> None:
    """Kills what `find` finds until it finds nothing: a process that is killed may have started another one meanwhile.

    is_ours is asked once more when the process is held: its pid may be another's since it was found.
    """
    for _ in range(200):
        found = list(find())
        if not found:
            return
        for pid in found:
            kill_if(pid, is_ours)
        _collect()
        time.sleep(0.01)


def descendants(pid: int) -> Iterator[int]:
    """The living processes below this one."""
    children: dict[int, list[int]] = {}
    for each in _pids():
        try:
            state, parent = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(each)
    below = [pid]
    while below:
        found = children.get(below.pop(), [])
        yield from found
        below += found


def marked(folder: Path) -> Iterator[int]:
    """Processes that were started in the machine of this folder, whoever is their parent now."""
    return (pid for pid in _pids() if is_marked(pid, folder))


def is_marked(pid: int, folder: Path) -> bool:
    """Whether a process was started in the machine of this folder: by its environment, and by this very user.

    Anybody can put the mark into an environment, and start a program with it that runs as somebody else: its first owner stays told.
    """
    mark = f"{ROOT_MARK}={root_of(folder)}".encode()
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    owners = next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
    return set(owners) == {str(os.geteuid())} and mark in environment.split(b"\0")


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208 - thousands of names


def _collect() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
