"""The cache: made once, kept whole, believed only when nobody else can have written it, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from enaxp.report.charts.cache import cache_folder, cached_text


class Maker:
    """Makes a text, and counts how often."""

    def __init__(self, text: str = "made") -> None:
        self.text, self.times = text, 0

    def __call__(self) -> str:
        self.times += 1
        return self.text


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/enaxp"


def test_a_text_is_made_once_and_kept(cache: Path) -> None:
    make = Maker("µs\r\n1")

    assert [cached_text("a.js", make) for _ in range(3)] == ["µs\r\n1"] * 3
    assert make.times == 1
    assert [path.name for path in cache.iterdir()] == ["a.js"]


def test_another_name_is_another_text() -> None:
    assert cached_text("a-1.js", Maker("one")) == "one"
    assert cached_text("a-2.js", Maker("two")) == "two"


def test_what_others_can_write_is_not_believed(cache: Path) -> None:
    cached_text("a.js", Maker("ours"))
    (cache / "a.js").write_text("theirs")
    (cache / "a.js").chmod(0o666)

    assert cached_text("a.js", Maker("ours")) == "ours"
    assert (cache / "a.js").read_text() == "ours"
    assert (cache / "a.js").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("spoilt", [b"", b"\xff\xfe"])
def test_what_cannot_be_read_is_recreated(cache: Path, spoilt: bytes) -> None:
    cached_text("a.js", Maker())
    (cache / "a.js").write_bytes(spoilt)

    assert cached_text("a.js", Maker("again")) == "again"


def test_where_nothing_can_be_kept_it_is_made_each_time(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    make = Maker()

    assert [cached_text("a.js", make) for _ in range(2)] == ["made"] * 2
    assert make.times == 2


def test_it_lies_where_the_desktop_s_rules_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    for named in ("", "relative/is/ignored"):
        monkeypatch.setenv("XDG_CACHE_HOME", named)
        assert cache_folder() == Path("/home/someone/.cache/enaxp")
