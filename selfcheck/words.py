"""Words: how often what a bench says is wrong, by simulation. Seeded, so the same each time.

    Cell (what is true, how noisy, how many scenarios) ─▶ simulated runs ─▶ the bench's own evaluation ─▶ rates of every word

    RatioCell    the log ratio of each iteration is drawn: what the procedure over all primaries of a run does
    MessageCell  the latencies of every message of every trial are drawn, in the order of the plan; some messages are lost, some trials
                 fail and are run again: from the trials' records on, everything is what a bench does

    python -m selfcheck.words [--benches 2000] [--cells TEXT] [--to FILE] [--tables]

A word is wrong when it claims what is not so: `same` of an effect beyond the margin, a firm direction of one within it, any direction
of no effect, or the opposite direction. Exactly on the margin both `same` and a firm direction are wrong. With `--to` each finished
cell is added to a file, and those that are there are not run again. `--tables` prints what is in the file as docs/method.md has it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from enaxp.bench.judging.effect import Code, Effect, FigurePairs, judge_figures
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.verdict import combine
from enaxp.bench.planning.schedule import BenchPlan, Trial, pairs, schedule
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.records import ArmAddresses, Manifest, SrdDelta, TrialRecord
from enaxp.bench.statistics.inference import Margin
from enaxp.hosts.sockperf import SockperfOutput
from enaxp.traffic import ARMS, LATENCY_PRIMARIES, Arm, Metric, Scenario

MARGIN_PCT = 2.0
MARGIN = Margin.of(MARGIN_PCT)
CORRELATION = 0.5  # of the noise of P50 and P99
SEED = 20261125
SIZES = (3, 5, 10)
TICK_NS = 10  # of the simulated clock: 0.03 % of a median, and merging is three times as quick as with 1 ns
_Floats = npt.NDArray[np.float64]
UNKNOWN = (
    math.nan
)  # a true effect that is no single number: only the opposite of its sign could be wrong, and it has none


@dataclass(frozen=True, kw_only=True)
class SimulatedRun:
    """What one simulated run said: the effects on its primaries in the order of the truths, and the first scenario's headline."""

    effects: Sequence[Effect]
    headline: str = ""


@dataclass(frozen=True, kw_only=True)
class WordRates:
    """What the simulated runs of one cell came to, each as a share of the runs.

    wrong: any wrong word of any primary in a run. wrong_way: a direction opposite to the truth. codes and words: of the first scenario.
    warned: its headline warns of lost messages, or of attempts that failed in one arm more than in the other. covers: how often the
    interval of each primary of the first scenario, at the level at which its word was reached, holds the truth, of those that have one;
    empty in lines that were written before this was counted.
    """

    benches: int
    wrong: float
    wrong_way: float
    warned: float
    codes: Mapping[str, float]
    words: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    covers: Mapping[str, float | None] = field(default_factory=dict)


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
        """The true effect on each primary, as a log ratio."""
        first = [math.log1p(self.p50_pct / 100), math.log1p(self.p99_pct / 100)]
        return [*first, *[0.0] * (2 * (self.scenarios - 1))]

    def run(self, rng: np.random.Generator, iterations: int) -> SimulatedRun:
        shape = (self.scenarios, 1, iterations)
        common = rng.normal(size=shape)
        own = rng.normal(size=(self.scenarios, 2, iterations))
        noise = math.sqrt(CORRELATION) * common + math.sqrt(1 - CORRELATION) * own
        ratios = np.array(self.truths()).reshape(self.scenarios, 2, 1) + self.sd_pct / 100 * noise
        figures = [
            FigurePairs(
                metric=LATENCY_PRIMARIES[place % 2],
                iterations=[(1.0, math.exp(ratio)) for ratio in row],
                primary=True,
            )
            for place, row in enumerate(ratios.reshape(-1, iterations).tolist())
        ]
        return SimulatedRun(effects=judge_figures(figures, margin_pct=MARGIN_PCT, planned=len(figures)))


