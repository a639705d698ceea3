"""The truth in words: the difference injected between the arms of an emulated run, compared with what was found. Pure.

Truth ─▶ lines for a terminal and summary.txt, rows for the page
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from enaxp.bench.judging.truth import TrueFigure, Truth
from enaxp.report.words import label
from enaxp.text import bounds_plain, listed, microseconds_changed, typeset
from enaxp.traffic import metric_label

NOT_KNOWN = "not known"
_YES_OR_NO = {True: "yes", False: "no", None: NOT_KNOWN}


@dataclass(frozen=True, kw_only=True)
class TruthRow:
    """One primary on the page."""

    name: str
    put_in: str
    found: str
    word: str
    code: str
    held: str


def truth_lines(truth: Truth) -> Iterator[str]:
    """Lines for a terminal and summary.txt: what was injected, what was found, whether the intervals contain it."""
    figures = truth.figures.items()
    is_same = not any(figure.planned_us for _, figure in figures)
    yield f"emulated, not ENA: {truth.what}"
    put_in = (f"{metric_label(metric)} {microseconds_changed(figure.put_in_us)}" for metric, figure in figures)
    yield "put in: nothing" if is_same else f"put in: {', '.join(put_in)} (by the relay's own record)"
    found = (f"{metric_label(metric)} {found_in_time(figure)}, {figure.code}" for metric, figure in figures)
    yield f"found:  {'; '.join(found)}"
    missed = [metric_label(metric) for metric, figure in figures if figure.held is False]
    unknown = [metric_label(metric) for metric, figure in figures if figure.held is None]
    said = "yes" if truth.all_held else "; ".join(
        ([f"not at {listed(missed)}"] if missed else []) + ([f"{NOT_KNOWN} at {listed(unknown)}"] if unknown else [])
    )  # fmt: skip
    yield f"true value within the intervals: {said}"
    if is_same:
        yield f"what this run excludes: {'; '.join(_excluded(metric_label(metric), figure) for metric, figure in figures)}"


def truth_rows(truth: Truth) -> list[TruthRow]:
    return [
        TruthRow(
            name=metric_label(metric),
            put_in=typeset(microseconds_changed(figure.put_in_us)),
            found=typeset(found_in_time(figure)),
            word=label(figure.code),
            code=figure.code,
            held=_YES_OR_NO[figure.held],
        )
        for metric, figure in truth.figures.items()
    ]


def found_in_time(figure: TrueFigure) -> str:
    """The change that was found, with its interval: `+20.1 µs [+19.2 µs, +21.0 µs]`."""
    if figure.found_low_us is None or figure.found_high_us is None:
        return f"{microseconds_changed(figure.found_us)} (no interval)"
    ends = ", ".join(microseconds_changed(end) for end in (figure.found_low_us, figure.found_high_us))
    return f"{microseconds_changed(figure.found_us)} [{ends}]"


def _excluded(name: str, figure: TrueFigure) -> str:
    if figure.found_low_us is None or figure.found_high_us is None:
        return f"nothing at {name}"
    low, high = microseconds_changed(figure.found_low_us), microseconds_changed(figure.found_high_us)
    bounds = bounds_plain(figure.found_low_pct, figure.found_high_pct)
    return f"at {name} a change outside of {low} to {high}, {bounds}"
