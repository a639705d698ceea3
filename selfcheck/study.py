"""The study: whether a bench's intervals and words can be believed, tried out where the truth is known.

    python -m selfcheck.study [--minutes 20] [--iterations 5] [--repeats 4] [--duration 1] [--kinds same,slower,…] [--out study.json]

    same      A/A: both arms are the same virtual wire; "faster" or "slower" is wrong
    slower    a relay holds the ENA Express arm's messages back for a known time
    faster    it holds those of the ENA arm back
    interface it holds those of one interface back, SRD makes nothing, and the interfaces swap their arms half way: a direction is wrong
    mixed     it holds every message of the ENA Express arm back, and few of the ENA arm's, for far longer
    simulated the interval alone, with data of a known effect (selfcheck/simulation.py)

Benches run on the local target, kind after kind in turn, as many as fit in the time. Both arms pass a relay when one is held back, so
that the difference is the delay alone: half of it, since sockperf tells half of a round trip. What that comes to is measured first,
without enaxp, and is the truth: at P99 it is more than at the median, since a message that is held back for longer meets more of what
else the machine does.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from enaxp.bench.blocks import counted
from enaxp.bench.gates import MEASURED_SHARE_NEEDED
from enaxp.bench.histogram import merge_equal_weight
from enaxp.bench.records import RunFolder
from enaxp.bench.servers import PORTS
from enaxp.hosts.sockperf import has_stalled, measured_share, parse
from enaxp.local.relay.placing import PROGRAM, Hold, place_script
from enaxp.text import interval_plain
from enaxp.traffic import ARMS, QUANTILES, Arm
from selfcheck.simulation import SHAPES, Size, coverage

Kind = Literal["same", "slower", "faster", "interface", "mixed", "ena-loses", "express-loses"]
KINDS: tuple[Kind, ...] = ("same", "slower", "faster", "interface", "mixed", "ena-loses", "express-loses")
METRICS = ("mean", "p50", "p99")
ENAXP = (sys.executable, "-m", "enaxp")
LAB = "study"
SEED = 20250411
ATTEMPTS = 4
LOSSY, DELAYED = Hold(loss=0.02), Hold(tail=0.02, tail_us=2000)  # one arm loses what the other one delivers 1 ms later
CROSSED = 6  # iterations, the fewest of a crossover that decides
ADDRESSES: Mapping[Arm, str] = {"ena": "192.168.3.10", "ena_express": "192.168.3.11"}  # of the server's interfaces
RANKED = 8  # iterations from which what is beyond measurement is judged
LATE = Hold(tail=0.04, tail_us=1500)  # of `mixed`: beyond P99, and nothing at the median


@dataclass(frozen=True, kw_only=True)
class BenchSize:
    """Of one bench."""

    iterations: int
    repeats: int
    duration_s: int


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What one bench said, and what was true. `held`: per metric whether the interval holds the truth; None where it is not known.

    interface_pct: what it said of the interface, for P50; interface_true_pct: what that is; both None where there was no crossover.
    """

    kind: Kind
    code: str
    said: Literal["right", "undecided", "wrong"]
    headline: str
    estimate_pct: Mapping[str, float | None]
    low_pct: Mapping[str, float | None]
    high_pct: Mapping[str, float | None]
    true_pct: Mapping[str, float | None]
    held: Mapping[str, bool | None]
    seconds: float
    interface_pct: tuple[float, float, float] | None = None
    interface_true_pct: float | None = None

    @property
    def holds_interface(self) -> bool | None:
        """Whether the interval of the interface's effect holds the truth; None where there is none."""
        if self.interface_pct is None or self.interface_true_pct is None:
            return None
        return self.interface_pct[1] <= self.interface_true_pct <= self.interface_pct[2]


