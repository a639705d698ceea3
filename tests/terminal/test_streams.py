"""stdin, stdout and stderr, whatever they are: a result is written or said to be lost, and nothing else fails for it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from enaxp.terminal.console import Console
from enaxp.terminal.streams import OutputError, prepare, tell

KEPT = Path(__file__).parents[1] / "hosts/fixtures/sockperf/3.10/ping-pong-udp.txt"
CASES = yaml.safe_load((Path(__file__).parent / "streams.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["run"])
def test_streams_of_every_kind(case: dict[str, Any], folder: Path) -> None:
    said = folder / "said"
    run = case["run"].replace("enaxp", f"{sys.executable} -P -m enaxp").replace("KEPT", str(KEPT))
    script = f"exec 2>{said}; {run}" if "2>" not in run else run

    ran = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, timeout=60, check=False)

    assert ran.returncode == case["code"]
    if case.get("document"):
        assert json.loads(ran.stdout)[0]["ok"]
    text = said.read_text() if said.exists() else ""
    assert text.startswith(case.get("says", ""))
    assert "Traceback" not in text
    assert "Exception ignored" not in text


def test_no_file_gets_the_number_of_a_closed_stream(folder: Path) -> None:
    program = "from enaxp.terminal.streams import prepare; prepare(); print(open('result', 'w').fileno(), file=open('n', 'w'))"

    subprocess.run(["sh", "-c", f'{sys.executable} -P -c "{program}" <&- >&- 2>&-'], timeout=60, check=True)

    assert int((folder / "n").read_text()) > 2


def test_signs_that_an_encoding_lacks_are_written_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, encoding="ascii"))
    prepare()

    tell("P99 \u2212 28.40 µs … Zürich 漢 ▁█ \udcff")

    assert written.getvalue() == b"P99 - 28.40 us ... Zurich ? .@ ?\n"


@pytest.mark.parametrize("encoding", ["iso-8859-1", "cp437", "utf-8"])
def test_signs_that_an_encoding_has_stay(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, encoding=encoding))
    prepare()

    tell("28.40 µs")

    assert written.getvalue() == "28.40 µs\n".encode(encoding)


def test_a_result_that_is_in_a_folder_too_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(as_json=False)
    monkeypatch.setattr(sys, "stdout", Unwritable())

    with console.also_kept_in(tmp_path):
        console.result("slower")
    with pytest.raises(OutputError):
        console.result("slower")

    assert f"(No space left on device): it is in {tmp_path}" in capsys.readouterr().err


class Unwritable(io.StringIO):
    """Stands for a stdout on a full disk, so that the tests' own stays as it is."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")
