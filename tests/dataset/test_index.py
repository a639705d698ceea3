"""The index: every run as it is now, read once, and made again when it is stale, lost or broken."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from enaxp.dataset.index import Index, bring_up_to_date, index_path
from enaxp.dataset.query import ask
from enaxp.dataset.tables import NAMES, TABLES
from tests.dataset.conftest import Results


def bring(results: Results, path: Path | None = None) -> Index:
    path = path or index_path(results.path.parent / "cache", results.path)
    return bring_up_to_date(path, results.path, price_of=lambda region, type_: 3.0, progress=lambda text: None)


def rows(index: Index, sql: str) -> list[tuple[Any, ...]]:
    return list(ask(index.path, sql).rows)


def counts(index: Index) -> dict[str, int]:
    return {name: rows(index, f"SELECT count(*) FROM {name}")[0][0] for name in NAMES}


def test_every_table_has_a_row_for_what_its_run_holds(results: Results) -> None:
    folder = results.add("dev/20260301-080000")
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    [scenario] = json.loads((folder / "result.json").read_text())["scenarios"].values()

    index = bring(results)

    assert counts(index) == {
        "runs": 1, "pairs": 1, "arms": 2, "effects": len(scenario["effects"]), "trials": len(trials),
    }  # fmt: skip
    figures = dict(rows(index, "SELECT arm, p99_us FROM arms"))
    assert figures == {arm: scenario["arms"][arm]["p99_us"] for arm in ("ena", "ena_express")}
    assert rows(index, "SELECT estimate_pct, code FROM effects WHERE metric = 'p99'") == [
        (scenario["effects"]["p99"]["estimate_pct"], scenario["effects"]["p99"]["code"])
    ]
    assert rows(index, "SELECT sum(observations) FROM trials WHERE valid AND NOT discarded AND arm = 'ena'") == [
        (sum(t["sockperf"]["observations"] for t in trials if t["arm"] == "ena" and t["valid"] and not t["discarded"]),)
    ]
    assert rows(index, "SELECT day, started_at, usd FROM runs") == [("2026-03-01", "2026-03-01T08:00:00Z", None)]


def test_the_columns_in_the_file_are_those_that_are_documented(results: Results) -> None:
    index = bring(results)

    for name in NAMES:
        assert tuple(name for name, *_ in rows(index, f"DESCRIBE {name}")) == TABLES[name].names


def test_a_run_is_read_once_and_again_when_it_changed(many: Results) -> None:
    assert bring(many).read == 5
    assert bring(many).read == 0

    result = many.path / "dev/20260301-080000/result.json"
    document = json.loads(result.read_text())
    next(iter(document["scenarios"].values()))["verdict"]["code"] = "mixed"
    result.write_text(json.dumps(document))
    many.add("dev/20260305-080000")
    index = bring(many)

    assert (index.read, index.runs) == (2, 6)
    assert rows(index, "SELECT verdict FROM pairs WHERE lab = 'dev' ORDER BY run_id")[0] == ("mixed",)
    assert counts(index)["runs"] == counts(index)["pairs"] == 6


def test_a_run_that_is_gone_is_forgotten(many: Results) -> None:
    bring(many)

    (many.path / "ops/20260303-080000/manifest.json").unlink()
    index = bring(many)

    assert (index.read, index.runs) == (0, 4)
    assert rows(index, "SELECT count(DISTINCT (lab, run_id)) FROM trials") == [(4,)]


@pytest.mark.parametrize("content", [b"", b"not a database", None])
def test_an_index_that_is_lost_or_broken_is_made_again(many: Results, content: bytes | None) -> None:
    path = bring(many).path
    path.unlink() if content is None else path.write_bytes(content)

    index = bring(many)

    assert (index.read, counts(index)["runs"]) == (5, 5)


def test_a_run_that_cannot_be_read_is_named_and_the_others_are_there(many: Results) -> None:
    (many.path / "ops/20260303-080000/result.json").write_text('{"schema": 9}')

    first, second = bring(many), bring(many)

    assert (first.runs, counts(first)["runs"]) == (4, 4)
    assert [(one.run.run_id, "schema 9" in one.why) for one in first.unreadable] == [("20260303-080000", True)]
    assert second.unreadable == first.unreadable


def test_a_run_that_goes_on_has_its_trials_and_no_verdict(results: Results) -> None:
    folder = results.add("dev/20260301-080000")
    (folder / "result.json").unlink()

    index = bring(results)

    assert counts(index) | {"trials": 0} == {"runs": 1, "pairs": 0, "arms": 0, "effects": 0, "trials": 0}
    assert rows(index, "SELECT scenarios_decided FROM runs") == [(None,)]


def test_the_index_is_of_its_user_alone_and_leaves_nothing_beside_it(many: Results) -> None:
    path = bring(many).path

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_nothing_personal_is_in_it(results: Results) -> None:
    def told(manifest: dict[str, Any], result: dict[str, Any]) -> None:
        manifest["argv"] = ["enaxp", "bench", "--profile", "alice"]
        manifest["place"] = {"region": "us-east-1", "image": "ami-0123456789abcdef0"}
        next(iter(result["scenarios"].values()))["verdict"]["headline"] = "of i-0123456789abcdef0 at 203.0.113.77"

    results.add("dev/20260301-080000", change=told)

    content = bring(results).path.read_bytes()

    for private in (b"alice", b"0123456789abcdef0", b"203.0.113.77", b"192.168.3."):
        assert private not in content
