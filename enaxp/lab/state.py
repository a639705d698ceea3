"""State: what enaxp stores about a lab between commands, in one JSON file that is replaced atomically.

    state/<lab>.json       ids, intents and pinned values        state/<lab>.json.bak   the previous version
    state/<lab>.lock       locked by up, down and extend          state/<lab>.pem        the lab's private key

    file ─▶ read_state (an older schema is migrated) ─▶ State ─▶ StateFile.update ─▶ file

The file is a cache, not the source of truth: resources with the lab's tags on AWS can always be adopted again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from enaxp.config import LAB_NAME
from enaxp.errors import LabError, StateError
from enaxp.files import HeldError, holding, is_held, read_capped, write_whole, writing_whole
from enaxp.lab.fleet import PinnedVariant
from enaxp.lab.model import LAYERS, Lab, Layer
from enaxp.lab.spec import layer_of
from enaxp.options import TargetName

SCHEMA = 2
MOST_BYTES = 1 << 24
BENCH_LOCK = (
    "bench.lock"  # a bench's own lock, separate from the lab's: `extend` works while it is held, `down` does not
)
INSTANCE_ID = re.compile(r"i-[0-9a-f]{1,32}")
GITIGNORE = """\
# Everything here belongs to a lab that stands: ids, locks and private keys. None of it is to be committed.
*
!.gitignore
"""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A resource that is known to exist."""

    kind: str
    id: str
    owned: bool = True


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A resource about to be created: written before the call, removed when its id is known.

    token: the client token of the call. request_hash: to recognise a later call with the same parameters.
    """

    kind: str
    token: str
    request_hash: str
    at: Moment


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """Values that are resolved once and kept for the life of the lab; None before that. `isolation`: that of the local target, None on
    AWS.

    second_zone: the zone of clients placed across zones. fleet: by variant. Both are omitted if the lab has none.
    """

    ami: str | None = None
    root_device: str | None = None
    availability_zone: str | None = None
    ssh_cidr: str | None = None
    isolation: str | None = None
    second_zone: str | UnsetType = UNSET
    fleet: Mapping[str, PinnedVariant] | UnsetType = UNSET


@dataclass(frozen=True, kw_only=True)
class State:
    """The content of the state file; the fields are its JSON keys.

    owner: who created the lab; None for labs made before owners were recorded. resources and intents: by key.
    """

    schema: Literal[2] = 2
    lab: str
    lab_id: str
    account: str
    region: str
    target: TargetName
    created_at: Moment
    expires_at: Moment
    owner: str | None = None
    generation: int = 1
    pinned: Pinned = Pinned()
    resources: Mapping[str, Entry] = field(default_factory=dict)
    intents: Mapping[str, Intent] = field(default_factory=dict)

    def as_lab(self, tags: Mapping[str, str]) -> Lab:
        """The lab's identity, with these tags of the config in addition to enaxp's own."""
        return Lab(
            name=self.lab,
            lab_id=self.lab_id,
            region=self.region,
            created_at=self.created_at,
            expires_at=self.expires_at,
            owner=self.owner,
            tags=tags,
            ids=self.ids(),
            layers=self._layers(),
        )

    def _layers(self) -> tuple[Layer, ...]:
        """The layers with a resource or an intent. If there is none at all, every layer, because the state may have been lost."""
        known = {layer_of(key) for key in (*self.resources, *self.intents)}
        return tuple(layer for layer in LAYERS if layer in known or not known)

    def ids(self) -> dict[str, str]:
        """The AWS id of each resource, by key."""
        return {key: entry.id for key, entry in self.resources.items()}


def new_state(
    *, lab: str, account: str, region: str, target: TargetName, now: datetime, ttl_s: float, owner: str | None = None
) -> State:
    """The state of a lab that has no resource yet. Its lab-id exists before the first one does."""
    now = now.replace(microsecond=0)
    return State(
        lab=lab,
        lab_id=str(uuid.uuid4()),
        account=account,
        region=region,
        target=target,
        created_at=now,
        expires_at=now + timedelta(seconds=round(ttl_s)),
        owner=owner,
    )


def make_state_folder(folder: Path) -> None:
    """Creates the folder, with a `.gitignore` that keeps its files out of a repository. A folder with content is left unchanged."""
    with _of_the_folder(folder):
        if folder.exists() and any(folder.iterdir()):
            return
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), (folder / ".gitignore").open("x", encoding="utf-8") as file:
            file.write(GITIGNORE)


@contextlib.contextmanager
def _of_the_folder(folder: Path, *passed: type[OSError]) -> Iterator[None]:
    """A context that turns OSError into StateError with the folder's name. passed: exceptions that are not converted."""
    try:
        yield
    except passed:
        raise
    except OSError as error:
        raise StateError(
            f"the state folder {folder} cannot be used",
            said=f"{error.filename or folder}: {error.strerror or error}",
            todo="give another one (--state-dir), or make this one writable for you; files of an earlier sudo belong to root",
        ) from error


