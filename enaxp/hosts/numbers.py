"""Numbers: whole numbers in what a host printed. Its text may be anything, and int() refuses long ones: what no counter can show is none.

word ─▶ whole_number() ─▶ int, or None        text ─▶ a pattern with DIGITS ─▶ int()
"""

from __future__ import annotations

import re

DIGITS = "[0-9]{1,20}"  # a counter of the kernel has 64 bits


def whole_number(word: str | None) -> int | None:
    """The whole number that a word is; None when it is none, or longer than a counter can be."""
    return int(word) if word is not None and re.fullmatch(DIGITS, word) else None
