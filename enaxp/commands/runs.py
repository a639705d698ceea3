"""Runs: the commands that need only saved results, no lab and no credentials. One function for each.

RUN … ─▶ RunFolder.find ─▶ evidence ─▶ compare, judge | check | run_lines ─▶ plain data, printed by the console or written as a page
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.bench.comparing.comparison import MeasuredRun, compare_sides, measured_run
from enaxp.bench.comparing.conditions import Compared, Condition, judge
from enaxp.bench.comparing.earlier import has_same_shape, is_candidate
from enaxp.bench.fleet.folder import FleetFolder
from enaxp.bench.judging.checkup import Checkup, check
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.bench.run_folder.finding import find_path
from enaxp.bench.run_folder.names import MANIFEST, PAIRS, is_fleet, pair_paths, run_of, run_paths
from enaxp.bench.run_folder.records import Manifest, RunFolder
from enaxp.bench.statistics.units import basis_of
from enaxp.errors import BenchError, UsageError
from enaxp.terminal.streams import why
from enaxp.text import decoded
from enaxp.traffic import ARMS, Arm

if TYPE_CHECKING:
    from enaxp.hosts.sockperf import ParsedFile
    from enaxp.options import Options
    from enaxp.report.render import ImageFormat
    from enaxp.terminal.console import Console

MOST_EARLIER = 10  # runs: each has all its histograms read
CHARTS = "charts"  # the folder in a run's for charts that were given no other


@dataclass(frozen=True, kw_only=True)
class SidesAsked:
    """The requested comparison: each of `runs` with the first of them, or the runs of `base` with those of `run`, as two sides."""

    runs: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    run: tuple[str, ...] = ()

    def sides(self) -> list[tuple[str, ...]]:
        """The base, and the sides compared with it. Raises UsageError unless there are at least two sides."""
        if self.runs and (self.base or self.run):
            raise UsageError(
                "runs are named in two ways", todo="name them all with --base and --run, or all without these"
            )
        if self.base and self.run:
            return [self.base, self.run]
        if self.base or self.run:
            raise UsageError(
                "a comparison has two sides", todo="name runs with --base and with --run, one at least each"
            )
        if len(self.runs) < 2:
            raise UsageError("a comparison needs two runs", todo="name two or more; `enaxp runs` lists them")
        return [(run,) for run in self.runs]


def compare_runs(
    results_dir: Path, asked: SidesAsked, *, lab: str | None, arms: Sequence[Arm], conditions: Sequence[Condition]
) -> Compared:
    """The comparison of each side with the first. A fleet's bench stands for its pairs, which are the units then.

    Raises UsageError for a single side, BenchError for something that is not a run.
    """
    sides = asked.sides()
    if len(arms) < len(ARMS) and any(condition.of_effect for condition in conditions):
        raise UsageError("--arm leaves no effect for --fail-if 'effect …'", todo="leave --arm out")
    of_sides = [[one for run in side for one in _folders(results_dir, run, lab=lab)] for side in sides]
    folders = [folder for side in of_sides for folder in side]
    measured = iter([_measured(folder, name=name) for folder, name in zip(folders, _names(folders), strict=True)])
    base, *others = [[next(measured) for _ in side] for side in of_sides]
    for other in others:
        _refuse_copies([*base, *other])
    comparisons = tuple(
        compare_sides(base, other, earlier=_earlier(results_dir, base, other), arms=arms) for other in others
    )
    return Compared(
        comparisons=comparisons,
        findings=tuple(finding for condition in conditions for finding in judge(condition, comparisons)),
    )


def _folders(results_dir: Path, run: str, *, lab: str | None) -> list[RunFolder]:
    """The run's folder, or those of its pairs without lost ones. Raises BenchError."""
    path = find_path(results_dir, lab=lab, run=run)
    if not is_fleet(path):
        return [RunFolder.open(path)]
    lost = {pair.name for pair in FleetFolder.open(path).read_manifest().pairs if pair.lost}
    found = [RunFolder.open(pair) for pair in pair_paths(path) if pair.name not in lost]
    if not found:
        raise BenchError(f"no pair of {path.name} has measured anything", todo="name another run")
    return found