class StateFile:
    """The state file of one lab. Threads may call `update` in parallel: each update is one atomic replacement.

    notes: messages of `load` for the user.
    """

    def __init__(self, folder: Path, lab: str) -> None:
        if not LAB_NAME.fullmatch(lab):
            raise StateError(
                f"{lab!r} is no name of a lab", todo="a small letter, then up to 23 small letters, digits or hyphens"
            )
        self.folder = folder
        self.path = folder / f"{lab}.json"
        self.backup = folder / f"{lab}.json.bak"
        self.private_key = folder / f"{lab}.pem"
        self.grafana_password = folder / f"{lab}.grafana-password"
        self._bench = folder / f"{lab}.bench"
        self._lab = lab
        self._guard = threading.Lock()
        self._state: State | None = None
        self.notes: list[str] = []

    def load(self) -> State | None:
        """The state; None if there is no readable file. `notes` then says so, and the lab is found by its tags.

        Raises StateError for a file of a newer schema, or of another lab.
        """
        for path in (self.path, self.backup):
            try:
                with _of_the_folder(self.folder, FileNotFoundError):
                    self._state = read_state(path, lab=self._lab)
            except FileNotFoundError:
                continue
            except (ValueError, RecursionError) as error:
                self.notes.append(f"{path} cannot be read ({error}): going on without it")
                continue
            if path == self.backup:
                self.notes.append(f"{self.path} was unusable: going on from {self.backup}")
            return self._state
        return None

    def known_hosts(self, instance_id: str) -> Path:
        """The known_hosts file of an instance, named by its id, because a replaced host has another key at the same address."""
        if not INSTANCE_ID.fullmatch(instance_id):
            raise StateError(f"{instance_id!r} is no id of an instance")
        return self.folder / f"{self._lab}.{instance_id}.known_hosts"

    def mark_bench(self, until: str) -> None:
        """Stores the end time that this computer's bench has put in the hosts' tags."""
        write_whole(self._bench, until.encode())

    def bench_until(self) -> str:
        """The end time that the latest bench on this computer put in the hosts' tags; empty if there was none."""
        try:
            return read_capped(self._bench, most_bytes=100).decode(errors="replace")
        except (OSError, ValueError):
            return ""

    @property
    def state(self) -> State:
        """The state as last loaded or saved. Raises StateError before that."""
        if self._state is None:
            raise StateError(f"{self.path} has not been loaded")
        return self._state

    def save(self, state: State) -> None:
        """Replaces the state on disk with this one."""
        with self._guard:
            self._write(state)

    def update(self, edit: Callable[[State], State]) -> State:
        """Applies `edit` to the current state and saves its result, as one atomic step."""
        with self._guard:
            self._write(edit(self.state))
            return self.state

    def forget(self) -> None:
        """Removes all files of this lab from the folder except its lock; the state file is removed last."""
        known_hosts = self.folder.glob(f"{self._lab}.i-*.known_hosts")
        for path in (self.private_key, *known_hosts, self.grafana_password, self._bench, self.backup, self.path):
            path.unlink(missing_ok=True)
        self._state = None

    @contextlib.contextmanager
    def lock(self, what: str, *, name: str = "lock") -> Iterator[None]:
        """A context that locks the lab for one command. Raises LabError, naming the holder, when another command has the lock."""
        make_state_folder(self.folder)
        with contextlib.ExitStack() as stack:
            try:
                with _of_the_folder(self.folder):
                    stack.enter_context(holding(self._lock(name), who=f"{what} (process {os.getpid()})"))
            except HeldError as error:
                raise LabError(
                    f"lab {self._lab} is held by another command",
                    said=error.holder,
                    todo="wait for it to finish, then try again",
                ) from None
            yield

    def is_locked(self, *, name: str) -> bool:
        """Whether a command holds this lock now."""
        return is_held(self._lock(name))

    def _lock(self, name: str) -> Path:
        return self.folder / f"{self._lab}.{name}"

    def _write(self, state: State) -> None:
        make_state_folder(self.folder)
        try:
            with writing_whole(self.path) as file:
                file.write(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
                file.flush()
                self._keep_previous()
        except OSError as error:
            raise StateError(
                f"the state of lab {self._lab} cannot be kept in {self.path}",
                said=error.strerror or str(error),
                todo="make room or let the folder be written to, then run the same command again: it goes on where it stopped",
            ) from error
        self._state = state

    def _keep_previous(self) -> None:
        """Keeps the file that is about to be replaced as `.bak`. With a hard link there is no moment without a complete copy; if the file
        system has no hard links, the file is copied."""
        if self.path.exists():
            previous = self.backup.with_suffix(".old")
            previous.unlink(missing_ok=True)
            try:
                os.link(self.path, previous)
            except OSError:
                shutil.copyfile(self.path, previous)
            previous.replace(self.backup)


def with_intent(state: State, key: str, intent: Intent) -> State:
    """The state with this intent: the resource is about to be created."""
    return replace(state, intents={**state.intents, key: intent})


def with_resource(state: State, key: str, entry: Entry) -> State:
    """The state with this resource, whose id is now known, and without its intent."""
    intents = {other: intent for other, intent in state.intents.items() if other != key}
    return replace(state, resources={**state.resources, key: entry}, intents=intents)


def without(state: State, keys: set[str]) -> State:
    """The state without these resources and their intents: a resource that is created again gets a new token."""
    return replace(
        state,
        generation=state.generation + 1,
        resources={key: entry for key, entry in state.resources.items() if key not in keys},
        intents={key: intent for key, intent in state.intents.items() if key not in keys},
    )


def read_state(path: Path, *, lab: str) -> State:
    """The lab's state in this file, migrated from any schema that this version can read.

    Raises FileNotFoundError, ValueError (with the path in the document) for an invalid document, and StateError for a state of another
    schema or lab.
    """
    content = read_capped(path, most_bytes=MOST_BYTES)
    head = msgspec.json.decode(content, type=_Head)
    if head.schema not in (1, SCHEMA):
        raise StateError(
            f"{path} has schema {head.schema}, this enaxp reads {SCHEMA}",
            todo="use the version of enaxp that wrote it, or remove the lab with that version first",
        )
    if head.lab not in (None, lab):
        raise StateError(f"{path} belongs to lab {head.lab}, not {lab}", todo="put the file back under its own name")
    return msgspec.json.decode(_from_schema_1(content) if head.schema == 1 else content, type=State)


@dataclass(frozen=True, kw_only=True)
class _Head:
    """The fields that documents of every schema have, read first. A document without a lab is damaged, which decoding the rest reports."""

    schema: int
    lab: str | None = None


def _from_schema_1(content: bytes) -> bytes:
    """A document of schema 1, which called resources "things", as one of schema 2."""
    fields = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    if "things" in fields:
        fields["resources"] = fields.pop("things")
    return msgspec.json.encode({**fields, "schema": SCHEMA})
