"""Where a run is to be kept is tried before a bench asks anything of its hosts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.bench.measuring.pair import Pair
from enaxp.commands.bench import require_space, require_writable
from enaxp.errors import BenchError, UsageError
from selfcheck.made_run import Made, load


@pytest.mark.parametrize("folder", ["/proc/enaxp/dev", "/sys/enaxp", "/dev/null/dev", "/dev/full"])
def test_a_folder_that_nothing_can_be_written_into_is_named_with_what_to_do(folder: str) -> None:
    with pytest.raises(UsageError) as raised:
        require_writable(Path(folder))

    assert f"nothing can be written into {folder}" in str(raised.value)
    assert "next: give another --results-dir" in str(raised.value)


def test_one_that_can_be_is_made_and_left_empty(tmp_path: Path) -> None:
    require_writable(tmp_path / "results/dev")

    assert list((tmp_path / "results/dev").iterdir()) == []


class SmallDisk:
    """Stands for the connection to a client on whose disk little is free."""

    def check(self, command: str) -> str:
        return "1000\n"


def test_a_bench_that_would_fill_the_client_s_disk_is_refused_unless_it_is_forced(tmp_path: Path) -> None:
    pair = Pair(server=None, client=SmallDisk())  # type: ignore[arg-type]
    plan = Made(scenarios=(load(10_000),), duration_s=10).plan

    with pytest.raises(BenchError) as raised:
        require_space(plan, pair, tmp_path, keep_log=False, force=False)

    assert "5 MB are needed on the client's disk, for sockperf's log of a trial, 1 MB are free" in str(raised.value)
    require_space(plan, pair, tmp_path, keep_log=False, force=True)
    require_space(replace(plan, duration_s=2), pair, tmp_path, keep_log=False, force=False)