FASTER, SLOWER = frozenset({"faster", "slightly-faster"}), frozenset({"slower", "slightly-slower"})
# What may be said of each primary; nothing is wrong with saying that it is undecided.
TRUE_WORDS: Mapping[Kind, Mapping[str, frozenset[str]]] = {
    "same": {"p50": frozenset({"same"}), "p99": frozenset({"same"})},
    "slower": {"p50": SLOWER, "p99": SLOWER},
    "faster": {"p50": FASTER, "p99": FASTER},
    "interface": {"p50": frozenset({"same"}), "p99": frozenset({"same"})},
    "mixed": {"p50": SLOWER, "p99": FASTER},
    "ena-loses": {"p50": frozenset({"same"}), "p99": FASTER},
    "express-loses": {"p50": frozenset({"same"}), "p99": SLOWER},
}


def holds(kind: Kind, *, us: float) -> dict[Arm, Hold]:
    """What the relay of each arm's server does, or of each interface's; none for the same."""
    held_back, passed = Hold(us=us), Hold()
    match kind:
        case "same":
            return {}
        case "slower" | "interface":
            return {"ena": passed, "ena_express": held_back}
        case "faster":
            return {"ena": held_back, "ena_express": passed}
        case "mixed":
            return {"ena": LATE, "ena_express": held_back}
        case "ena-loses":
            return {"ena": LOSSY, "ena_express": DELAYED}
        case "express-loses":
            return {"ena": DELAYED, "ena_express": LOSSY}


def relay_table(kind: Kind, *, us: float) -> dict[int | str, Hold]:
    """The same by the servers' ports, which go with the arms; by their addresses where it is an interface that is slower."""
    servers: Mapping[Arm, int | str] = ADDRESSES if kind == "interface" else PORTS
    return {servers[arm]: hold for arm, hold in holds(kind, us=us).items()}


def loses(kind: Kind) -> bool:
    """Whether the relay of one arm loses messages: then they are sent at a rate of their own, since a ping-pong would fall silent."""
    return kind in ("ena-loses", "express-loses")


def judge(
    kind: Kind, scenario: Mapping[str, Any], run: RunFolder, *, added_us: Mapping[str, float], seconds: float
) -> Bench:
    """What a bench said against the truth: that one arm is the other, and by each metric `added_us` later, or that it loses messages."""
    effects = scenario["effects"]
    true = {
        metric: None if loses(kind) else true_pct(kind, levels(run, metric), added_us=added_us[metric])
        for metric in METRICS
    }
    interface = scenario.get("interface")
    return Bench(
        kind=kind,
        interface_pct=(interface["estimate_pct"], interface["low_pct"], interface["high_pct"]) if interface else None,
        interface_true_pct=interface_true_pct(run, added_us=added_us["p50"]) if kind == "interface" else None,
        code=scenario["verdict"]["code"],
        said=said(kind, {metric: effects[metric]["code"] for metric in ("p50", "p99")}),
        headline=scenario["verdict"]["headline"],
        estimate_pct={m: effects[m]["estimate_pct"] for m in METRICS},
        low_pct={m: effects[m]["low_pct"] for m in METRICS},
        high_pct={m: effects[m]["high_pct"] for m in METRICS},
        true_pct=true,
        held={
            m: None if (t := true[m]) is None else effects[m]["low_pct"] <= t <= effects[m]["high_pct"] for m in METRICS
        },
        seconds=seconds,
    )


def said(kind: Kind, codes: Mapping[str, str]) -> Literal["right", "undecided", "wrong"]:
    """What the words on the primaries are worth: right when each is said and true, wrong when one of them is not true."""
    decided = {metric: code for metric, code in codes.items() if code != "inconclusive"}
    if any(code not in TRUE_WORDS[kind][metric] for metric, code in decided.items()):
        return "wrong"
    return "right" if len(decided) == len(codes) else "undecided"


def true_pct(kind: Kind, levels_us: Mapping[Arm, Sequence[float]], *, added_us: float) -> float | None:
    """The effect there is, in per cent; None where it is not one number.

    The same delay is a larger share of a quick iteration than of a slow one, so each iteration has its own: that of the delay on the
    arm that was not held back, at the level it had in that iteration.
    """
    match kind:
        case "same" | "interface":
            return 0.0
        case "mixed" | "ena-loses" | "express-loses":
            return None
        case "slower":
            ratios = [math.log1p(added_us / level) for level in levels_us["ena"]]
        case "faster":
            ratios = [-math.log1p(added_us / level) for level in levels_us["ena_express"]]
    return 100 * math.expm1(statistics.fmean(ratios))