@dataclass(frozen=True, kw_only=True)
class ArmTraffic:
    """What happens to the messages of one arm: lost with chance `loss`; with chance `late`, later by `late_by` times.

    messages: of one trial. In a share `spoilt` of the trials all messages take `spoilt_by` times as long; `fails`: such a trial misses
    its rate, and its pair is run again. In a share `two_state` of the iterations they take `spoilt_by` times as long, too.
    """

    messages: int = 2000
    loss: float = 0.0
    late: float = 0.0
    late_by: float = 30.0
    spoilt: float = 0.0
    spoilt_by: float = 1.5
    fails: bool = False
    two_state: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MessageCell:
    """Runs whose every message is drawn: `level_sd` is how far a trial's level lies from the others, as a log ratio.

    p50, p99: the truths as log ratios; ±∞ where an arm's quantile is beyond measurement, UNKNOWN where it is no single number.
    """

    name: str
    ena: ArmTraffic
    express: ArmTraffic
    p50: float = 0.0
    p99: float = 0.0
    level_sd: float = 0.02
    repeats: int = 4

    def truths(self) -> list[float]:
        """The true effect on each primary, as a log ratio."""
        return [self.p50, self.p99]

    def run(self, rng: np.random.Generator, iterations: int) -> SimulatedRun:
        plan = BenchPlan(
            iterations=iterations,
            repeats=self.repeats,
            duration_s=10,
            order="interleaved",
            seed=int(rng.integers(2**31)),
            margin_pct=MARGIN_PCT,
            scenarios=(_SCENARIO,),
        )
        records, histograms = self._trials(plan, rng)
        evidence = weigh(plan, records, read_histogram=lambda record: histograms.get(record.histogram_file or ""))
        [scenario] = result_from(_manifest(plan), evidence).scenarios.values()
        effects = [scenario.effects[metric] for metric in LATENCY_PRIMARIES]
        return SimulatedRun(effects=effects, headline=scenario.verdict.headline or "")

    def _trials(self, plan: BenchPlan, rng: np.random.Generator) -> tuple[list[TrialRecord], dict[str, Histogram]]:
        """The records and histograms of a run: a pair with a trial that fails is run again, as the runner does it."""
        traffic: dict[Arm, ArmTraffic] = {"ena": self.ena, "ena_express": self.express}
        records: list[TrialRecord] = []
        histograms: dict[str, Histogram] = {}
        is_slow = {
            (arm, iteration): rng.random() < traffic[arm].two_state
            for iteration in range(1, plan.iterations + 1)
            for arm in ARMS
        }
        for pair in pairs(schedule(plan)):
            if pair[0].discarded:
                continue
            for attempt in range(1, 5):
                both = [
                    self._trial(trial, traffic[trial.arm], rng, attempt, is_slow=is_slow[trial.arm, trial.iteration])
                    for trial in pair
                ]
                records += [record for record, _ in both]
                histograms |= {record.histogram_file or "": histogram for record, histogram in both}
                if all(record.valid for record, _ in both):
                    break
        return records, histograms

    def _trial(
        self, trial: Trial, traffic: ArmTraffic, rng: np.random.Generator, attempt: int, *, is_slow: bool
    ) -> tuple[TrialRecord, Histogram]:
        arrived = traffic.messages - int(rng.binomial(traffic.messages, traffic.loss))
        is_spoilt = rng.random() < traffic.spoilt
        level = 30_000 * math.exp(rng.normal(0, self.level_sd)) * (traffic.spoilt_by if is_spoilt or is_slow else 1.0)
        latencies: _Floats = level * rng.lognormal(0, 0.1, arrived)
        latencies[rng.random(arrived) < traffic.late] *= traffic.late_by
        failed = is_spoilt and traffic.fails
        record = TrialRecord(
            number=trial.number,
            scenario=trial.scenario.name,
            arm=trial.arm,
            iteration=trial.iteration,
            repeat=trial.repeat,
            attempt=attempt,
            discarded=False,
            command="",
            client_port=1,
            started_at="2026-01-01T00:00:00+00:00",
            wall_s=12.0,
            valid=not failed,
            reason="its rate was missed" if failed else None,
            sockperf=_output(traffic.messages, arrived),
            srd=_srd(trial.arm, messages=traffic.messages),
            histogram_file=f"{trial.number}-{attempt}",
        )
        return record, Histogram.of(latencies.astype(np.int64) // TICK_NS * TICK_NS)


_SCENARIO = Scenario(
    name="udp-load", mode="under-load", protocol="udp", message_size=64, csv_name="UDP_Load", rate="max", reply_every=1
)


def _srd(arm: Arm, *, messages: int) -> SrdDelta:
    """Counters of a trial whose messages all went by SRD, or none of them."""
    packets, mode = (messages, 3) if arm == "ena_express" else (0, 0)
    return SrdDelta(tx=packets, eligible=packets, rx=packets, peer_rx=packets, mode=mode, peer_mode=mode)


def _output(sent: int, arrived: int) -> SockperfOutput:
    """What sockperf would print of a trial."""
    return SockperfOutput(
        ok=True, reason=None, version="3.10", mode="under-load", measures="latency", mean_us=30.0, std_dev_us=1.0, min_us=20.0,
        max_us=90.0, percentiles_us={}, observations=arrived, sent=sent, received=arrived, dropped=sent - arrived, duplicated=0,
        out_of_order=0, total_runtime_s=10.0, valid_runtime_s=9.55, messages_per_s=None, bandwidth_mbps=None,
    )  # fmt: skip


def _manifest(plan: BenchPlan) -> Manifest:
    return Manifest(
        run_id="simulated",
        lab="simulated",
        target="aws",
        isolation=None,
        plan=plan,
        connections={arm: ArmAddresses(source_ip="192.168.3.20", destination_ip="192.168.3.10") for arm in ARMS},
        argv=(),
        versions={},
        started_at="2026-01-01T00:00:00+00:00",
    )


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
    MessageCell(name="alike, every message drawn", ena=CLEAN, express=CLEAN),
    MessageCell(name="ENA loses 2 %, Express delays 2 %", ena=LOSSY, express=LATE, p99=-math.inf),
    MessageCell(name="Express loses 2 %, ENA delays 2 %", ena=LATE, express=LOSSY, p99=math.inf),
    MessageCell(name="both lose 2 %", ena=LOSSY, express=LOSSY),
    MessageCell(name="both lose 1 %: at P99 sometimes beyond", ena=ArmTraffic(loss=0.01), express=ArmTraffic(loss=0.01)),
    MessageCell(name="alike, 2000 against 500 messages", ena=CLEAN, express=ArmTraffic(messages=500)),
    MessageCell(
        name="Express misses its rate in half of the trials, those that are slower",
        ena=CLEAN, express=ArmTraffic(spoilt=0.5, fails=True), p50=UNKNOWN, p99=UNKNOWN,
    ),
    MessageCell(
        name="Express alone is slower in one iteration of five",
        ena=CLEAN, express=ArmTraffic(two_state=0.2), p50=0.2 * math.log(1.5), p99=0.2 * math.log(1.5),
    ),
)  # fmt: skip


