"""Every command runs under exactly the policy that `enaxp policy` prints, for every variant of the config: nothing is denied."""

from __future__ import annotations

from pathlib import Path

import pytest

from enaxp.local.strict import Fault, FaultPlan
from tests.support.under_policy import Variant, permitted_lab, variants

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("variant", variants(), ids=lambda variant: variant.name)
def test_every_command_may_do_what_it_does(variant: Variant, tmp_path: Path) -> None:
    with permitted_lab(variant, tmp_path) as lab:
        # when everything is done that a lab is there for
        lab.plan()
        lab.doctor_preflight()
        lab.up()
        lab.plan()
        lab.status()
        lab.doctor()
        lab.bench()
        lab.extend()
        lab.ls()
        lab.policy()
        lab.adopt()
        lab.spoil()
        lab.up()
        if "monitoring" in variant.layers:
            lab.down("monitoring")
        lab.down()

        # then nothing was denied, and everything is done
        assert lab.denied == []


@pytest.mark.parametrize(
    "variant", [one for one in variants() if one.name in {"as it comes", "given VPC"}], ids=lambda v: v.name
)
def test_a_lab_is_removed_by_its_id_alone(variant: Variant, tmp_path: Path) -> None:
    with permitted_lab(variant, tmp_path) as lab:
        lab.up()

        lab.down_by_id()

        assert lab.denied == []


ENDINGS = ("Delete*", "Release*", "Terminate*", "Detach*", "Disassociate*", "Remove*")


def test_a_delete_whose_answer_was_lost_is_done_although_what_it_names_has_no_tags_any_more(tmp_path: Path) -> None:
    """Repeated, it names what is gone: a policy that goes by tags denies that."""
    [variant] = [one for one in variants() if one.name == "as it comes"]
    with permitted_lab(variant, tmp_path) as lab:
        lab.up()
        lost = {"phase": "after", "status": 500, "code": "InternalError", "message": "lost"}
        lab.server.set_faults(FaultPlan(Fault(action=action, nth=1, **lost) for action in ENDINGS))

        lab.down()

        assert lab.server.resources() == lab.of_others
