"""Image: `enaxp exporter` as a container image in the lab's ECR repository, for running the exporter elsewhere.

    enaxp as it runs here ─▶ lay_out() ─▶ docker (or podman) build ─▶ login, push, logout ─▶ ACCOUNT.dkr.ecr.REGION.amazonaws.com/…

The registry's password, valid for twelve hours, is passed on docker's standard input, and removed by `docker logout` afterwards.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import requires
from pathlib import Path

import enaxp
from enaxp.aws import Aws, refused
from enaxp.errors import LabError, UsageError
from enaxp.monitor.files import text_of

PROGRAMS = ("docker", "podman")
DRAWS = ("altair", "vl-convert")  # as large as all the rest together


def find_program() -> str:
    """The one of PROGRAMS that is here and answers. Raises UsageError with what is missing."""
    there = [program for name in PROGRAMS if (program := shutil.which(name))]
    if not there:
        raise UsageError(
            "an image is built with docker or podman, and neither is on this machine",
            todo="install one (apt-get install podman)",
        )
    said = ""
    for program in there:
        done = subprocess.run([program, "info"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return program
        said = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    raise UsageError(
        f"{Path(there[-1]).name} does not work here", said=said, todo="start its service, or install podman"
    )


def lay_out(folder: Path) -> None:
    """Writes the build context of the image into an empty folder."""
    package = Path(enaxp.__file__).parent
    shutil.copytree(package, folder / "enaxp", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "Dockerfile").write_text(text_of("Dockerfile"), encoding="utf-8")
    (folder / "requirements.txt").write_text(text_of("requirements.lock"), encoding="utf-8")


def push(aws: Aws, repository: str, *, program: str) -> str:
    """Builds the image and pushes it to the repository (given by its URI); returns the image's name. Raises LabError, AwsError."""
    image, registry = f"{repository}:{enaxp.__version__}", repository.partition("/")[0]
    with tempfile.TemporaryDirectory(prefix="enaxp-image-") as folder:
        lay_out(Path(folder))
        _run([program, "build", "--tag", image, folder])
    user, password = _credentials(aws)
    _run([program, "login", "--username", user, "--password-stdin", registry], given=password)
    try:
        _run([program, "push", image])
    finally:
        _run([program, "logout", registry])
    return image


def needed() -> list[str]:
    """The packages that the exporter needs, from enaxp's metadata: all except those for charts.

    `monitor/requirements.lock` holds files for them.
    """
    declared = [one.partition(";") for one in requires("enaxp") or ()]
    return [one for one, _, only in declared if not only and not one.startswith(DRAWS)]


def _credentials(aws: Aws) -> tuple[str, str]:
    """User and password of the account's registry."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        [answer] = aws.ecr.get_authorization_token()["authorizationData"]
    except (ClientError, BotoCoreError) as error:
        raise refused("asking for a password of the registry", error) from error
    user, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
    return user, password


def _run(command: list[str], *, given: str = "") -> None:
    """Runs a program with its output on standard error, because standard output may be reserved for a JSON document."""
    done = subprocess.run(command, input=given, text=True, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command[:2])} failed", said=f"exit {done.returncode}", todo="see what it said above")
