"""`enaxp parse` on files as people's computers write them."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from enaxp.commands.runs import parse_files
from enaxp.hosts.sockperf import ParsedFile, parse

KEPT = Path(__file__).parents[1] / "hosts/fixtures/sockperf/3.10/ping-pong-udp.txt"
REMARK = "# Zürich, 40 µs – “quiet”\r\n"

# How the bytes come about: redirected by PowerShell 5, by `cmd`, by an editor that marks UTF-8, by big-endian tools.
ENCODINGS = {
    "utf-8": REMARK.encode(),
    "utf-8 with a mark": codecs.BOM_UTF8 + REMARK.encode(),
    "utf-16 little-endian": codecs.BOM_UTF16_LE + REMARK.encode("utf-16-le"),
    "utf-16 little-endian without a mark": REMARK.encode("utf-16-le"),
    "utf-16 big-endian": codecs.BOM_UTF16_BE + REMARK.encode("utf-16-be"),
    "utf-16 big-endian without a mark": REMARK.encode("utf-16-be"),
    "utf-32": codecs.BOM_UTF32_LE + REMARK.encode("utf-32-le"),
    "cp1252": REMARK.encode("cp1252"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_file_is_read_whatever_its_encoding_is(name: str, tmp_path: Path) -> None:
    encoding = next(
        known for known in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-8") if is_in(known, ENCODINGS[name])
    )
    path = tmp_path / "kept.txt"
    path.write_bytes(ENCODINGS[name] + KEPT.read_text().replace("\n", "\r\n").encode(encoding))

    (read,) = parse_files([str(path)])

    assert read == ParsedFile.of(str(path), parse(KEPT.read_text()))
    assert read.ok


def is_in(encoding: str, content: bytes) -> bool:
    """Whether the remark stands in these bytes so; what is in no other encoding is cp1252, which has ASCII as UTF-8 has it."""
    return encoding == "utf-8" or REMARK.encode(encoding) in content


def test_zero_bytes_of_a_full_disk_do_not_hide_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_bytes(KEPT.read_bytes() + bytes(100))

    (read,) = parse_files([str(path)])

    assert read == ParsedFile.of(str(path), parse(KEPT.read_text()))
