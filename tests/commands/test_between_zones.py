"""What a bench says of its traffic where its hosts are in two zones."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.commands.between_zones import confirm_traffic
from enaxp.commands.status import current_status
from enaxp.errors import LabError
from enaxp.lab.lifecycle import Target
from enaxp.options import Options
from enaxp.session import Session
from enaxp.terminal.console import Console
from tests.support.crash_harness import DeadlyCloud, Labs, deadly_cloud
from tests.support.factories import FIVE


@pytest.fixture
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as running:
        yield running


def test_traffic_between_zones_is_reported_with_its_price_and_traffic_within_one_is_not(
    cloud: DeadlyCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a fleet with a pair in one zone and one across two
    labs = Labs(
        cloud,
        tmp_path,
        overrides={"fleet": {"pairs": 1, "variants": {"near": {}, "far": {"placement": "zones"}}}, "hosts.ssm": False},
    )
    labs.up()
    session = Session(
        options=Options(state_dir=tmp_path),
        config=labs.config,
        target=Target(name="aws"),
        aws=labs.aws(),
        file=labs.file(),
        console=Console(as_json=False),
    )
    pairs = current_status(session).each_pair()
    bulk = replace(FIVE, scenarios=(labs.config.scenarios["tcp-bulk"],), iterations=2, repeats=3, duration_s=10.0)

    confirm_traffic(session, bulk, [pairs["near-1"]])
    within_one = capsys.readouterr().err
    confirm_traffic(session, bulk, pairs.values())
    between_two = capsys.readouterr().err

    # then what moves between the zones is told: twelve trials of ten seconds at what the hosts carry all day
    assert "traffic" not in within_one
    assert "traffic between the zones: at most about 188 GB, 3.75 USD" in between_two

    # and who is at a terminal is asked: no measures nothing, yes goes on, and what costs less than a dollar is not asked
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    with pytest.raises(LabError, match="nothing was measured"):
        confirm_traffic(session, bulk, pairs.values())
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    confirm_traffic(session, bulk, pairs.values())
    asked = capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    confirm_traffic(session, replace(bulk, iterations=1, repeats=1, duration_s=1.0), pairs.values())
    little = capsys.readouterr().err
    assert asked.count("Measure between two zones, for up to 3.75 USD of traffic? [y/N]") == 2
    assert "USD" in little
    assert "[y/N]" not in little


class Terminal(io.StringIO):
    """A person at a terminal, who types this."""

    def isatty(self) -> bool:
        return True
