"""History: the list of runs and their verdicts, read from their manifests and results. Nothing is recomputed.

results/<lab>/<run id>/ ─▶ run_lines ─▶ RunLine, newest first; for a folder that cannot be read, a line that says why
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from enaxp.bench.fleet.folder import FleetFolder, FleetManifest
from enaxp.bench.fleet.result import FILE as FLEET_RESULT
from enaxp.bench.judging.result import FILE as RESULT
from enaxp.bench.judging.result import read_result
from enaxp.bench.run_folder.names import is_fleet, run_paths
from enaxp.bench.run_folder.records import Manifest, RunFolder
from enaxp.errors import BenchError

RunEnd = Literal["ended", "not ended"]


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run in a list. `fault`: why it, or its result, cannot be read. Unknown values are None.

    `verdicts`: a code by scenario, None while there is no result; for a fleet's bench the keys are variant and scenario, as `near:
    udp-latency`. pairs: the number of host pairs of a fleet's bench, None for a run of one pair.
    """

    run_id: str
    lab: str
    path: str
    started_at: str | None = None
    target: str | None = None
    isolation: str | None = None
    iterations: int | None = None
    repeats: int | None = None
    duration_s: float | None = None
    standing: RunEnd | None = None
    verdicts: Mapping[str, str | None] | None = None
    pairs: int | None = None
    fault: str | None = None


def run_lines(results_dir: Path, *, lab: str | None) -> list[RunLine]:
    """One line for each run folder of the lab, or of all labs (None), newest first by their start."""
    lines = [_line_of_fleet(path) if is_fleet(path) else _line(path) for path in run_paths(results_dir, lab=lab)]
    return sorted(lines, key=lambda line: (line.started_at or "", line.run_id), reverse=True)


def _line(path: Path) -> RunLine:
    line = RunLine(run_id=path.name, lab=path.parent.name, path=str(path))
    try:
        folder = RunFolder.open(path)
        manifest = folder.read_manifest()
        line = replace(_planned(line, manifest), isolation=manifest.isolation)
        return replace(line, verdicts=_verdicts(folder, manifest))
    except BenchError as error:
        return replace(line, fault=_fault(path, error))


def _line_of_fleet(path: Path) -> RunLine:
    """The line of a fleet's bench, from its pairs.json and fleet.json."""
    line = RunLine(run_id=path.name, lab=path.parent.name, path=str(path))
    try:
        folder = FleetFolder.open(path)
        manifest = folder.read_manifest()
        line = replace(_planned(line, manifest), pairs=len(manifest.pairs))
        if not (path / FLEET_RESULT).exists():
            return replace(line, verdicts={scenario.name: None for scenario in manifest.plan.scenarios})
        found: dict[str, str | None] = {}
        for name, variant in folder.read_fleet().variants.items():
            codes = {scenario: one.verdict.code for scenario, one in variant.scenarios.items()}
            found |= {f"{name}: {scenario}": code for scenario, code in codes.items()} or {name: "invalid"}
        return replace(line, verdicts=found)
    except BenchError as error:
        return replace(line, fault=_fault(path, error))


def _planned(line: RunLine, manifest: Manifest | FleetManifest) -> RunLine:
    """The line completed from the manifest: when the run began, its scenarios, whether it has ended."""
    return replace(
        line,
        started_at=manifest.started_at,
        target=manifest.target,
        iterations=manifest.plan.iterations,
        repeats=manifest.plan.repeats,
        duration_s=manifest.plan.duration_s,
        standing="not ended" if manifest.ended_at is None else "ended",
    )


def _fault(path: Path, error: BenchError) -> str:
    said = f"{error.where} ({error.said})" if error.said else error.where
    return said.replace(f"{path}/", "").removeprefix(f"{path} ")


def _verdicts(folder: RunFolder, manifest: Manifest) -> dict[str, str | None]:
    """The verdicts in the run's own result.

    Raises BenchError when the result exists and this version cannot read it.
    """
    names = [scenario.name for scenario in manifest.plan.scenarios]
    if not (folder.path / RESULT).exists():
        return dict.fromkeys(names)
    scenarios = read_result(folder).scenarios
    if missing := [name for name in names if name not in scenarios]:
        raise BenchError("result.json lacks what it should hold", said=f"scenario {missing[0]}")
    return {name: scenarios[name].verdict.code for name in names}
