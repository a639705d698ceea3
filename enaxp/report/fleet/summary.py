"""Summary: a fleet's bench as plain text, `summary.txt`, and as Markdown. Pure.

FleetData ─▶ a section a variant ─▶ what the next pair will see, how different pairs are, each pair by itself ─▶ text
"""

from __future__ import annotations

from collections.abc import Iterator

from enaxp.bench.fleet.judging import PairRun
from enaxp.bench.fleet.words import difference_in_words
from enaxp.report.fleet.data import FleetData
from enaxp.report.fleet.words import (
    SUPPOSED,
    between_in_short,
    lost_in_words,
    next_pair_in_short,
    out_in_words,
    title,
)
from enaxp.report.markdown import plain
from enaxp.report.words import label
from enaxp.text import columns, counted, interval_plain, interval_typeset, typeset
from enaxp.traffic import metric_label, metric_text

RULE = "=" * 56


def render_fleet_summary(data: FleetData) -> str:
    """The text of `summary.txt`, with a final newline."""
    return "\n".join([*_header(data), *_variants(data), *_differences(data), *_pairs(data), "", SUPPOSED, RULE, ""])


def render_fleet_markdown(data: FleetData) -> str:
    """The Markdown text for a pull request or a chat. The content of the files is escaped."""
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
                f"| {metric_label(metric)} | {interval_typeset(one.estimate_pct, one.low_pct, one.high_pct)} "
                f"| {typeset(next_pair_in_short(one))} | {between_in_short(one)} | {label(one.code)} |"
                for metric, one in measured.effects.items()
            ]
            lines.append("")
    lines += [f"- {plain(difference_in_words(one))}" for one in data.fleet.differences]
    lines += [f"- {plain(one)}" for one in (*map(out_in_words, data.standing_out()), *lost_in_words(data))]
    return "\n".join(
        [*lines, "", f"_{SUPPOSED} Run `{plain(data.manifest.run_id)}` of lab {plain(data.manifest.lab)}._", ""]
    )


def _header(data: FleetData) -> Iterator[str]:
    yield RULE
    yield "     ENA vs ENA Express over pairs of hosts: Summary"
    yield RULE
    manifest = data.manifest
    if data.not_ena:
        yield data.not_ena
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
                    next_pair_in_short(one),
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
        ("pair", "zone", *(f"{scenario.name} {metric_text(metric)}" for scenario, metric in data.primaries), ""),
        [_pair_row(data, pair) for pair in data.pairs],
    )


def _pair_row(data: FleetData, pair: PairRun) -> list[str]:
    effects = [pair.effect(scenario.name, metric) for scenario, metric in data.primaries]
    told = [interval_plain(one.estimate_pct, one.low_pct, one.high_pct) if one else "-" for one in effects]
    return [pair.name, pair.zone or "-", *told, f"LOST: {pair.lost}" if pair.lost else "" if pair.counts else "invalid"]