def _refuse_copies(runs: Sequence[MeasuredRun]) -> None:
    """Raises UsageError when a run is counted twice: a copy says nothing about run-to-run differences."""
    if len(runs) == 2:
        return  # a run against itself: that they are the same is said
    for one, other in itertools.combinations(runs, 2):
        if one.values == other.values:
            raise UsageError(
                f"{one.name} and {other.name} hold the same measurements",
                said="a run counts once",
                todo="name each run once",
            )


def _earlier(results_dir: Path, base: Sequence[MeasuredRun], run: Sequence[MeasuredRun]) -> list[MeasuredRun]:
    """The lab's newest runs for estimating the run-to-run standard deviation; none if the two sides have enough runs themselves."""
    if basis_of(len(base), len(run), earlier=0) != "unknown" or base[0].values == run[0].values:
        return []
    compared = [one.manifest for one in (*base, *run)]
    found: list[tuple[Manifest, RunFolder]] = []
    for path in run_paths(results_dir, lab=compared[0].lab):
        try:
            folder = RunFolder.open(path)
            manifest = folder.read_manifest()
        except BenchError:
            continue
        if is_candidate(manifest, compared) and any(
            has_same_shape(manifest, compared[0], scenario) for scenario in base[0].scenarios
        ):
            found.append((manifest, folder))
    newest = sorted(found, key=lambda one: one[0].started_at)[-MOST_EARLIER:]
    folders = [folder for _, folder in newest]
    return [_measured(folder, name=name) for folder, name in zip(folders, _names(folders), strict=True)]


def check_run(results_dir: Path, run: str, *, lab: str | None) -> tuple[RunFolder | FleetFolder, Checkup]:
    """The run's folder, and its checkup; for a fleet's bench, those of each pair. Raises BenchError for something that is not a run."""
    path = find_path(results_dir, lab=lab, run=run)
    if not is_fleet(path):
        folder = RunFolder.open(path)
        return folder, _checked(folder)
    fleet = FleetFolder.open(path)
    missing: list[str] = []
    unstable: list[str] = []
    remarks: list[str] = []
    for pair in fleet.read_manifest().pairs:
        if pair.lost:
            missing.append(f"{pair.name} was lost: {pair.lost}")
        elif not (path / PAIRS / pair.name / MANIFEST).is_file():
            missing.append(f"{pair.name} has not begun")
        else:
            own = _checked(RunFolder.open(path / PAIRS / pair.name))
            missing += [f"{pair.name}: {line}" for line in own.missing]
            unstable += [f"{pair.name}: {line}" for line in own.unstable]
            remarks += [f"{pair.name}: {line}" for line in own.remarks]
    return fleet, Checkup(missing=tuple(missing), unstable=tuple(unstable), remarks=tuple(remarks))


def _checked(folder: RunFolder) -> Checkup:
    manifest = folder.read_manifest()
    evidence = evidence_of(folder, manifest.plan)
    return check(manifest, evidence, result_from(manifest, evidence))


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """The document of `enaxp report --json`: the files written, and the Markdown if requested."""

    run_id: str
    written: tuple[str, ...]
    markdown: str | None


def report_run(
    options: Options, run: str, *, formats: Sequence[str], charts: Path | None, console: Console, redact: bool = False
) -> Rendered:
    """Renders a run from its folder in each of the formats; returns what was written.

    redact: without AWS ids, addresses and paths.
    html: the page and its picture, into the run's folder; md: text, to the console; png, svg: every chart, into `charts`.
    """
    from enaxp.report.data import read_run
    from enaxp.report.markdown import render_markdown
    from enaxp.report.render import write_charts, write_page

    path = find_path(options.results_dir, lab=options.lab, run=run)
    if is_fleet(path):
        return _report_fleet(FleetFolder.open(path), formats=formats, charts=charts, console=console, redact=redact)
    folder = RunFolder.open(path)
    if redact:
        from enaxp.report.redact import RedactedRun

        folder = RedactedRun(folder.path)
    written = write_page(folder) if "html" in formats else []
    if images := _images(formats, charts):
        written += write_charts(folder, into=charts or folder.path / CHARTS, formats=images)
    markdown = render_markdown(read_run(folder)) if "md" in formats else None
    return _rendered(folder.run_id, written, markdown, console)


