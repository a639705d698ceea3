"""Histogram: the exact latencies of a trial (the count of each value in ns), and the merge of several trials with equal weight.

    Histogram (one trial, counts) + its lost messages ─┬─▶ merge_equal_weight ─▶ Distribution (shares) ─▶ quantile, mean, max
    Histogram (another trial) + its lost messages     ─┘

Percentiles are never averaged, and trials are never pooled by count: a closed loop sends more messages when latency is low, so pooling
would give fast trials more weight than slow ones. In the merge each trial has the weight 1/n, F(x) = (1/n)·ΣF_j(x).

Shares are of the messages that expected a reply. A message that was lost, or whose reply came out of order (sockperf discards its time),
has no latency: it is ranked later than every other. A quantile that falls among those is +∞, *beyond measurement*. Otherwise an arm that
loses its slow messages would look faster (worst-rank score: J. M. Lachin, 1999, Control. Clin. Trials 20, 408-422).
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from enaxp.hosts.sockperf import ReducedLog

Nanoseconds: TypeAlias = npt.NDArray[np.int64]
HEADER = b"value_ns,count\n"
MOST_TEXT_BYTES = 1 << 26  # five million different latencies: more than any trial of an hour has
MOST_NS = 2.0**62  # all latencies of a trial together
# A cumulated share may miss the one it stands for by what adding floats costs, never by a whole observation.
_ROUNDING = 1e-12
# Messages beyond a quantile, in the smallest iteration of either arm, below which it is shown greyed out and decides nothing.
TAIL_SAMPLES = 10


@dataclass(frozen=True, eq=False)
class Distribution:
    """Latencies in ns, ascending, each with its share of the messages that expected a reply. `lost`: the share without a latency.

    The shares and `lost` add up to 1.
    """

    values: Nanoseconds
    shares: npt.NDArray[np.float64]
    lost: float = 0.0

    def quantile(self, p: float) -> float:
        """The nearest-rank quantile in ns: the smallest latency x with F(x) ≥ p, for 0 < p ≤ 1; +∞ where it lies among
        the lost.
        """
        _check_p(p)
        reached = int(np.searchsorted(np.cumsum(self.shares), p - _ROUNDING))
        if reached < len(self.values):
            return float(self.values[reached])
        return math.inf if self.lost > _ROUNDING else float(self.values[-1])

    @property
    def mean(self) -> float:
        """The mean in ns of the messages that arrived."""
        arrived = float(self.shares.sum()) if self.lost else 1.0
        return float(self.values @ self.shares) / arrived

    @property
    def max(self) -> int:
        """The largest latency in ns of the messages that arrived."""
        return int(self.values[-1])


@dataclass(frozen=True, eq=False)
class Histogram:
    """Distinct latencies in ns, ascending, each with its count. Holds at least one observation."""

    values: Nanoseconds
    counts: Nanoseconds

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or self.values.shape != self.counts.shape or not len(self.values):
            raise ValueError("a histogram needs as many counts as values, and one at least")
        if self.values[0] < 0 or np.any(np.diff(self.values) <= 0):
            raise ValueError("a histogram's values must be ascending, each once, none below 0")
        if np.any(self.counts <= 0):
            raise ValueError("a histogram's counts must be above 0")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return np.array_equal(self.values, other.values) and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]  # arrays are no keys

    @classmethod
    def of(cls, values: Sequence[int] | Nanoseconds, counts: Sequence[int] | Nanoseconds | None = None) -> Histogram:
        """The histogram of these values in ns, in any order, with repeats or with `counts` (default: once each).

        Raises ValueError when empty or negative.
        """
        seen = np.asarray(values, dtype=np.int64)
        weights = np.ones_like(seen) if counts is None else np.asarray(counts, dtype=np.int64)
        if seen.shape != weights.shape or np.any(weights <= 0):
            raise ValueError("a histogram needs one count above 0 for each value")
        unique, place = np.unique(seen, return_inverse=True)
        total = np.zeros(len(unique), dtype=np.int64)
        np.add.at(total, place, weights)
        return cls(unique, total)

    @property
    def count(self) -> int:
        """The number of observations."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """The mean in ns."""
        return int(self.values @ self.counts) / self.count

    @property
    def max(self) -> int:
        """The largest value in ns."""
        return int(self.values[-1])

    def quantile(self, p: float) -> int:
        """The nearest-rank quantile in ns: the smallest x with F(x) ≥ p, for 0 < p ≤ 1."""
        _check_p(p)
        count = self.count
        return self._at_rank(p * count - _ROUNDING * count)

    def sockperf_percentile(self, p: float) -> int | None:
        """The percentile in ns by sockperf's own rule, sorted[int(0.5 + p·n) − 1], for 0 < p ≤ 1; None if that rank is below 1. The
        tests compare it with what sockperf prints."""
        rank = int(0.5 + p * self.count)
        return self._at_rank(rank) if rank >= 1 else None

    def distribution(self, *, lost: int = 0) -> Distribution:
        """The distribution: shares of the messages that expected a reply, which are the observations and `lost` more without a latency."""
        wanted = self.count + lost
        return Distribution(self.values, self.counts / wanted, lost / wanted)

    def to_bytes(self) -> bytes:
        """The histogram as a gzipped CSV file, the same bytes for the same histogram."""
        columns = np.column_stack((self.values, self.counts)).ravel().tolist()
        lines = "%d,%d\n" * len(self.values) % tuple(columns)
        return gzip.compress(HEADER + lines.encode(), compresslevel=6, mtime=0)

    @classmethod
    def from_bytes(cls, content: bytes) -> Histogram:
        """The histogram in a file written by `to_bytes`. Raises ValueError for anything else, saying what is wrong."""
        try:
            text = _unpacked(content)
        except zlib.error as error:
            raise ValueError(f"not a gzip file: {error}") from None
        if not text.startswith(HEADER):
            raise ValueError(f"does not begin with {HEADER.decode().strip()!r}")
        return cls.from_rows(text[len(HEADER) :], separator=b",")

    @classmethod
    def from_reduced(cls, log: ReducedLog) -> Histogram:
        """The histogram in a full log that was reduced on its host (sockperf.read_reduced).

        Raises ValueError when observations were lost on the way.
        """
        histogram = cls.from_rows(log.histogram_rows, separator=b" ")
        if histogram.count != log.observations:
            raise ValueError(f"the reduced log holds {histogram.count} observations of {log.observations}")
        return histogram

    @classmethod
    def from_rows(cls, rows: bytes, *, separator: bytes) -> Histogram:
        """The histogram in lines of `value_ns count`, in any order.

        Raises ValueError for any other line.
        """
        if not rows.strip():
            raise ValueError("holds no observation")
        if rows.translate(None, b"0123456789\n" + separator):
            raise ValueError("holds something else than whole numbers")
        try:
            table = np.loadtxt(io.BytesIO(rows), dtype=np.int64, delimiter=separator.decode(), comments=None, ndmin=2)
        except (ValueError, OverflowError):
            raise ValueError("not two columns of whole numbers in each line") from None
        if table.shape[1] != 2:
            raise ValueError("not two columns in each line")
        if float(table[:, 0].max()) * float(table[:, 1].astype(np.float64).sum()) > MOST_NS:
            raise ValueError("holds more than can be added up")
        return cls.of(table[:, 0], table[:, 1])

    def _at_rank(self, rank: float) -> int:
        return int(self.values[int(np.searchsorted(np.cumsum(self.counts), rank))])


def merge_equal_weight(histograms: Sequence[Histogram], *, lost: Sequence[int] | None = None) -> Distribution:
    """The mean of the trials' distributions, each with the same weight however many observations it holds.

    Needs at least one. lost: for each trial, how many messages expected a reply and have no latency; 0 by default.
    """
    if not histograms:
        raise ValueError("nothing to merge")
    of_each = lost if lost is not None else [0] * len(histograms)
    distributions = [histogram.distribution(lost=n) for histogram, n in zip(histograms, of_each, strict=True)]
    return merge(distributions, weights=[1.0] * len(histograms))


def merge(distributions: Sequence[Distribution], *, weights: Sequence[float]) -> Distribution:
    """The weighted mean of distributions.

    Merges of merges, weighted by their numbers of trials, equal the merge of all the trials.
    """
    total = sum(weights)
    values = np.concatenate([one.values for one in distributions])
    shares = np.concatenate([one.shares * (weight / total) for one, weight in zip(distributions, weights, strict=True)])
    unique, place = np.unique(values, return_inverse=True)
    merged = np.bincount(place, weights=shares, minlength=len(unique)).astype(np.float64)
    lost = sum(one.lost * weight for one, weight in zip(distributions, weights, strict=True)) / total
    return Distribution(unique, merged, lost)


def tail_is_thin(p: float, *, fewest: int) -> bool:
    """Whether fewer than ten messages lie beyond the quantile p in the smallest iteration of either arm, which has `fewest`."""
    return fewest * (1 - p) < TAIL_SAMPLES - 1e-6


def _unpacked(content: bytes) -> bytes:
    """The content of a gzip file. Raises zlib.error, and ValueError above MOST_TEXT_BYTES (a small file can expand a thousandfold)."""
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    text = reader.decompress(content, MOST_TEXT_BYTES + 1)
    if len(text) > MOST_TEXT_BYTES:
        raise ValueError(f"holds more than {MOST_TEXT_BYTES} bytes")
    if content and (not reader.eof or reader.unused_data):
        raise ValueError("not a gzip file: it is cut off, or something follows it")
    return text


def _check_p(p: float) -> None:
    if not 0 < p <= 1:
        raise ValueError(f"a quantile needs 0 < p <= 1, not {p}")
