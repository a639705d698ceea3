"""Where a run is to be kept is tried before a bench asks anything of its hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from enaxp.commands.bench import require_writable
from enaxp.errors import UsageError


@pytest.mark.parametrize("folder", ["/proc/enaxp/dev", "/sys/enaxp", "/dev/null/dev", "/dev/full"])
def test_a_folder_that_nothing_can_be_written_into_is_named_with_what_to_do(folder: str) -> None:
    with pytest.raises(UsageError) as raised:
        require_writable(Path(folder))

    assert f"nothing can be written into {folder}" in str(raised.value)
    assert "next: give another --results-dir" in str(raised.value)


def test_one_that_can_be_is_made_and_left_empty(tmp_path: Path) -> None:
    require_writable(tmp_path / "results/dev")

    assert list((tmp_path / "results/dev").iterdir()) == []