def simulate(cell: Cell, *, iterations: int, benches: int, seed: int = SEED) -> WordRates:
    """The rates of the words in that many simulated runs of a cell."""
    rng = np.random.default_rng([seed, iterations, *cell.name.encode()])
    truths = cell.truths()
    codes: Counter[str] = Counter()
    words: dict[Metric, Counter[str]] = {metric: Counter() for metric in LATENCY_PRIMARIES}
    held: dict[Metric, list[bool]] = {metric: [] for metric in LATENCY_PRIMARIES}
    wrong = wrong_way = warned = 0
    for _ in range(benches):
        run = cell.run(rng, iterations)
        faults = [fault_of(effect.code, truth) for effect, truth in zip(run.effects, truths, strict=True)]
        wrong += any(faults)
        wrong_way += "wrong way" in faults
        warned += "messages lost" in run.headline or "attempts that failed" in run.headline
        first = [effect.code for effect in run.effects[:2]]
        codes[combine(first)] += 1
        for metric, effect, truth in zip(LATENCY_PRIMARIES, run.effects, truths, strict=False):
            words[metric][effect.code] += 1
            if (holds := holds_truth(effect, truth)) is not None:
                held[metric].append(holds)
    return WordRates(
        benches=benches,
        wrong=wrong / benches,
        wrong_way=wrong_way / benches,
        warned=warned / benches,
        codes=_shares(codes, benches),
        words={metric: _shares(counter, benches) for metric, counter in words.items()},
        covers={metric: sum(of) / len(of) if of else None for metric, of in held.items()},
    )


def holds_truth(effect: Effect, truth: float) -> bool | None:
    """Whether the interval holds the truth, a log ratio; None where there is no interval, or no single finite truth."""
    if effect.low_pct is None or effect.high_pct is None or not math.isfinite(truth):
        return None
    return effect.low_pct <= 100 * math.expm1(truth) <= effect.high_pct


