"""The study: whether a bench's intervals and words can be believed, tried out where the truth is known.

    python -m selfcheck.study [--minutes 20] [--iterations 5] [--repeats 4] [--duration 1] [--kinds same,slower,…] [--to FILE]

    same      A/A: both arms are the same virtual wire; "faster" or "slower" is wrong
    slower    a relay holds the ENA Express arm's messages back for a known time
    faster    it holds those of the ENA arm back
    interface it holds those of one interface back, SRD makes nothing, and the interfaces swap their arms half way: a direction is wrong
    together  the same interface is held back, and the arms keep theirs: the word must be "slower", of SRD together with the interface
    toggled   the same again, and SRD is switched on and off on that interface: a direction is wrong
    mixed     it holds every message of the ENA Express arm back, and few of the ENA arm's, for far longer
    simulated the interval alone, with data of a known effect (selfcheck/simulation.py)

Benches run on the local target, kind after kind in turn, as many as fit in the time. Both arms pass a relay when one is held back, so
that the difference is the delay alone: half of it, since sockperf tells half of a round trip. What it came to in each trial is in the
relay's own record, which is the truth (enaxp/bench/judging/truth.py). With `--to` each bench is added to a file of JSON lines, and the next
session goes on after those that are there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from enaxp.bench.judging.blocks import At, ScenarioBlocks, blocks_of
from enaxp.bench.judging.truth import carried_by_arm, put_in, put_in_pct
from enaxp.bench.planning.schedule import PORTS
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.bench.run_folder.records import RunFolder
from enaxp.commands.demo import NICE
from enaxp.local.relay.placing import Hold, Seen, place_script, read_record, record_script
from enaxp.text import interval_plain
from enaxp.traffic import Arm, Metric
from selfcheck.simulation import SHAPES, Size, coverage

Kind = Literal["same", "slower", "faster", "interface", "together", "toggled", "mixed", "ena-loses", "express-loses"]
KINDS: tuple[Kind, ...] = (
    "same",
    "slower",
    "faster",
    "interface",
    "together",
    "toggled",
    "mixed",
    "ena-loses",
    "express-loses",
)
SLOW_INTERFACE = ("interface", "together", "toggled")  # one interface is held back, whichever arm it carries
ORDERED: Mapping[Kind, tuple[str, ...]] = {
    "interface": ("--crossover",),
    "together": ("--no-crossover",),
    "toggled": ("--order", "toggled"),
}
METRICS: tuple[Metric, ...] = ("mean", "p50", "p99")
PRIMARIES: tuple[Metric, ...] = ("p50", "p99")
ENAXP = (sys.executable, "-m", "enaxp")
LAB = "study"
SEED = 20250411
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
    "together": {"p50": SLOWER, "p99": SLOWER},
    "toggled": {"p50": frozenset({"same"}), "p99": frozenset({"same"})},
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
        case "slower" | "interface" | "together" | "toggled":
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
    servers: Mapping[Arm, int | str] = ADDRESSES if kind in SLOW_INTERFACE else PORTS
    return {servers[arm]: hold for arm, hold in holds(kind, us=us).items()}


def loses(kind: Kind) -> bool:
    """Whether the relay of one arm loses messages: then they are sent at a rate of their own, since a ping-pong would fall silent."""
    return kind in ("ena-loses", "express-loses")


def judge(
    kind: Kind,
    scenario: Mapping[str, Any],
    blocks: ScenarioBlocks,
    seen: Seen,
    *,
    seconds: float,
) -> Bench:
    """What a bench said against the truth: that one arm is the other, or later by what the relay recorded, or that it loses messages."""
    effects = scenario["effects"]
    true = truths(kind, blocks, seen)
    interface = scenario.get("interface")
    return Bench(
        kind=kind,
        interface_pct=(interface["estimate_pct"], interface["low_pct"], interface["high_pct"]) if interface else None,
        interface_true_pct=interface_true_pct(blocks, seen) if kind == "interface" else None,
        code=scenario["verdict"]["code"],
        said=said(kind, {metric: effects[metric]["code"] for metric in PRIMARIES}),
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


def truths(kind: Kind, blocks: ScenarioBlocks, seen: Seen) -> dict[Metric, float | None]:
    """The effect of ENA Express that there is, in per cent, by metric; None where it is not one number."""
    if kind in ("same", "interface", "toggled"):
        return dict.fromkeys(METRICS, 0.0)
    if loses(kind):
        return dict.fromkeys(METRICS)
    carried = carried_by_arm(seen)
    return {metric: true_pct(blocks.values(metric), put_in(metric, blocks.trials, carried)) for metric in METRICS}


def true_pct(levels: Mapping[Arm, Mapping[At, float]], added: Mapping[At, float]) -> float | None:
    """What was added to ENA Express in each iteration, in ns, as the share in per cent of the level that it had without."""
    return put_in_pct([(levels["ena"][at], levels["ena_express"][at], one) for at, one in added.items()])


def interface_true_pct(blocks: ScenarioBlocks, seen: Seen) -> float | None:
    """What the second interface is slower by at the median, in per cent, at the level that the first one had in each iteration."""
    levels = blocks.values("p50")
    crossed = {(trial.pair, trial.iteration) for trial in blocks.trials if trial.crossed}
    by_interface = []
    for at, added in put_in("p50", blocks.trials, carried_by_arm(seen)).items():
        first: Arm = "ena_express" if at in crossed else "ena"
        second: Arm = "ena" if at in crossed else "ena_express"
        by_interface.append((levels[first][at], levels[second][at], -added if at in crossed else added))
    return put_in_pct(by_interface)


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
        script = place_script(table, nice=NICE)
        for role in ("server", "client"):
            self.run("ssh", role, "--", script)

    def relayed(self) -> Seen:
        """What the server's relay recorded of the last bench."""
        return read_record(self.run("ssh", "server", "--", record_script()))

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


