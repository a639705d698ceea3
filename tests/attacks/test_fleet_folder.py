"""A fleet's folder made to attack: it is refused with the reason, and nothing is written outside of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selfcheck.made_run import Made, make_fleet
from tests.attacks.test_run_folder import SHELL, change
from tests.commands.test_fleet_bench import CONFIG, Run, beside_hosts_that_nobody_reaches
from tests.commands.test_runs import Ran

SMALL = Made(iterations=2, repeats=1, observations=200)


@pytest.fixture(scope="module")
def beside_a_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """What runs a command beside a fleet whose hosts nobody reaches."""
    with beside_hosts_that_nobody_reaches(tmp_path_factory.mktemp("lab"), CONFIG) as enaxp:
        yield enaxp


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bench of a fleet that was stopped before its second pair began."""
    results = tmp_path_factory.mktemp("made") / "results"
    fleet = make_fleet(results, {"near-1": SMALL, "far-1": SMALL}, lab="dev")
    shutil.rmtree(fleet.path / "pairs/far-1")
    return fleet.path


@pytest.fixture
def fleet(folder: Path, made: Path) -> Path:
    return Path(shutil.copytree(made.parents[1], folder / "results")) / "dev" / made.name


@pytest.fixture
def outside(folder: Path, made: Path) -> Path:
    """What is somebody else's: a folder that holds a run, and a file."""
    elsewhere = folder / "outside"
    shutil.copytree(made / "pairs/near-1", elsewhere / "near-1")
    (elsewhere / "file").write_text("mine")
    return elsewhere


HOSTILE: dict[str, tuple[str, Any]] = {
    "a path for a pair": ("pairs.1.name", "../../x-1"),
    "an absolute path for a pair": ("pairs.1.name", "/tmp/x-1"),
    "an escape in a pair's name": ("pairs.1.name", "far-\x1b[2J1"),
    "a line break after a pair's name": ("pairs.1.name", "far-1\n"),
    "a zero in a pair's name": ("pairs.1.name", "far-1\0"),
    "a command for a pair": ("pairs.1.name", SHELL),
    "a number for a pair": ("pairs.1.name", 7),
    "one pair twice": ("pairs.1.name", "near-1"),
    "markup for a variant": ("pairs.1.variant", "<script>alert(1)</script>"),
    "a path for a variant": ("pairs.1.variant", "../.."),
    "pairs that are no list": ("pairs", {"near-1": {}}),
    "no pairs": ("pairs", []),
    "pairs without end": ("pairs", [{"name": f"near-{n}", "variant": "near"} for n in range(1, 502)]),
    "a list for why a pair was lost": ("pairs.1.lost", ["no answer"]),
    "an essay for why a pair was lost": ("pairs.1.lost", "x" * 10_000),
    "a path for a lab": ("lab", "../../x"),
    "a path for a run": ("run_id", "../x"),
    "a command for a scenario": ("plan.scenarios.0.name", SHELL),
    "iterations without end": ("plan.iterations", 10**9),
    "no plan": ("plan", None),
    "a word for a moment": ("started_at", "soon"),
    "a word for how many at once": ("at_once", "all"),
    "a later schema": ("schema", 99),
}
READ_BY = (["report"], ["report", "--redact"], ["check"])


def all_below(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in sorted(place.rglob("*"))}


def resumed(enaxp: Run, fleet: Path) -> Any:
    return enaxp("bench", "--resume", fleet.name, "--results-dir", str(fleet.parent.parent.resolve()), "--no-report")


def test_a_fleet_that_is_whole_is_resumed_as_far_as_the_hosts(beside_a_fleet: Run, fleet: Path) -> None:
    done = resumed(beside_a_fleet, fleet)

    assert "pair far-1 was lost: connecting to the server" in done.stderr
    assert done.returncode == 4


