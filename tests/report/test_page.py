"""The page in a real headless Chromium: everything drawn, nothing asked of anyone, the figures those of result.json, fit for everybody."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page

from enaxp.bench.comparing.conditions import read_condition
from enaxp.bench.run_folder.records import RunFolder
from enaxp.commands.runs import SidesAsked, compare_runs
from enaxp.report import html as module
from enaxp.report.charts.aside import aside
from enaxp.report.comparison_page import render_comparison
from enaxp.report.data import figures_of
from enaxp.report.page import render_page
from enaxp.report.render import PAGE, write_page
from enaxp.report.switching import steps
from enaxp.traffic import ARMS
from selfcheck.made_run import FLOW, UDP, Made, load, make_run

MARKUP = "<img src=x onerror=alert(1)></script><script>document.title='taken'</script>"
ODD = replace(UDP, name="udp-odd", rate=None)
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SHOWN = {"single": ("desktop", "light"), "every": ("phone", "light"), "begun": ("desktop", "dark")}
MISSING = [program for program in ("chromium", "pdftotext") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} not installed")


@dataclass
class Seen:
    """A page that was opened, and everything it said or asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """One of a single scenario, one of every kind, and one that is still at its beginning and full of markup."""
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
    (begun / "trials.jsonl").write_text("".join(dropping(line) for line in lines[:4]))
    manifest = json.loads((begun / "manifest.json").read_text())
    manifest["environment"]["before"]["client"]["kernel"] = MARKUP
    changed = {**manifest, "ended_at": None, "argv": ["bench", MARKUP], "forced": [MARKUP]}
    (begun / "manifest.json").write_text(json.dumps(changed))
    for folder in made.values():
        write_page(folder)
    return made


def dropping(line: str) -> str:
    """A trial's line, with a server whose sockets dropped more than a thousandth of its messages."""
    usage = {"server": {"udp_rcvbuf_errors": 500, "cores": {"3": {"programs_s": 1.5, "interrupts_s": 0}}}}
    return json.dumps({**json.loads(line), "usage": usage}) + "\n"


@pytest.fixture(scope="module")
def opened(browser: Browser, runs: dict[str, RunFolder]) -> Iterator[Callable[[str, str, str], Seen]]:
    """Gives a run's page by its screen and colours, for tests that look: opened once, for that takes seconds."""
    with contextlib.ExitStack() as stack:

        @cache
        def opened(run: str, size: str, scheme: Any) -> Seen:
            context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
            stack.callback(context.close)
            return show(context, runs[run])

        yield opened


@pytest.fixture
def shown(opened: Callable[[str, str, str], Seen]) -> Shown:
    return Shown(opened)


@dataclass(frozen=True)
class Shown:
    """A page of each run, for tests that are indifferent to its screen and colours."""

    opened: Callable[[str, str, str], Seen]

    def __getitem__(self, run: str) -> Seen:
        return self.opened(run, *SHOWN[run])


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
        ("every", *SHOWN["every"]),
        ("begun", *SHOWN["begun"]),
    ],
)
def test_every_chart_is_drawn_in_silence_and_axe_finds_no_serious_fault(
    opened: Callable[[str, str, str], Seen], run: str, size: str, scheme: str
) -> None:
    seen = opened(run, size, scheme)

    assert seen.said == []
    assert [url for url in seen.asked if not url.endswith(PAGE)] == []
    plots = seen.page.locator(".plot")
    assert plots.count() >= 5
    assert seen.page.locator('.plot[data-state="drawn"] .live svg').count() == plots.count()
    assert seen.page.locator(".plot .live svg path").count() > plots.count()
    assert [still.is_visible() for still in seen.page.locator(".still").all()].count(True) == 0, "each chart once"
    require_fit_for_everybody(seen.page)


