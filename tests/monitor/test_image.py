"""The exporter's image: what it is built from, and how docker is asked. A script stands in for docker: no daemon is needed here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from packaging.requirements import Requirement

from enaxp import __version__
from enaxp.local.strict import StrictServer, Timing, serve
from enaxp.monitor.image import lay_out, needed
from tests.support.monitoring import eventually, fetch, write_run

NAME = "enaxp-dev-us-east-1"
DOCKER = """#!/bin/sh
# Keeps what it is asked and given, and does what the test says of its first word.
printf '%s\\n' "$*" >> "$FOLDER/asked"
case $1 in
  login) /bin/cat > "$FOLDER/password" ;;
  build) /bin/ls "$4" > "$FOLDER/context" ;;
esac
case " $FAILING " in *" $1 "*) echo "cannot $1" >&2; exit 1 ;; esac
"""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="module")
def cloud() -> Iterator[StrictServer]:
    server = serve(timing=Timing.instant())
    ecr = boto3.client(
        "ecr",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    ecr.create_repository(repositoryName=NAME, tags=[{"Key": "enaxp:lab", "Value": "dev"}])
    yield server
    server.stop()


def push(cloud: StrictServer, folder: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`enaxp monitor push-image`, with whatever is in the folder's `bin` as the only docker there is."""
    return subprocess.run(
        [sys.executable, "-m", "enaxp", "monitor", "push-image", "--target", "aws", *more],
        cwd=folder,
        env={
            **os.environ,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": cloud.endpoint_url,
            "PATH": str(folder / "bin"),
            "FOLDER": str(folder),
            "FAILING": "",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """A folder with a docker in it."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(DOCKER)
    program.chmod(0o755)
    return tmp_path


def test_the_image_is_built_pushed_and_the_password_given_to_docker_alone(cloud: StrictServer, docker: Path) -> None:
    pushed = push(cloud, docker, "--json")

    assert pushed.returncode == 0, pushed.stderr
    image = json.loads(pushed.stdout)["image"]
    registry = image.partition("/")[0]
    assert image == f"{registry}/{NAME}:{__version__}"
    info, build, *rest = (docker / "asked").read_text().splitlines()
    assert (info, build.rpartition(" ")[0]) == ("info", f"build --tag {image}")
    assert rest == [f"login --username AWS --password-stdin {registry}", f"push {image}", f"logout {registry}"]
    assert (docker / "context").read_text().split() == ["Dockerfile", "enaxp", "requirements.txt"]
    password = (docker / "password").read_text()
    assert password
    assert password not in (docker / "asked").read_text() + pushed.stdout + pushed.stderr


def test_docker_forgets_the_password_even_when_the_push_fails(cloud: StrictServer, docker: Path) -> None:
    failed = push(cloud, docker, FAILING="push")

    assert failed.returncode == 1
    assert "docker push failed" in failed.stderr
    assert "cannot push" in failed.stderr
    assert (docker / "asked").read_text().splitlines()[-1].startswith("logout ")


@pytest.mark.parametrize(
    ("has_docker", "lab", "says"),
    [(False, "dev", "docker or podman"), (True, "dev", "cannot info"), (True, "other", "enaxp up monitoring")],
    ids=["no docker", "a docker that does not answer", "no repository"],
)
def test_it_says_what_is_missing(cloud: StrictServer, docker: Path, has_docker: bool, lab: str, says: str) -> None:
    if not has_docker:
        (docker / "bin/docker").unlink()

    refused = push(cloud, docker, "--lab", lab, FAILING="info")

    assert refused.returncode == 2
    assert says in refused.stderr
    assert not (docker / "password").exists()


def test_what_is_laid_out_is_enough_to_serve_a_run(tmp_path: Path) -> None:
    """As the image does it, with the packages of this environment."""
    lay_out(tmp_path)
    write_run(tmp_path / "results")
    command = [sys.executable, "-P", "-m", "enaxp", "exporter", "--results", "results", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        assert "enaxp_trials_total" in eventually(lambda: fetch(url))
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()
    where = [sys.executable, "-P", "-c", "import enaxp; print(enaxp.__file__)"]
    assert subprocess.check_output(where, env=environment, text=True).startswith(str(tmp_path))


def test_every_package_of_the_image_is_pinned_with_hashes(tmp_path: Path) -> None:
    lay_out(tmp_path)

    pinned = re.findall(
        r"^([a-z0-9-]+)==(\S+) ((?:\\\n +--hash=sha256:[0-9a-f]{64} ?)+)$",
        (tmp_path / "requirements.txt").read_text(),
        re.M,
    )
    lines = [line for line in (tmp_path / "requirements.txt").read_text().splitlines() if line and line[0] not in "# "]

    versions = {name: version for name, version, _ in pinned}
    assert len(pinned) == len(lines) > 10
    for one in map(Requirement, needed()):
        assert one.specifier.contains(versions[one.name.lower()]), one
    assert "--require-hashes" in (tmp_path / "Dockerfile").read_text()
