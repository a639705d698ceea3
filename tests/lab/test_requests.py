"""The create request of every kind, to the byte: a lab that was begun by an older enaxp goes on with the tokens of that one.

`requests.json` was recorded before the wants had types. The texts that change with the templates are short stand-ins in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enaxp.config import load_config
from enaxp.lab.kinds import KINDS
from enaxp.lab.model import Lab, Resource
from enaxp.lab.spec import Resolved, wanted
from enaxp.lab.worker import request_hash

RECORDED: Mapping[str, Any] = json.loads(Path(__file__).with_name("requests.json").read_text())
BEGAN, ENDS = datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 1, 31, 16, tzinfo=UTC)
STAND_INS = {"user_data": "#!/bin/bash\n", "content": '{"schemaVersion": "2.2"}', "digest": "0123456789ab"}
CONFIG = load_config(overrides={"tags": {"team": "net"}})
LAB = Lab(name="dev", lab_id="1-2-3", region="us-east-1", created_at=BEGAN, expires_at=ENDS, tags=CONFIG.tags)
RESOURCES = {
    resource.key: resource
    for resource in wanted(
        CONFIG,
        Resolved(ami="ami-1", availability_zone="us-east-1a", ssh_cidr="198.51.100.7/32"),
        public_key="ssh-ed25519 AAAA enaxp",
        partition="aws",
        expires_at=ENDS,
    )
}
IDS = {key: f"id-of-{key}" for key in RESOURCES}


def with_stand_ins(resource: Resource) -> Resource:
    texts = {field.name: STAND_INS[field.name] for field in fields(resource.want) if field.name in STAND_INS}
    return replace(resource, want=replace(resource.want, **texts))


@pytest.mark.parametrize("key", RECORDED)
def test_a_request_is_the_one_that_was_recorded_and_so_is_its_hash(key: str) -> None:
    resource = with_stand_ins(RESOURCES[key])

    request = KINDS[resource.kind].request(resource, LAB, IDS)

    assert request == RECORDED[key]["request"]
    assert request_hash(request) == RECORDED[key]["hash"]


def test_a_request_of_every_kind_was_recorded() -> None:
    assert {RESOURCES[key].kind for key in RECORDED} == set(KINDS)
