"""Programs that this computer lacks, and the command that adds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from enaxp.errors import LocalTargetError
from enaxp.local.machines import programs


def test_a_missing_program_is_named_with_the_command_that_adds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(programs, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalTargetError, match="sockperf") as caught:
        programs.require_programs(programs.FOR_ALL)
    assert "install" in caught.value.todo
    assert "openssh-server" in caught.value.todo
    assert {program for program, _ in programs.missing_programs()} >= {"sockperf", "sshd", "ip", "unshare", "nsenter"}


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("apt-get", "apt-get install ethtool iproute2 openssh-server procps prometheus-node-exporter"),
        ("dnf", "dnf install ethtool iproute node-exporter openssh-server procps-ng"),
    ],
)
def test_packages_have_the_names_of_the_system(
    manager: str, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / manager).touch(mode=0o755)
    monkeypatch.setattr(programs, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(LocalTargetError) as caught:
        programs.require_programs(("sshd", "ip", "sysctl", "ethtool", "prometheus-node-exporter"))

    assert caught.value.todo.removeprefix("sudo ") == command
