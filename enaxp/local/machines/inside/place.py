"""Place: the files that a machine of either kind has for those who log in, and how it starts programs. Runs in the machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from enaxp.local.machines.programs import SYSTEM_PATH

_CONFIG = """\
HostKey "{folder}/host_key"
AuthorizedKeysFile "{public_key_file}"
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM {pam}
UseDNS no
PrintMotd no
PrintLastLog no
X11Forwarding no
PidFile none
ClientAliveInterval 60
MaxSessions 100
Subsystem sftp internal-sftp
SetEnv {environment}
"""

# folder → name → text. Read at the start: a machine may hide the place where this package lives.
_STAND_INS = {
    folder.name: {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.is_file()}
    for folder in (Path(__file__).parent / "standins").iterdir()
    if folder.is_dir()
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a machine's things are. `init`: the pid of its first process, as the machine itself sees it."""

    root: Path
    kind: str
    init: int

    def path(self, absolute: str) -> Path:
        """The path in this process's file system of a path of the machine."""
        return self.root / absolute.lstrip("/")

    @property
    def prefix(self) -> str:
        """What comes before an absolute path in the machine; nothing where the root is its own."""
        return "" if self.root == Path("/") else str(self.root)

    @property
    def bin(self) -> Path:
        """The folder of the stand-ins."""
        return self.path("/run/enaxp/bin")

    @property
    def search_path(self) -> str:
        """The stand-ins first, then the system's, then wherever sockperf is: without it, a machine is logged in to all the same."""
        found = _which("sockperf")
        folders = [str(self.bin), *SYSTEM_PATH.split(":"), *([str(Path(found).parent)] if found else [])]
        return ":".join(dict.fromkeys(folders))

    @property
    def sshd_command(self) -> list[str]:
        """Serves one connection, which is its standard input and output."""
        return [find_program("sshd"), "-i", "-e", "-f", str(self.path("/run/enaxp/sshd_config"))]

    def stand_in(self, name: str) -> Path:
        """The stand-in of this name."""
        return self.bin / name


def prepare(
    place: Place,
    *,
    marker: str,
    public_key_file: str,
    home: Path | None = None,
    words: Mapping[str, str] | None = None,
    also: str | None = None,
) -> None:
    """Stand-ins, host key and configuration of sshd.

    also: stand-ins of this folder besides those of the place's kind.
    home: where it is not the one that the system knows of the user. words: what stands for `@WORD@` in stand-ins of this kind.
    """
    for path in ("/run/enaxp/bin", "/run/enaxp/units", "/var/log", "/etc/systemd/system"):
        place.path(path).mkdir(parents=True, exist_ok=True)
    folders = ["both", place.kind, *([also] if also else [])]
    put_agent(place)
    _write_stand_ins(place, folders, {"@ROOT@": place.prefix, "@INIT@": str(place.init), **(words or {})})
    folder = place.path("/run/enaxp")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", marker, "-f", str(folder / "host_key")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    environment = {"PATH": place.search_path, "ENAXP_MACHINE": marker}
    if place.prefix:
        environment["ENAXP_ROOT"] = place.prefix
    if home:
        environment["HOME"] = str(home)
    variables = " ".join(f'"{name}={value}"' for name, value in environment.items())
    pam = _pam() if place.kind == "processes" else "no"
    config = _CONFIG.format(folder=folder, public_key_file=public_key_file, pam=pam, environment=variables)
    write(folder / "sshd_config", config, mode=0o600)


def host_keys_shown(place: Place) -> str:
    """The host's public keys as cloud-init prints them to the console, after whatever else a boot prints."""
    keys = [path.read_text().strip() for path in sorted(place.path("/run/enaxp").glob("host_key*.pub"))]
    return "\n".join(["boot", "-----BEGIN SSH HOST KEY KEYS-----", *keys, "-----END SSH HOST KEY KEYS-----", ""])


def put_agent(place: Place) -> None:
    """The unit of the agent of Systems Manager, which every image has."""
    unit = f"[Unit]\nDescription=amazon-ssm-agent\n[Service]\nType=simple\nExecStart={place.stand_in('amazon-ssm-agent')}\n"
    write(place.path("/run/systemd/system/amazon-ssm-agent.service"), unit, mode=0o644)


def spawn(
    argv: list[str], environment: Mapping[str, str], *, stdin: int, output: int, errors: int | None = None
) -> int:
    """Starts a program in a session of its own and gives back its pid. Its exit code is collected as that of any other process."""
    wanted = {0: stdin, 1: output, 2: output if errors is None else errors}
    return os.posix_spawn(
        argv[0],
        argv,
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, have, want) for want, have in wanted.items()],
        setsid=True,
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores these, and what is ignored is inherited
    )


def run(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Runs a program to its end, with these variables besides its own. Raises CalledProcessError."""
    subprocess.run(
        argv, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )


def start_enabled(place: Place, environment: Mapping[str, str]) -> None:
    """Begins to start every unit that is enabled, of which none runs."""
    shutil.rmtree(place.path("/run/enaxp/units"), ignore_errors=True)
    put_agent(place)
    with place.path("/var/log/boot.log").open("ab") as log:
        spawn([str(place.stand_in("systemctl")), "--boot"], environment, stdin=null(), output=log.fileno())


@cache
def null() -> int:
    """A descriptor that reads nothing: standard input of what is started."""
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def write(path: Path, text: str, *, mode: int) -> Path:
    """Writes a file, and makes its folder. What was there is removed first, so that a link there is not followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def find_program(name: str) -> str:
    """The path of a program, also searched in the sbin folders. Raises FileNotFoundError."""
    found = _which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not on this computer")
    return found


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{SYSTEM_PATH}:{os.environ.get('PATH', '')}")


def _write_stand_ins(place: Place, folders: Iterable[str], words: Mapping[str, str]) -> None:
    for name, text in (stand_in for folder in folders for stand_in in _STAND_INS[folder].items()):
        for word, value in words.items():
            text = text.replace(word, value)
        write(place.bin / name, text, mode=0o755)


def _pam() -> str:
    """Without PAM sshd refuses a user whose password is locked, which root's often is; with PAM it can refuse for other reasons.
    This is about whoever runs it: the user of a machine with files of its own has no locked password."""
    try:
        shadow = Path("/etc/shadow").read_text()
    except OSError:
        return "no"
    name = pwd.getpwuid(os.geteuid()).pw_name
    return "yes" if any(line.startswith(f"{name}:!") for line in shadow.splitlines()) else "no"
