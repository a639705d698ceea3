"""What a machine of either kind has under its root for those who log in: sshd's files and the stand-ins. Runs in the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_CONFIG = """\
HostKey {folder}/host_key
AuthorizedKeysFile {public_key_file}
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
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
        return self.root / absolute.lstrip("/")

    @property
    def prefix(self) -> str:
        """What comes before an absolute path in the machine; nothing where the root is its own."""
        return "" if self.root == Path("/") else str(self.root)

    @property
    def bin(self) -> Path:
        return self.path("/run/enaxp/bin")

    @property
    def search_path(self) -> str:
        """The stand-ins first, then the system's, then wherever sockperf is."""
        found = shutil.which("sockperf", path=f"{SYSTEM_PATH}:{os.environ.get('PATH', '')}")
        beyond = f":{Path(found).parent}" if found and str(Path(found).parent) not in SYSTEM_PATH.split(":") else ""
        return f"{self.bin}:{SYSTEM_PATH}{beyond}"

    @property
    def sshd_command(self) -> list[str]:
        sshd = shutil.which("sshd", path=f"{SYSTEM_PATH}:{os.environ.get('PATH', '')}")
        return [sshd or "/usr/sbin/sshd", "-i", "-e", "-f", str(self.path("/run/enaxp/sshd_config"))]

    def stand_in(self, name: str) -> Path:
        return self.bin / name


def prepare(place: Place, *, marker: str, home: Path | None, public_key_file: str) -> None:
    """Stand-ins, host key and configuration of sshd. `home`: where it is not the one that the system's user has."""
    for folder in ("/run/enaxp/bin", "/run/enaxp/units", "/var/log", "/etc/systemd/system"):
        place.path(folder).mkdir(parents=True, exist_ok=True)
    _write_stand_ins(place)
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
    words = " ".join(f'"{name}={value}"' for name, value in environment.items())
    config = _CONFIG.format(folder=folder, public_key_file=public_key_file, environment=words)
    write(folder / "sshd_config", config, mode=0o600)


def write(path: Path, text: str, *, mode: int) -> Path:
    """The file, with its folder, in place of what was there: never through a link to somewhere else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def _write_stand_ins(place: Place) -> None:
    for name, text in {**_STAND_INS["both"], **_STAND_INS[place.kind]}.items():
        write(place.bin / name, text.replace("@ROOT@", place.prefix).replace("@INIT@", str(place.init)), mode=0o755)
