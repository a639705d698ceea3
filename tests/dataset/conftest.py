"""Runs of several labs, types, zones and days: copies of one made run, with other words in their documents."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from selfcheck.made_run import Made, make_run


@dataclass(frozen=True)
class Results:
    """A results folder, to which runs can be added."""

    path: Path
    made: Path

    def add(self, run: str, *, change: Callable[[dict[str, Any], dict[str, Any]], None] | None = None) -> Path:
        """A run `LAB/RUN_ID`; `change` gets its manifest and its result."""
        folder = self.path / run
        shutil.copytree(self.made, folder)
        lab, _, run_id = run.partition("/")
        day = f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}"
        documents = [json.loads((folder / name).read_text()) for name in ("manifest.json", "result.json")]
        for document in documents:
            document |= {"lab": lab, "run_id": run_id}
        documents[0] |= {"started_at": f"{day}T08:00:00+00:00", "ended_at": f"{day}T09:30:00+00:00"}
        if change is not None:
            change(*documents)
        for name, document in zip(("manifest.json", "result.json"), documents, strict=True):
            (folder / name).write_text(json.dumps(document))
        return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with known figures."""
    results = tmp_path_factory.mktemp("made")
    return make_run(results, Made(iterations=3, repeats=1, observations=1500)).path


@pytest.fixture
def results(tmp_path: Path, made: Path) -> Results:
    (tmp_path / "results").mkdir()
    return Results(tmp_path / "results", made)


def placed(zone: str, instance_type: str, **more: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """What makes a run one on AWS, in a zone and on a type; of its one scenario more can be said."""

    def change(manifest: dict[str, Any], result: dict[str, Any]) -> None:
        manifest["place"] = {"region": zone[:-1], "availability_zone": zone, "instance_type": instance_type}
        [scenario] = result["scenarios"].values()
        scenario["effects"]["p99"] |= {key: more[key] for key in ("code", "estimate_pct") if key in more}
        scenario["treatment"]["srd_share"] = more.get("srd_share", 1.0)
        scenario["verdict"]["code"] = more.get("verdict", "faster")
        for arm, rate in more.get("loss", {}).items():
            scenario["arms"][arm] |= {"loss_rate": rate, "dropped": round(1000 * rate)}

    return change


@pytest.fixture
def many(results: Results) -> Results:
    """Five runs: two labs, two types, three days."""
    us, eu = "us-east-1a", "eu-west-1b"
    results.add("dev/20260301-080000", change=placed(us, "c6i.8xlarge", code="faster", estimate_pct=-20.0))
    results.add(
        "dev/20260301-120000",
        change=placed(us, "c6i.8xlarge", code="inconclusive", estimate_pct=-4.0, verdict="inconclusive"),
    )
    results.add(
        "dev/20260302-080000", change=placed(us, "c7i.8xlarge", code="faster", estimate_pct=-30.0, srd_share=0.98)
    )
    results.add(
        "ops/20260302-080000",
        change=placed(eu, "c6i.8xlarge", code="slower", estimate_pct=9.0, loss={"ena": 0.02, "ena_express": 0.001}),
    )
    results.add("ops/20260303-080000", change=placed(eu, "c6i.8xlarge", code="faster", estimate_pct=-10.0))
    return results
