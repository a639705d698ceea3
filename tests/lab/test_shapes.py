"""Files of enaxp's own that are of a wrong shape: said, and gone on without, never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from enaxp.aws import Aws
from enaxp.lab.cost import find_prices, from_table
from enaxp.lab.state import StateFile

CASES = yaml.safe_load((Path(__file__).parent / "shapes.yaml").read_text())


def content_of(case: dict[str, Any]) -> bytes:
    text = case.get("text") or "".join(part * times for part, times in case.get("parts", ()))
    return str(text).encode(case.get("encoding", "utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_state_of_a_wrong_shape_is_reported_and_ignored(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_bytes(content_of(case))
    file = StateFile(tmp_path, "dev")

    assert file.load() is None

    [note] = file.notes
    assert note.startswith(f"{tmp_path / 'dev.json'} cannot be read (")
    assert note.endswith("): going on without it")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_prices_of_a_wrong_shape_are_asked_for_again(case: dict[str, Any], tmp_path: Path) -> None:
    kept = tmp_path / "prices.json"
    kept.write_bytes(content_of(case))
    aws = Aws(region="us-gov-west-1", endpoint_url="http://127.0.0.1:9", access_key="x", secret_key="x")

    assert find_prices(aws, "c6i.8xlarge", kept_in=kept) == from_table("us-gov-west-1", "c6i.8xlarge")
