"""`enaxp report`: what it writes, where, and what it says when it cannot. And the page at the end of a bench."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from enaxp.bench.judging.result import read_result
from enaxp.bench.run_folder.records import RunFolder
from enaxp.report import render
from enaxp.report.charts import vega
from enaxp.report.data import read_run
from enaxp.report.markdown import plain, render_markdown
from enaxp.report.render import draw_after_bench
from enaxp.report.words import headline
from selfcheck.made_run import FLOW, UDP, Made, make_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = Made(iterations=2, repeats=1, observations=2000, scenarios=(UDP, FLOW))
    return make_run(tmp_path / "results", made, lab="dev")


def report(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "enaxp", "report", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**os.environ}, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_run_is_rendered_again_by_the_beginning_of_its_name(tmp_path: Path, run: RunFolder) -> None:
    done = report(tmp_path, run.run_id[:8], "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["run_id"] == run.run_id
    assert [Path(path).name for path in document["written"]] == ["report.html", "latency_comparison.png"]
    assert (run.path / "report.html").read_text().startswith("<!doctype html>")
    assert (run.path / "latency_comparison.png").read_bytes().startswith(b"\x89PNG")


def test_every_chart_goes_where_it_is_wanted_as_svg(tmp_path: Path, run: RunFolder) -> None:
    done = report(tmp_path, str(run.path), "--charts", "pictures", "--format", "svg", "--format", "md")

    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert {"udp-latency-percentiles.svg", "tcp-throughput-throughput.svg"} <= names
    for path in (tmp_path / "pictures").iterdir():
        ElementTree.parse(path)
    assert done.stdout.startswith("## udp-latency: inconclusive, tcp-throughput: inconclusive\n")
    assert not (run.path / "report.html").exists()


@pytest.mark.parametrize("arguments", [("nothing",), ("nothing", "--format", "md")])
def test_a_run_that_is_not_there_is_said_without_a_traceback(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = report(tmp_path, *arguments)

    assert done.returncode == 1
    assert done.stderr.startswith("enaxp: no single run 'nothing'")
    assert "Traceback" not in done.stderr


def test_without_the_extra_it_says_how_to_get_it(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "can_draw", lambda: False)
    monkeypatch.setattr(vega, "can_draw", lambda: False)

    assert ["-m pip install 'enaxp[report]'" in line for line in draw_after_bench(run)] == [True]
    with pytest.raises(vega.ReportExtraMissing, match="`report` extra"):
        render.write_page(run)


def test_a_fault_in_drawing_costs_no_run(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(render, "figures_of", fail)

    [line] = draw_after_bench(run)
    assert "the run is whole: no ink" in line
    assert not (run.path / "report.html").exists()


def test_the_markdown_tells_verdicts_figures_and_proof(run: RunFolder) -> None:
    text = render_markdown(read_run(run))

    result = run.read_document("result.json")["scenarios"]
    assert text.startswith(f"## {headline(read_result(run).scenarios)}\n")
    assert all(f"### {name}: " in text for name in result)
    assert plain(result["udp-latency"]["verdict"]["words"]) in text
    rows = [line for line in text.splitlines() if line.startswith("| **P50**")]
    assert len(rows) == 1
    assert f"{result['udp-latency']['arms']['ena']['p50_us']:.2f} µs" in rows[0]
    assert "Is SRD proven? Yes: 100.00 % of eligible packets" in text


def test_markdown_shows_markup_as_text() -> None:
    assert plain("a|b <img> [x](y)\n# z") == r"a\|b \<img\> \[x\](y) \# z"
