"""Words: how often words by the rules of `selfcheck/rules/` are wrong, by simulation. Seeded, so the same each time.

    Cell (what is true, how noisy, how many scenarios) ─▶ simulated runs ─▶ decide, combine ─▶ rates of every word

    ratios     the log ratio of each iteration is drawn: what the procedure over all primaries of a run does
    messages   the latencies of each message of each trial are drawn, some are lost: histograms, quantiles and words by these rules

    python -m selfcheck.words [--benches 2000] [--cells NAME,…]

A word is wrong when it claims what is not so: `same` of an effect beyond the margin, a firm direction of one within it, any direction
of no effect, or the opposite direction. Exactly on the margin both `same` and a firm direction are wrong.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt

from enaxp.bench.histogram import Histogram
from selfcheck.rules.codes import code_of_finding, combine
from selfcheck.rules.inference import Decision, Finding, Margin, RatioSample, decide
from selfcheck.rules.lost import merge_with_lost, quantile

MARGIN_PCT = 2.0
MARGIN = Margin.of(MARGIN_PCT)
PRIMARIES = {"p50": 0.5, "p99": 0.99}
CORRELATION = 0.5  # of the noise of P50 and P99
SEED = 20261125
SIZES = (3, 5, 10)
_Floats = npt.NDArray[np.float64]
Truth = float | None  # a log ratio; None: unknown, so that only the opposite of `better` is wrong


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What the simulated runs of one cell came to, each as a share of the runs.

    wrong: any wrong word of any primary in a run. wrong_way: a direction opposite to the truth. codes: of the first scenario.
    """

    benches: int
    wrong: float
    wrong_way: float
    codes: Mapping[str, float]
    words: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RatioCell:
    """Runs whose log ratios are normal: true effects of P50 and P99 of the first scenario in per cent (the others have none), the
    standard deviation of an iteration's log ratio in per cent."""

    name: str
    p50_pct: float = 0.0
    p99_pct: float = 0.0
    sd_pct: float = 5.0
    scenarios: int = 1

    def truths(self) -> list[float]:
        first = [math.log1p(self.p50_pct / 100), math.log1p(self.p99_pct / 100)]
        return [*first, *[0.0] * (2 * (self.scenarios - 1))]

    def run(self, rng: np.random.Generator, iterations: int) -> list[RatioSample]:
        """The samples of one run's primaries."""
        shape = (self.scenarios, 1, iterations)
        common = rng.normal(size=shape)
        own = rng.normal(size=(self.scenarios, 2, iterations))
        noise = math.sqrt(CORRELATION) * common + math.sqrt(1 - CORRELATION) * own
        ratios = np.array(self.truths()).reshape(self.scenarios, 2, 1) + self.sd_pct / 100 * noise
        return [RatioSample(ratios=tuple(row)) for row in ratios.reshape(-1, iterations)]


@dataclass(frozen=True, kw_only=True)
class ArmTraffic:
    """What happens to the messages of one arm: lost with chance `loss`; with chance `late`, later by `late_by` times.

    messages: of one trial.
    """

    messages: int = 2000
    loss: float = 0.0
    late: float = 0.0
    late_by: float = 30.0


@dataclass(frozen=True, kw_only=True)
class MessageCell:
    """Runs whose every message is drawn: `level_sd` is how far a trial's level lies from the others, as a log ratio.

    true_p99: the sign of the truth at P99: +1 where ENA Express is later, -1 where it is earlier, 0 where there is no difference.
    """

    name: str
    ena: ArmTraffic
    express: ArmTraffic
    true_p99: int
    level_sd: float = 0.02
    repeats: int = 4

    def truths(self) -> list[float]:
        return [0.0, self.true_p99 * math.inf if self.true_p99 else 0.0]

    def run(self, rng: np.random.Generator, iterations: int) -> list[RatioSample]:
        quantiles = [[self._quantiles(arm, rng) for arm in (self.ena, self.express)] for _ in range(iterations)]
        return [
            RatioSample(ratios=tuple(_log_ratio(ena[name], express[name]) for ena, express in quantiles))
            for name in PRIMARIES
        ]

    def _quantiles(self, arm: ArmTraffic, rng: np.random.Generator) -> dict[str, float]:
        trials, lost = [], []
        for _ in range(self.repeats):
            arrived = arm.messages - int(rng.binomial(arm.messages, arm.loss))
            latencies: _Floats = 30_000 * math.exp(rng.normal(0, self.level_sd)) * rng.lognormal(0, 0.1, arrived)
            latencies[rng.random(arrived) < arm.late] *= arm.late_by
            trials.append(Histogram.of(latencies.astype(np.int64)))
            lost.append(arm.messages - arrived)
        merged = merge_with_lost(trials, lost=lost)
        return {name: quantile(merged, p) for name, p in PRIMARIES.items()}


