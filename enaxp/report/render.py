"""Render: writes a run's report files. It needs only the run's folder, during the bench or years later.

RunFolder ─▶ figures_of ─▶ page, picture ─▶ report.html, latency_comparison.png   (in the folder; drawn in the background)
                       └─▶ charts ─▶ one SVG or PNG each                          (where they are wanted)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from enaxp.bench.fleet.folder import FleetFolder
from enaxp.bench.run_folder.records import RunFolder
from enaxp.errors import BenchError
from enaxp.installed import how_to_add
from enaxp.report.charts.aside import Aside, aside
from enaxp.report.charts.vega import can_draw, png, require_drawing, runtime, svg, vegalite_version, wake
from enaxp.report.data import RunFigures, figures_of
from enaxp.report.fleet.data import FleetData

PAGE, PICTURE = "report.html", "latency_comparison.png"
if TYPE_CHECKING:
    from enaxp.report.charts.chart import Chart, Gap

ImageFormat = Literal["png", "svg"]
IMAGE_FORMATS: tuple[ImageFormat, ...] = ("png", "svg")


def write_page(folder: RunFolder) -> list[Path]:
    """Writes the page and `latency_comparison.png` into the run's folder and returns their paths; no picture if nothing was measured.

    Raises ReportExtraMissing, and BenchError when the folder cannot be read or written, or has an unknown schema.
    """
    require_drawing()
    with aside() as drawing:
        from enaxp.report.page import render_page

        vega = drawing.begin(runtime, vegalite_version())
        drawing.begin(wake)
        figures = figures_of(folder)
        begun = begin_picture(figures, drawing)
        page = render_page(figures, vega=vega, drawing=drawing)
        picture = begun()
    try:
        written = [folder.write_text(PAGE, page)]
        if picture is not None:
            written.append(folder.write_bytes(PICTURE, picture))
    except OSError as error:
        raise BenchError(f"writing the report into {folder.path}", said=str(error)) from error
    return written


def write_fleet(folder: FleetFolder) -> FleetData:
    """Recomputes a fleet's result from its pairs' trials, and writes fleet.json and summary.txt. Raises BenchError."""
    from enaxp.report.fleet.data import read_fleet
    from enaxp.report.fleet.summary import render_fleet_summary

    data = read_fleet(folder)
    try:
        folder.write_fleet(data.fleet)
        folder.write_text("summary.txt", render_fleet_summary(data))
    except OSError as error:
        raise BenchError(f"writing the result into {folder.path}", said=str(error)) from error
    return data


def write_fleet_page(folder: FleetFolder, data: FleetData) -> Path:
    """Writes the page of a fleet's bench. Raises ReportExtraMissing, and BenchError when the folder cannot be written."""
    require_drawing()
    with aside() as drawing:
        from enaxp.report.fleet.page import render_fleet_page

        vega = drawing.begin(runtime, vegalite_version())
        page = render_fleet_page(data, vega=vega, drawing=drawing)
    try:
        return folder.write_text(PAGE, page)
    except OSError as error:
        raise BenchError(f"writing the report into {folder.path}", said=str(error)) from error


def begin_picture(figures: RunFigures, drawing: Aside) -> Callable[[], bytes | None]:
    """Begins to draw `latency_comparison.png`, both arms and the effects in one picture; None if nothing was measured."""
    from enaxp.report.charts.overview import comparison

    spec = comparison(figures)
    return (lambda: None) if spec is None else drawing.begin(png, spec, scale=1.5, vegalite=vegalite_version())


def write_charts(folder: RunFolder, *, into: Path, formats: Sequence[ImageFormat]) -> list[Path]:
    """Writes every chart of the run as a picture file and returns the paths. Raises as write_page."""
    require_drawing()
    from enaxp.report.charts.scenario import run_charts, scenario_charts

    figures = figures_of(folder)
    charts = [*(chart for one in figures.scenarios for chart in scenario_charts(one)), *run_charts(figures)]
    return _write_pictures(charts, into=into, formats=formats)


def write_fleet_charts(data: FleetData, *, into: Path, formats: Sequence[ImageFormat]) -> list[Path]:
    """As `write_charts`, for the charts over all pairs of a fleet's bench."""
    require_drawing()
    from enaxp.report.fleet.forest import forests

    return _write_pictures(forests(data), into=into, formats=formats)


def _write_pictures(charts: Sequence[Chart | Gap], *, into: Path, formats: Sequence[ImageFormat]) -> list[Path]:
    from enaxp.report.charts.chart import Chart
    from enaxp.report.charts.scenario import file_name

    draw = {"png": png, "svg": lambda spec: svg(spec).encode()}
    written = []
    try:
        into.mkdir(parents=True, exist_ok=True)
        for chart in charts:
            if isinstance(chart, Chart):
                for kind in formats:
                    path = into / f"{file_name(chart.name)}.{kind}"
                    path.write_bytes(draw[kind](chart.spec))
                    written.append(path)
    except OSError as error:
        raise BenchError(f"writing charts into {into}", said=str(error)) from error
    return written


def draw_fleet_after_bench(folder: FleetFolder, data: FleetData) -> Iterator[str]:
    """Like draw_after_bench, for the page of a fleet's bench."""
    yield from _drawn(lambda: [write_fleet_page(folder, data)], run_id=folder.run_id)


def draw_after_bench(folder: RunFolder) -> Iterator[str]:
    """Writes the page at the end of a bench, and returns a message about it. An error in drawing never fails the bench."""
    yield from _drawn(lambda: write_page(folder), run_id=folder.run_id)


def _drawn(draw: Callable[[], list[Path]], *, run_id: str) -> Iterator[str]:
    if not can_draw():
        yield f"for report.html with charts: {how_to_add('report')}, then `enaxp report {run_id}`"
        return
    try:
        yield from (f"wrote {path}" for path in draw())
    except Exception as error:
        yield f"the report could not be drawn, the run is whole: {error}; try `enaxp report {run_id} --debug`"