def fault_of(code: Code, truth: float) -> str:
    """What is wrong with the word for a latency, where the truth is this log ratio; empty where nothing is."""
    if math.isnan(truth):
        return ""
    direction = {"faster": -1, "slightly-faster": -1, "slightly-slower": 1, "slower": 1}.get(code, 0)
    is_firm = code in ("faster", "slower")
    on_margin = math.isclose(truth, MARGIN.high) or math.isclose(truth, MARGIN.low)
    if direction and truth and math.copysign(1, truth) != direction:
        return "wrong way"
    if direction and truth == 0:
        return "a direction where there is none"
    if is_firm and on_margin:
        return "firm on the margin"
    if is_firm and MARGIN.zone(truth) == "within":
        return "firm within the margin"
    if code == "same" and (MARGIN.zone(truth) != "within" or on_margin):
        return "same, though beyond the margin"
    return ""


def _shares(counter: Counter[str], total: int) -> dict[str, float]:
    return {word: count / total for word, count in counter.most_common()}


def results(
    cells: Sequence[Cell], *, benches: int, done: Sequence[tuple[str, int]] = ()
) -> Iterator[tuple[Cell, int, WordRates]]:
    """The rates of each cell and size that is not done yet, several at once, in the order of the cells."""
    wanted = [(cell, size) for cell in cells for size in SIZES if (cell.name, size) not in done]
    with ProcessPoolExecutor() as pool:
        running = [pool.submit(simulate, cell, iterations=size, benches=benches) for cell, size in wanted]
        for (cell, size), one in zip(wanted, running, strict=True):
            yield cell, size, one.result()


def tell(name: str, iterations: int, rates: WordRates) -> str:
    """One line: any wrong word, and the codes of the first scenario."""
    codes = ", ".join(f"{code} {share:.1%}" for code, share in rates.codes.items())
    warned = f"; warned {rates.warned:.1%}" if rates.warned else ""
    return f"  {name:<42} I = {iterations:<3} any wrong {rates.wrong:6.2%}, wrong way {rates.wrong_way:6.2%}; {codes}{warned}"


WORDS: Mapping[str, str] = {
    "faster": "faster",
    "slightly faster": "slightly-faster",
    "same": "same",
    "slightly slower": "slightly-slower",
    "slower": "slower",
    "inconclusive": "inconclusive",
}


def tables(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The study as Markdown: for each cell and size coverage and the rate of every word of each primary, in per cent."""
    known = {(line["cell"], line["iterations"]): line for line in lines}
    yield f"| cell, iterations | runs | any wrong word | figure | covers | {' | '.join(WORDS)} |"
    yield f"|---|---|---|---|---|{'---|' * len(WORDS)}"
    for cell in CELLS:
        for size in SIZES:
            line = known.get((cell.name, size))
            if line is None:
                yield f"| {cell.name}, {size} | not measured yet |{' |' * (len(WORDS) + 3)}"
                continue
            for metric in LATENCY_PRIMARIES:
                names = (f"{cell.name}, {size}", f"{line['benches']:,}", f"{100 * line['wrong']:.1f}")
                said = line["words"][metric]
                rates = (f"{100 * said.get(code, 0.0):.1f}" for code in WORDS.values())
                first = names if metric == LATENCY_PRIMARIES[0] else ("", "", "")
                yield f"| {' | '.join([*first, metric.upper(), _coverage(cell, line, metric), *rates])} |"


def _coverage(cell: Cell, line: Mapping[str, Any], metric: Metric) -> str:
    if not math.isfinite(cell.truths()[LATENCY_PRIMARIES.index(metric)]):
        return "no single truth"
    covers = line.get("covers", {})
    if metric not in covers:
        return "not measured yet"
    return "no interval" if covers[metric] is None else f"{100 * covers[metric]:.1f}"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m selfcheck.words", description="How often the words are wrong.")
    parser.add_argument("--benches", type=int, default=2000, help="simulated runs of each cell and size")
    parser.add_argument("--cells", default="", help="only cells whose name holds this")
    parser.add_argument("--to", type=Path, help="a file of JSON lines to which each finished cell is added")
    parser.add_argument("--tables", action="store_true", help="print what is in the file, and run nothing")
    asked = parser.parse_args(arguments)
    chosen = [cell for cell in CELLS if asked.cells in cell.name]
    lines = asked.to.read_text().splitlines() if asked.to is not None and asked.to.exists() else []
    if asked.tables:
        print("\n".join(tables([json.loads(line) for line in lines])))
        return
    done = [(one["cell"], one["iterations"]) for one in map(json.loads, lines) if one["benches"] == asked.benches]
    for cell, iterations, rates in results(chosen, benches=asked.benches, done=done):
        print(tell(cell.name, iterations, rates), flush=True)
        if asked.to is not None:
            with asked.to.open("a") as file:
                file.write(json.dumps({"cell": cell.name, "iterations": iterations, **asdict(rates)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
