"""SSM documents as AWS takes them: what a content of schema 2.2 must be, and which scripts it makes a host run. Pure.

content (JSON) + parameters ─▶ steps() ─▶ (DocumentStep, …)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from moto.ssm.exceptions import SSMException

NAME = re.compile(r"[a-zA-Z0-9_\-.]{3,128}", re.ASCII)
RESERVED = ("aws", "amazon", "amzn")  # case does not matter
LARGEST = 64 * 1024
STEP_NAME = re.compile(r"[a-zA-Z0-9_]+", re.ASCII)
PLACEHOLDER = re.compile(r"\{\{\s*([\w:]+)\s*\}\}")
STEP_MEMBERS = {"action", "name", "inputs", "precondition", "onFailure", "onSuccess", "finallyStep"}
DEFAULT_TIMEOUT_S = "3600"
# What AWS itself has for everybody.
RUN_SHELL_SCRIPT = json.dumps(
    {
        "schemaVersion": "2.2",
        "parameters": {"commands": {"type": "StringList"}},
        "mainSteps": [
            {
                "action": "aws:runShellScript",
                "name": "runShellScript",
                "inputs": {"runCommand": "{{ commands }}"},
            }
        ],
    }
)
AWS_DOCUMENTS = {"AWS-RunShellScript": RUN_SHELL_SCRIPT}


class RefusedBySsm(SSMException):
    """SSM says no."""


@dataclass(frozen=True, kw_only=True)
class DocumentStep:
    """One script of a document, as a host is to run it. ends_on_failure: no step after it is run then."""

    name: str
    script: str
    timeout_s: int
    ends_on_failure: bool


def check_name(name: str) -> None:
    """Raises RefusedBySsm for a name that AWS does not take, or keeps for itself."""
    if not NAME.fullmatch(name) or name.casefold().startswith(RESERVED):
        raise RefusedBySsm("ValidationException", f"Value '{name}' at 'name' failed to satisfy constraint")


def check_content(content: str) -> None:
    """Raises RefusedBySsm for a content that is no Command document of schema 2.2 that runs shell scripts."""
    if len(content.encode()) > LARGEST:
        raise RefusedBySsm("MaxDocumentSizeExceeded", f"The document is larger than {LARGEST} bytes")
    try:
        document = json.loads(content)
    except ValueError:
        raise RefusedBySsm("InvalidDocumentContent", "The content is no valid JSON") from None
    if not isinstance(document, dict):
        raise RefusedBySsm("InvalidDocumentContent", "The content is no JSON object")
    if document.get("schemaVersion") != "2.2":
        message = f"Schema version {document.get('schemaVersion')} is not supported for this type"
        raise RefusedBySsm("InvalidDocumentSchemaVersion", message)
    steps, names = document.get("mainSteps"), set()
    if not isinstance(steps, list) or not steps:
        raise RefusedBySsm("InvalidDocumentContent", "mainSteps must be a list that is not empty")
    for step in steps:
        _check_step(step)
        if step["name"] in names:
            raise RefusedBySsm("InvalidDocumentContent", f"The step name {step['name']} is there twice")
        names.add(step["name"])
    declared = set(document.get("parameters") or {})
    for name in PLACEHOLDER.findall(content):
        if ":" not in name and name not in declared:
            raise RefusedBySsm("InvalidDocumentContent", f"The parameter {name} is used, and not declared")


def _check_step(step: Any) -> None:
    if not isinstance(step, dict) or set(step) - STEP_MEMBERS or not STEP_NAME.fullmatch(str(step.get("name", ""))):
        raise RefusedBySsm("InvalidDocumentContent", f"not a step: {json.dumps(step)[:100]}")
    if step.get("action") != "aws:runShellScript":
        raise RefusedBySsm(
            "InvalidDocumentContent", f"the local AWS only knows aws:runShellScript, not {step.get('action')}"
        )
    inputs = step.get("inputs")
    command = inputs.get("runCommand") if isinstance(inputs, dict) else None
    lines = isinstance(command, list) and all(isinstance(line, str) for line in command)
    if not command or not (lines or isinstance(command, str)):
        raise RefusedBySsm("InvalidDocumentContent", f"runCommand of step {step['name']} must be a list of strings")


class _Declaration(TypedDict, total=False):
    """A parameter as a document declares it."""

    default: str | list[str]
    allowedPattern: str


def filled_parameters(content: str, given: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The parameters with their defaults. Raises RefusedBySsm for one that is unknown, missing, or not as its pattern wants."""
    declared: dict[str, _Declaration] = json.loads(content).get("parameters") or {}
    unknown = set(given) - set(declared)
    if unknown:
        raise RefusedBySsm("InvalidParameters", f"not in the document: {', '.join(sorted(unknown))}")
    values: dict[str, list[str]] = {}
    for name, declaration in declared.items():
        default = declaration.get("default")
        value = given.get(name) or (default if isinstance(default, list) or default is None else [default])
        if value is None:
            raise RefusedBySsm("InvalidParameters", f"the parameter {name} is required")
        pattern = declaration.get("allowedPattern")
        if not isinstance(value, list) or (pattern and not all(re.fullmatch(pattern, one) for one in value)):
            raise RefusedBySsm("InvalidParameters", f"the value of {name} is not allowed")
        values[name] = [str(one) for one in value]
    return values


def steps(content: str, parameters: Mapping[str, list[str]]) -> tuple[DocumentStep, ...]:
    """The scripts, with the parameters put in as plain text: nothing is quoted, as on AWS."""

    def fill(text: str) -> list[str]:
        whole = PLACEHOLDER.fullmatch(text)
        if whole and whole[1] in parameters:
            return list(parameters[whole[1]])
        return [PLACEHOLDER.sub(lambda found: " ".join(parameters.get(found[1], [found[0]])), text)]

    found = []
    for step in json.loads(content)["mainSteps"]:
        command = step["inputs"]["runCommand"]
        lines = [line for text in ([command] if isinstance(command, str) else command) for line in fill(text)]
        [timeout] = fill(str(step["inputs"].get("timeoutSeconds", DEFAULT_TIMEOUT_S)))
        found.append(
            DocumentStep(
                name=step["name"],
                script="\n".join(lines) + "\n",
                timeout_s=int(timeout),
                ends_on_failure=step.get("onFailure") == "exit",
            )
        )
    return tuple(found)