def interface_true_pct(run: RunFolder, *, added_us: float) -> float:
    """What the second interface is slower by at the median, in per cent, at the level that the first one had in each iteration."""
    crossed = {trial.iteration for trial in counted(run.records()) if trial.crossed}
    found = levels(run, "p50")
    first = [
        found["ena_express" if iteration in crossed else "ena"][iteration - 1]
        for iteration in range(1, len(found["ena"]) + 1)
    ]
    return 100 * math.expm1(statistics.fmean(math.log1p(added_us / level) for level in first))


def levels(run: RunFolder, metric: str) -> dict[Arm, list[float]]:
    """A metric of each arm in each iteration, in µs, as the bench itself had it."""
    trials = counted(run.records())
    found: dict[Arm, list[float]] = {arm: [] for arm in ARMS}
    for arm, iteration in itertools.product(ARMS, sorted({trial.iteration for trial in trials})):
        own = [trial for trial in trials if (trial.arm, trial.iteration) == (arm, iteration)]
        merged = merge_equal_weight([h for trial in own if (h := run.read_histogram(trial)) is not None])
        found[arm].append((merged.mean if metric == "mean" else merged.quantile(QUANTILES[metric])) / 1000)
    return found


# -- what the relay adds -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Added:
    """What a relay adds to one figure of sockperf, in µs: the quartiles over pairs of trials."""

    low_us: float
    middle_us: float
    high_us: float


def measure_relay(*, us: float, pairs: int, seconds: int = 1) -> dict[str, Added]:
    """What a relay that waits `us` adds to each metric: trials through it and through one that does not wait, in turn.

    About half of the delay, since sockperf tells half of a round trip. On loopback, without enaxp.
    """
    with _relays([0.0, us]) as ports:
        trials = [_trial(port, seconds) for port in itertools.islice(itertools.cycle(ports), 2 * pairs)]
    added = {}
    for metric in METRICS:
        each = [late[metric] - early[metric] for early, late in zip(trials[::2], trials[1::2], strict=True)]
        low, middle, high = statistics.quantiles(each, n=4, method="inclusive") if pairs > 1 else each * 3
        added[metric] = Added(low_us=low, middle_us=middle, high_us=high)
    return added


@contextmanager
def _relays(delays_us: Sequence[float]) -> Iterator[list[int]]:
    """A sockperf server on loopback behind a relay of each delay; gives their ports."""
    ports = [12321 + 2 * number for number in range(len(delays_us))]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "record").mkdir()
        table = {str(port): asdict(Hold(us=us)) for port, us in zip(ports, delays_us, strict=True)}
        Path(folder, "holds.json").write_text(json.dumps(table))
        running = []
        for port in ports:
            server = [_sockperf(), "server", "-i", _address(port), "-p", str(port)]
            command = [sys.executable, "-I", "-S", str(PROGRAM), folder, *server]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=_stay_on_one_core))
            time.sleep(1.0)  # it has read its table, and sockperf listens
        try:
            yield ports
        finally:
            for process in running:
                process.terminate()
                process.wait(10)


def _trial(port: int, seconds: int) -> dict[str, float]:
    """The metrics of one trial on loopback, in µs. A trial that does not count is run again, as a bench does; one that began late on a
    busy computer counts."""
    command = [_sockperf(), "ping-pong", "-i", _address(port), "-p", str(port), "-m", "64", "-t", str(seconds)]
    for _ in range(ATTEMPTS):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, preexec_fn=_stay_on_one_core
        )
        output = parse(done.stdout)
        counts = output.ok or (has_stalled(output) and measured_share(output) >= MEASURED_SHARE_NEEDED)
        if counts and output.percentiles_us is not None and output.mean_us is not None:
            return {"mean": output.mean_us, "p50": output.percentiles_us["50"], "p99": output.percentiles_us["99"]}
    raise SystemExit(f"{' '.join(command)}: {output.reason}")


