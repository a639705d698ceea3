"""What the tests of the monitoring share: Prometheus's own tools, and runs to be shown."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from enaxp.bench.run_folder.records import InterfaceFacts, Manifest, RunEnvironment, RunFolder, TrialRecord
from tests.support.factories import GOOD, TCP_RATE, UDP, a_manifest, a_plan, a_record, pairs_of_records

T = TypeVar("T")
TAILED = replace(GOOD, percentiles_us={"50": 30.0, "90": 33.0, "99": 40.0, "99.9": 55.5, "99.99": 80.0})
PLAN = a_plan(scenarios=(UDP, TCP_RATE))
INTERFACES = {
    role: {"ena": InterfaceFacts(interface="ens5"), "ena_express": InterfaceFacts(interface="ens6")}
    for role in ("server", "client")
}


def a_running_manifest(**changes: Any) -> Manifest:
    return a_manifest(**{"plan": PLAN, "environment": RunEnvironment(interfaces=INTERFACES), **changes})


def some_records() -> list[TrialRecord]:
    """Every trial of PLAN: latencies with a tail, and rates."""
    trials = pairs_of_records(PLAN, sockperf=TAILED)
    rate = replace(TAILED, mode="throughput", mean_us=None, percentiles_us={}, observations=None, dropped=None)
    return [
        replace(trial, sockperf=rate, throughput_gbps=8.0, server_received=1000, histogram_file=None)
        if trial.scenario == TCP_RATE.name
        else trial
        for trial in trials
    ]


def write_run(results: Path, records: Iterable[TrialRecord] | None = None, **changes: Any) -> RunFolder:
    """A run folder below `results`, of the lab and at the time that its manifest says."""
    manifest = a_running_manifest(**changes)
    folder = RunFolder(results / manifest.lab / manifest.run_id)
    folder.path.mkdir(parents=True)
    folder.write_manifest(manifest)
    for record in some_records() if records is None else records:
        folder.append(record)
    return folder


def promtool(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], input=given, capture_output=True, text=True, timeout=60, check=False
    )


def fetch(url: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        return str(answer.read().decode())


def query(prometheus: str, expression: str, *, at: float | None = None) -> list[dict[str, Any]]:
    """What an instant query gives, of now or of a time. Raises HTTPError with Prometheus's own words when it is not one."""
    when = {} if at is None else {"time": at}
    return list(api(prometheus, "query", query=expression, **when)["result"])


def query_range(prometheus: str, expression: str, *, start: float, end: float) -> list[dict[str, Any]]:
    return list(api(prometheus, "query_range", query=expression, start=start, end=end, step=1)["result"])


def eventually(look: Callable[[], T], *, within_s: float = 30.0) -> T:
    """What `look` gives once that is something. Fails with the last resource it gave, or raised."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            seen = look()
        except OSError as error:
            if time.monotonic() >= deadline:
                raise AssertionError(f"no answer within {within_s:.0f} s") from error
            time.sleep(0.2)
            continue
        if seen:
            return seen
        assert time.monotonic() < deadline, f"nothing within {within_s:.0f} s, at last {seen!r}"
        time.sleep(0.2)


def api(prometheus: str, what: str, **parameters: Any) -> dict[str, Any]:
    """The data in an answer of Prometheus's API."""
    return dict(json.loads(fetch(f"{prometheus}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"))["data"])


__all__ = ["a_record"]
