"""Summary: a bench of many pairs as plain text, `summary.txt`, and as Markdown. Pure.

FleetData ─▶ a section a variant ─▶ what the next pair will see, how different pairs are, each pair by itself ─▶ text
"""

from __future__ import annotations

from collections.abc import Iterator

from enaxp.bench.fleet.judging import PairRun
from enaxp.bench.fleet.result import FleetEffect
from enaxp.bench.fleet.words import difference_in_words
from enaxp.report.fleet.data import FleetData, StandingOut
from enaxp.report.markdown import plain
from enaxp.report.words import label
from enaxp.text import bounds_plain, columns, counted, interval_plain, interval_typeset, percent_plain, typeset
from enaxp.traffic import metric_label, metric_text

RULE = "=" * 56
SUPPOSED = (
    "The pair of hosts is the unit: an interval covers what differs from pair to pair. It supposes that pairs differ alike to both sides; "
    "where a few are elsewhere, few pairs do not show it, and it holds less often."
)


def render_fleet_summary(data: FleetData) -> str:
    """The text of `summary.txt`, with a newline at its end."""
    return "\n".join([*_header(data), *_variants(data), *_differences(data), *_pairs(data), "", SUPPOSED, RULE, ""])


def render_fleet_markdown(data: FleetData) -> str:
    """The same for a pull request or a chat. What the files hold is text in it, never markup."""
    lines: list[str] = [f"## {plain(title(data))}", ""]
    for name, variant in data.fleet.variants.items():
        lines += [f"### {plain(name)}: {variant.valid_pairs} of {counted(variant.pairs, 'pair')}", ""]
        for scenario, measured in variant.scenarios.items():
            lines += [f"**{plain(scenario)}**: {plain(measured.verdict.words)}", ""]
            lines += [
                "| | mean effect [interval] | the next pair | pairs differ by | that is |",
                "|---|---|---|---|---|",
            ]
            lines += [
                f"| {metric_label(metric)} | {interval_typeset(one.estimate_pct, one.low_pct, one.high_pct)} | {typeset(_next(one))} "
                f"| {between_in_short(one)} | {label(one.code)} |"
                for metric, one in measured.effects.items()
            ]
            lines.append("")
    lines += [f"- {plain(difference_in_words(one))}" for one in data.fleet.differences]
    lines += [f"- {plain(one)}" for one in (*map(out_in_words, data.standing_out()), *lost_in_words(data))]
    return "\n".join(
        [*lines, "", f"_{SUPPOSED} Run `{plain(data.manifest.run_id)}` of lab {plain(data.manifest.lab)}._", ""]
    )


def title(data: FleetData) -> str:
    """The fleet's verdicts in a few words: of one variant and scenario its headline, else each code."""
    told = [(name, scenario, one) for name, v in data.fleet.variants.items() for scenario, one in v.scenarios.items()]
    if not told:
        return "No pair of this fleet counts"
    if len(told) == 1:
        return told[0][2].verdict.headline or told[0][2].verdict.words
    several = len({scenario for _, scenario, _ in told}) > 1
    return "; ".join(
        f"{name}{f', {scenario}' if several else ''}: {label(one.verdict.code)}" for name, scenario, one in told
    )


def out_in_words(one: StandingOut) -> str:
    """A pair that stands out, with what is different about it."""
    if not one.differs:
        return f"{one.pair} stands out among {one.variant}; nothing that was recorded of its hosts is different from all others"
    return f"{one.pair} stands out among {one.variant}; it alone has {'; '.join(map(str, one.differs))}"


def lost_in_words(data: FleetData) -> list[str]:
    """The pairs that were lost, with why."""
    return [f"{pair.name} was lost: {pair.lost}" for pair in data.pairs if pair.lost]


def _header(data: FleetData) -> Iterator[str]:
    yield RULE
    yield "     ENA vs ENA Express over pairs of hosts: Summary"
    yield RULE
    manifest = data.manifest
    if data.not_ena:
        yield f"{data.not_ena}"
    yield f"Run {manifest.run_id} of lab {manifest.lab}, began {manifest.started_at}"
    if first := data.first:
        plan = first.plan
        yield (
            f"Each pair: {counted(plan.iterations, 'iteration')} of {counted(plan.repeats, 'pair')} of trials of "
            f"{plan.duration_s:g} s"
        )


def _variants(data: FleetData) -> Iterator[str]:
    for name, variant in data.fleet.variants.items():
        yield RULE
        yield f"Variant {name}: {variant.valid_pairs} of {counted(variant.pairs, 'pair')} valid"
        yield RULE
        for scenario, measured in variant.scenarios.items():
            yield f"{scenario}: {measured.verdict.words}"
            yield ""
            rows = [
                (
                    metric_text(metric),
                    interval_plain(one.estimate_pct, one.low_pct, one.high_pct),
                    "-" if one.confidence_pct is None else f"{one.confidence_pct:.4g}%",
                    _next(one),
                    between_in_short(one),
                    f"{one.code}{'' if one.grounds.primary else ', exploratory'}",
                )
                for metric, one in measured.effects.items()
            ]
            yield columns(("", "mean effect [interval]", "level", "next pair (95%)", "pairs differ by", ""), rows)
            yield ""
    yield from (f"Note: {out_in_words(one)}" for one in data.standing_out())


def _differences(data: FleetData) -> Iterator[str]:
    if data.fleet.differences:
        yield RULE
        yield "Between variants (below 0: the figure falls more, or rises less, on the second)"
        yield RULE
        yield from map(difference_in_words, data.fleet.differences)


def _pairs(data: FleetData) -> Iterator[str]:
    yield RULE
    yield "Pairs"
    yield RULE
    yield columns(
        ("pair", "zone", *(f"{s.name} {metric_text(m)}" for s in data.scenarios for m in s.primaries), ""),
        [_pair_row(data, pair) for pair in data.pairs],
    )


def _pair_row(data: FleetData, pair: PairRun) -> list[str]:
    zone = str(pair.run.manifest.place.get("availability_zone") or "-") if pair.run else "-"
    told = []
    for scenario in data.scenarios:
        for metric in scenario.primaries:
            effect = pair.run.result.scenarios[scenario.name].effects.get(metric) if pair.run else None
            told.append(interval_plain(effect.estimate_pct, effect.low_pct, effect.high_pct) if effect else "-")
    return [pair.name, zone, *told, f"LOST: {pair.lost}" if pair.lost else "" if pair.counts else "invalid"]


def _next(effect: FleetEffect) -> str:
    if effect.next_pair_low_pct is None:
        return "not known"
    return bounds_plain(effect.next_pair_low_pct, effect.next_pair_high_pct)


def between_in_short(effect: FleetEffect) -> str:
    """How different the pairs are, for a table."""
    if effect.between_pairs_pct is None or effect.i2 is None:
        return "not known"
    return "nothing found" if effect.i2 == 0 else f"{percent_plain(effect.between_pairs_pct)}, I² {effect.i2:.0%}"
