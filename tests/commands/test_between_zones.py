"""What a bench says of its traffic where its hosts are in two zones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.commands.between_zones import confirm_traffic
from enaxp.commands.status import current_status
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
    cloud: DeadlyCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
