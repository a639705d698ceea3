"""Runs on the command line: listed, checked, compared, from folders alone; what a folder holds is shown as text."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from enaxp.__main__ import main
from enaxp.bench.comparing.comparison import compare
from enaxp.bench.comparing.conditions import Compared
from enaxp.bench.measuring.bench import result_of
from enaxp.bench.run_folder.names import LIST_THEM
from enaxp.bench.run_folder.records import RunFolder
from enaxp.report.comparison_page import render_comparison
from enaxp.report.files import write_report_files
from tests.support.factories import FIVE, Factor, a_manifest, a_run, pairs_of_records, shifted, slower_express

HOSTILE = "<script>alert(1)</script>[red]&\x1b[31m"


def make_run(path: Path, *, factor: Factor = lambda _: 1.0, **changes: Any) -> RunFolder:
    """A run's folder as a bench leaves it."""
    folder = RunFolder(path)
    (path / "histograms").mkdir(parents=True)
    manifest = a_manifest(
        **{
            "plan": FIVE,
            "run_id": path.name,
            "ended_at": "2025-04-11T09:00:00+00:00",
            **changes,
            "lab": path.parent.name,
        }
    )
    folder.write_manifest(manifest)
    for number, record in enumerate(pairs_of_records(manifest.plan), start=1):
        name = folder.write_histogram(f"{number:04d}", shifted(factor(record) * (1 + 0.001 * (record.iteration % 3))))
        folder.append(replace(record, number=number, histogram_file=name))
    write_report_files(folder, result_of(folder))
    return folder


class Ran:
    """One command, run in this process: what it leaves on stdout and stderr, and its code."""

    def __init__(self, *arguments: str) -> None:
        stdout, stderr = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
            patch.object(sys, "argv", ["enaxp", *arguments]),
            pytest.raises(SystemExit) as left,
        ):
            main()
        self.code = left.value.code
        self.stdout, self.stderr = stdout.getvalue(), stderr.getvalue()

    @property
    def document(self) -> Any:
        return json.loads(self.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of two labs, of which the newest has a slower ENA Express."""
    above = tmp_path_factory.mktemp("made")
    make_run(above / "dev/20250411-082610")
    make_run(above / "dev/20250412-082610", factor=slower_express, started_at="2025-04-12T08:26:10+00:00")
    make_run(above / "prod/20250410-082610", started_at="2025-04-10T08:26:10+00:00")
    return above


@pytest.fixture
def results(folder: Path, made: Path) -> Path:
    """A copy of them, to be spoilt."""
    return Path(shutil.copytree(made, folder / "results"))


@pytest.fixture(scope="module")
def made_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the weeks before: they tell how much runs of the lab differ."""
    above = tmp_path_factory.mktemp("before")
    for number in range(1, 5):
        make_run(
            above / f"dev/2025030{number}-082610",
            factor=lambda record, number=number: 1 + 0.0005 * number,
            started_at=f"2025-03-0{number}T08:26:10+00:00",
        )
    return above


@pytest.fixture
def history(results: Path, made_before: Path) -> Path:
    """The runs, with those before them."""
    return Path(shutil.copytree(made_before, results, dirs_exist_ok=True))


# -- runs ------------------------------------------------------------------------------------------------------------------


def test_runs_are_listed_the_newest_first_with_what_they_came_to(results: Path) -> None:
    listed = Ran("runs", "--json").document

    assert [(line["lab"], line["run_id"]) for line in listed] == [
        ("dev", "20250412-082610"),
        ("dev", "20250411-082610"),
        ("prod", "20250410-082610"),
    ]
    assert [line["verdicts"]["udp-latency"] for line in listed] == ["slower", "same", "same"]
    text = Ran("runs", "--lab", "dev").stdout
    assert "dev/20250412-082610" in text
    assert "udp-latency: slower" in text
    assert "prod/" not in text


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (("manifest.json", None), "is not a run: it has no manifest.json any more, or not yet"),
        (("manifest.json", "{"), "manifest.json cannot be read (it is not JSON, or only half written"),
        (("manifest.json", '{"schema": 9}'), "manifest.json is of schema 9, which a later enaxp wrote"),
        (("result.json", '{"schema": 9}'), "result.json is of schema 9"),
        (("result.json", '{"schema": 1, "scenarios": []}'), "result.json is not what enaxp writes"),
        (("result.json", ""), "result.json cannot be read (it is empty)"),
    ],
)
def test_a_broken_folder_is_a_line_that_says_so(results: Path, spoil: tuple[str, str | None], says: str) -> None:
    name, content = spoil
    file = results / "dev/20250411-082610" / name
    file.unlink() if content is None else file.write_text(content)

    ran = Ran("runs", "--json")

    [broken] = [line for line in ran.document if line["fault"]]
    assert (ran.code, len(ran.document)) == (0, 3)
    assert (broken["run_id"], says in broken["fault"]) == ("20250411-082610", True)
    assert f"cannot be read: {says}"[:60] in Ran("runs").stdout


