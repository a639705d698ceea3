"""Circumstances: the context of the effects — message loss, stalled and failed trials by arm, background load, bottlenecks. Pure: counted
trials in, clauses of a verdict out.

    ScenarioBlocks ─▶ loss_by_arm, failed_attempts, stalls, background_difference, limits ─▶ circumstances ─▶ Verdict
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from enaxp.bench.judging.blocks import ScenarioBlocks, both_arms
from enaxp.bench.judging.effect import interval, per_cent
from enaxp.bench.judging.limits import LIMIT_NAMES, LIMITS, limits_of
from enaxp.bench.judging.verdict import Circumstances
from enaxp.bench.run_folder.records import Limit
from enaxp.bench.statistics.inference import EXPLORATORY_CONFIDENCE
from enaxp.bench.statistics.loss import Loss, loss_difference, loss_of
from enaxp.figures import mean_of_known, sum_of_known
from enaxp.text import bounds_plain, change_plain, counted, listed, percent_plain
from enaxp.traffic import ARM_NAMES, ARMS, LATENCY_PRIMARIES, QUANTILES, Arm

# In more than this share of an arm's trials something was the limit: then it is what was measured.
MOST_LIMITED = 0.5
# Of the share of messages beyond the outermost primary quantile: so many out of order may move it.
MANY_OUT_OF_ORDER = 0.1 * (1 - max(QUANTILES[metric] for metric in LATENCY_PRIMARIES))
LEAST_PCT = 0.0001  # smaller bounds of a loss rate are shown as this
# Both arms fail alike: the chance of counts at least so far apart, below which they are said to differ.
DIFFER = 0.05


def circumstances(blocks: ScenarioBlocks) -> Circumstances:
    """The clauses about a scenario's counted trials and about the attempts that failed."""
    words: list[str] = []
    headline: list[str] = []
    for clause, in_short in _clauses(blocks):
        words.append(clause)
        if in_short:
            headline.append(in_short)
    return Circumstances(words=tuple(words), headline=tuple(headline))


def loss_by_arm(blocks: ScenarioBlocks) -> Mapping[Arm, Loss | None]:
    """For each arm, the share of messages that was lost, with its interval over the iterations; None where unknown."""
    rates = blocks.loss_rates()
    return {
        arm: loss_of(
            list(rates[arm].values()),
            lost=sum_of_known(record.missing for record in blocks.trials_of(arm)) or 0,
            wanted=sum_of_known(record.wanted for record in blocks.trials_of(arm)) or 0,
        )
        for arm in ARMS
    }


def failed_attempts(blocks: ScenarioBlocks) -> Mapping[Arm, int]:
    """For each arm, how many attempted trials failed one of their own gates."""
    return {arm: sum(record.arm == arm and not record.valid for record in blocks.attempted) for arm in ARMS}


def background_gbps(blocks: ScenarioBlocks, arm: Arm) -> float | None:
    """The mean received bandwidth of the background flows of an arm, in 10⁹ bit/s."""
    return mean_of_known(record.background_gbps for record in blocks.trials_of(arm))


def limits(blocks: ScenarioBlocks, arm: Arm) -> tuple[Limit, ...] | None:
    """The bottlenecks found in more than half of an arm's trials; None where no host reported usage."""
    trials = blocks.trials_of(arm)
    if all(trial.usage is None and trial.allowances is None for trial in trials):
        return None
    return tuple(limit for limit, times in _times_limited(blocks, arm).items() if times > MOST_LIMITED * len(trials))


def _times_limited(blocks: ScenarioBlocks, arm: Arm) -> Mapping[Limit, int]:
    found = Counter(limit for trial in blocks.trials_of(arm) for limit in limits_of(trial, blocks.scenario))
    return {limit: found[limit] for limit in LIMITS if found[limit]}


def limits_in_short(found: Collection[Limit]) -> str:
    """The bottleneck, worded for the headline; empty if there was none."""
    names = [f"the {LIMIT_NAMES[limit]}" for limit in LIMITS if limit in found]
    return f"the limit was {listed(names)} in most trials: not the network" if names else ""


def _clauses(blocks: ScenarioBlocks) -> Iterator[tuple[str, str]]:
    """Each clause with its short form for the headline; the short form is empty where the headline need not mention it."""
    yield from _loss(blocks)
    stalled = {arm: sum(record.stalled_flows > 0 for record in blocks.trials_of(arm)) for arm in ARMS}
    if any(stalled.values()):
        told = _of_each(stalled, len(blocks.pairs()), "trial")
        yield f"fell silent over a lost message, and count until then: {told}", ""
    failed = failed_attempts(blocks)
    if any(failed.values()):
        attempts = {arm: sum(record.arm == arm for record in blocks.attempted) for arm in ARMS}
        told = ", ".join(f"{ARM_NAMES[arm]} {failed[arm]} of {attempts[arm]}" for arm in ARMS)
        clause = f"attempts that failed: {told}"
        yield clause, clause if differ(*(failed[arm] for arm in ARMS)) else ""
    yield from _background(blocks)
    yield from _limits(blocks)
    yield from _small_buffers(blocks)


