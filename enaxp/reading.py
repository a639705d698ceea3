"""Reading: what the verbs do that need run folders and nothing else — no lab, no credentials. One function a verb.

RUN … ─▶ RunFolder.find ─▶ evidence ─▶ compare, judge | check | run_lines ─▶ plain data, told by the console or written as a page
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enaxp.bench.checkup import Checkup, check
from enaxp.bench.comparison import Comparison, MeasuredRun, compare, document
from enaxp.bench.conditions import Condition, Finding, judge
from enaxp.bench.evidence import evidence_of
from enaxp.bench.records import RunFolder
from enaxp.bench.result import result_from, values_by_iteration
from enaxp.bench.schedule import Arm
from enaxp.errors import BenchError, ConditionFailedError, NoValidResultError, UsageError


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Runs against the first of them, and what was found of each stated condition."""

    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        return document(self.comparisons) | {"conditions": [finding.to_json() for finding in self.findings]}

    def require_conditions(self) -> None:
        """Raises ConditionFailedError when a condition is shown, NoValidResultError when one could not be looked at at all."""
        shown = [finding for finding in self.findings if finding.outcome == "shown"]
        if shown:
            raise ConditionFailedError(
                "; ".join(sorted({f"--fail-if {finding.condition!r} holds" for finding in shown})),
                said="; ".join(f"{finding.run} against {finding.base}: {finding.words}" for finding in shown),
            )
        for condition in dict.fromkeys(finding.condition for finding in self.findings):
            of_it = [finding for finding in self.findings if finding.condition == condition]
            if all(finding.outcome == "unmeasured" for finding in of_it):
                raise NoValidResultError(
                    f"nothing was measured that speaks for or against --fail-if {condition!r}",
                    said="; ".join(finding.words for finding in of_it),
                )


def compare_runs(
    results_dir: Path, runs: Sequence[str], *, lab: str | None, arms: Sequence[Arm], conditions: Sequence[Condition]
) -> Compared:
    """Each run against the first. Raises UsageError for a single run, BenchError for what is no run."""
    if len(runs) < 2:
        raise UsageError("a comparison needs two runs", todo="name two or more; `enaxp runs` lists them")
    folders = [RunFolder.find(results_dir, lab=lab, run=run) for run in runs]
    base, *others = [_measured(folder, name=name) for folder, name in zip(folders, _names(folders), strict=True)]
    comparisons = tuple(compare(base, other, arms=arms) for other in others)
    return Compared(
        comparisons=comparisons,
        findings=tuple(finding for condition in conditions for finding in judge(condition, comparisons)),
    )


def check_run(results_dir: Path, run: str, *, lab: str | None) -> tuple[RunFolder, Checkup]:
    """The run's folder, and what is wrong with it. Raises BenchError for what is no run."""
    folder = RunFolder.find(results_dir, lab=lab, run=run)
    manifest = folder.read_manifest()
    evidence = evidence_of(folder, manifest.plan)
    return folder, check(manifest, evidence, result_from(manifest, evidence))


def write_page(path: Path, text: str) -> None:
    """Writes a page. Raises BenchError when it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{path} cannot be written", said=error.strerror or str(error)) from None


def _names(folders: Sequence[RunFolder]) -> list[str]:
    """What each run is called: its lab and id, or its path where another run of the same name would be taken for it."""
    names = [f"{folder.path.resolve().parent.name}/{folder.path.resolve().name}" for folder in folders]
    paths = {
        name: {folder.path.resolve() for folder, own in zip(folders, names, strict=True) if own == name}
        for name in names
    }
    return [name if len(paths[name]) == 1 else str(folder.path) for folder, name in zip(folders, names, strict=True)]


def _measured(folder: RunFolder, *, name: str) -> MeasuredRun:
    manifest = folder.read_manifest()
    evidence = evidence_of(folder, manifest.plan)
    return MeasuredRun(
        name=name,
        manifest=manifest,
        result=result_from(manifest, evidence),
        values={scenario.name: values_by_iteration(scenario, evidence) for scenario in manifest.plan.scenarios},
    )