def test_a_run_without_a_result_is_listed_as_one_that_has_not_ended(results: Path) -> None:
    run = results / "dev/20250412-082610"
    (run / "result.json").unlink()
    RunFolder(run).write_manifest(replace(RunFolder(run).read_manifest(), ended_at=None))

    line = Ran("runs", "--json").document[0]

    assert (line["standing"], line["verdicts"], line["fault"]) == ("not ended", {"udp-latency": None}, None)
    assert "udp-latency: no result (not ended)" in Ran("runs").stdout


def test_where_there_are_no_runs_that_is_said(folder: Path) -> None:
    assert Ran("runs").stdout == "there are no runs here\n"
    assert Ran("runs", "--json").document == []


def test_the_effects_of_the_runs_are_reported_in_the_order_of_time(history: Path) -> None:
    (history / "dev/20250303-082610/result.json").unlink()

    ran = Ran("runs", "--trend", "p99", "--lab", "dev", "--json")

    [series] = ran.document["series"]
    assert (ran.code, ran.document["metric"], series["scenario"]) == (0, "p99", "udp-latency")
    assert [run["run_id"][:8] for run in series["runs"]] == ["20250301", "20250302", "20250304", "20250411", "20250412"]
    assert [round(run["estimate_pct"]) for run in series["runs"]] == [0, 0, 0, 0, 20]
    assert "result.json" in ran.document["left_out"]["dev/20250303-082610"]
    told = Ran("runs", "--trend", "p99", "--lab", "dev").stdout
    assert "Where it changed is not known: a change shows from 8 runs on, there are 5" in told
    assert "From run to run it differs by" in told
    assert "Left out: dev/20250303-082610" in told


def test_a_trend_is_not_pruned(results: Path) -> None:
    assert Ran("runs", "--trend", "p99", "--prune", "3").code == 2


# -- check -----------------------------------------------------------------------------------------------------------------


def test_a_good_run_passes_and_one_with_a_gap_fails_with_its_reason(results: Path) -> None:
    assert Ran("check", "latest").code == 0

    (results / "dev/20250412-082610/histograms/0003.csv.gz").unlink()
    ran = Ran("check", "latest", "--json")

    assert (ran.code, ran.document["complete"], ran.document["stable"]) == (5, False, True)
    assert ran.document["missing"][0] == "udp-latency: 9 of 10 pairs of trials count"
    assert "trial 3 (ENA) does not count: histograms/0003.csv.gz cannot be read" in ran.document["missing"][1]
    assert "udp-latency: 9 of 10 pairs of trials count" in ran.stderr


@pytest.mark.parametrize("command", ["check", "compare"])
def test_a_run_that_is_not_there_is_an_error_that_names_what_is(results: Path, command: str) -> None:
    ran = Ran(command, "1970", *(("latest",) if command == "compare" else ()))

    assert (ran.code, ran.stdout) == (1, "")
    assert "dev/20250411-082610" in ran.stderr
    assert LIST_THEM in ran.stderr