Cell = RatioCell | MessageCell
CLEAN, LOSSY, LATE = ArmTraffic(), ArmTraffic(loss=0.02), ArmTraffic(late=0.02)
CELLS: tuple[Cell, ...] = (
    *(
        RatioCell(name=f"alike, {count} scenario{'s' if count > 1 else ''}, SD {sd} %", sd_pct=sd, scenarios=count)
        for count in (1, 4, 12)
        for sd in (2, 5)
    ),
    RatioCell(name="P50 exactly on the margin, SD 2 %", p50_pct=2.0, sd_pct=2.0),
    RatioCell(name="P50 +5 %, P99 -26 %, SD 3 %", p50_pct=5.0, p99_pct=-26.0, sd_pct=3.0),
    RatioCell(name="P50 +5 %, P99 -26 %, SD 5 %", p50_pct=5.0, p99_pct=-26.0, sd_pct=5.0),
    RatioCell(name="P50 0, P99 -10 %, SD 2 %", p99_pct=-10.0, sd_pct=2.0),
    MessageCell(name="ENA loses 2 %, Express delays 2 %", ena=LOSSY, express=LATE, true_p99=-1),
    MessageCell(name="Express loses 2 %, ENA delays 2 %", ena=LATE, express=LOSSY, true_p99=1),
    MessageCell(name="both lose 2 %", ena=LOSSY, express=LOSSY, true_p99=0),
    MessageCell(
        name="both lose 1 %: at P99 sometimes beyond", ena=ArmTraffic(loss=0.01), express=ArmTraffic(loss=0.01), true_p99=0
    ),
    MessageCell(
        name="alike, 2000 against 500 messages", ena=ArmTraffic(), express=ArmTraffic(messages=500), true_p99=0
    ),
)  # fmt: skip


def simulate(cell: Cell, *, iterations: int, benches: int, seed: int = SEED) -> Rates:
    """The rates of the words in that many simulated runs of a cell."""
    rng = np.random.default_rng([seed, iterations, *cell.name.encode()])
    truths = cell.truths()
    codes: Counter[str] = Counter()
    words: dict[str, Counter[str]] = {name: Counter() for name in PRIMARIES}
    wrong = wrong_way = 0
    for _ in range(benches):
        samples = cell.run(rng, iterations)
        decisions = decide(samples, margin=MARGIN, planned=len(samples))
        faults = [_fault(decision, truth) for decision, truth in zip(decisions, truths, strict=True)]
        wrong += any(faults)
        wrong_way += "wrong way" in faults
        first = [code_of_finding("p50", decision.finding) for decision in decisions[:2]]
        codes[combine(first)] += 1
        for name, code in zip(PRIMARIES, first, strict=True):
            words[name][code] += 1
    return Rates(
        benches=benches,
        wrong=wrong / benches,
        wrong_way=wrong_way / benches,
        codes=_shares(codes, benches),
        words={name: _shares(counter, benches) for name, counter in words.items()},
    )


def _fault(decision: Decision, truth: float) -> str:
    """What is wrong with a word, where the truth is this log ratio; empty where nothing is."""
    finding, direction = decision.finding, _direction(decision.finding)
    if direction and truth and math.copysign(1, truth) != direction:
        return "wrong way"
    if direction and truth == 0:
        return "a direction where there is none"
    if finding in ("below", "above") and MARGIN.zone(truth) == "within":
        return "firm within the margin"
    on_margin = math.isclose(truth, MARGIN.high) or math.isclose(truth, MARGIN.low)
    if finding in ("below", "above") and on_margin:
        return "firm on the margin"
    if finding == "within" and (MARGIN.zone(truth) != "within" or on_margin):
        return "same, though beyond the margin"
    return ""


def _direction(finding: Finding) -> int:
    return {"below": -1, "slightly-below": -1, "slightly-above": 1, "above": 1}.get(finding, 0)


def _log_ratio(ena: float, express: float) -> float | None:
    if math.isinf(ena) and math.isinf(express):
        return None
    return math.inf if math.isinf(express) else -math.inf if math.isinf(ena) else math.log(express / ena)


def _shares(counter: Counter[str], total: int) -> dict[str, float]:
    return {word: count / total for word, count in counter.most_common()}


def results(cells: Sequence[Cell], *, benches: int) -> Iterator[tuple[Cell, int, Rates]]:
    for cell in cells:
        for iterations in SIZES:
            yield cell, iterations, simulate(cell, iterations=iterations, benches=benches)


def tell(cell: Cell, iterations: int, rates: Rates) -> str:
    """One line: any wrong word, and the codes of the first scenario."""
    codes = ", ".join(f"{code} {share:.1%}" for code, share in rates.codes.items())
    return (
        f"  {cell.name:<42} I = {iterations:<3} any wrong {rates.wrong:6.2%}, wrong way {rates.wrong_way:6.2%}; {codes}"
    )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m selfcheck.words", description="How often the words are wrong.")
    parser.add_argument("--benches", type=int, default=2000, help="simulated runs of each cell and size")
    parser.add_argument("--cells", default="", help="only cells whose name holds this")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    chosen = [cell for cell in CELLS if asked.cells in cell.name]
    found = []
    for cell, iterations, rates in results(chosen, benches=asked.benches):
        found.append({"cell": cell.name, "iterations": iterations, **asdict(rates)})
        if not asked.json:
            print(tell(cell, iterations, rates), flush=True)
    if asked.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
