"""The report of a bench of many pairs: what the next pair will see, how different pairs are, what stands out, what was lost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from enaxp.bench.fleet.folder import FleetFolder
from enaxp.bench.fleet.result import from_document
from enaxp.bench.run_folder.records import RunFolder
from enaxp.errors import BenchError
from enaxp.report.charts.chart import Chart
from enaxp.report.fleet.data import read_fleet
from enaxp.report.fleet.forest import forests
from enaxp.report.fleet.summary import render_fleet_markdown, render_fleet_summary
from selfcheck.made_run import Made, make_fleet

MARKUP = "<img src=x onerror=alert(1)>"
SMALL = Made(iterations=3, repeats=1, observations=1500)
AWAY = {"availability_zone": "us-east-1c", "region": "us-east-1"}
THERE = {"availability_zone": "us-east-1a", "region": "us-east-1"}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> FleetFolder:
    """Five pairs of near, of which one is elsewhere, and three of far, of which one was lost."""
    near = {f"near-{n}": replace(SMALL, cost_us=5 + 0.2 * n, seed=n, place=THERE) for n in range(1, 6)}
    far = {f"far-{n}": replace(SMALL, cost_us=1 + 0.2 * n, seed=10 + n, place=THERE) for n in range(1, 4)}
    folder = make_fleet(
        tmp_path_factory.mktemp("results"), {**near, "near-5": replace(SMALL, cost_us=30, seed=5, place=AWAY), **far}
    )
    folder.write_manifest(folder.read_manifest().with_lost({"far-3": f"no answer {MARKUP}"}))
    return folder


def test_the_summary_says_what_the_next_pair_will_see_and_what_is_different_about_the_one_that_stands_out(
    fleet: FleetFolder,
) -> None:
    text = render_fleet_summary(read_fleet(fleet))

    assert "Variant near: 5 of 5 pairs valid" in text
    assert "the next pair that you launch like this will see between" in text
    assert "near-5 stands out among near; it alone has availability zone of the lab: us-east-1a → us-east-1c" in text
    assert f"LOST: no answer {MARKUP}" in text
    assert "no interval: 3 pairs are needed at least" in text  # of far, of which two are left


def test_markdown_holds_no_markup_of_a_file(fleet: FleetFolder) -> None:
    text = render_fleet_markdown(read_fleet(fleet))

    assert text.startswith("## 2 variants: near ")
    assert MARKUP not in text
    assert "far-3 was lost" in text


def test_the_forest_has_each_pair_and_the_mean_and_the_next_pair_of_its_variant_in_that_order(
    fleet: FleetFolder,
) -> None:
    p50, p99 = forests(read_fleet(fleet))

    assert isinstance(p50, Chart)
    assert isinstance(p99, Chart)
    [rows, *_] = [rows for rows in p50.spec["datasets"].values() if len(rows) > 1]
    assert [row["figure"] for row in rows] == [
        "near-1", "near-2", "near-3", "near-4", "near-5", "near: mean", "near: next pair", "far-1", "far-2", "far-3",
    ]  # fmt: skip
    assert [row["words"] for row in rows if row["pct"] is None] == ["lost"]
    assert "the mean of a variant's pairs (at 98.75\u00a0%, the level of its word)" in p50.caption


def test_report_works_the_fleet_out_from_its_folder_alone(fleet: FleetFolder) -> None:
    command = [sys.executable, "-m", "enaxp", "report", str(fleet.path), "--json"]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    document = json.loads(done.stdout)
    assert (document["run_id"], document["written"]) == (fleet.run_id, [str(fleet.path / "report.html")])
    told = from_document(json.loads((fleet.path / "fleet.json").read_text()))
    assert {name: (one.pairs, one.valid_pairs) for name, one in told.variants.items()} == {
        "near": (5, 5),
        "far": (3, 2),
    }
    assert (fleet.path / "summary.txt").read_text() == render_fleet_summary(read_fleet(fleet))


def test_a_pair_is_named_after_its_fleet_and_a_fleet_is_no_run(fleet: FleetFolder) -> None:
    results = fleet.path.parent.parent

    pair = RunFolder.find(results, lab="made", run="latest/near-2")

    assert (pair.path.name, pair.run_id, pair.read_manifest().pair_name) == ("near-2", fleet.run_id, "near-2")
    with pytest.raises(BenchError, match="bench of many pairs") as raised:
        RunFolder.find(results, lab="made", run="latest")
    assert f"{fleet.run_id}/far-1" in raised.value.todo


@pytest.mark.system
@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_the_page_is_drawn_in_silence_and_fits(browser: Browser, fleet: FleetFolder, width: int, scheme: str) -> None:
    from enaxp.report.render import write_fleet, write_fleet_page

    page_file = write_fleet_page(fleet, write_fleet(fleet))
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page, said, asked = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))

    page.goto(page_file.as_uri())
    page.locator('.plot:not([data-state="drawn"])').first.wait_for(state="detached", timeout=30_000)

    answers = page.locator(".answers").first.inner_text()
    assert page.locator("h1").inner_text().startswith("2 variants: near ")  # a name is not written with a capital
    assert "the next pair that you launch like this will see between" in answers
    assert "A kind that one pair in five is of would have been missed by 5 pairs in 33 of 100 fleets." in answers
    assert said == []
    assert asked == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    serious = [one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == []
    context.close()