# -- compare ---------------------------------------------------------------------------------------------------------------


def test_what_became_slower_is_reported_with_its_interval_and_what_that_rests_on(history: Path) -> None:
    ran = Ran("compare", "20250411", "latest")

    assert ran.code == 0
    [line] = [line for line in ran.stdout.splitlines() if line.startswith("ENA Express  p99 ")]
    assert re.search(r"\+20\.\d% \[\+1\d\.\d%, \+2\d\.\d%\]", line)
    assert line.endswith("slower")
    assert "ENA makes no practical difference at p50" in ran.stdout
    assert "the spread from run to run is that of 4 earlier runs of lab dev (dev/20250301-082610, " in ran.stdout


def test_one_run_a_side_without_earlier_ones_has_no_word_and_says_what_gives_one(results: Path) -> None:
    ran = Ran("compare", "20250411", "latest", "--fail-if", "p99 slower 5%")

    assert ran.code == 0
    assert (
        "ow much runs differ cannot be known from 1 run against 1: lab dev has 0 earlier runs like these" in ran.stdout
    )
    assert "undecided  p99 slower 5%" in ran.stdout
    assert "iterations" not in ran.stdout.split("p99 slower 5%")[-1]


def test_runs_are_counted_side_against_side(history: Path, folder: Path) -> None:
    make_run(folder / "new/dev/20250501-082610", factor=lambda _: 1.2)
    make_run(folder / "new/dev/20250502-082610", factor=lambda _: 1.201)
    base, run = ("20250301", "20250302"), ("new/dev/20250501-082610", "new/dev/20250502-082610")
    sides = [*(f"--base={one}" for one in base), *(f"--run={one}" for one in run)]

    ran = Ran("compare", *sides, "--fail-if", "p99 slower 5%", "--fail-if", "effect p99 slower 5%", "--json")

    assert ran.code == 5
    [one] = ran.document["comparisons"]
    assert [run.rpartition("/")[2][:8] for run in (*one["base_runs"], *one["runs"])] == [
        "20250301", "20250302", "20250501", "20250502",
    ]  # fmt: skip
    scenario = one["scenarios"]["udp-latency"]
    assert scenario["units"]["basis"] == "these runs"
    assert scenario["arms"]["ena"]["code"] == "slower"
    assert [(one["of_effect"], one["outcome"]) for one in ran.document["conditions"]] == [
        (False, "shown"),
        (False, "shown"),
        (True, "not shown"),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("latest",), "a comparison needs two runs"),
        ((), "a comparison needs two runs"),
        (("--base", "latest"), "a comparison has two sides"),
        (("--run", "latest"), "a comparison has two sides"),
        (("latest", "--base", "latest", "--run", "20250411"), "runs are named in two ways"),
        (("--base", "latest", "--base", "latest", "--run", "20250411"), "hold the same measurements"),
        (("20250411", "latest", "--arm", "ena", "--fail-if", "effect p99 slower 5%"), "--arm leaves no effect"),
    ],
)
def test_what_is_not_two_sides_is_a_mistake(results: Path, arguments: tuple[str, ...], says: str) -> None:
    ran = Ran("compare", *arguments)

    assert ran.code == 2
    assert says in ran.stderr


def test_a_condition_that_is_shown_fails_with_the_sentence_that_shows_it(history: Path) -> None:
    ran = Ran("compare", "20250411", "latest", "--fail-if", "p99 slower 5%", "--json")

    assert ran.code == 5
    assert "--fail-if 'p99 slower 5%' holds" in ran.stderr
    assert (
        "dev/20250412-082610 against dev/20250411-082610: udp-latency, ENA Express: p99 changed by +20.1%" in ran.stderr
    )
    assert [one["outcome"] for one in ran.document["conditions"]] == ["not shown", "shown"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--fail-if", "p99 slower 5%", "--arm", "ena"), 0),
        (("--fail-if", "p99 slower 50%"), 0),
        (("--fail-if", "p99 faster 5%", "--fail-if", "udp-latency:p50 different 1%"), 5),
        (("--fail-if", "p99 slower"), 2),
        (("--fail-if", "tcp:p99 slower 5%"), 2),
    ],
)
def test_conditions_decide_how_it_leaves(history: Path, arguments: tuple[str, ...], code: int) -> None:
    assert Ran("compare", "20250411", "latest", *arguments).code == code


