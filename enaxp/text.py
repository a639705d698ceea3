"""Text: how a time span, and text that came from elsewhere, are shown on a terminal."""

from __future__ import annotations

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