def benches(kinds: Sequence[Kind], size: BenchSize, *, deadline: float, us: float, done: int = 0) -> Iterator[Bench]:
    """Bench after bench, one kind after another, while there is time for one more; one at least. `done`: of an earlier session."""
    with lab() as built:
        longest = 0.0
        for number in itertools.count(done):
            kind = kinds[number % len(kinds)]
            began = time.monotonic()
            if number > done and began + longest > deadline:
                return
            table = relay_table(kind, us=us)
            built.relay(table)
            fewest = RANKED if loses(kind) else CROSSED if kind in SLOW_INTERFACE else 0
            wanted = replace(size, iterations=max(size.iterations, fewest))
            name = "udp-load@1000" if loses(kind) else "udp-latency"
            scenario, run = built.bench(wanted, seed=SEED + number, scenario=name, more=ORDERED.get(kind, ()))
            manifest = run.read_manifest()
            [planned] = manifest.plan.scenarios
            seen = built.relayed() if table else {}
            blocks = blocks_of(planned, evidence_of(run, manifest.plan))
            longest = max(longest, time.monotonic() - began)
            yield judge(kind, scenario, blocks, seen, seconds=time.monotonic() - began)


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


def main(arguments: Sequence[str]) -> None:
    """Runs the study, prints it, and adds each bench to a file where one is named."""
    asked = _parse(arguments)
    if asked.simulated:
        print(f"simulated, {asked.simulated} benches of 10 iterations each, 95 % intervals: share that holds the truth")
        for shape in SHAPES:
            share = coverage(shape, seed=SEED, size=replace(Size(), benches=asked.simulated))
            print(f"  {shape.name:<24} {', '.join(f'{name} {value:.1%}' for name, value in share.items())}", flush=True)
    done = read_benches(asked.to) if asked.to is not None and asked.to.exists() else []
    size = BenchSize(iterations=asked.iterations, repeats=asked.repeats, duration_s=asked.duration)
    deadline = time.monotonic() + 60 * asked.minutes
    for bench in benches(asked.kinds, size, deadline=deadline, us=asked.delay, done=len(done)) if asked.kinds else ():
        done.append(bench)
        print(f"  {tell(bench)}", flush=True)
        if asked.to is not None:
            with asked.to.open("ab") as file:
                file.write(msgspec.json.encode(bench) + b"\n")
    for kind, found in summary(done).items():
        held = ", ".join(f"{m} {count}" for m, count in found["held"].items() if count is not None)
        words = f"word right in {found['right']}, undecided in {found['undecided']}, wrong in {found['wrong']}"
        print(f"{kind:<7} {found['benches']} benches, {words}" + (f"; truth held: {held}" if held else ""))


def read_benches(file: Path) -> list[Bench]:
    """The benches that earlier sessions added to a file."""
    return [msgspec.json.decode(line, type=Bench) for line in file.read_bytes().splitlines()]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m selfcheck.study", description="Tries a bench where the truth is known."
    )
    parser.add_argument("--minutes", type=float, default=20, help="time for benches; one is run at least")
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--duration", type=int, default=1, help="of a trial, in seconds")
    parser.add_argument("--delay", type=float, default=40, help="of the relay one way, in µs")
    parser.add_argument("--simulated", type=int, default=1500, help="benches to simulate for each shape of data")
    parser.add_argument("--kinds", type=lambda text: tuple(text.split(",")) if text else (), default=KINDS)
    parser.add_argument("--to", type=Path, help="a file of JSON lines to which each bench is added")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.kinds) - set(KINDS):
        parser.error(f"--kinds: there is no {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    return asked


if __name__ == "__main__":
    main(sys.argv[1:])
