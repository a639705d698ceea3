"""Prints what enaxp costs beside its goals: start-up, provisioning against the raw-boto3 floor, the bench's own time, the report.

python -m selfcheck [startup] [provisioning] [bench] [report]        all of them without a name
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from enaxp.local.strict import StrictServer, Timing, serve

ENAXP = [sys.executable, "-m", "enaxp"]
LATENCIES_S = (0.0, 0.15)
SOCKPERF_OVERHEAD_S = 2.24
STARTUP_RUNS = 20
LOOKS = 5


def timed(command: list[str], *, folder: str = ".", environment: dict[str, str] | None = None) -> float:
    """Seconds that a command takes, which must succeed."""
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} → {done.returncode}\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


def startup() -> None:
    """`enaxp --help` against the interpreter alone, in turn. Goal: at most 120 ms more at the median, on an idle machine."""
    bare, full = [], []
    for _ in range(STARTUP_RUNS):
        bare.append(timed([sys.executable, "-c", "pass"]) * 1000)
        full.append(timed([*ENAXP, "--help"]) * 1000)
    more, least = (which(full) - which(bare) for which in (statistics.median, min))
    print(
        f"start-up: python {statistics.median(bare):.0f} ms, enaxp --help {statistics.median(full):.0f} ms "
        f"(×{statistics.median(full) / statistics.median(bare):.1f}): {more:.0f} ms more, {least:.0f} at the least (goal: 120)"
    )


def provisioning() -> None:
    """`up`, a second `up` and `down` against the same lab in raw boto3, at no latency and at 150 ms a call. Goals: 1.3, 1.2 and 1.3
    times the threaded floor, a quarter more calls; what `up` asks before it makes the first resource is counted apart."""
    server = serve(timing=Timing.instant())
    try:
        for latency in LATENCIES_S:
            server.set_latency(latency)
            print(f"provisioning at {latency * 1000:.0f} ms a call:")
            _against_floor(server)
    finally:
        server.stop()


def _against_floor(server: StrictServer) -> None:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    figures: dict[str, dict[str, tuple[int, float]]] = {}
    before, of_software = (0, 0.0), 0
    with tempfile.TemporaryDirectory() as folder:

        def measure(command: list[str]) -> tuple[int, float]:
            server.forget_calls()
            seconds = timed(command, folder=folder, environment=environment)
            return len(server.calls), seconds

        def quickest(command: list[str]) -> tuple[int, float]:
            """Of several times: mostly it is the computer that is busy."""
            return min((measure(command) for _ in range(LOOKS)), key=lambda figure: figure[1])

        def beforehand() -> tuple[int, float]:
            """Calls and seconds until the first resource was made: the role."""
            came = [(call.at, call.action) for call in server.calls]
            role = min(at for at, action in came if action == "CreateRole")
            return sum(at < role for at, _ in came), role - min(at for at, _ in came)

        for way in ("sequential", "threaded"):
            floor = [sys.executable, "-m", "selfcheck.floor"]
            figures[f"floor, {way}"] = {
                "up": measure([*floor, "up", way]),
                "no-op": quickest([*floor, "look", way]),
                "down": measure([*floor, "down", way]),
            }
        whole = measure([*ENAXP, "up", "--yes", "--no-wait"])
        before = beforehand()
        figures["enaxp"] = {
            "up": (whole[0] - before[0], whole[1] - before[1]),
            "no-op": quickest([*ENAXP, "up", "--yes", "--no-wait"]),
        }
        of_software = sum(call.service == "ssm" for call in server.calls)
        figures["enaxp"]["down"] = measure([*ENAXP, "down", "--yes"])
    best = figures["floor, threaded"]
    for who, verbs in figures.items():
        cells = "   ".join(
            f"{verb}: {calls:>3} calls {seconds:6.2f} s (×{seconds / best[verb][1]:.2f})"
            for verb, (calls, seconds) in verbs.items()
        )
        print(f"  {who:<18} {cells}")
    print(f"  before it makes anything, enaxp up asks: {before[0]} calls, {before[1]:.2f} s")
    others = figures["enaxp"]["no-op"][0] - of_software
    print(f"  a second up makes {others} calls (goal: at most 16), and {of_software} about software")


def bench() -> None:
    """The wall time of a bench on the local target against what its trials must take. Goal: 1.05 of it, plus 5 s."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ENAXP_TARGET": "local"}
        timed([*ENAXP, "up"], folder=folder, environment=environment)
        try:
            seconds = timed(
                [*ENAXP, "bench", "--iterations", "2", "--repeats", "3", "--duration", "1s"],
                folder=folder,
                environment=environment,
            )
            [run] = Path(folder, "results/dev").iterdir()
            trials = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
        finally:
            timed([*ENAXP, "down", "--force"], folder=folder, environment=environment)
    least = len(trials) * (1 + SOCKPERF_OVERHEAD_S)
    goal = 1.05 * least + 5
    print(
        f"bench: {len(trials)} trials in {seconds:.1f} s, {least:.1f} s of it sockperf's own: ×{seconds / least:.3f} (goal: {goal:.1f} s)"
    )


def report() -> None:
    """`enaxp report` on made runs of 200 and of 2000 trials, once what draws in the page was made and kept.

    Goals: 200 in 3 s on two cores without other work, and a page below 3 MB; 2000 in 500 MB and less than ten times the time.
    """
    figures = {}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        for iterations in (10, 100):
            # In a process of its own: the most memory a process has held is handed down to those it starts.
            timed([sys.executable, "-m", "selfcheck.made_run", folder, str(iterations)])
            [run] = Path(folder, "made").iterdir()
            trials = iterations * 10 * 2
            command = [*ENAXP, "report", str(run)]
            if not figures:
                print(
                    f"report: the first of all, which makes what draws in the page: {costs(command, environment).told}"
                )
            cost = costs(command, environment)
            size_mb = (run / "report.html").stat().st_size / 1e6
            figures[trials] = cost
            print(f"report: {trials:>4} trials in {cost.told}, a page of {size_mb:.2f} MB")
            shutil.rmtree(run)
    least = costs([sys.executable, "-c", LEAST_OF_A_REPORT], dict(os.environ))
    print(
        f"  200 trials take ×{figures[200].seconds / least.seconds:.1f} of the time and ×{figures[200].cpu_s / least.cpu_s:.1f} of "
        f"the CPU of importing and one picture ({least.told}; goals: 3 s, 3 MB)"
    )
    print(
        f"  ten times the trials take ×{figures[2000].seconds / figures[200].seconds:.1f} of the time (goal: below 10; 500 MB)"
    )


# What no report can do without: the libraries, and Vega drawing one picture.
LEAST_OF_A_REPORT = """
import altair, jinja2, msgspec, numpy, scipy.special, vl_convert
vl_convert.vegalite_to_png({"data": {"values": [{}]}, "mark": "point"})
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a command took: seconds on the clock and of the CPU, with those of the processes it waited for; the most memory it held."""

    seconds: float
    cpu_s: float
    peak_mb: float

    @property
    def told(self) -> str:
        return f"{self.seconds:.1f} s ({self.cpu_s:.1f} s of CPU), at most {self.peak_mb:.0f} MB"


def costs(command: list[str], environment: dict[str, str]) -> Cost:
    """What a command takes, which must succeed."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    return Cost(
        seconds=time.monotonic() - began,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
    )


PARTS: dict[str, Callable[[], None]] = {
    "startup": startup,
    "provisioning": provisioning,
    "bench": bench,
    "report": report,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
