"""Each action refused in turn, for `up` and for `down`: what is billed goes, the rest is named, nothing hangs, and nothing is lost.

Refused is what an organisation's policies and a policy that is too narrow do to one action alone, everywhere. All of them with
`make crash`; some of them here always.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from enaxp.errors import AwsError
from enaxp.lab.lifecycle import Removal
from enaxp.local.strict import Fault, FaultPlan
from tests.support.crash_harness import WHOLE, DeadlyCloud, Labs, census, deadly_cloud, labs_taken_down

pytestmark = pytest.mark.thorough

Record = Callable[[str, object], None]

ACTIONS = yaml.safe_load((Path(__file__).parents[1] / "data/actions.yaml").read_text())
MAKING, ENDING, READING = ACTIONS["making"], ACTIONS["ending"], ACTIONS["reading"]
LAST = "DescribeVolumes"  # read only once everything else is gone
LOOKS = ("Describe", "Get", "List")
BILLED = ("i-", "eipalloc-", "vol-")
# Whoever may not do this cannot end the bill: of these something billed is left, and named.
ENDS_THE_BILL = {
    "TerminateInstances",
    "DisassociateAddress",
    "ReleaseAddress",
    "DescribeInstances",
    "DescribeAddresses",
}
ALWAYS = {
    "RunInstances",
    "TerminateInstances",
    "ReleaseAddress",
    "DeleteVpc",
    "DescribeInstances",
    "DescribeSubnets",
    "GetRole",
}


def each(actions: list[str]) -> list[object]:
    """Some of them always, the others with `make crash`."""
    return [a if a in ALWAYS else pytest.param(a, marks=pytest.mark.acceptance) for a in actions]


def refusing(action: str) -> FaultPlan:
    """As each service says no."""
    of_iam, of_ssm = ("Role", "InstanceProfile"), ("Document", "Association", "TagsForResource")
    code = "UnauthorizedOperation"
    if any(part in action for part in of_iam):
        code = "AccessDenied"
    if any(part in action for part in of_ssm):
        code = "AccessDeniedException"
    return FaultPlan([Fault(action=action, code=code, status=403, message=f"not allowed: {action}", probability=1.0)])


@pytest.fixture(scope="module")
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as cloud:
        yield cloud


@pytest.fixture
def labs(cloud: DeadlyCloud, tmp_path: Path) -> Iterator[Labs]:
    cloud.server.set_faults(FaultPlan())
    with labs_taken_down(cloud, tmp_path) as labs:
        yield labs
        cloud.server.set_faults(FaultPlan())


def assert_gone_afterwards(labs: Labs, record: Record) -> None:
    """Once it is allowed again, the next `down` ends it."""
    labs.cloud.server.set_faults(FaultPlan())
    removal = labs.down()
    left = labs.cloud.server.resources()
    record("leaks", len(left))
    assert (left, removal.leftovers, removal.lab_is_gone) == ([], (), True)


def named(removal: Removal) -> set[str]:
    return {leftover.found.id for leftover in removal.leftovers}


@pytest.mark.parametrize("action", each(MAKING))
def test_up_that_may_not_do_one_thing_says_so_and_down_leaves_nothing(
    labs: Labs, action: str, record_property: Record
) -> None:
    labs.cloud.server.set_faults(refusing(action))

    with pytest.raises(AwsError, match=f"not allowed: {action}") as refusal:
        labs.up()

    assert "ask for this permission" in refusal.value.todo
    assert labs.down().lab_is_gone  # while it is refused
    assert_gone_afterwards(labs, record_property)


@pytest.mark.parametrize("action", each(READING))
def test_up_that_may_not_read_one_kind_changes_nothing(labs: Labs, action: str, record_property: Record) -> None:
    labs.up()
    labs.cloud.server.set_faults(refusing(action))

    with pytest.raises(AwsError, match=f"not allowed: {action}"):
        labs.up()

    labs.cloud.server.set_faults(FaultPlan())
    assert census(labs) == WHOLE
    assert labs.changes_left() == []
    assert_gone_afterwards(labs, record_property)


@pytest.mark.parametrize("action", each(ENDING))
def test_down_that_may_not_do_one_thing_ends_the_bill_and_names_the_rest(
    labs: Labs, action: str, record_property: Record
) -> None:
    removal = down_that_names_what_is_refused(labs, action)

    assert all(leftover.todo for leftover in removal.leftovers if "not allowed" in leftover.why)
    assert_gone_afterwards(labs, record_property)


@pytest.mark.parametrize("action", each([*READING, LAST]))
def test_down_that_may_not_read_one_kind_ends_the_bill_and_names_the_rest(
    labs: Labs, action: str, record_property: Record
) -> None:
    down_that_names_what_is_refused(labs, action)

    assert_gone_afterwards(labs, record_property)


def down_that_names_what_is_refused(labs: Labs, action: str) -> Removal:
    """A lab whose `down` is refused one action ends the bill, stays, and names each resource that is left and the refusal."""
    labs.up()
    labs.cloud.server.set_faults(refusing(action))

    removal = labs.down()

    assert_the_bill_ends(labs, action)
    assert not removal.lab_is_gone
    assert all_that_is_left(labs) <= named(removal)
    assert any(f"not allowed: {action}" in leftover.why for leftover in removal.leftovers)
    return removal


def assert_the_bill_ends(labs: Labs, action: str) -> None:
    left = [id for id in labs.cloud.server.resources() if id.startswith(BILLED)]
    assert left == [] or action in ENDS_THE_BILL


def all_that_is_left(labs: Labs) -> set[str]:
    """Ids as the lab knows them: the cloud calls a placement group and a key by another one, and disks go with their hosts."""
    there = [id.removeprefix("association-") for id in labs.cloud.server.resources()]
    return {id for id in there if not id.startswith(("pg-", "key-", "vol-"))}


def test_the_lists_name_every_action_that_a_lab_calls(labs: Labs) -> None:
    labs.cloud.server.forget_calls()
    labs.up()
    labs.up()
    labs.down()

    called = {call.action for call in labs.cloud.server.calls}
    assert {action for action in called if not action.startswith(LOOKS)} == {*MAKING, *ENDING}
    resolving = {"GetCallerIdentity", "DescribeTags", "GetParameter", "DescribeRepositories", "DescribeImages"}
    others = {action for action in called if action.startswith(("DescribeInstanceType", "DescribeAvailability"))}
    looked_at_by_id = {"DescribeDocument", "DescribeAssociation", "ListRolePolicies"}
    assert {a for a in called if a.startswith(LOOKS)} - resolving - others - looked_at_by_id == {*READING, LAST}
