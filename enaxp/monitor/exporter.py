"""Exporter: serves the newest run of each lab in a results folder to Prometheus, running or finished.

    DIR ─▶ run folders, of a fleet its pairs' ─▶ Catalogue (each read again only when it has changed) ─▶ families ─▶ http://ADDRESS:PORT/metrics

A folder that cannot be read is skipped and counted. It never makes a scrape fail.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.bench.run_folder.names import FLEET_MANIFEST, MANIFEST, is_fleet, measured_paths, pair_paths, run_of
from enaxp.bench.run_folder.records import RunFolder
from enaxp.errors import BenchError, UsageError
from enaxp.installed import how_to_add
from enaxp.monitor.metrics import Family, Sample, families_of, merged

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PORT = 9091
MOST_PAIRS = 64  # of a fleet: two arms of each are the most series that a figure may have
Signature = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class ExportedRun:
    """A run folder as last read. `families` is empty when it could not be read."""

    signature: Signature
    lab: str = ""
    families: tuple[Family, ...] = ()


@dataclass
class Catalogue:
    """The runs below a folder (or the folder itself, if it is a run). Thread-safe."""

    folder: Path
    _known: dict[Path, ExportedRun] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def families(self) -> tuple[Family, ...]:
        """The metrics of the newest readable run of each lab, and how many folders there are of which kind.

        A bench of many pairs is one run, with the metrics of each pair; of more than MOST_PAIRS the first ones.
        """
        with self._lock:
            paths = _runs_below(self.folder)
            self._known = {path: self._read(path) for path in paths}
        readable = {path: run for path, run in self._known.items() if run.families}
        newest = {run.lab: run_of(path) for path, run in readable.items()}  # later ones take the place of earlier ones
        served = {lab: [one for path, one in readable.items() if run_of(path) == run] for lab, run in newest.items()}
        runs, broken = {run_of(path) for path in readable}, sum(not run.families for run in self._known.values())
        return (
            *merged(one.families for pairs in served.values() for one in pairs[:MOST_PAIRS]),
            _counted(served=len(newest), older=len(runs) - len(newest), unreadable=broken),
        )

    def _read(self, path: Path) -> ExportedRun:
        signature = _signature(path)
        known = self._known.get(path)
        if known is not None and known.signature == signature:
            return known
        try:
            folder = RunFolder.open(path)
            manifest = folder.read_manifest()
            return ExportedRun(signature=signature, lab=manifest.lab, families=families_of(manifest, folder.records()))
        except (BenchError, OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError):
            return ExportedRun(signature=signature)  # whatever is in it, it is no run that can be shown


@contextmanager
def serving(folder: Path, *, address: str, port: int) -> Iterator[str]:
    """A context that serves the folder's runs, with the URL. Port 0: a free one.

    Raises UsageError when prometheus_client is not installed, or nothing can listen there.
    """
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError:
        raise UsageError(
            "the exporter needs the Python package prometheus-client", todo=how_to_add("monitor")
        ) from None
    registry = CollectorRegistry()
    registry.register(_Collector(Catalogue(folder)))
    try:
        server, thread = start_http_server(port, address, registry)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"the exporter cannot listen on {address}, port {port}", said=str(error), todo="give another --port"
        ) from None
    try:
        yield f"http://{address}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Collector:
    """The metrics, computed anew; prometheus_client calls it at each scrape."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def describe(self) -> Iterable[Metric]:
        """No metrics, so that registering the collector reads no folder yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import Metric

        for family in self._catalogue.families():
            metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
            for sample in family.samples:
                metric.add_sample(family.name + sample.suffix, dict(sample.labels), sample.value)
            yield metric


def _runs_below(folder: Path) -> Sequence[Path]:
    """The run that the folder is, else those of a lab's folder or of a results folder, the oldest first; of a fleet its pairs."""
    if (folder / MANIFEST).exists():
        return [folder]
    if is_fleet(folder):
        return pair_paths(folder)
    if any(folder.glob(f"*/{MANIFEST}")) or any(folder.glob(f"*/{FLEET_MANIFEST}")):
        return measured_paths(folder.parent, lab=folder.name)
    return measured_paths(folder, lab=None)


def _signature(path: Path) -> Signature:
    """Times and sizes of the files that change while a run goes on."""
    stats = []
    for name in (MANIFEST, "trials.jsonl"):
        try:
            stat = (path / name).stat()
            stats.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            stats.append((0, 0))
    return tuple(stats)


def _counted(**counts: int) -> Family:
    return Family(
        name="enaxp_exporter_runs",
        kind="gauge",
        help="Runs below the exporter's folder: served (the newest of its lab), older, or unreadable.",
        samples=tuple(Sample(labels={"state": state}, value=count) for state, count in counts.items()),
    )
