"""The pages in docs/reference are those that the program makes, and say every key that a document has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from enaxp.bench.judging.result import to_document
from enaxp.bench.measuring.bench import result_of
from enaxp.cli import app
from selfcheck.made_run import Made, make_run
from selfcheck.reference import FOLDER, documents, pages

# Keys that are names: of scenarios, arms, metrics.
NAMES = re.compile(r"udp-latency|ena|ena_express|mean|p\d+(_\d+)?|throughput")
# Those of an arm that a note tells.
LATENCY = re.compile(r"(mean|max|p\d+(_\d+)?)_us")


@pytest.mark.parametrize("name", pages())
def test_a_page_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name], "run `python -m selfcheck.reference`"


def test_no_other_page_is_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(pages())


def test_every_command_has_a_section() -> None:
    told = set(re.findall(r"^## enaxp (\S+)$", pages()["commands.md"], re.MULTILINE))

    assert set(app.commands) <= told


def test_every_key_of_a_result_is_reported(tmp_path: Path) -> None:
    document = to_document(result_of(make_run(tmp_path, Made())))
    told = set(re.findall(r"^\| `(\w+)` \|", documents(), re.MULTILINE))

    missing = {key for key in keys(document) if not NAMES.fullmatch(key) and not LATENCY.fullmatch(key)} - told

    assert missing == set()


def keys(value: object) -> set[str]:
    """Every key at every depth."""
    if isinstance(value, Mapping):
        return set(value) | {key for inner in value.values() for key in keys(inner)}
    return {key for inner in value for key in keys(inner)} if isinstance(value, list) else set()
