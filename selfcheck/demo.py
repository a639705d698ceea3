"""The demo's bench again and again on one lab: how often its words are firm and right, and its intervals hold what was put in.

python -m selfcheck.demo [--benches 20] [--same] [--results FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from enaxp.bench.judging.effect import Code
from enaxp.commands.demo import NOTHING, PLAN, SLOWER_AND_STEADIER, Difference, demo_session, measure
from enaxp.commands.lab import bring_up, remove_layers, wait_for_hosts
from enaxp.lab.lifecycle import BUILT_LAYERS
from enaxp.options import Options
from enaxp.report.truth import truth_lines
from enaxp.traffic import Metric

RIGHT: Mapping[Metric, Code] = {"p50": "slower", "p99": "faster"}


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One bench: the words and whether the intervals hold the truth, by primary."""

    codes: Mapping[Metric, Code]
    held: Mapping[Metric, bool | None]
    lines: tuple[str, ...]
    seconds: float

    def is_right(self, right: Mapping[Metric, Code]) -> bool:
        """Whether each word is firm, and that of what was put in."""
        return self.codes == right

    def is_wrong(self, right: Mapping[Metric, Code]) -> bool:
        """Whether a word decides, and is another one."""
        return any(code not in ("inconclusive", right[metric]) for metric, code in self.codes.items())


def tries(difference: Difference, *, benches: int, results: Path) -> Iterator[Tried]:
    """Bench after bench; the lab is taken down at the end."""
    with demo_session(Options(target="local", results_dir=results), size=PLAN) as session:
        try:
            wait_for_hosts(session, bring_up(session, layers=BUILT_LAYERS, assume_yes=True))
            for _ in range(benches):
                began = time.monotonic()
                figures = measure(session, difference).truth
                yield Tried(
                    codes={metric: figure.code for metric, figure in figures.figures.items()},
                    held={metric: figure.held for metric, figure in figures.figures.items()},
                    lines=tuple(truth_lines(figures)),
                    seconds=time.monotonic() - began,
                )
        finally:
            remove_layers(session, layers=())


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m selfcheck.demo", description="Tries the demo's bench.")
    parser.add_argument("--benches", type=int, default=20)
    parser.add_argument("--same", action="store_true", help="put nothing in")
    parser.add_argument("--results", type=Path, help="where the run folders are kept; else they are removed")
    asked = parser.parse_args(arguments)
    right: Mapping[Metric, Code] = dict.fromkeys(RIGHT, "same") if asked.same else RIGHT
    done: list[Tried] = []
    with tempfile.TemporaryDirectory() as folder:
        difference = NOTHING if asked.same else SLOWER_AND_STEADIER
        for tried in tries(difference, benches=asked.benches, results=asked.results or Path(folder)):
            done.append(tried)
            print(f"bench {len(done)} ({tried.seconds:.0f} s)", *tried.lines[1:], sep="\n  ", flush=True)
    firm, wrong = sum(one.is_right(right) for one in done), sum(one.is_wrong(right) for one in done)
    held = ", ".join(f"{metric} in {sum(bool(one.held[metric]) for one in done)}" for metric in RIGHT)
    print(f"{len(done)} benches: firm and right in {firm}, wrong in {wrong}; the truth held at {held}")


if __name__ == "__main__":
    main(sys.argv[1:])
