"""How much enaxp asks AWS for: beside the same lab in raw boto3, and nothing twice."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.errors import StateError
from enaxp.lab.lifecycle import look, up
from enaxp.local.strict import Fault, FaultPlan, Timing
from selfcheck import floor
from tests.support.crash_harness import DeadlyCloud, Labs
from tests.support.local_machines import PATIENCE_S


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


class WaitsForOthers(FaultPlan):
    """Answers one API only once another one is asked, too; `was_alone` tells that none was."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.was_alone = False
        self._action = action
        self._others = threading.Event()

    def strike(self, action: str) -> Fault | None:
        if action == self._action:
            self.was_alone = not self._others.wait(PATIENCE_S)
        else:
            self._others.set()
        return None


def test_a_lab_is_looked_at_while_aws_is_asked_whose_credentials_these_are(
    cloud: DeadlyCloud, labs: Labs, tmp_path: Path
) -> None:
    labs.up()
    calls(cloud)
    plan = WaitsForOthers("GetCallerIdentity")
    cloud.server.set_faults(plan)

    again = Labs(cloud, tmp_path)
    context = again.context()
    up(context, look(context), watch=lambda _event: None)

    assert not plan.was_alone
    assert calls(cloud)["GetCallerIdentity"] == 1


@pytest.mark.parametrize("verb", ["up", "down"])
def test_nothing_is_changed_with_credentials_of_another_account(cloud: DeadlyCloud, labs: Labs, verb: str) -> None:
    labs.up()
    before = cloud.server.resources()
    labs.srd_switch()("none")
    calls(cloud)
    labs.aws().__dict__["caller"] = {"Account": "999999999999", "Arn": "arn:aws:iam::999999999999:user/else"}

    with pytest.raises(StateError, match="belongs to account 123456789012, these credentials to 999999999999"):
        labs.up() if verb == "up" else labs.down()

    assert [action for action in calls(cloud) if not action.startswith(("Describe", "Get", "List"))] == []
    assert cloud.server.resources() == before
    labs.aws().__dict__["caller"]["Account"] = "123456789012"


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
