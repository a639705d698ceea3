"""The documentation's commands that need no AWS account and no hosts are run, with runs of the names that the pages use.

The others are run against the local target, by tests/e2e and by hand, or need AWS: docs/index.md says which.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from enaxp.cli import run
from enaxp.errors import EnaxpError
from selfcheck.made_run import Made, make_run
from tests.test_docs import commands

SAVED = Path(__file__).parent / "hosts/fixtures/sockperf/3.10/ping-pong-udp.txt"
ALONE = {"check", "compare", "completion", "export", "parse", "plan", "query", "report", "restore", "runs", "--version"}
NEED_MORE = ("plan", "export --to s3://BUCKET/PREFIX --since 2026-03-01", "report RUN --open")  # AWS, S3, a browser
# Each distinct within the commands that name them together.
NAMES = (
    ("RUN", "monday", "before", "baseline", "good-1", "20250411-08"),
    ("tuesday", "after", "good-2"),
    ("wednesday", "after-1", "good-3"),
    ("new-1", "after-2"),
    ("new-2",),
    ("new-3",),
    ("newest",),
)
# A condition may hold; nobody is there to confirm that runs are removed; the config of docs/config.md is wrong.
CODES = {"check": (0, 5), "compare": (0, 5), "runs --prune": (0, 1), "plan": (2,)}
TO_RUN = [
    (page, line)
    for page, line in commands()
    if (line.partition(" ")[0] in ALONE or "--plan-only" in line) and line not in NEED_MORE
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder as the pages suppose it, and the run that stands for each name."""
    root = tmp_path_factory.mktemp("docs")
    made = Made(iterations=3, repeats=1, observations=600)
    runs = [make_run(root / "results", Made(**{**vars(made), "seed": seed}), lab="dev") for seed in range(len(NAMES))]
    shutil.copytree(runs[0].path, root / "path/to/a/copy")
    shutil.copy(SAVED, root / "saved-sockperf-output.txt")
    (root / "wrong.yaml").write_text("hosts: {client: {ena_ip: 192.168.3.2}}\nbench: {iterations: 0}\n")
    return root, {name: one.run_id for one, names in zip(runs, NAMES, strict=True) for name in names}


@pytest.mark.parametrize(("page", "line"), TO_RUN)
def test_a_command_of_the_docs_that_needs_saved_results_alone_does_what_it_says(
    page: str, line: str, folder: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, runs = folder
    shutil.copytree(root, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    try:
        code = run([runs.get(word, word) for word in shlex.split(line)])
    except EnaxpError as error:
        code = error.exit_code

    assert code in next((codes for prefix, codes in CODES.items() if line.startswith(prefix)), (0,))