@pytest.mark.parametrize(("path", "value"), HOSTILE.values(), ids=HOSTILE)
def test_it_is_refused_with_the_reason(beside_a_fleet: Run, fleet: Path, path: str, value: Any) -> None:
    change(fleet, "pairs.json", path, value)
    before = all_below(Path())

    ran = [Ran(command, fleet.name, *options) for command, *options in READ_BY]
    goes_on = resumed(beside_a_fleet, fleet)

    for code, said in [*((one.code, one.stderr) for one in ran), (goes_on.returncode, goes_on.stderr)]:
        assert code in (1, 2)
        assert "pairs.json" in said
        assert "Traceback" not in said
        assert "\x1b" not in said
    assert all_below(Path()) == before


def pairs_elsewhere(fleet: Path, outside: Path) -> None:
    shutil.rmtree(fleet / "pairs")
    (fleet / "pairs").symlink_to(outside)


def a_pair_elsewhere(fleet: Path, outside: Path) -> None:
    shutil.rmtree(fleet / "pairs/near-1")
    (fleet / "pairs/near-1").symlink_to(outside / "near-1")


def a_pair_to_come_elsewhere(fleet: Path, outside: Path) -> None:
    (fleet / "pairs/far-1").symlink_to(outside)


def a_file_elsewhere(name: str) -> Callable[[Path, Path], None]:
    def link(fleet: Path, outside: Path) -> None:
        (fleet / name).unlink(missing_ok=True)
        (fleet / name).symlink_to(outside / "file")

    return link


LINKS: dict[str, Callable[[Path, Path], None]] = {
    "all pairs": pairs_elsewhere,
    "a pair": a_pair_elsewhere,
    "a pair to come": a_pair_to_come_elsewhere,
    **{name: a_file_elsewhere(name) for name in ("summary.txt", "fleet.json", "report.html")},
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_nothing_is_written_where_a_link_leads(
    beside_a_fleet: Run, fleet: Path, outside: Path, link: Callable[[Path, Path], None]
) -> None:
    link(fleet, outside)
    before = all_below(outside)

    ran = [Ran(command, fleet.name, *options) for command, *options in READ_BY]
    goes_on = resumed(beside_a_fleet, fleet)

    for said in [*(one.stdout + one.stderr for one in ran), goes_on.stderr]:
        assert "holds links" in said
        assert "Traceback" not in said
    assert goes_on.returncode in (1, 2)
    assert all_below(outside) == before


@pytest.mark.parametrize("name", ["trials.jsonl", "result.json", "x"])
def test_a_pair_that_holds_links_is_lost_and_nothing_is_written_there(
    beside_a_fleet: Run, fleet: Path, outside: Path, name: str
) -> None:
    a_file_elsewhere(f"pairs/near-1/{name}")(fleet, outside)
    before = all_below(outside)

    reported, checked, goes_on = Ran("report", fleet.name), Ran("check", fleet.name), resumed(beside_a_fleet, fleet)

    assert (reported.code, checked.code, goes_on.returncode) == (0, 1, 1)
    for said in ((fleet / "summary.txt").read_text(), checked.stderr, goes_on.stderr):
        assert f"holds links ({name})" in said
    assert all_below(outside) == before


def test_what_a_pair_was_lost_for_is_text_to_a_terminal_and_to_a_page(fleet: Path) -> None:
    change(fleet, "pairs.json", "pairs.1.lost", "\x1b]0;x\x07<img src=x onerror=alert(1)>")

    ran = [Ran("report", fleet.name, "--format", kind) for kind in ("html", "md")]

    assert [one.code for one in ran] == [0, 0]
    shown = [
        *(one.stdout + one.stderr for one in ran),
        *((fleet / name).read_text() for name in ("report.html", "summary.txt")),
    ]
    assert [text for text in shown if "\x1b" in text] == []
    assert "<img src=x" not in (fleet / "report.html").read_text()


def test_a_pipe_in_the_place_of_its_list_is_not_waited_for(fleet: Path) -> None:
    (fleet / "pairs.json").unlink()
    os.mkfifo(fleet / "pairs.json")

    ran = Ran("report", fleet.name)

    assert ran.code == 1
    assert "Traceback" not in ran.stderr
