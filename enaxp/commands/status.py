"""Status: the current status of the lab, for every command that needs it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from enaxp.lab.lifecycle import Snapshot, existing_state, look, types_wanted
from enaxp.lab.model import Layer
from enaxp.lab.status import Status, status_of
from enaxp.session import Session

if TYPE_CHECKING:
    from enaxp.lab.state_manager import SoftwareResults


def current_status(session: Session) -> Status:
    """The current status of the lab, whether or not it exists."""
    if existing_state(session.lab_context) is None:
        return Status(
            lab=session.config.lab,
            lab_id=None,
            target=session.target.name,
            endpoint_url=session.endpoint_url,
            region=session.config.aws.region,
        )
    return status_in(session, look_at(session))


def look_at(session: Session, layers: Sequence[Layer] | None = None) -> Snapshot:
    """The snapshot of the lab. layers: the wanted ones (by default those that exist)."""
    return look(session.lab_context, layers=layers)


def status_in(session: Session, snapshot: Snapshot, *, software: SoftwareResults | None = None) -> Status:
    """The status of the lab in a snapshot. software: State Manager's results, if already queried."""
    from enaxp.lab.state_manager import results

    if software is None:
        software = results(snapshot, session.aws) if session.config.hosts.ssm else {}
    return status_of(
        snapshot,
        config=session.config,
        endpoint_url=session.endpoint_url,
        prices=session.prices(types_wanted(snapshot)),
        software=software,
        now=datetime.now(UTC),
    )