def require_fit_for_everybody(page: Page) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, "the page scrolls sideways"
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a comparison."""
    folder = tmp_path_factory.mktemp("comparison")
    made = {"good": Made(), "worse": Made(cost_us=9.0, late=(0.03, 0.05), seed=2)}
    base, run = (
        tuple(str(make_run(folder, replace(like, seed=seed), lab=f"{lab}-{seed}").path) for seed in (1, 2))
        for lab, like in made.items()
    )
    conditions = [read_condition("p99 slower 5%")]
    compared = compare_runs(folder, SidesAsked(base=base, run=run), lab=None, arms=ARMS, conditions=conditions)
    (folder / "page.html").write_text(render_comparison(compared), encoding="utf-8")
    return folder / "page.html"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_comparison_asks_for_nothing_and_axe_finds_no_serious_fault(
    browser: Browser, comparison: Path, size: str, scheme: Any
) -> None:
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
    try:
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(comparison.as_uri())

        assert (said, len(asked)) == ([], 1)
        assert page.locator("svg").count() >= 4
        require_fit_for_everybody(page)
    finally:
        context.close()


def test_the_page_says_first_what_the_verdict_is_for_which_hosts_how_sure_and_whether_srd_is_proven(
    shown: Shown, runs: dict[str, RunFolder]
) -> None:
    page = shown["single"].page

    result = runs["single"].read_document("result.json")["scenarios"]["udp-latency"]
    assert page.locator("h1").inner_text() == result["verdict"]["headline"]
    assert page.locator(".hero .words").inner_text() == result["verdict"]["words"]
    hosts, sure, srd, _, left_open = page.locator(".facts dd").all_inner_texts()
    assert hosts.startswith("This one pair of hosts: lab single on AWS")
    assert sure == (
        "Any of the 2 words of this run is wrong in at most 5 % of such runs; 4 iterations, 16 trials; margin ±2 %, fixed beforehand"
    )
    assert srd == "Yes: 100.00 % of eligible packets, by the device's counters"
    assert "other traffic, other hosts and another day" in left_open
    told = page.locator(".answers li").all_inner_texts()
    for (metric, effect), answer in zip(
        ((m, e) for m, e in result["effects"].items() if e["primary"]), told, strict=True
    ):
        assert answer.startswith(metric.upper())
        assert f"{effect['low_pct']:+.3g}".replace("-", "−") in answer, "the interval in per cent"
        assert answer.count("\u00a0µs") >= 2, "and in µs"
    last = page.locator(".facts").bounding_box()
    assert last is not None
    assert last["y"] + last["height"] < SIZES["desktop"]["height"], "it is on the first screen"


def losses(arm: dict[str, float]) -> list[float]:
    """The figures of an arm's loss in per cent that are shown: a bound where nothing was lost, else the rate and its interval."""
    keys = ("loss_rate", "loss_low", "loss_high") if arm["loss_rate"] else ("loss_high",)
    return [100 * arm[key] for key in keys]


@pytest.mark.parametrize("run", ["single", "every"])
def test_the_figures_of_the_tables_are_those_of_result_json(shown: Shown, runs: dict[str, RunFolder], run: str) -> None:
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


def test_pointing_at_a_chart_shows_its_values(shown: Shown, runs: dict[str, RunFolder]) -> None:
    page = shown["single"].page

    page.locator('[data-chart="udp-latency-percentiles"] .live svg').hover(position={"x": 400, "y": 200})

    tip = page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    told = tip.inner_text()
    assert re.search(r"percentile\s+P[0-9.]+\s+ENA\s+[0-9.,]+ µs\s+ENA Express\s+[0-9.,]+ µs", told)


def test_a_logarithmic_axis_can_be_made_linear_from_the_keyboard(shown: Shown, runs: dict[str, RunFolder]) -> None:
    seen = shown["single"]
    chart = seen.page.locator("figure", has=seen.page.locator('[data-chart="udp-latency-percentiles"]'))
    before = chart.locator(".live svg").inner_html()

    chart.locator("button").focus()
    seen.page.keyboard.press("Enter")
    chart.locator('.plot[data-state="drawn"]').wait_for()

    assert chart.locator("button").get_attribute("aria-pressed") == "true"
    assert chart.locator(".live svg").inner_html() != before
    assert seen.said == []