def _report_fleet(
    folder: FleetFolder, *, formats: Sequence[str], charts: Path | None, console: Console, redact: bool
) -> Rendered:
    """Evaluates the fleet again, and renders it; redacted, also the page of each pair: it shows most of its hosts."""
    from enaxp.report.fleet.summary import render_fleet_markdown
    from enaxp.report.render import write_fleet, write_fleet_charts, write_fleet_page, write_page

    if redact:
        from enaxp.report.redact import RedactedFleet

        folder = RedactedFleet(folder.path)
    data = write_fleet(folder)
    written = [write_fleet_page(folder, data)] if "html" in formats else []
    if images := _images(formats, charts):
        written += write_fleet_charts(data, into=charts or folder.path / CHARTS, formats=images)
    if redact and "html" in formats:
        for pair in data.pairs:
            if pair.run is not None:
                written += write_page(folder.open_pair(pair.name))
    markdown = render_fleet_markdown(data) if "md" in formats else None
    return _rendered(folder.run_id, written, markdown, console)


def _images(formats: Sequence[str], charts: Path | None) -> list[ImageFormat]:
    """In which formats charts are wanted: in those named, as png where only a folder for them was."""
    from enaxp.report.render import IMAGE_FORMATS

    images: list[ImageFormat] = [kind for kind in IMAGE_FORMATS if kind in formats]
    return images or (["png"] if charts else [])


def _rendered(run_id: str, written: Sequence[Path], markdown: str | None, console: Console) -> Rendered:
    """Prints the Markdown, and which files were written."""
    if markdown is not None:
        console.result(markdown.rstrip())
    for path in written:
        console.say(f"wrote {path}")
    return Rendered(run_id=run_id, written=tuple(map(str, written)), markdown=markdown)


def parse_files(files: Sequence[str]) -> list[ParsedFile]:
    """The parsed sockperf output of each file. Raises UsageError for a file that cannot be opened."""
    from enaxp.hosts.sockperf import ParsedFile, parse

    return [ParsedFile.of(name, parse(decoded(_content(name)))) for name in files]


def _content(name: str) -> bytes:
    """The content of a file; `-` is standard input."""
    try:
        if name != "-":
            return Path(name).read_bytes()
        return sys.stdin.buffer.read()
    except OSError as error:
        what = "standard input" if name == "-" else name
        raise UsageError(f"{what} cannot be read", said=why(error), todo="name a file that can be read") from None


def write_page(path: Path, text: str) -> None:
    """Writes a page. Raises BenchError when it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{path} cannot be written", said=error.strerror or str(error)) from None


def _names(folders: Sequence[RunFolder]) -> list[str]:
    """The name of each run: its lab and id, or its path if two runs have the same."""
    names = [_name(folder.path.resolve()) for folder in folders]
    paths = {
        name: {folder.path.resolve() for folder, own in zip(folders, names, strict=True) if own == name}
        for name in names
    }
    return [name if len(paths[name]) == 1 else str(folder.path) for folder, name in zip(folders, names, strict=True)]


def _name(path: Path) -> str:
    run = run_of(path)
    own = f"{run.parent.name}/{run.name}"
    return own if run == path else f"{own}/{path.name}"


def _measured(folder: RunFolder, *, name: str) -> MeasuredRun:
    manifest = folder.read_manifest()
    return measured_run(name, manifest, evidence_of(folder, manifest.plan))
