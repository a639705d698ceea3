"""What the monitoring host is brought over SSH: the files of its lab, and a password of which there is one."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from enaxp.config import load_config
from enaxp.hosts.connection import Connection
from enaxp.monitor.deploy import archive, bundle, deploy

CONFIG = load_config(overrides={"lab": "mine"})


class Host:
    """A connection that keeps what it is given. grafana: what the host's password file holds; None where there is no Grafana."""

    def __init__(self, grafana: str | None) -> None:
        self.grafana = grafana
        self.files: dict[str, bytes] = {}
        self.commands: list[str] = []

    def put(self, content: bytes, path: str) -> None:
        self.files[path] = content

    def check(self, command: str, **_: Any) -> str:
        self.commands.append(command)
        return "none\n" if self.grafana is None else f"grafana\n{self.grafana}"


def deployed(host: Host, password_file: Path) -> str:
    """The password that the host was brought."""
    deploy(cast(Connection, host), CONFIG, password_file=password_file)
    return host.files["enaxp-grafana-password"].decode()


def test_prometheus_is_told_this_labs_hosts_and_grafana_its_files() -> None:
    files = bundle(CONFIG)

    targets = yaml.safe_load(files["prometheus.yml"])["scrape_configs"][0]["static_configs"]
    assert [(one["labels"]["lab"], one["labels"]["role"], one["targets"]) for one in targets] == [
        ("mine", "server", ["192.168.3.10:9100"]),
        ("mine", "client", ["192.168.3.20:9100"]),
    ]
    assert {"rules.yml", "dashboards/bench.json", "provisioning/datasources/enaxp.yml"} < set(files)


def test_the_archive_of_the_same_files_is_the_same() -> None:
    files = bundle(CONFIG)

    packed = archive(files)

    assert packed == archive(dict(files))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert tar.getnames() == list(files)


def test_a_new_grafana_gets_a_password_that_nobody_can_guess_or_read(tmp_path: Path) -> None:
    file, host = tmp_path / "state/mine.grafana-password", Host(grafana="")

    password = deployed(host, file)

    assert len(password) >= 24
    assert password == file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert not [command for command in host.commands if password in command]
    assert deployed(Host(grafana=""), tmp_path / "other") != password


@pytest.mark.parametrize(
    ("theirs", "kept", "is_"),
    [("theirs", "", "theirs"), ("theirs", "kept", "theirs"), ("", "kept", "kept")],
    ids=["known to the host alone", "another one than is kept", "kept here alone"],
)
def test_there_is_one_password(tmp_path: Path, theirs: str, kept: str, is_: str) -> None:
    file = tmp_path / "password"
    if kept:
        file.write_text(kept)

    assert deployed(Host(grafana=theirs), file) == is_
    assert file.read_text() == is_


def test_without_grafana_there_is_no_password(tmp_path: Path) -> None:
    assert deployed(Host(grafana=None), tmp_path / "password") == ""
    assert not (tmp_path / "password").exists()