def _small_buffers(blocks: ScenarioBlocks) -> Iterator[tuple[str, str]]:
    """A clause if the hosts granted a smaller socket buffer than requested: the kernel caps it without an error."""
    asked = blocks.scenario.buffer_size
    given = min((r.receive_buffer for arm in ARMS for r in blocks.trials_of(arm) if r.receive_buffer), default=None)
    if asked is not None and given is not None and given < asked:
        yield (
            f"sockets had buffers of {given:,} bytes, not the {asked:,} asked for (net.core.rmem_max of the hosts)",
            "",
        )


def _limits(blocks: ScenarioBlocks) -> Iterator[tuple[str, str]]:
    """A clause that says in how many trials there was a bottleneck, and which one in most of them."""
    times = {arm: _times_limited(blocks, arm) for arm in ARMS}
    in_short = limits_in_short({limit for arm in ARMS for limit in limits(blocks, arm) or ()})
    if in_short:
        met = [
            f"{LIMIT_NAMES[limit]}: {_of_each({arm: times[arm].get(limit, 0) for arm in ARMS}, len(blocks.pairs()), 'trial')}"
            for limit in LIMITS
            if any(limit in of for of in times.values())
        ]
        yield f"{in_short} ({'; '.join(met)})", in_short


def differ(one: int, other: int) -> bool:
    """Whether two counts differ by more than chance, if each event is equally likely on either side (sign test)."""
    total = one + other
    chance = 2 * sum(math.comb(total, k) for k in range(min(one, other) + 1)) / 2**total
    return total > 0 and chance <= DIFFER


def _loss(blocks: ScenarioBlocks) -> Iterator[tuple[str, str]]:
    lost = loss_by_arm(blocks)
    if any(loss is not None and loss.rate for loss in lost.values()):
        difference = loss_difference(both_arms(blocks.loss_rates()))
        told = ", ".join(f"{ARM_NAMES[arm]} {loss_in_words(loss)}" for arm, loss in lost.items())
        in_short = ", ".join(f"{ARM_NAMES[arm]} {_rate_in_short(loss)}" for arm, loss in lost.items())
        is_clear = difference is not None and difference.is_clear
        yield f"messages lost: {told}", f"messages lost: {in_short}" if is_clear else ""
    for arm in ARMS:
        trials = blocks.trials_of(arm)
        out_of_order = sum(record.sockperf.out_of_order or 0 for record in trials if record.sockperf)
        wanted = sum_of_known(record.wanted for record in trials)
        if wanted and out_of_order / wanted > MANY_OUT_OF_ORDER:
            share = percent_plain(100 * out_of_order / wanted)
            yield (
                f"{share} of {ARM_NAMES[arm]}'s replies came out of order; they count as later than every other",
                "",
            )


def _rate_in_short(loss: Loss | None) -> str:
    return "unknown" if loss is None else percent_plain(100 * loss.rate) if loss.rate else "none"


def loss_in_words(loss: Loss | None) -> str:
    """A loss rate with its interval: `2.01% [1.95%, 2.07%]`, `none (below 0.0042%)`."""
    if loss is None:
        return "unknown"
    if loss.rate == 0:
        return "none" if loss.high is None else f"none (below {percent_plain(max(100 * loss.high, LEAST_PCT))})"
    if loss.low is None or loss.high is None:
        return percent_plain(100 * loss.rate)
    return f"{percent_plain(100 * loss.rate)} [{percent_plain(100 * loss.low)}, {percent_plain(100 * loss.high)}]"


def _background(blocks: ScenarioBlocks) -> Iterator[tuple[str, str]]:
    """A clause if the background flows carried more in one arm: then the two arms' probes did not meet the same load."""
    if blocks.scenario.background is None:
        return
    by_place = {
        arm: {
            at: mean
            for at in of
            if (mean := mean_of_known(r.background_gbps for r in blocks.trials_of(arm) if (r.pair, r.iteration) == at))
        }
        for arm, of in blocks.blocks.items()
    }
    ratios = [math.log(express / ena) for ena, express in both_arms(by_place)]
    low, high = interval(ratios, confidence=EXPLORATORY_CONFIDENCE)
    if low is not None and high is not None and not low <= 0 <= high:
        change = change_plain(per_cent(sum(ratios) / len(ratios)))
        told = f"{change} {bounds_plain(low, high)} with ENA Express"
        clause = f"the bulk flows beside the probe carried {told}: the load was not the same"
        yield clause, clause


def _of_each(counts: Mapping[Arm, int], of: int, what: str) -> str:
    return ", ".join(f"{ARM_NAMES[arm]} {counts[arm]} of {counted(of, what)}" for arm in ARMS)
