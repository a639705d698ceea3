"""The files of a finished run that people and spreadsheets read: result.json, results.csv, summary.txt."""

from __future__ import annotations

from enaxp.bench.judging.result import Result, write_result
from enaxp.bench.judging.truth import read_truth
from enaxp.bench.run_folder.records import RunFolder
from enaxp.report.summary import render_summary
from enaxp.report.table import render_table


def write_report_files(folder: RunFolder, result: Result) -> str:
    """Writes all of them and returns the summary's text."""
    manifest = folder.read_manifest()
    summary = render_summary(result, manifest, truth=read_truth(folder))
    write_result(folder, result)
    folder.write_text("results.csv", render_table(result, manifest.plan))
    folder.write_text("summary.txt", summary)
    return summary