def _address(port: int) -> str:
    return f"127.64.9.{port % 100}"


def _stay_on_one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _sockperf() -> str:
    return shutil.which("sockperf") or "/usr/bin/sockperf"


# -- the lab -----------------------------------------------------------------------------------------------------------


class Lab:
    """A lab on this machine, in a folder of its own."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._environment = {**os.environ, "ENAXP_TARGET": "local", "ENAXP_LAB": LAB}

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*ENAXP, *arguments], cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(f"enaxp {' '.join(arguments)} → {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def relay(self, table: Mapping[int | str, Hold]) -> None:
        """Puts a relay before each server that is named; none before the others."""
        script = place_script(table)
        for role in ("server", "client"):
            self.run("ssh", role, "--", script)

    def bench(
        self, size: BenchSize, *, seed: int, scenario: str, more: Sequence[str] = ()
    ) -> tuple[Mapping[str, Any], RunFolder]:
        """The one scenario of a bench's result, and its run folder."""
        wanted = {
            "iterations": size.iterations,
            "repeats": size.repeats,
            "duration": f"{size.duration_s}s",
            "seed": seed,
        }
        options = [word for name, value in wanted.items() for word in (f"--{name}", str(value))]
        result = json.loads(self.run("bench", "--scenario", scenario, *options, *more, "--json"))
        return result["scenarios"][scenario], RunFolder(Path(self._folder, "results", LAB, result["run_id"]))


@contextmanager
def lab() -> Iterator[Lab]:
    """A lab, taken down afterwards."""
    with tempfile.TemporaryDirectory(prefix="enaxp-study-") as folder:
        built = Lab(folder)
        try:
            built.run("up")
            yield built
        finally:
            built.run("down", "--yes", "--force")


def benches(
    kinds: Sequence[Kind], size: BenchSize, *, deadline: float, us: float, added_us: Mapping[str, float]
) -> Iterator[Bench]:
    """Bench after bench, one kind after another, while there is time for one more; one at least."""
    with lab() as built:
        longest = 0.0
        for number, kind in enumerate(itertools.cycle(kinds)):
            began = time.monotonic()
            if number and began + longest > deadline:
                return
            built.relay(relay_table(kind, us=us))
            fewest = RANKED if loses(kind) else CROSSED if kind == "interface" else 0
            wanted = replace(size, iterations=max(size.iterations, fewest))
            name = "udp-load@1000" if loses(kind) else "udp-latency"
            more = ["--crossover"] if kind == "interface" else []
            scenario, run = built.bench(wanted, seed=SEED + number, scenario=name, more=more)
            longest = max(longest, time.monotonic() - began)
            yield judge(kind, scenario, run, added_us=added_us, seconds=time.monotonic() - began)


# -- telling -----------------------------------------------------------------------------------------------------------


def summary(done: Sequence[Bench]) -> dict[str, dict[str, Any]]:
    """Per kind: how many, how often the word was right, how often the intervals held the truth, what words there were."""
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        own = [bench for bench in done if bench.kind == kind]
        if own:
            found[kind] = {
                "benches": len(own),
                **{word: sum(bench.said == word for bench in own) for word in ("right", "undecided", "wrong")},
                "codes": sorted(bench.code for bench in own),
                "held": {m: _count(bench.held[m] for bench in own) for m in METRICS},
            }
    return found


def _count(held: Iterator[bool | None]) -> int | None:
    known = [one for one in held if one is not None]
    return sum(known) if known else None


