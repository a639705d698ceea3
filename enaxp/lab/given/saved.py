"""Saved: the original ENA Express settings of given hosts, kept on disk until they are restored; and locks on interfaces.

    SavedSettings ─▶ state/given/<server>-<client>.json (whole, on disk before the first switch) ─▶ read back on AWS ─▶ removed
    state/given/<interface>.lock     locked by the bench that switches it

A file whose interfaces nobody has locked is left by a bench that was killed: `enaxp restore` restores the settings in it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from enaxp.config import INSTANCE_ID, INTERFACE_ID, LAB_NAME
from enaxp.errors import LabError, StateError
from enaxp.files import HeldError, holding, is_held, read_capped, write_whole
from enaxp.lab.srd import Srd
from enaxp.lab.state import Moment, make_state_folder
from enaxp.options import TargetName

FOLDER = "given"
MOST_BYTES = 1 << 16
InstanceId = Annotated[str, msgspec.Meta(pattern=rf"\A{INSTANCE_ID}\Z")]
InterfaceId = Annotated[str, msgspec.Meta(pattern=rf"\A{INTERFACE_ID}\Z")]
LabName = Annotated[str, msgspec.Meta(pattern=rf"\A{LAB_NAME.pattern}\Z")]


@dataclass(frozen=True, kw_only=True)
class SavedSetting:
    """The original setting of one interface: SRD and its UDP flag, on the attachment to this instance."""

    instance_id: InstanceId
    eni: InterfaceId
    srd: bool
    srd_udp: bool

    @property
    def setting(self) -> Srd:
        return {"srd": self.srd, "srd_udp": self.srd_udp}

    @property
    def in_words(self) -> str:
        """`on, UDP off`."""
        return ", UDP ".join("on" if on else "off" for on in (self.srd, self.srd_udp))


@dataclass(frozen=True, kw_only=True)
class SavedSettings:
    """The original settings of a bench's two hosts. lab: the name under which its runs are stored."""

    schema: Literal[1] = 1
    lab: LabName
    account: str
    region: str
    target: TargetName
    saved_at: Moment
    server: SavedSetting
    client: SavedSetting

    @property
    def interfaces(self) -> tuple[SavedSetting, SavedSetting]:
        return self.server, self.client

    @property
    def enis(self) -> set[str]:
        """Ids of both interfaces."""
        return {one.eni for one in self.interfaces}


class GivenFolder:
    """The folder `given/` in a state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self.path = state_dir / FOLDER

    def file_of(self, saved: SavedSettings) -> Path:
        return self.path / f"{saved.server.instance_id}-{saved.client.instance_id}.json"

    def known_hosts(self, instance_id: str) -> Path:
        """The known_hosts file of a given host."""
        return self.path / f"{instance_id}.known_hosts"

    def save(self, saved: SavedSettings) -> None:
        """Saves the settings; returns once the file and its folder entry are synced to disk. Raises StateError."""
        path = self.file_of(saved)
        try:
            self._make()
            write_whole(path, msgspec.json.format(msgspec.json.encode(saved), indent=2) + b"\n")
            self._sync()
        except OSError as error:
            raise StateError(
                f"the settings found cannot be kept in {path}, so nothing was switched",
                said=error.strerror or str(error),
                todo="free disk space or make the folder writable, or give another --state-dir",
            ) from error

    def forget(self, saved: SavedSettings) -> None:
        """Deletes the saved file of settings that have been restored."""
        self.file_of(saved).unlink(missing_ok=True)
        self._sync()

    def unrestored(self) -> list[SavedSettings]:
        """The saved settings of benches that no longer run and did not restore them. Raises StateError for a file that cannot be read."""
        return [saved for saved in self.all() if not any(is_held(self._lock(eni)) for eni in saved.enis)]

    def all(self) -> list[SavedSettings]:
        """All saved settings, including those of running benches. Raises StateError for a file that cannot be read."""
        return [_read(path) for path in sorted(self.path.glob("i-*.json"))] if self.path.is_dir() else []

    @contextlib.contextmanager
    def held(self, enis: Iterable[str]) -> Iterator[None]:
        """A context that locks the interfaces for one command. Raises LabError, naming the holder, when another command on this computer
        has locked one."""
        self._make()
        with contextlib.ExitStack() as stack:
            for eni in sorted(set(enis)):
                try:
                    stack.enter_context(holding(self._lock(eni), who=f"process {os.getpid()}"))
                except HeldError as error:
                    raise LabError(
                        f"ENA Express of {eni} is being switched by another command",
                        said=error.holder,
                        todo="wait for it to finish, then try again",
                    ) from None
            yield

    def _lock(self, eni: str) -> Path:
        return self.path / f"{eni}.lock"

    def _make(self) -> None:
        make_state_folder(self._state_dir)
        self.path.mkdir(mode=0o700, exist_ok=True)

    def _sync(self) -> None:
        """Syncs a folder, so that a new file's entry in it survives a crash."""
        number = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def warnings(state_dir: Path) -> list[str]:
    """The warnings that every command prints while settings are not restored: a sentence for each pair of hosts."""
    if not (state_dir / FOLDER).is_dir():
        return []
    try:
        return [_warning(saved) for saved in GivenFolder(state_dir).unrestored()]
    except (StateError, OSError) as error:
        return [f"warning: {error}"]


def _warning(saved: SavedSettings) -> str:
    enis = " and ".join(one.eni for one in saved.interfaces)
    return (
        f"warning: a bench that was ended left ENA Express of {enis} switched; `enaxp restore` puts back what was found "
        f"at {saved.saved_at:%Y-%m-%d %H:%M} UTC"
    )


def _read(path: Path) -> SavedSettings:
    try:
        return msgspec.json.decode(read_capped(path, most_bytes=MOST_BYTES), type=SavedSettings)
    except (OSError, ValueError) as error:
        raise StateError(
            f"{path} holds ENA Express settings to be put back, and cannot be read",
            said=str(error),
            todo="look at it: put back by hand what it says, then remove it",
        ) from error