def test_what_files_hold_is_text_though_it_is_full_of_markup(shown: Shown) -> None:
    begun = shown["begun"]

    assert begun.page.get_by_text(MARKUP).count() >= 3
    assert begun.page.locator("img").count() == 0
    assert begun.page.title() != "taken"
    assert begun.said == []


def test_a_run_that_is_not_over_says_so_and_marks_what_it_cannot_draw_yet(
    shown: Shown, runs: dict[str, RunFolder]
) -> None:
    page = shown["begun"].page

    assert (
        "This run has not ended: it still runs, or was cut off. 1 of 3 pairs count so far."
        in page.locator(".notice").first.inner_text()
    )
    assert "Not sure at all" in page.locator(".facts").inner_text()
    gap = page.locator('[data-gap="udp-latency-effects"]')
    assert "takes valid pairs in two iterations at least" in gap.inner_text()


def test_what_was_the_limit_besides_the_network_is_said(shown: Shown) -> None:
    text = shown["begun"].page.locator("body").inner_text()

    assert "The limit was not the network in most trials: of ENA the receiver and of ENA Express the receiver." in text
    assert "the limit was the receiver in most trials: not the network" in text


def test_a_print_is_light_and_without_buttons_whatever_the_screen_is(opened: Callable[[str, str, str], Seen]) -> None:
    page = opened("single", "desktop", "dark").page
    colour = "getComputedStyle(document.querySelector('.plot svg text')).fill"
    on_screen = page.evaluate(colour)
    page.emulate_media(media="print")
    try:
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate(colour) != on_screen
        assert not page.locator(".toggle").first.is_visible()
        assert what_is_seen(page) == {"wide": page.locator(".plot").count(), "narrow": 0, "live": 0}
    finally:
        page.emulate_media(media="screen")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("run", ["single", "every"])
def test_on_paper_each_chart_is_whole_on_one_sheet_and_no_column_breaks_its_words(
    browser: Browser, runs: dict[str, RunFolder], tmp_path: Path, run: str, scripts: bool
) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    try:
        page = context.new_page()
        page.goto((runs[run].path / PAGE).as_uri())
        charts = [
            (figure.locator("h4").inner_text(), longest_text_in(figure), figure.locator(".legend").inner_text())
            for figure in page.locator("figure").all()
        ]
        judged = {word for cell in page.locator(".figures td:last-child").all_inner_texts() for word in cell.split()}

        sheets = printed(page, tmp_path / "page.pdf")

        for title, drawn, caption in charts:
            holding = [sheet for sheet in sheets if all(part in sheet for part in (title, drawn, caption[:60]))]
            assert holding, f"{title} is split, or not drawn"
        words = {word for sheet in sheets for word in sheet.split()}
        assert judged - words == set()
    finally:
        context.close()


def printed(page: Page, path: Path) -> list[str]:
    """What each sheet of the printed page says, on one line."""
    page.pdf(path=str(path), format="A4")
    text = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True).stdout
    return [" ".join(sheet.split()) for sheet in text.split("\f")]


def longest_text_in(figure: Locator) -> str:
    """The longest level text of a chart: the title of its axis."""
    level = "texts => texts.filter(t => !t.getAttribute('transform')?.includes('rotate')).map(t => t.textContent)"
    texts: list[str] = figure.locator(".still.wide text").evaluate_all(level)
    return max(texts, key=len)


def what_is_seen(page: Page) -> dict[str, int]:
    """How many charts are seen in each of the ways in which the page holds them."""
    ways = {"wide": ".still.wide", "narrow": ".still.narrow", "live": ".live"}
    return {way: [one.is_visible() for one in page.locator(at).all()].count(True) for way, at in ways.items()}


