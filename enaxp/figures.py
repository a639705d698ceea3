"""Figures: sums and means of measured values. A value that was not measured is None, and never counts as 0. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

_N = TypeVar("_N", int, float)


def sum_of_known(figures: Iterable[_N | None]) -> _N | None:
    """The sum of the values that are not None; None if all are."""
    known = [figure for figure in figures if figure is not None]
    return sum(known[1:], known[0]) if known else None


def mean_of_known(figures: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None if all are."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if known else None
