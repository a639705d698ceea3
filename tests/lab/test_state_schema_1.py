"""State files of schema 1, which called resources "things": they are read, and a lab that stands under one goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from enaxp.lab.model import LAYERS
from enaxp.lab.state import StateFile
from tests.support.crash_harness import MONITORED, READS, DeadlyCloud, Labs, census

# Written by the last enaxp of schema 1, each at the end of what its name says.
OF_SCHEMA_1 = sorted((Path(__file__).parent / "fixtures/state-schema-1").glob("*.json"))


@pytest.mark.parametrize("path", OF_SCHEMA_1, ids=lambda path: path.stem)
def test_a_file_of_schema_1_is_read_and_saved_as_schema_2(tmp_path: Path, path: Path) -> None:
    # Given
    file = StateFile(tmp_path, "dev")
    shutil.copy(path, file.path)
    before = json.loads(path.read_text())

    # When
    state = file.load()
    assert state is not None
    file.save(state)

    # Then nothing is lost, and only the name has changed
    after = json.loads(file.path.read_text())
    assert (before.pop("schema"), after.pop("schema")) == (1, 2)
    assert after.pop("resources") == before.pop("things")
    assert after == before


def test_a_lab_with_a_state_of_schema_1_continues(cloud: DeadlyCloud, tmp_path: Path) -> None:
    # Given a lab whose state file is what an older enaxp would have left
    labs = Labs(cloud, tmp_path, layers=LAYERS)
    labs.up()
    assert census(labs) == MONITORED
    document = json.loads(labs.file().path.read_text())
    things = document.pop("resources")
    labs.file().path.write_text(json.dumps({**document, "schema": 1, "things": things}))
    labs.file().backup.unlink()
    cloud.server.forget_calls()

    # When it is brought up again, and taken down
    left = labs.changes_left()
    labs.up()
    mutating = [call.action for call in cloud.server.calls if not call.action.startswith(READS)]
    removal = labs.down()

    # Then nothing changes, and nothing stays
    assert (left, mutating) == ([], [])
    assert removal.lab_is_gone
    assert cloud.server.resources() == []
