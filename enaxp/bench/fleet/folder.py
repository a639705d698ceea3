"""Folder: the files of a fleet's bench, `results/<lab>/<run id>/`. Each pair has its own run folder in it, `pairs/NAME/`.

    FleetManifest ─▶ pairs.json (the pairs, the outcome of each)          pairs/NAME/ ─▶ pair_runs ─▶ PairRun ─▶ judge_fleet ─▶ Fleet
    Fleet ─▶ fleet.json ;  summary.txt, report.html ─▶ written beside it

`pairs.json` is written before the first trial, so that the planned pairs of a killed bench are known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from enaxp.bench.comparing.comparison import MeasuredRun, measured_run
from enaxp.bench.fleet.judging import PairRun
from enaxp.bench.fleet.result import FILE, Fleet, from_document, to_document
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.documents import Document, decode, fields_of, require_moment
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.bench.run_folder.names import FLEET_MANIFEST, LIST_THEM, MANIFEST, PAIRS, is_fleet
from enaxp.bench.run_folder.records import (
    LabName,
    PairName,
    RunFolder,
    RunId,
    TargetName,
    VariantName,
    new_folder,
    refuse_links,
    require_sound_plan,
)
from enaxp.errors import BenchError
from enaxp.text import printable

SCHEMA = 1
MOST_PAIRS = 500
LONGEST_REASON = 2000
LostText = Annotated[str, Meta(max_length=LONGEST_REASON)]


@dataclass(frozen=True, kw_only=True)
class PairEntry:
    """One pair of a fleet's bench. lost: why it did not complete its plan; empty if it did, or is still running."""

    name: PairName
    variant: VariantName
    lost: LostText = ""


@dataclass(frozen=True, kw_only=True)
class FleetManifest:
    """The description of a fleet's bench. Times are ISO 8601 in UTC.

    plan: common to all pairs, except that each has its own seed, in its manifest. at_once: how many are measured in parallel.
    """

    run_id: RunId
    lab: LabName
    target: TargetName
    plan: BenchPlan
    pairs: Annotated[tuple[PairEntry, ...], Meta(min_length=1, max_length=MOST_PAIRS)]
    started_at: str
    ended_at: str | None = None
    at_once: int = 1
    argv: tuple[str, ...] = ()
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_moment("started_at", self.started_at)
        require_sound_plan(self.plan)
        names = [pair.name for pair in self.pairs]
        if len(set(names)) < len(names):
            raise ValueError("pairs has one name twice")

    def with_lost(self, lost: dict[str, str]) -> FleetManifest:
        """The manifest with the outcome of these pairs: why each was lost, or empty. Other pairs are unchanged."""
        return replace(self, pairs=tuple(replace(pair, lost=lost.get(pair.name, pair.lost)) for pair in self.pairs))


class FleetFolder:
    """The files of one fleet's bench."""

    def __init__(self, path: Path, documents: RunFolder | None = None) -> None:
        self.path = path
        self._documents = documents or RunFolder(path)

    @property
    def run_id(self) -> str:
        return self.path.name

    @classmethod
    def create(cls, results_dir: Path, *, lab: str, now: datetime) -> FleetFolder:
        """A new folder, named like a run's. Raises BenchError when it cannot be written."""
        return cls(new_folder(results_dir, lab=lab, now=now, holds=(PAIRS,)))

    @classmethod
    def open(cls, path: Path) -> FleetFolder:
        """The fleet's bench at `path`. Raises BenchError if there is none."""
        if not is_fleet(path):
            raise BenchError(f"{path} is no bench of many pairs", todo=LIST_THEM)
        refuse_links(path)
        if (path / PAIRS).is_dir():
            refuse_links(path / PAIRS)
        return cls(path)

    def pair(self, name: str) -> RunFolder:
        """The run folder of a pair, created if missing."""
        try:
            return RunFolder.of_pair(self.path, name)
        except OSError as error:
            raise BenchError(f"the folder {self.path} cannot be written", said=error.strerror or str(error)) from error

    def open_pair(self, name: str) -> RunFolder:
        """The run folder of a pair that has begun. Raises BenchError when there is no run in it."""
        return RunFolder.open(self.path / PAIRS / name)

    def shown(self, text: str) -> str:
        """A text about one of its files, as a report may show it."""
        return text

    def write_manifest(self, manifest: FleetManifest) -> None:
        self._documents.write_document(FLEET_MANIFEST, fields_of(manifest))

    def read_manifest(self) -> FleetManifest:
        """Raises BenchError when it cannot be read."""
        return decode(
            self._documents.read_document(FLEET_MANIFEST),
            FleetManifest,
            what=str(self.path / FLEET_MANIFEST),
            reads=(SCHEMA,),
        )

    def write_fleet(self, fleet: Fleet) -> None:
        self._documents.write_document(FILE, to_document(fleet))

    def read_fleet(self) -> Fleet:
        """The content of fleet.json. Raises BenchError when it cannot be read."""
        return from_document(self.read_document(), what=str(self.path / FILE))

    def read_document(self) -> Document:
        return self._documents.read_document(FILE)

    def write_text(self, name: str, text: str) -> Path:
        """Replaces one of its text files atomically; returns its path."""
        return self._documents.write_text(name, text)


def pair_runs(folder: FleetFolder) -> list[PairRun]:
    """Each pair with its measurements, in the manifest's order. A pair whose files cannot be read counts as lost, with the reason."""
    return [_pair_run(folder, entry) for entry in folder.read_manifest().pairs]


def _pair_run(folder: FleetFolder, entry: PairEntry) -> PairRun:
    def ended(lost: str, run: MeasuredRun | None = None) -> PairRun:
        # what a host said may stand in it, and summary.txt is shown on terminals
        return PairRun(name=entry.name, variant=entry.variant, run=run, lost=printable(entry.lost or lost))

    if not (folder.path / PAIRS / entry.name / MANIFEST).is_file():
        return ended("it never began")
    try:
        run = _measured(folder.open_pair(entry.name), name=entry.name)
    except BenchError as error:
        return ended(folder.shown(error.in_one_line))
    unfinished = "it has not ended" if run.manifest.ended_at is None else ""
    return ended(unfinished or ("it was stopped" if run.manifest.stopped else ""), run)


def _measured(folder: RunFolder, *, name: str) -> MeasuredRun:
    manifest = folder.read_manifest()
    return measured_run(name, manifest, evidence_of(folder, manifest.plan))
