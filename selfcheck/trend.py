"""Trend: how often a change is seen in runs that do not change, and how often one that is there. Seeded, so the same each time.

Law (how the effects of runs are drawn) ─▶ a series of runs ─▶ what `enaxp runs --trend` looks with ─▶ how often it sees a change

pip install 'enaxp[trend]'
python -m selfcheck.trend [--series 200] [--laws TEXT]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import numpy.typing as npt

from enaxp.bench.statistics.changes import INSTALL_IT, LEVEL, change_points, is_installed

SEED = 20261130
SIZES = (8, 12, 20, 40)
_Floats = npt.NDArray[np.float64]
Law = Callable[[np.random.Generator, int], _Floats]


def _normal(rng: np.random.Generator, count: int) -> _Floats:
    return rng.normal(size=count)


def _lognormal(rng: np.random.Generator, count: int) -> _Floats:
    return rng.lognormal(size=count)


def _two_state(rng: np.random.Generator, count: int) -> _Floats:
    """One run of five lies four standard deviations away."""
    return rng.normal(size=count) + 4.0 * (rng.random(count) < 0.2)


def _neighbours(correlation: float) -> Law:
    def draw(rng: np.random.Generator, count: int) -> _Floats:
        values = rng.normal(size=count)
        for place in range(1, count):
            values[place] = correlation * values[place - 1] + (1 - correlation**2) ** 0.5 * values[place]
        return values

    return draw


def _wandering(rng: np.random.Generator, count: int) -> _Floats:
    return np.cumsum(rng.normal(size=count))


def _shifted(by: float, *, at: float = 0.5) -> Law:
    def draw(rng: np.random.Generator, count: int) -> _Floats:
        return rng.normal(size=count) + by * (np.arange(count) >= round(at * count))

    return draw


UNCHANGED: dict[str, Law] = {"normal": _normal, "lognormal": _lognormal, "two states": _two_state}
DEPENDENT: dict[str, Law] = {
    "each resembles the last, r = .3": _neighbours(0.3),
    "each resembles the last, r = .6": _neighbours(0.6),
    "wanders like a random walk": _wandering,
}
CHANGED: dict[str, Law] = {
    "half way by 1 SD": _shifted(1.0),
    "half way by 2 SD": _shifted(2.0),
    "half way by 4 SD": _shifted(4.0),
    "by 4 SD in the newest quarter": _shifted(4.0, at=0.75),
}
LAWS = UNCHANGED | DEPENDENT | CHANGED


def share_with_a_change(name: str, *, runs: int, series: int) -> float:
    """In what share of the series of so many runs at least one change is seen."""
    rng = np.random.default_rng([SEED, runs, *name.encode()])
    seen = [bool(change_points(LAWS[name](rng, runs).tolist())) for _ in range(series)]
    return sum(seen) / series


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints, for each law and number of runs, in how many per cent of the series a change is seen."""
    parser = argparse.ArgumentParser(description="How often a change is seen in runs over time.")
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--laws", default="", help="only those whose name holds this")
    asked = parser.parse_args(arguments)
    series = asked.series
    if not is_installed():
        raise SystemExit(f"there is nothing to check: {INSTALL_IT}")
    print(
        f"a change seen in % of {series} series (of runs that do not change: at most {100 * LEVEL:g}, but where they depend)"
    )
    print(f"  {'runs':<36}{''.join(f'{size:>8}' for size in SIZES)}")
    with ProcessPoolExecutor() as pool:
        for heading, laws in (("no change", UNCHANGED), ("no change, but dependent", DEPENDENT), ("a change", CHANGED)):
            print(heading)
            cells = {
                name: [pool.submit(share_with_a_change, name, runs=size, series=series) for size in SIZES]
                for name in laws
                if asked.laws in name
            }
            for name, futures in cells.items():
                print(f"  {name:<36}{''.join(f'{100 * one.result():>8.1f}' for one in futures)}", flush=True)


if __name__ == "__main__":
    main()