def tell(bench: Bench) -> str:
    parts = []
    for metric in ("p50", "p99"):
        true = bench.true_pct[metric]
        truth = "" if true is None else f", truth {true:+.2f}% {'held' if bench.held[metric] else 'MISSED'}"
        told = interval_plain(bench.estimate_pct[metric], bench.low_pct[metric], bench.high_pct[metric])
        parts.append(f"{metric} {told}{truth}")
    if bench.interface_pct is not None:
        held = "" if (held_it := bench.holds_interface) is None else " held" if held_it else " MISSED"
        parts.append(f"interface {interval_plain(*bench.interface_pct)}, truth {bench.interface_true_pct:+.2f}%{held}")
    word = f"{bench.code} (WRONG)" if bench.said == "wrong" else bench.code
    headline = f"; {bench.headline}" if loses(bench.kind) else ""
    return f"{bench.kind:<7} {word:<13} {'; '.join(parts)}{headline}   ({bench.seconds:.0f} s)"


def main(arguments: Sequence[str]) -> dict[str, Any]:
    """Runs the study, prints it and writes it as JSON."""
    asked = _parse(arguments)
    study: dict[str, Any] = {"asked": {**vars(asked), "out": str(asked.out)}, "simulated": {}, "benches": []}
    if asked.simulated:
        print(f"simulated, {asked.simulated} benches of 10 iterations each, 95 % intervals: share that holds the truth")
        for shape in SHAPES:
            share = coverage(shape, seed=SEED, size=replace(Size(), benches=asked.simulated))
            study["simulated"][shape.name] = share
            print(f"  {shape.name:<24} {', '.join(f'{name} {value:.1%}' for name, value in share.items())}", flush=True)
    added_us = dict.fromkeys(METRICS, 0.0)
    if set(asked.kinds) - {"same"}:
        added = measure_relay(us=asked.delay, pairs=asked.pairs)
        added_us = {metric: one.middle_us for metric, one in added.items()}
        study["relay"] = {metric: asdict(one) for metric, one in added.items()}
        print(
            f"the relay waits {asked.delay:g} µs one way, {asked.delay / 2:g} µs in sockperf's half round trip; measured"
        )
        for metric, one in added.items():
            quartiles = f"quartiles of {asked.pairs} pairs {one.low_us:.2f} to {one.high_us:.2f}"
            print(f"  {metric:<4} {one.middle_us:.2f} µs ({quartiles})", flush=True)
    size = BenchSize(iterations=asked.iterations, repeats=asked.repeats, duration_s=asked.duration)
    done: list[Bench] = []
    deadline = time.monotonic() + 60 * asked.minutes
    running = benches(asked.kinds, size, deadline=deadline, us=asked.delay, added_us=added_us)
    for bench in running if asked.kinds else ():
        done.append(bench)
        print(f"  {tell(bench)}", flush=True)
        study |= {"benches": [asdict(one) for one in done], "summary": summary(done)}
        asked.out.write_text(json.dumps(study, indent=2) + "\n")
    for kind, found in summary(done).items():
        held = ", ".join(f"{m} {count}" for m, count in found["held"].items() if count is not None)
        words = f"word right in {found['right']}, undecided in {found['undecided']}, wrong in {found['wrong']}"
        print(f"{kind:<7} {found['benches']} benches, {words}" + (f"; truth held: {held}" if held else ""))
    asked.out.write_text(json.dumps(study, indent=2) + "\n")
    return study


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m selfcheck.study", description="Tries a bench where the truth is known."
    )
    parser.add_argument("--minutes", type=float, default=20, help="time for benches; one is run at least")
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--duration", type=int, default=1, help="of a trial, in seconds")
    parser.add_argument("--delay", type=float, default=40, help="of the relay one way, in µs")
    parser.add_argument("--pairs", type=int, default=20, help="of trials to measure the relay by")
    parser.add_argument("--simulated", type=int, default=1500, help="benches to simulate for each shape of data")
    parser.add_argument("--kinds", type=lambda text: tuple(text.split(",")) if text else (), default=KINDS)
    parser.add_argument("--out", type=Path, default=Path("study.json"))
    asked = parser.parse_args(arguments)
    if unknown := set(asked.kinds) - set(KINDS):
        parser.error(f"--kinds: there is no {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    return asked


if __name__ == "__main__":
    main(sys.argv[1:])
