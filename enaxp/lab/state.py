"""State: what enaxp remembers of a lab between commands, in one JSON file, replaced whole and atomically.

    state/<lab>.json       ids, intents and what is pinned        state/<lab>.json.bak   the one before
    state/<lab>.lock       held by up, down and extend     state/<lab>.pem        the lab's private key

The file is a convenience, not the truth: what carries the lab's tags on AWS can always be adopted again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from enaxp.errors import LabError, StateError
from enaxp.lab.model import LAYERS, Lab, Layer, as_text, from_text
from enaxp.lab.spec import layer_of

SCHEMA = 2
BENCH_LOCK = "bench.lock"  # held by a bench beside the lab's own lock: `extend` works while it runs, `down` does not


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A resource that is known to exist."""

    kind: str
    id: str
    owned: bool = True


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A resource about to be made: written before the call, dropped when its id is known."""

    kind: str
    token: str
    request_hash: str
    at: str


@dataclass(frozen=True, kw_only=True)
class State:
    lab: str
    lab_id: str
    account: str
    region: str
    target: str
    created_at: datetime
    expires_at: datetime
    generation: int = 1
    pinned: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Entry] = field(default_factory=dict)
    intents: Mapping[str, Intent] = field(default_factory=dict)

    def as_lab(self, tags: Mapping[str, str]) -> Lab:
        return Lab(
            name=self.lab,
            lab_id=self.lab_id,
            region=self.region,
            created_at=self.created_at,
            expires_at=self.expires_at,
            tags=tags,
            ids=self.ids(),
            layers=self._layers(),
        )

    def _layers(self) -> tuple[Layer, ...]:
        """Those of which something is known, made or begun; a state that knows of nothing may be one whose lab was lost sight of."""
        known = {layer_of(key) for key in (*self.resources, *self.intents)}
        return tuple(layer for layer in LAYERS if layer in known or not known)

    def ids(self) -> dict[str, str]:
        return {key: entry.id for key, entry in self.resources.items()}


def new_state(*, lab: str, account: str, region: str, target: str, now: datetime, ttl_s: float) -> State:
    """The state of a lab that nothing was made for yet: its lab-id exists before its first resource."""
    now = now.replace(microsecond=0)
    return State(
        lab=lab,
        lab_id=str(uuid.uuid4()),
        account=account,
        region=region,
        target=target,
        created_at=now,
        expires_at=now + timedelta(seconds=round(ttl_s)),
    )


class StateFile:
    """The state file of one lab. Threads may `update` it side by side: each update is one atomic replacement."""

    def __init__(self, folder: Path, lab: str) -> None:
        self.folder = folder
        self.path = folder / f"{lab}.json"
        self.backup = folder / f"{lab}.json.bak"
        self.private_key = folder / f"{lab}.pem"
        self.grafana_password = folder / f"{lab}.grafana-password"
        self._lab = lab
        self._guard = threading.Lock()
        self._state: State | None = None
        self.notes: list[str] = []

    def load(self) -> State | None:
        """The state, or None when there is none (or none that can be read: the lab is then found by its tags, and `notes` says so).

        Raises StateError for a file of a newer schema, or of another lab.
        """
        for path in (self.path, self.backup):
            try:
                self._state = _from_json(json.loads(path.read_text(encoding="utf-8")), path, self._lab)
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.notes.append(f"{path} cannot be read ({error}): going on without it")
                continue
            if path == self.backup:
                self.notes.append(f"{self.path} was unusable: going on from {self.backup}")
            return self._state
        return None

    def known_hosts(self, instance_id: str) -> Path:
        """Where the host key of an instance is kept. A host that is made anew is another instance, at the same address."""
        return self.folder / f"{self._lab}.{instance_id}.known_hosts"

    @property
    def state(self) -> State:
        if self._state is None:
            raise StateError(f"{self.path} has not been loaded")
        return self._state

    def save(self, state: State) -> None:
        with self._guard:
            self._write(state)

    def update(self, edit: Callable[[State], State]) -> State:
        """Applies `edit` to the newest state and saves what it gives back, as one step."""
        with self._guard:
            self._write(edit(self.state))
            return self.state

    def forget(self) -> None:
        """Removes everything of this lab from the folder but its lock. The state goes last."""
        known_hosts = self.folder.glob(f"{self._lab}.i-*.known_hosts")
        for path in (self.private_key, *known_hosts, self.grafana_password, self.backup, self.path):
            path.unlink(missing_ok=True)
        self._state = None

    @contextlib.contextmanager
    def lock(self, what: str, *, name: str = "lock") -> Iterator[None]:
        """Holds the lab for one command. Raises LabError, naming the holder, when another command has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self._lab}.{name}"
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise LabError(
                    f"lab {self._lab} is held by another command",
                    said=file.read().strip() or "it does not say which",
                    todo="wait for it to finish, then try again",
                ) from None
            file.truncate(0)
            file.write(f"{what} (process {os.getpid()})\n")
            file.flush()
            yield

    def is_locked(self, *, name: str) -> bool:
        """Whether some command holds this lock right now."""
        path = self.folder / f"{self._lab}.{name}"
        if not path.exists():
            return False
        with path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _write(self, state: State) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(f".{os.getpid()}.new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(_to_json(state), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        if self.path.exists():
            # A hard link keeps the previous file whole without a moment in which there is none.
            previous = self.backup.with_suffix(".old")
            previous.unlink(missing_ok=True)
            os.link(self.path, previous)
            previous.replace(self.backup)
        fresh.replace(self.path)
        self._state = state


def with_intent(state: State, key: str, intent: Intent) -> State:
    return replace(state, intents={**state.intents, key: intent})


def with_resource(state: State, key: str, entry: Entry) -> State:
    """The resource is there: its id is known and nothing is intended any more."""
    intents = {other: intent for other, intent in state.intents.items() if other != key}
    return replace(state, resources={**state.resources, key: entry}, intents=intents)


def without(state: State, keys: set[str]) -> State:
    """The resources are gone. A new generation: what was made with the tokens of the old one must not come back."""
    return replace(
        state,
        generation=state.generation + 1,
        resources={key: entry for key, entry in state.resources.items() if key not in keys},
        intents={key: intent for key, intent in state.intents.items() if key not in keys},
    )


def _to_json(state: State) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        **asdict(state),
        "created_at": as_text(state.created_at),
        "expires_at": as_text(state.expires_at),
    }


def _from_json(document: Any, path: Path, lab: str) -> State:
    if document["schema"] == 1:  # called resources "things"
        document = {**document, "schema": SCHEMA, "resources": document["things"]}
    if document["schema"] != SCHEMA:
        raise StateError(
            f"{path} has schema {document['schema']}, this enaxp reads {SCHEMA}",
            todo="use the enaxp that wrote it, or take the lab down with that one first",
        )
    if document["lab"] != lab:
        raise StateError(
            f"{path} belongs to lab {document['lab']}, not {lab}", todo="put the file back under its own name"
        )
    fields = {name: document[name] for name in ("lab", "lab_id", "account", "region", "target", "generation", "pinned")}
    return State(
        **fields,
        resources={key: Entry(**entry) for key, entry in document["resources"].items()},
        intents={key: Intent(**intent) for key, intent in document["intents"].items()},
        created_at=from_text(document["created_at"]),
        expires_at=from_text(document["expires_at"]),
    )
