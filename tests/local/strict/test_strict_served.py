"""Whatever enaxp asks of AWS, the strict AWS serves. What it asks is read off its own source, and off what its kinds say they need."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import yaml
from botocore.exceptions import ClientError

import enaxp
from enaxp.lab.kinds import KINDS
from enaxp.local.strict import StrictServer
from tests.support.strict_lab import clients

SOURCE = Path(enaxp.__file__).parent
CLIENTS = {"ec2": "ec2", "iam": "iam", "ssm": "ssm", "ecr": "ecr", "sts": "sts", "quotas": "service-quotas"}
NOT_AN_ACTION = {"iam:PassRole"}
# Prices are asked for by the way, and lived without: what is not served must still be said clearly.
LIVED_WITHOUT = {"pricing:GetProducts"}
FAILED = {"InvalidAction", "InternalError", "500"}


def declared() -> set[str]:
    return {action for kind in KINDS.values() for action in (*kind.reads, *kind.writes)} - NOT_AN_ACTION


def written() -> set[str]:
    """The calls on clients in enaxp's source, such as `aws.ec2.run_instances` and `aws.once("ec2").get_paginator("describe_tags")`."""
    paths = [path for path in SOURCE.rglob("*.py") if "strict" not in path.parts]
    found = {call for path in paths for call in _calls(ast.parse(path.read_text()))}
    return {f"{service}:{action}" for service, method in found if (action := _actions(service).get(method))}


def _calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield _service(node.value), node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get_paginator":
            [name] = node.args
            if isinstance(name, ast.Constant):
                yield _service(node.func.value), name.value


def _service(node: ast.expr) -> str:
    match node:
        case ast.Attribute(attr=name):
            return CLIENTS.get(name, "")
        case ast.Call(func=ast.Attribute(attr="once"), args=[ast.Constant(value=name)]):
            return str(name)
        case _:
            return ""


@cache
def _actions(service: str) -> dict[str, str]:
    """Method → action of a service; none for no service."""
    if not service:
        return {}
    model = botocore.session.get_session().get_service_model(service)
    return {botocore.xform_name(action): action for action in model.operation_names}


def test_the_source_was_understood() -> None:
    assert {"ec2:RunInstances", "ec2:CreateVpc", "ec2:DescribeTags", "iam:GetRole"} <= written()
    assert {"ssm:GetParameter", "sts:GetCallerIdentity"} <= written()


def test_what_enaxp_asks_for_is_served(server: StrictServer) -> None:
    """Asked without a word more, it is answered, or refused for a reason of its own."""
    codes = {asked: _code_of_bare(asked, server) for asked in sorted((declared() | written()) - LIVED_WITHOUT)}

    assert not {asked: code for asked, code in codes.items() if code in FAILED}


def test_what_is_lived_without_is_said_clearly(server: StrictServer) -> None:
    assert {_code_of_bare(asked, server) for asked in LIVED_WITHOUT} == {"InvalidAction"}


def test_each_change_is_held_to_a_dry_run() -> None:
    model = botocore.session.get_session().get_service_model("ec2")
    calls = {case["call"] for case in yaml.safe_load((Path(__file__).parent / "dry_runs.yaml").read_text())}
    tried = {_actions("ec2")["run_instances" if call == "launch" else call] for call in calls}
    ec2 = {asked.removeprefix("ec2:") for asked in declared() | written() if asked.startswith("ec2:")}

    changing = {action for action in ec2 if not action.startswith("Describe")}

    assert {action for action in changing if "DryRun" in model.operation_model(action).input_shape.members} <= tried


def _code_of_bare(asked: str, server: StrictServer) -> str:
    service, action = asked.split(":")
    client: Any = clients(server, checked=False)(service)
    try:
        client._make_api_call(action, {})
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""
