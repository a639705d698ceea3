"""Text: the common formatting of figures, changes, intervals, time spans, columns and untrusted text.

A change in per cent has two forms with the same rounding. `plain` is also read by programs: result.json, summary.txt, the terminal
(`-3.10%`). `typeset` is for pages, charts and Markdown (`−3.10 %`, with a true minus and a space).
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterable, Sequence

from enaxp.traffic import THROUGHPUT, Metric

NOT_MEASURED = "not measured"
BEYOND = "beyond measurement"  # among the lost messages: later than every latency that was seen
MOST_TO_TELL_PCT = 1000  # beyond tenfold the figure itself says nothing any more
# What a terminal would take for a command: an escape in a name that came from a file stays visible, and does nothing.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}

# The longer marks first: UTF-32's begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def change_plain(pct: float | None) -> str:
    """A change in per cent with its sign and three significant digits: `-3.10%`, `over +1000%`."""
    if pct is None:
        return NOT_MEASURED
    return (
        f"{'-' if pct < 0 else '+'}{percent_plain(abs(pct))}"
        if pct <= MOST_TO_TELL_PCT
        else f"over +{MOST_TO_TELL_PCT}%"
    )


def percent_plain(pct: float) -> str:
    """A figure in per cent with three significant digits, but no more than four decimals: `9.49%`, `0.0120%`, `0.00%`."""
    if abs(pct) < 0.00005:
        return "0.00%"
    digits = max(0, min(4, 2 - math.floor(math.log10(abs(float(f"{pct:.3g}"))))))
    return f"{pct:.{digits}f}%"


def change_typeset(pct: float | None) -> str:
    """As change_plain, with a true minus, a space before the sign, and no sign for what rounds to nothing: `−3.10 %`,
    `0.00 %`.
    """
    plain = change_plain(pct)
    if plain in ("+0.00%", "-0.00%"):
        return "0.00 %"
    return typeset(plain).replace("%", " %")


def typeset(plain: str) -> str:
    """A change in the form of pages, charts and Markdown: with a true minus."""
    return plain.replace("-", "−")


def unbroken(text: str) -> str:
    """With units that stay on the line of their figure."""
    return re.sub(r"(?<=\d) ?(%|µs|ms|Gbit/s)", "\u00a0\\1", text)


def interval_plain(pct: float | None, low: float | None, high: float | None) -> str:
    """An estimate with its interval: `-3.10% [-4.02%, -2.17%]`; "(no interval)" without bounds, NOT_MEASURED without an estimate."""
    if pct is None:
        return NOT_MEASURED
    if low is None and high is None:
        return f"{change_plain(pct)} (no interval)"
    return f"{change_plain(pct)} {bounds_plain(low, high)}"


def interval_typeset(pct: float | None, low: float | None, high: float | None) -> str:
    """An estimate with its interval: `−3.10 % [−4.02 %, −2.17 %]`."""
    if pct is None:
        return NOT_MEASURED
    if low is None and high is None:
        return f"{change_typeset(pct)} (no interval)"
    ends = (BEYOND if end is None else change_typeset(end) for end in (low, high))
    return f"{change_typeset(pct)} [{', '.join(ends)}]"


def bounds_plain(low: float | None, high: float | None) -> str:
    """An interval alone: `[-4.02%, -2.17%]`; an end that is None is beyond measurement."""
    return f"[{', '.join(BEYOND if end is None else change_plain(end) for end in (low, high))}]"


def figure(metric: Metric, value: float | None) -> str:
    """A metric's figure in µs or 10⁹ bit/s, with its unit; +∞ is beyond measurement."""
    if value is not None and math.isinf(value):
        return BEYOND
    return gigabits(value) if metric == THROUGHPUT else microseconds(value)


def microseconds(us: float | None) -> str:
    """A latency with its significant digits."""
    if us is None:
        return NOT_MEASURED
    digits = 2 if us < 100 else 1 if us < 1000 else 0
    return f"{us:,.{digits}f} µs"


def microseconds_changed(us: float | None) -> str:
    """A change of a latency with its sign, in ms from a thousand µs on: `+20.30 µs`, `-1.47 ms`."""
    if us is None:
        return NOT_MEASURED
    size = f"{abs(us) / 1000:.2f} ms" if abs(us) >= 1000 else microseconds(abs(us))
    return f"{'-' if us < 0 else '+'}{size}"


def gigabits_changed(gbps: float) -> str:
    """A change of a throughput with its sign."""
    return f"{'-' if gbps < 0 else '+'}{gigabits(abs(gbps))}"


def gigabits(gbps: float | None) -> str:
    """A throughput in 10⁹ bit/s."""
    return NOT_MEASURED if gbps is None else f"{gbps:,.3f} Gbit/s"


def counted(number: int, what: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def duration(seconds: float) -> str:
    """A time span in words."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def printable(text: str) -> str:
    """Text that is safe to print on a terminal: control characters are escaped."""
    return text.translate(_CONTROLS)


def decoded(content: bytes) -> str:
    """The text in a file's bytes: UTF-8; UTF-16 and UTF-32 by their byte order mark; UTF-16 without a mark by its zero bytes; otherwise
    Windows-1252. Invalid bytes are replaced.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    if content.count(0) > len(content) / 4:  # a few may stand in any text: a disk that was full leaves them
        little = content[1::2].count(0) >= content[::2].count(0)
        return content.decode("utf-16-le" if little else "utf-16-be", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def columns(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lines of columns, each as wide as its widest cell."""
    cells = [list(header), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def cell(value: object) -> str:
    """A value in a column: `-` for None, on or off for a boolean."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
