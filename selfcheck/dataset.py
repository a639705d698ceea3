"""Dataset: what `enaxp query` and `enaxp export` cost for ten, a thousand and ten thousand runs.

a made run ─▶ so many folders that link to its files ─▶ index cold, index warm, question, export, export again ─▶ seconds, MB

    python -m selfcheck.dataset [--runs 10 1000 10000]

Absolute figures are of this machine; what must hold anywhere is that a warm question does not grow as reading does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from enaxp.dataset.source import FILES
from selfcheck.made_run import Made, make_run

QUESTION = "SELECT code, count(*) FROM effects WHERE metric = 'p99' GROUP BY code"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LABS = 20


def link_runs(made: Path, results: Path, *, count: int) -> None:
    """So many runs of some labs, an hour apart, whose files are the made run's own."""
    for number in range(count):
        at = BEGAN + timedelta(hours=number // LABS)
        folder = results / f"lab{number % LABS}" / f"{at:%Y%m%d-%H%M%S}"
        folder.mkdir(parents=True)
        for name in FILES:
            os.link(made / name, folder / name)


def measured(*arguments: str, folder: Path, cache: Path) -> tuple[float, float]:
    """Seconds and the most memory in MB of one command of enaxp."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "enaxp", *arguments],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"enaxp {' '.join(arguments)} ended with {process.returncode}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def main() -> None:
    """Prints a line for each number of runs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[10, 1000, 10000])
    steps = {
        "query, no index": ("query", QUESTION),
        "query, warm": ("query", QUESTION),
        "export": ("export", "--to", "out"),
        "export again": ("export", "--to", "out"),
    }
    print(f"{'runs':>6}  " + "  ".join(f"{name:>20}" for name in steps))
    for count in parser.parse_args().runs:
        with tempfile.TemporaryDirectory(prefix="enaxp-dataset-") as folder:
            here = Path(folder)
            made = make_run(here / "made", Made(iterations=3, repeats=1, observations=500)).path
            link_runs(made, here / "results", count=count)
            cells = [measured(*arguments, folder=here, cache=here / "cache") for arguments in steps.values()]
            print(f"{count:>6}  " + "  ".join(f"{seconds:>9.2f} s {mb:>5.0f} MB" for seconds, mb in cells), flush=True)


if __name__ == "__main__":
    main()
