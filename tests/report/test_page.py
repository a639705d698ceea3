"""The page in a real headless Chromium: everything drawn, nothing asked of anyone, the figures those of result.json, fit for everybody."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from enaxp.bench.conditions import read_condition
from enaxp.bench.records import RunFolder
from enaxp.commands.runs import compare_runs
from enaxp.report.comparison_page import render_comparison
from enaxp.report.render import PAGE, write_page
from enaxp.traffic import ARMS
from selfcheck.made_run import FLOW, UDP, Made, load, make_run

MARKUP = "<img src=x onerror=alert(1)></script><script>document.title='taken'</script>"
ODD = replace(UDP, name=f"udp {MARKUP}", rate=None)
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")


@dataclass
class Seen:
    """A page that was opened, and everything it said or asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """One of a single scenario, one of every kind with a name full of markup, and one that is still at its beginning."""
    results = tmp_path_factory.mktemp("results")
    kinds = (ODD, FLOW, load(1000), load(50000))
    made = {
        "single": make_run(results, Made(), lab="single"),
        "every": make_run(results, Made(iterations=2, repeats=1, observations=800, scenarios=kinds), lab="every"),
        "begun": make_run(results, Made(iterations=3, repeats=1), lab="begun"),
    }
    begun = made["begun"].path
    (begun / "result.json").unlink()
    lines = (begun / "trials.jsonl").read_text().splitlines(keepends=True)
    (begun / "trials.jsonl").write_text("".join(lines[:4]))
    manifest = json.loads((begun / "manifest.json").read_text())
    (begun / "manifest.json").write_text(json.dumps({**manifest, "ended_at": None, "lab": MARKUP, "forced": [MARKUP]}))
    for folder in made.values():
        write_page(folder)
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shown(browser: Browser, runs: dict[str, RunFolder]) -> Iterator[dict[str, Seen]]:
    """Each run's page on a desktop, for tests that look."""
    context = browser.new_context(viewport=SIZES["desktop"])  # type: ignore[arg-type]
    yield {name: show(context, folder) for name, folder in runs.items()}
    context.close()


def show(context: BrowserContext, folder: RunFolder) -> Seen:
    """Open a run's page and wait until each chart is drawn, or failed."""
    seen = Seen(context.new_page())
    seen.page.on("console", lambda message: seen.said.append(f"{message.type}: {message.text}"))
    seen.page.on("pageerror", lambda error: seen.said.append(str(error)))
    seen.page.on("dialog", lambda dialog: (seen.said.append("a dialog"), dialog.dismiss()))
    seen.page.on("request", lambda request: seen.asked.append(request.url))
    seen.page.goto((folder.path / PAGE).as_uri())
    seen.page.locator('.plot:not([data-state="drawn"]):not([data-state="failed"])').first.wait_for(
        state="detached", timeout=30_000
    )
    return seen


@pytest.mark.parametrize(
    ("run", "size", "scheme"),
    [
        *(("single", size, scheme) for size in SIZES for scheme in ("light", "dark")),
        ("every", "phone", "light"),
        ("begun", "desktop", "dark"),
    ],
)
def test_every_chart_is_drawn_in_silence_and_axe_finds_no_serious_fault(
    browser: Browser, runs: dict[str, RunFolder], run: str, size: str, scheme: Any
) -> None:
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
    try:
        seen = show(context, runs[run])

        assert seen.said == []
        assert [url for url in seen.asked if not url.endswith(PAGE)] == []
        plots = seen.page.locator(".plot")
        assert plots.count() >= 5
        assert seen.page.locator('.plot[data-state="drawn"] svg').count() == plots.count()
        assert seen.page.locator(".plot svg path").count() > plots.count()
        wide = seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, "the page scrolls sideways"
        found = Axe().run(seen.page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
    finally:
        context.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_comparison_asks_for_nothing_and_axe_finds_no_serious_fault(
    browser: Browser, tmp_path: Path, size: str, scheme: Any
) -> None:
    made = {"good": Made(), "worse": Made(cost_us=9.0, late=(0.03, 0.05), seed=2)}
    runs = [str(make_run(tmp_path, like, lab=lab).path) for lab, like in made.items()]
    conditions = [read_condition("p99 slower 5%")]
    compared = compare_runs(tmp_path, runs, lab=None, arms=ARMS, conditions=conditions)
    (tmp_path / "page.html").write_text(render_comparison(compared), encoding="utf-8")

    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
    try:
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())

        assert (said, len(asked)) == ([], 1)
        assert page.locator("svg").count() >= 4
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, "the page scrolls sideways"
        found = Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
    finally:
        context.close()


def test_the_page_says_first_what_the_verdict_is_for_which_hosts_how_sure_and_whether_srd_is_proven(
    shown: dict[str, Seen], runs: dict[str, RunFolder]
) -> None:
    page = shown["single"].page

    result = runs["single"].read_document("result.json")["scenarios"]["udp-latency"]
    assert page.locator("h1").inner_text() == result["verdict"]["headline"]
    assert page.locator(".lead").inner_text() == result["verdict"]["words"]
    hosts, sure, srd, _ = page.locator(".facts dd").all_inner_texts()
    assert hosts.startswith("This one pair of hosts: lab single on AWS")
    assert sure == (
        "Any of the 2 words of this run is wrong in at most 5 % of such runs; 4 iterations, 16 trials; margin ±2 %, fixed beforehand"
    )
    assert srd == "Yes: 100.00 % of eligible packets, by the device's counters"
    last = page.locator(".facts").bounding_box()
    assert last is not None
    assert last["y"] + last["height"] < SIZES["desktop"]["height"], "it is on the first screen"


