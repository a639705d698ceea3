"""Every command runs under exactly the policy that `enaxp policy` prints, for every variant of the config: nothing is denied."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.under_policy import Variant, permitted_lab, variants


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
