"""Trend: the implementation of `enaxp runs --trend METRIC` — the effects of all runs in time order.

results/<lab>/<run id>/{manifest,result}.json ─▶ series_of ─▶ trend_of, with Otava where it is installed ─▶ Trend
"""

from __future__ import annotations

from pathlib import Path

from enaxp.bench.comparing.trend import Detect, Trend, series_of, trend_of
from enaxp.bench.judging.result import Result, read_result
from enaxp.bench.run_folder.names import run_paths
from enaxp.bench.run_folder.records import Manifest, RunFolder
from enaxp.bench.statistics import changes
from enaxp.errors import BenchError
from enaxp.traffic import Metric


def trend_of_runs(results_dir: Path, metric: Metric, *, lab: str | None) -> Trend:
    """The trend of the lab's runs, or of every lab's (None). Runs that cannot be read, or have not ended, are left out with the reason."""
    runs: list[tuple[Manifest, Result]] = []
    left_out: dict[str, str] = {}
    for path in run_paths(results_dir, lab=lab):
        name = f"{path.parent.name}/{path.name}"
        try:
            folder = RunFolder.open(path)
            manifest = folder.read_manifest()
            if manifest.ended_at is None:
                left_out[name] = "it has not ended"
                continue
            runs.append((manifest, read_result(folder)))
        except BenchError as error:
            left_out[name] = error.where.replace(f"{path}/", "").removeprefix(f"{path} ")
    series, without = series_of(runs, metric)
    detect: Detect | None = changes.change_points if changes.is_installed() else None
    return Trend(
        metric=metric,
        series=tuple(
            trend_of(one, detect, why_not=f"Apache Otava looks for that; {changes.INSTALL_IT}") for one in series
        ),
        left_out={**left_out, **without},
    )
