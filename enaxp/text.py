"""Text: how a time span, columns, and text that came from elsewhere are shown on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# What a terminal would take for a command: an escape in a name that came from a file stays visible, and does nothing.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def duration(seconds: float) -> str:
    """A time span for a person."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def printable(text: str) -> str:
    """Text that a terminal shows as it is, whatever it holds."""
    return text.translate(_CONTROLS)


def columns(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lines of columns, each as wide as its widest cell."""
    cells = [list(header), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def cell(value: object) -> str:
    """A value in a column: `-` where there is none, on or off for what is switched."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