def losses(arm: dict[str, float]) -> list[float]:
    """The figures of an arm's loss in per cent that are shown: a bound where nothing was lost, else the rate and its interval."""
    keys = ("loss_rate", "loss_low", "loss_high") if arm["loss_rate"] else ("loss_high",)
    return [100 * arm[key] for key in keys]


@pytest.mark.parametrize("run", ["single", "every"])
def test_the_figures_of_the_tables_are_those_of_result_json(
    shown: dict[str, Seen], runs: dict[str, RunFolder], run: str
) -> None:
    page = shown[run].page

    sections = page.locator("section.scenario")
    scenarios = runs[run].read_document("result.json")["scenarios"]
    assert sections.count() == len(scenarios)
    for place, measured in enumerate(scenarios.values()):
        rows = sections.nth(place).locator("table.figures tbody tr")
        for row in rows.all():
            figure = row.get_attribute("data-figure")
            assert figure
            for arm in ("ena", "ena_express"):
                shown = row.locator(f'[data-arm="{arm}"]').inner_text()
                expected = measured["arms"][arm][figure]
                if figure == "loss_rate":
                    told = [float(number) for number in re.findall(r"[0-9.]+(?=%)", shown)]
                    assert told == pytest.approx([] if expected is None else losses(measured["arms"][arm]), rel=0.01)
                else:
                    assert float(shown.replace(",", "")) == pytest.approx(expected, abs=0.0005)
            effect = measured["effects"].get(figure.removesuffix("_us").removesuffix("_gbps"))
            if effect:
                told = (
                    row.locator(".change")
                    .inner_text()
                    .replace("−", "-")
                    .replace("%", " ")
                    .replace(",", " ")
                    .replace("over", "")
                )
                numbers = [float(word) for word in told.replace("[", " ").replace("]", " ").split()]
                assert numbers == pytest.approx(
                    [min(effect[f"{n}_pct"], 1000) for n in ("estimate", "low", "high")], rel=0.005, abs=0.00005
                )


def test_pointing_at_a_chart_shows_its_values(shown: dict[str, Seen], runs: dict[str, RunFolder]) -> None:
    page = shown["single"].page

    page.locator('[data-chart="udp-latency-percentiles"] svg').hover(position={"x": 400, "y": 200})

    tip = page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    told = tip.inner_text()
    assert re.search(r"percentile\s+P[0-9.]+\s+ENA\s+[0-9.,]+ µs\s+ENA Express\s+[0-9.,]+ µs", told)


def test_a_logarithmic_axis_can_be_made_linear_from_the_keyboard(
    shown: dict[str, Seen], runs: dict[str, RunFolder]
) -> None:
    seen = shown["single"]
    chart = seen.page.locator("figure", has=seen.page.locator('[data-chart="udp-latency-percentiles"]'))
    before = chart.locator("svg").inner_html()

    chart.locator("button").focus()
    seen.page.keyboard.press("Enter")
    chart.locator('.plot[data-state="drawn"]').wait_for()

    assert chart.locator("button").get_attribute("aria-pressed") == "true"
    assert chart.locator("svg").inner_html() != before
    assert seen.said == []


def test_names_full_of_markup_are_text(shown: dict[str, Seen], runs: dict[str, RunFolder]) -> None:
    every, begun = shown["every"], shown["begun"]

    assert every.page.locator("#scenario-1 h2").inner_text() == ODD.name
    assert MARKUP in begun.page.locator(".notice").last.inner_text()
    for seen in (every, begun):
        assert seen.page.locator("img").count() == 0
        assert seen.page.title() != "taken"
        assert seen.said == []


def test_a_run_that_is_not_over_says_so_and_marks_what_it_cannot_draw_yet(
    shown: dict[str, Seen], runs: dict[str, RunFolder]
) -> None:
    page = shown["begun"].page

    assert (
        "This run has not ended: it still runs, or was cut off. 1 of 3 pairs count so far."
        in page.locator(".notice").first.inner_text()
    )
    assert "Not sure at all" in page.locator(".facts").inner_text()
    gap = page.locator('[data-gap="udp-latency-effects"]')
    assert "takes valid pairs in two iterations at least" in gap.inner_text()


def test_a_print_is_light_and_without_buttons_whatever_the_screen_is(
    browser: Browser, runs: dict[str, RunFolder]
) -> None:
    context = browser.new_context(color_scheme="dark")
    try:
        page = show(context, runs["single"]).page
        colour = "getComputedStyle(document.querySelector('.plot svg text')).fill"
        on_screen = page.evaluate(colour)
        page.emulate_media(media="print")

        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate(colour) != on_screen
        assert not page.locator(".toggle").first.is_visible()
    finally:
        context.close()


def test_without_scripts_the_tables_are_there_and_the_page_says_what_is_not(
    browser: Browser, runs: dict[str, RunFolder]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto((runs["single"].path / PAGE).as_uri())
        assert "The charts need JavaScript" in page.locator("body").inner_text()
        assert page.locator("table.figures tbody tr").count() == 8
    finally:
        context.close()


def test_the_page_is_one_small_file_that_allows_nothing_from_outside(runs: dict[str, RunFolder]) -> None:
    for folder in runs.values():
        text = (folder.path / PAGE).read_text()
        assert len(text.encode()) < 3_000_000
        policy = html.unescape(text.split("<style>")[0])
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert text.count("window.vegaEmbed") == 1


def test_what_can_be_downloaded_is_what_the_run_holds(shown: dict[str, Seen], runs: dict[str, RunFolder]) -> None:
    page = shown["single"].page

    for name in ("result.json", "results.csv"):
        with page.expect_download() as downloading:
            page.get_by_role("link", name=name).click()
        saved = Path(downloading.value.path()).read_text()
        expected = (runs["single"].path / name).read_text()
        assert json.loads(saved) == json.loads(expected) if name.endswith("json") else saved == expected
