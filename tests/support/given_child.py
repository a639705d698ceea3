"""The part of a bench between given hosts that switches ENA Express, without hosts: in this process, or in a child that is killed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

from enaxp.aws import Aws, refused
from enaxp.config import GivenHostConfig, GivenPairConfig
from enaxp.lab.given.discovery import discover
from enaxp.lab.given.saved import GivenFolder, SavedSettings
from enaxp.lab.given.switching import switched
from enaxp.lab.srd import set_srd
from enaxp.local.strict import StrictServer
from enaxp.traffic import SrdOn
from tests.support.crash_harness import launch

T = TypeVar("T")


def found(aws: Aws, pair: GivenPairConfig) -> SavedSettings:
    """What a bench would save."""
    hosts = discover(aws, pair)
    return SavedSettings(
        lab="given-0",
        account=aws.account(),
        region=aws.region,
        target="aws",
        saved_at=datetime.now(UTC).replace(microsecond=0),
        server=hosts.server.setting,
        client=hosts.client.setting,
    )


def bench(
    aws: Aws,
    folder: GivenFolder,
    pair: GivenPairConfig,
    *,
    switches: int,
    look: Callable[[], T],
    first: SrdOn = "second",
) -> list[T]:
    """Switches so often, on and off in turn, and looks after each."""
    saved = found(aws, pair)
    seen = []
    with (
        folder.held(saved.enis),
        switched(aws, folder, saved, say=lambda _text: None) as switch,
    ):
        for place in range(switches):
            on: SrdOn = "second" if (place % 2 == 0) == (first == "second") else "none"
            switch(on)
            seen.append(look())
    return seen


def set_on(aws: Aws, eni: str) -> None:
    try:
        set_srd(aws, eni=eni, on=True)
    except ClientError as error:
        raise refused("switching ENA Express of another interface", error) from error


def as_a_person(monkeypatch: pytest.MonkeyPatch, server: StrictServer) -> None:
    """The settings by which any client finds this AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")


def _live(order: dict[str, Any]) -> None:
    hosts = [
        GivenHostConfig(
            instance_id=instance,
            address=None,
            ssh_user="ec2-user",
            ssh_port=22,
            private_key=None,
            proxy_command=None,
            interface=eni,
        )
        for instance, eni in order["given"]
    ]
    aws = Aws(region="us-east-1", endpoint_url=order["endpoint"], access_key="x", secret_key="x", poll_s=0.02)
    pair = GivenPairConfig(server=hosts[0], client=hosts[1])
    bench(aws, GivenFolder(Path(order["folder"])), pair, switches=order["switches"], look=lambda: None)


if __name__ == "__main__":
    launch(_live)