def test_a_condition_for_which_nothing_was_measured_is_no_pass(results: Path) -> None:
    run = results / "dev/20250412-082610"
    (run / "trials.jsonl").write_text("")

    ran = Ran("compare", "20250411", "latest", "--fail-if", "p99 slower 5%")

    assert ran.code == 4
    assert "no trial of it counts in dev/20250412-082610" in ran.stderr


def test_several_runs_are_each_held_against_the_first(results: Path) -> None:
    ran = Ran("compare", "prod/latest", "dev/20250411", "dev/latest", "--json")

    assert [(one["base"], one["run"]) for one in ran.document["comparisons"]] == [
        ("prod/20250410-082610", "dev/20250411-082610"),
        ("prod/20250410-082610", "dev/20250412-082610"),
    ]


def test_two_copies_of_a_run_in_other_places_keep_apart(results: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "old/dev/20250411-082610", factor=slower_express)

    ran = Ran("compare", "20250411-082610", "old/dev/20250411-082610", "--lab", "dev", "--json")

    assert [run["name"] for run in ran.document["runs"]] == [
        "results/dev/20250411-082610",
        "old/dev/20250411-082610",
    ]


# -- the page --------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Its tags, its attributes that could fetch something, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetching: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetching += [name for name, _ in attrs if name in ("src", "href", "srcset") or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())


def test_the_page_holds_every_figure_of_the_document_and_fetches_nothing(history: Path, folder: Path) -> None:
    ran = Ran("compare", "20250411", "latest", "--page", "page.html", "--fail-if", "p99 slower 50%", "--json")

    page = Page((folder / "page.html").read_text())

    changes = ran.document["comparisons"][0]["scenarios"]["udp-latency"]["arms"]["ena_express"]["changes"]
    for change in changes.values():
        told = [
            f"{change[key]:+#.3g}%" if abs(change[key]) >= 0.01 else ""
            for key in ("estimate_pct", "low_pct", "high_pct")
        ]
        assert f"{told[0]} [{told[1]}, {told[2]}]" in page.text
        assert f"{change['run']:.2f} µs" in page.text
    assert "script" not in page.tags
    assert page.fetching == []
    assert page.tags.count("svg") == 12  # 5 figures of 2 arms, 2 of the effect
    assert any("that of 4 earlier runs of lab dev" in text for text in page.text)


def test_a_page_that_cannot_be_written_is_named(results: Path) -> None:
    ran = Ran("compare", "20250411", "latest", "--page", "absent/page.html")

    assert ran.code == 1
    assert "absent/page.html cannot be written" in ran.stderr


def test_names_with_markup_are_text_on_the_page_and_at_a_terminal(folder: Path) -> None:
    one = a_run(HOSTILE, place={"instance_type": HOSTILE})
    other = a_run("dev/b", place={"instance_type": "c6i.8xlarge"}, target="local", isolation=HOSTILE)

    page = Page(render_comparison(Compared(comparisons=(compare(one, other),), findings=())))

    assert "script" not in page.tags
    assert HOSTILE in page.text

    for name in ("20250411-082610", "20250412-082610"):
        make_run(folder / "results/dev" / name, isolation=HOSTILE, target="local", forced=(HOSTILE,))
    for arguments in (("runs",), ("check", "latest"), ("compare", "20250411", "latest")):
        told = Ran(*arguments)
        assert "\x1b" not in told.stdout + told.stderr
    assert "[red]&\\x1b[31m" in told.stdout
