"""A whole lab of two hosts, made and removed in the order that works on AWS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enaxp.local.strict import Timing, serve
from tests.support.strict_lab import Lab, clients, eventually

TIMINGS = {
    "instant": Timing.instant(),
    "as served": Timing(),
    "busy gateway": replace(Timing.instant(), gateway_busy=0.3, placement_group_release=0.3, eni_release=0.3),
}


@pytest.mark.parametrize("timing", TIMINGS.values(), ids=TIMINGS)
def test_a_lab_can_be_made_and_removed_and_leaves_nothing(timing: Timing) -> None:
    server = serve(timing=timing)
    try:
        lab = Lab.at(server)
        lab.build()
        # vpc, subnet, igw, rtb, sg, 4 eni, 2 eip, key, group, role, profile, 2 instances with a volume each
        assert len(server.resources()) == 19
        assert lab.express_of("server_express") == (True, True)
        assert lab.express_of("server") is None
        lab.remove()
        eventually(lambda: server.resources() == [], "nothing left")
        assert clients(server)("sts").get_caller_identity()["Account"] == "123456789012"
    finally:
        server.stop()


def test_a_stopped_server_leaves_nothing_to_the_next(  # moto keeps its state in the process
) -> None:
    first = serve(timing=Timing.instant())
    Lab.at(first).build()
    first.stop()

    second = serve(timing=Timing.instant())
    try:
        assert second.resources() == []
        assert second.calls == []
    finally:
        second.stop()


def test_there_is_one_server_in_a_process() -> None:
    server = serve()
    try:
        with pytest.raises(RuntimeError, match="already"):
            serve()
    finally:
        server.stop()
