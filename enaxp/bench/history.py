"""History: which runs there are and what each came to, from what its folder says of itself. Nothing is worked out anew.

results/<lab>/<run id>/ ─▶ run_lines ─▶ RunLine, the newest first; a folder that cannot be read is a line that says why
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from enaxp.bench.names import run_paths
from enaxp.bench.records import Manifest, RunFolder
from enaxp.bench.result import from_document
from enaxp.errors import BenchError

LineStanding = Literal["ended", "not ended"]


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run in a list. `fault` is why it, or its result, cannot be read; what is not known is None then.

    `verdicts` holds a code by scenario, None while there is no result.
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
    standing: LineStanding | None = None
    verdicts: Mapping[str, str | None] | None = None
    fault: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def run_lines(results_dir: Path, *, lab: str | None) -> list[RunLine]:
    """A line for each run folder of the lab, or of all labs (None): the newest first, by when they began."""
    lines = [_line(path) for path in run_paths(results_dir, lab=lab)]
    return sorted(lines, key=lambda line: (line.started_at or "", line.run_id), reverse=True)


def _line(path: Path) -> RunLine:
    line = RunLine(run_id=path.name, lab=path.parent.name, path=str(path))
    try:
        folder = RunFolder.open(path)
        manifest = folder.read_manifest()
        line = replace(
            line,
            started_at=manifest.started_at,
            target=manifest.target,
            isolation=manifest.isolation,
            iterations=manifest.plan.iterations,
            repeats=manifest.plan.repeats,
            duration_s=manifest.plan.duration_s,
            standing="not ended" if manifest.ended_at is None else "ended",
        )
        return replace(line, verdicts=_verdicts(folder, manifest))
    except BenchError as error:
        said = f"{error.where} ({error.said})" if error.said else error.where
        return replace(line, fault=said.replace(f"{path}/", "").removeprefix(f"{path} "))


def _verdicts(folder: RunFolder, manifest: Manifest) -> dict[str, str | None]:
    """The verdicts as the run's own result has them. Raises BenchError when there is a result, but none that this enaxp reads."""
    names = [scenario.name for scenario in manifest.plan.scenarios]
    if not (folder.path / "result.json").exists():
        return dict.fromkeys(names)
    scenarios = from_document(folder.read_result()).scenarios
    if missing := [name for name in names if name not in scenarios]:
        raise BenchError("result.json lacks what it should hold", said=f"scenario {missing[0]}")
    return {name: scenarios[name].verdict.code for name in names}
