"""What tests of the provisioner share: a strict AWS of their own each, and labs in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crash_harness import DeadlyCloud, Labs, deadly_cloud


@pytest.fixture
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as running:
        yield running


@pytest.fixture
def labs(cloud: DeadlyCloud, tmp_path: Path) -> Labs:
    return Labs(cloud, tmp_path)
