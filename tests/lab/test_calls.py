"""How much enaxp asks AWS for: beside the same lab in raw boto3, and nothing twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from enaxp.lab.lifecycle import look, up
from enaxp.local.strict import Timing
from selfcheck import floor
from tests.support.crash_harness import DeadlyCloud, Labs


def calls(cloud: DeadlyCloud) -> Counter[str]:
    """Since the last time that this was asked."""
    made = Counter(call.action for call in cloud.server.calls)
    cloud.server.forget_calls()
    return made


def test_an_up_makes_at_most_a_quarter_more_calls_than_raw_boto3(
    cloud: DeadlyCloud, labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the same lab in raw boto3, nothing read back
    for name, value in (("ENDPOINT_URL", cloud.server.endpoint_url), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "x")
    floor.up(floor.sequential)
    in_raw_boto3 = calls(cloud).total()
    floor.down(floor.sequential)

    # When enaxp has asked all that it wants to know beforehand, and then builds one
    context = labs.context()
    snapshot = look(context)
    calls(cloud)
    up(context, snapshot, watch=lambda _event: None)

    # Then that took few more, and everything is as wanted
    assert calls(cloud).total() <= 1.25 * in_raw_boto3
    assert labs.changes_left() == []


def test_a_lab_that_was_never_there_is_not_searched_for(cloud: DeadlyCloud, labs: Labs) -> None:
    labs.snapshot()

    made = calls(cloud)
    assert {"DescribeVpcs", "DescribeSubnets", "DescribeInstances", "DescribeNetworkInterfaces"} & set(made) == set()
    assert made["DescribeTags"] == 1


def test_what_up_tells_of_hosts_was_read_back_and_the_rest_is_known_by_its_id(labs: Labs) -> None:
    context = labs.context()

    afterwards = up(context, look(context), watch=lambda _event: None)

    found = afterwards.survey.found

    assert {key: it.id for key, it in found.items()} == context.file.state.ids()
    assert found["eni/client-express"].facts["srd_udp"] is True
    assert found["eni/client-ena"].facts["srd"] is False
    assert found["vpc"].facts == {}


def test_an_instance_is_asked_to_end_once_and_only_it_is_watched_while_it_does(cloud: DeadlyCloud, labs: Labs) -> None:
    labs.up()
    cloud.server.set_timing(replace(Timing.instant(), terminate=0.3))
    calls(cloud)

    labs.down()

    made = calls(cloud)
    assert made["TerminateInstances"] == 2
    assert made["DescribeInstances"] > made["DescribeSubnets"] == 2  # what is there; that nothing is


def test_a_lab_that_knows_of_no_monitoring_is_not_searched_for_one(cloud: DeadlyCloud, labs: Labs) -> None:
    labs.up()
    calls(cloud)

    labs.snapshot()
    looking = calls(cloud)
    labs.down()
    down = calls(cloud)

    assert (looking["GetRole"], looking["DescribeRepositories"]) == (1, 0)
    assert down["DescribeRepositories"] == 0
