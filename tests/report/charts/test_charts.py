"""Charts: valid Vega-Lite, drawn as pictures, with words for those who do not see them; a gap where there is nothing to draw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import altair as alt
import pytest

from enaxp.report.charts.axes import ladder
from enaxp.report.charts.chart import Chart, Gap
from enaxp.report.charts.load import throughput
from enaxp.report.charts.overview import comparison
from enaxp.report.charts.scenario import effect_domain, file_name, percentile_name, run_charts, scenario_charts
from enaxp.report.charts.vega import COLOURS, png, svg
from enaxp.report.data import RunFigures, figures_of
from selfcheck.made_run import FLOW, UDP, Made, load, make_run


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> RunFigures:
    made = Made(iterations=3, repeats=2, observations=2000, scenarios=(UDP, FLOW, load(1000), load(100_000)))
    return figures_of(make_run(tmp_path_factory.mktemp("results"), made))


def charts_of(figures: RunFigures) -> list[Chart]:
    listed = [*scenario_charts(figures.scenarios[0]), *scenario_charts(figures.scenarios[1]), *run_charts(figures)]
    return [chart for chart in listed if isinstance(chart, Chart)]


def test_every_chart_is_there_and_valid(figures: RunFigures) -> None:
    charts = charts_of(figures)

    assert [chart.name for chart in charts] == [
        *(f"udp-latency-{kind}" for kind in ("effects", "percentiles", "shift", "iterations-p50", "iterations-p99")),
        *(f"udp-latency-{kind}" for kind in ("cumulative", "series")),
        *(f"tcp-throughput-{kind}" for kind in ("effects", "throughput", "iterations-throughput")),
        "udp-load-load",
    ]
    for chart in charts:
        alt.LayerChart.from_dict(chart.spec)  # raises for what Vega-Lite's schema does not know
        assert chart.alt.endswith(".")
        assert len(chart.alt) > 30


def test_both_arms_have_their_colours_in_each_picture_that_shows_them(figures: RunFigures) -> None:
    for chart in charts_of(figures):
        drawn = svg(chart.spec)
        ElementTree.fromstring(drawn)
        if not chart.name.endswith(("effects", "shift")):
            assert COLOURS["ena"] in drawn, chart.name
            assert COLOURS["express"] in drawn, chart.name
        assert "var(--" not in drawn


def test_specifications_hold_no_colour_of_their_own(figures: RunFigures) -> None:
    assert not any("#" in str({**chart.spec, "$schema": ""}) for chart in charts_of(figures))


def test_the_picture_for_people_says_what_it_shows(figures: RunFigures) -> None:
    spec = comparison(figures)

    assert spec is not None
    assert spec["title"]["text"] == "2 partly decided, 1 faster, 1 inconclusive"
    assert any("SRD proven? Yes" in line for line in spec["title"]["subtitle"])
    assert png(spec, scale=1).startswith(b"\x89PNG\r\n")


def test_what_lacks_its_data_is_a_gap_with_a_reason(figures: RunFigures) -> None:
    measured = figures.scenarios[0].result
    unmeasured = {
        metric: replace(effect, low_pct=None, high_pct=None, estimate_pct=None)
        for metric, effect in measured.effects.items()
    }
    nothing = replace(
        figures.scenarios[0],
        curve=(),
        shift=(),
        body=(),
        series=(),
        by_iteration={},
        result=replace(measured, effects=unmeasured),
    )

    gaps = scenario_charts(nothing)
    assert all(isinstance(gap, Gap) and gap.why for gap in gaps)


def test_throughput_is_held_against_what_the_hosts_carry_too_where_that_is_known(figures: RunFigures) -> None:
    flow = figures.scenarios[1]

    unknown, known = throughput(flow), throughput(replace(flow, host_gbps=6.25))

    assert isinstance(unknown, Chart)
    assert isinstance(known, Chart)
    assert "An instance's own bandwidth can be less" in unknown.caption
    assert "An instance's own bandwidth" not in known.caption
    assert "an instance of this type, all day: 6.25" in str(known.spec) + known.caption


def test_a_load_curve_names_the_rates_without_a_figure_and_marks_the_knee(figures: RunFigures) -> None:
    [curve] = run_charts(figures)
    assert isinstance(curve, Chart)
    knees = [row for rows in curve.spec["datasets"].values() for row in rows if row["knee"]]
    assert {(row["arm"], round(row["rate"])) for row in knees} == {("ENA", 100_000), ("ENA Express", 100_000)}

    without = replace(figures, loads={"udp-load": tuple(p for p in figures.loads["udp-load"] if p.wanted == 1000)})
    [gap] = run_charts(without)
    assert isinstance(gap, Gap)
    assert "No valid pair at 100,000 messages a second" in gap.why


@pytest.mark.parametrize(
    ("low", "high", "rungs"),
    [
        (10, 90, [10, 20, 50]),
        (9, 20_000, [10, 30, 100, 300, 1000, 3000, 10_000]),
        (1, 1e9, [10.0**decade for decade in range(10)]),
    ],
)
def test_an_axis_has_few_round_numbers(low: float, high: float, rungs: list[float]) -> None:
    assert ladder(low, high) == rungs


@pytest.mark.parametrize(("p", "name"), [(0.5, "P50"), (0.999, "P99.9"), (0.99987, "P99.987"), (0.01, "P1")])
def test_a_percentile_has_as_many_digits_as_it_needs(p: float, name: str) -> None:
    assert percentile_name(p) == name


def test_an_effect_beyond_all_measure_does_not_squeeze_the_others() -> None:
    rows = [{"low": -3.0, "high": 2.0, "margin_high": 2.0}, {"low": -99.0, "high": 6000.0, "margin_high": 1e7}]

    low, high = effect_domain(rows)
    assert (low, high) == (-100.0, 200.0)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "<b>", "", ".hidden", "udp-load@1000"])
def test_a_chart_is_written_where_it_should_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{file_name(name)}.svg"

    assert path.resolve().parent == tmp_path.resolve()
    assert not path.name.startswith(".")


def test_a_run_that_lost_its_tail_is_drawn_with_words_where_it_has_no_figure(tmp_path: Path) -> None:
    folder = make_run(tmp_path, Made(iterations=3, repeats=2, observations=2000, scenarios=(UDP,)))
    lines = [json.loads(line) for line in (folder.path / "trials.jsonl").read_text().splitlines()]
    for line in lines:
        line["sockperf"]["dropped"] = 60 if line["arm"] == "ena" else 0  # of 2060: P99 lies among them
    (folder.path / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder.path / "result.json").unlink()

    [figures] = figures_of(folder).scenarios
    charts = {chart.name.removeprefix("udp-latency-"): chart for chart in scenario_charts(figures)}

    gap = charts["iterations-p99"]
    assert isinstance(gap, Gap)
    assert "beyond measurement in every iteration" in gap.why
    drawn = charts["effects"]
    assert isinstance(drawn, Chart)
    assert "beyond measurement: inconclusive" in svg(drawn.spec)
    for chart in charts.values():
        if isinstance(chart, Chart):
            ElementTree.fromstring(svg(chart.spec))
