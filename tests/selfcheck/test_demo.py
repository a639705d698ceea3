"""Trying the demo's bench often: what counts as right, and as wrong."""

from __future__ import annotations

import pytest

from enaxp.bench.judging.effect import Code
from selfcheck import demo
from selfcheck.demo import RIGHT, Tried, main


def tried(p50: Code, p99: Code, *, held: bool | None = True) -> Tried:
    codes: dict[str, Code] = {"p50": p50, "p99": p99}
    return Tried(codes=codes, held={"p50": held, "p99": True}, lines=("what", "put in", "found"), seconds=80)


@pytest.mark.parametrize(
    ("one", "is_right", "is_wrong"),
    [
        (tried("slower", "faster"), True, False),
        (tried("slower", "inconclusive"), False, False),
        (tried("slower", "slightly-faster"), False, True),
        (tried("same", "faster"), False, True),
    ],
)
def test_right_is_firm_and_wrong_decides_something_else(one: Tried, is_right: bool, is_wrong: bool) -> None:
    assert (one.is_right(RIGHT), one.is_wrong(RIGHT)) == (is_right, is_wrong)


def test_it_counts_them(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    done = [tried("slower", "faster"), tried("slower", "inconclusive", held=None), tried("same", "faster", held=False)]
    monkeypatch.setattr(demo, "tries", lambda *_, **__: iter(done))

    main(["--benches", "3"])

    *_, last = capsys.readouterr().out.splitlines()
    assert last == "3 benches: firm and right in 1, wrong in 1; the truth held at p50 in 1, p99 in 3"