@pytest.mark.parametrize(("size", "way"), [("desktop", "wide"), ("phone", "narrow")])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_scripts_every_chart_is_seen_once_in_the_page_s_colours(
    browser: Browser, runs: dict[str, RunFolder], size: str, way: str, scheme: Any
) -> None:
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, java_script_enabled=False)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.goto((runs["single"].path / PAGE).as_uri())

        charts = page.locator(".plot").count()
        assert what_is_seen(page) == {"wide": 0, "narrow": 0, "live": 0} | {way: charts}
        for still in page.locator(f".still.{way}").all():
            box = still.locator("svg").bounding_box()
            assert box is not None
            assert box["width"] > 0.85 * min(SIZES[size]["width"], 760)
            assert still.locator("path, use, line").count() > 5
        muted = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--muted').trim()")
        text = page.locator(f".still.{way} text").first
        channels = [str(int(muted[at : at + 2], 16)) for at in (1, 3, 5)]
        assert text.evaluate("text => getComputedStyle(text).fill") == f"rgb({', '.join(channels)})"
        assert not page.locator(".toggle").first.is_visible()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, "the page scrolls sideways"
        assert page.locator("table.figures tbody tr").count() == 8
    finally:
        context.close()


def test_a_chart_that_scripts_cannot_draw_stays_as_it_is(browser: Browser, runs: dict[str, RunFolder]) -> None:
    context = browser.new_context(viewport=SIZES["desktop"])  # type: ignore[arg-type]
    context.add_init_script(
        "Object.defineProperty(window, 'vegaEmbed', {get: () => () => { throw new Error('no') }, set() {}})"
    )
    try:
        page = context.new_page()
        page.goto((runs["single"].path / PAGE).as_uri())
        page.locator('.plot:not([data-state="failed"])').first.wait_for(state="detached")

        assert what_is_seen(page) == {"wide": page.locator(".plot").count(), "narrow": 0, "live": 0}
    finally:
        context.close()


def test_no_two_charts_share_an_id(shown: Shown) -> None:
    ids: list[str] = shown["every"].page.locator(".still [id]").evaluate_all("those => those.map(one => one.id)")

    assert ids
    assert len(ids) == len(set(ids))


def test_the_page_is_one_small_file_that_allows_nothing_from_outside(runs: dict[str, RunFolder]) -> None:
    for folder in runs.values():
        text = (folder.path / PAGE).read_text()
        assert len(text.encode()) < 3_000_000
        policy = html.unescape(text.split("<style>")[0])
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert text.count("window.vegaEmbed") == 1


def test_charts_for_phones_are_left_out_from_where_the_page_would_be_too_large(
    runs: dict[str, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (runs["single"].path / PAGE).read_text()
    sizes = [len(drawn) for drawn in re.findall(r'<div class="still narrow">(.*?)</div>', whole)]
    monkeypatch.setattr(module, "MOST_NARROW_BYTES", sum(sizes[:2]))

    with aside() as drawing:
        text = render_page(figures_of(runs["single"]), vega=lambda: "", drawing=drawing)

    assert text.count('<div class="still narrow">') >= 2
    assert sum(len(drawn) for drawn in re.findall(r'<div class="still narrow">(.*?)</div>', text)) <= sum(sizes[:2])
    assert text.count('<div class="still wide') == len(sizes)
    assert text.count('<div class="still wide alone">') == len(sizes) - text.count('<div class="still narrow">')


def test_its_end_says_how_to_switch_ena_express_on_and_back(shown: Shown, runs: dict[str, RunFolder]) -> None:
    section = shown["single"].page.locator("section", has=shown["single"].page.locator("#switching"))

    told = steps(runs["single"].read_manifest())
    assert section.locator("h3").all_inner_texts() == [step.title for step in told]
    assert section.locator("pre").all_inner_texts() == ["\n".join(step.commands) for step in told]


def test_what_can_be_downloaded_is_what_the_run_holds(shown: Shown, runs: dict[str, RunFolder]) -> None:
    page = shown["single"].page

    for name in ("result.json", "results.csv"):
        with page.expect_download() as downloading:
            page.get_by_role("link", name=name).click()
        saved = Path(downloading.value.path()).read_text()
        expected = (runs["single"].path / name).read_text()
        assert json.loads(saved) == json.loads(expected) if name.endswith("json") else saved == expected
