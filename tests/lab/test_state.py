"""What the state file must survive, and what it must refuse."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from enaxp.errors import LabError, StateError
from enaxp.lab.keys import write_secret
from enaxp.lab.state import (
    GITIGNORE,
    Entry,
    Intent,
    Pinned,
    State,
    StateFile,
    new_state,
    with_intent,
    with_resource,
    without,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state", "dev")


@pytest.fixture
def state() -> State:
    return new_state(
        lab="dev", account="123456789012", region="us-east-1", target="aws", now=datetime.now(UTC), ttl_s=3600
    )


def test_what_was_saved_is_read_back(file: StateFile, state: State) -> None:
    intent = Intent(kind="vpc", token="t", request_hash="h", at=NOW)
    known = with_resource(replace(state, pinned=Pinned(ami="ami-1")), "role", Entry(kind="role", id="enaxp-dev"))
    rich = with_intent(known, "vpc", intent)

    file.save(rich)

    assert StateFile(file.folder, "dev").load() == rich


def test_a_resource_that_is_there_is_intended_no_longer(state: State) -> None:
    intended = with_intent(state, "vpc", Intent(kind="vpc", token="t", request_hash="h", at=NOW))

    assert with_resource(intended, "vpc", Entry(kind="vpc", id="vpc-1")).intents == {}


def test_what_is_gone_begins_a_new_generation(state: State) -> None:
    there = with_resource(state, "vpc", Entry(kind="vpc", id="vpc-1"))

    gone = without(there, {"vpc"})

    assert (gone.resources, gone.generation) == ({}, state.generation + 1)


@pytest.mark.parametrize("damage", ["", "{", '{"schema": 1}', '{"schema": 2}', "[]", "null", "\x00\x00"], ids=repr)
def test_a_damaged_file_gives_way_to_the_one_before(file: StateFile, state: State, damage: str) -> None:
    file.save(state)
    file.save(with_resource(state, "vpc", Entry(kind="vpc", id="vpc-1")))
    file.path.write_text(damage)

    again = StateFile(file.folder, "dev")

    assert again.load() == state
    assert any("unusable" in note for note in again.notes)


def test_a_damaged_file_without_one_before_is_as_none(file: StateFile, state: State) -> None:
    file.save(state)
    file.path.write_text("{")

    again = StateFile(file.folder, "dev")

    assert again.load() is None
    assert again.notes


@pytest.mark.parametrize(
    ("field", "value", "says"), [("schema", 3, "schema 3"), ("lab", "other", "belongs to lab other")]
)
def test_a_file_of_another_kind_is_refused(file: StateFile, state: State, field: str, value: object, says: str) -> None:
    file.save(state)
    document = json.loads(file.path.read_text())
    file.path.write_text(json.dumps({**document, field: value}))

    with pytest.raises(StateError, match=says):
        StateFile(file.folder, "dev").load()


def test_updates_from_many_threads_are_all_kept(file: StateFile, state: State) -> None:
    file.save(state)

    def add(number: int) -> None:
        file.update(lambda now: with_resource(now, f"eni/{number}", Entry(kind="eni", id=f"eni-{number}")))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(file.state.resources) == 20
    assert StateFile(file.folder, "dev").load() == file.state


def test_the_second_to_take_the_lock_is_told_who_has_it(file: StateFile) -> None:
    with (
        file.lock("up"),
        pytest.raises(LabError, match=r"held by another command\n.*up \(process \d+\)"),
        StateFile(file.folder, "dev").lock("down"),
    ):
        pass

    with StateFile(file.folder, "dev").lock("down"):
        pass


def test_a_bench_and_an_extension_do_not_wait_for_each_other(file: StateFile) -> None:
    with file.lock("bench", name="bench.lock"), StateFile(file.folder, "dev").lock("up"):
        assert file.is_locked(name="bench.lock")

    assert not file.is_locked(name="bench.lock")


def test_forgetting_leaves_nothing_of_the_lab_but_its_locks(file: StateFile, state: State) -> None:
    file.save(state)
    file.save(state)
    file.private_key.write_text("secret")
    file.known_hosts("i-0123456789abcdef0").write_text("key")
    with file.lock("down"):
        file.forget()

    assert sorted(path.name for path in file.folder.iterdir()) == [".gitignore", "dev.lock"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("created_at", "yesterday", "`$.created_at`"),
        ("created_at", "2026-01-31T12:00:00", "`$.created_at`"),
        ("target", "moon", "`$.target`"),
        ("resources", {"vpc": {"kind": "vpc"}}, "`$.resources[...]`"),
        ("pinned", {"ami": 1}, "`$.pinned.ami`"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_by_its_place(
    file: StateFile, state: State, field: str, value: object, says: str
) -> None:
    file.save(state)
    document = json.loads(file.path.read_text())
    file.path.write_text(json.dumps({**document, field: value}))

    again = StateFile(file.folder, "dev")

    assert again.load() is None
    [note] = again.notes
    assert str(file.path) in note
    assert says in note


def test_a_state_folder_keeps_its_files_out_of_a_repository(tmp_path: Path, file: StateFile, state: State) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    file.save(state)
    file.private_key.write_text("secret")

    told = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--porcelain", "--untracked-files=all"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.splitlines() == ["?? state/.gitignore"]
    assert (Path(__file__).parent.parent.parent / "state/.gitignore").read_text() == GITIGNORE


def test_an_empty_state_folder_is_kept_out_of_a_repository_too(file: StateFile, state: State) -> None:
    file.folder.mkdir()

    file.save(state)

    assert (file.folder / ".gitignore").read_text() == GITIGNORE


def test_a_state_folder_that_holds_something_is_left_as_it_is(file: StateFile, state: State) -> None:
    file.folder.mkdir()
    (file.folder / "mine.txt").touch()

    file.save(state)

    assert sorted(path.name for path in file.folder.iterdir()) == ["dev.json", "mine.txt"]


def test_an_existing_gitignore_is_not_replaced(file: StateFile, state: State) -> None:
    file.save(state)
    (file.folder / ".gitignore").write_text("*.pem")

    file.save(state)

    assert (file.folder / ".gitignore").read_text() == "*.pem"


def test_a_file_system_without_hard_links_keeps_the_previous_state_anyway(
    file: StateFile, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(_source: object, _target: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)

    file.save(state)
    file.save(replace(state, generation=2))

    assert StateFile(file.folder, "dev").load() == replace(state, generation=2)
    file.path.unlink()
    assert StateFile(file.folder, "dev").load() == state


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(state: State) -> None:
    file = StateFile(Path("/proc/enaxp"), "dev")

    for act in (lambda: file.save(state), lambda: file.lock("up").__enter__()):
        with pytest.raises(StateError, match="the state folder /proc/enaxp cannot be used") as refusal:
            act()
        assert "--state-dir" in refusal.value.todo


def test_a_secret_is_its_owners_alone_from_the_first_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    replace_file = Path.replace

    def watched(path: Path, target: Path) -> Path:
        modes.append(path.stat().st_mode & 0o777)
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    before = os.umask(0)
    try:
        write_secret(tmp_path / "a folder" / "key.pem", "secret")
    finally:
        os.umask(before)

    assert modes == [0o600]
    assert [one.name for one in (tmp_path / "a folder").iterdir()] == ["key.pem"]
