"""AWS throttles every API for a long time, and then every third call: `up` and `down` end right, and tell what they wait for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from enaxp import retries
from enaxp.lab.events import LabEvent
from enaxp.lab.lifecycle import down, look, up
from enaxp.lab.model import LAYERS
from enaxp.local.strict import Fault, FaultPlan
from tests.support.crash_harness import WHOLE, Labs, census, deadly_cloud

pytestmark = pytest.mark.thorough

THROTTLED = Fault(action="*", code="RequestLimitExceeded", message="Request limit exceeded.")
REPEATED_BY_STEPS = (
    "Create",
    "Run",
    "Allocate",
    "Import",
)  # a step tells of these itself: another one could be made twice


class UntilTold(FaultPlan):
    """Throttles an API until the user has been told of it, and from then on every third call of it."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.throttled = set[str]()
        self._calls: dict[str, int] = {}
        self._guard = threading.Lock()

    def strike(self, action: str) -> Fault | None:
        with self._guard:
            self._calls[action] = nth = self._calls.get(action, 0) + 1
            is_told = any(f" {action} " in text for text in self.told)
            if nth % 3 == 0 or not (is_told or (action.startswith(REPEATED_BY_STEPS) and nth > 1)):
                self.throttled.add(action)
                return THROTTLED
        return None


def test_apis_that_are_throttled_for_long_delay_up_and_down_and_the_user_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "TELL_S", 0.01)
    with deadly_cloud() as cloud:
        plan, events = UntilTold(), list[LabEvent]()
        labs = Labs(cloud, tmp_path, tell=plan.told.append)
        cloud.server.set_faults(plan)

        context = labs.context()
        up(context, look(context, layers=labs.layers), watch=events.append)

        assert census(labs) == WHOLE
        notes = {(event.step.kind, event.text) for event in events if event.what == "note"}
        creates = {action for action in plan.throttled if action.startswith(REPEATED_BY_STEPS)}
        assert {"RunInstances", "CreateVpc", "CreateRole", "CreateDocument"} <= creates
        assert {"instance", "vpc", "role", "ssm-document"} <= {
            kind for kind, text in notes if "waiting for AWS to take more calls" in text
        }

        removal = down(labs.context(), layers=LAYERS, watch=events.append, note=plan.told.append)

        assert (removal.leftovers, removal.lab_is_gone, cloud.server.resources()) == ((), True, [])
        assert {
            "DescribeInstances",
            "ModifyNetworkInterfaceAttribute",
            "TerminateInstances",
            "DeleteVpc",
        } <= plan.throttled
