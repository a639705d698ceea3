"""What a host's first boot must be: short enough, sound, the same every time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from enaxp.errors import LabError
from enaxp.lab.software import pieces, without_comments
from enaxp.lab.userdata import Boot, HostBoot, parse_done, render_userdata

BOOT = HostBoot(
    hostname="sockperf-server",
    interfaces=("192.168.3.10", "192.168.3.11"),
    subnet_cidr="192.168.3.0/24",
    expires_at=datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC),
)


@pytest.mark.system
@pytest.mark.parametrize("boot", [BOOT, replace(BOOT, expires_at=None)], ids=["with a ttl", "without"])
def test_the_script_is_sound_bash(boot: HostBoot) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")

    checked = subprocess.run(
        ["shellcheck", "-"], input=render_userdata(boot), capture_output=True, text=True, check=False
    )

    assert checked.stdout == ""


def test_the_script_is_the_same_every_time_and_fits() -> None:
    text = render_userdata(BOOT)

    assert text == render_userdata(BOOT)
    assert len(text.encode()) < 16 * 1024


def test_the_longest_script_of_a_fleet_with_a_port_of_its_own_fits() -> None:
    longest = replace(
        BOOT,
        hostname="h" * 63,
        interfaces=("192.168.103.210", "192.168.103.211"),
        subnet_cidr="192.168.100.0/22",
        ssh_port=65535,
    )

    assert len(render_userdata(longest).encode()) < 16 * 1024


def test_all_software_is_installed_in_its_order() -> None:
    text = render_userdata(BOOT)

    places = [text.index(f"begin {piece.name}\n{without_comments(piece.command)}end\n") for piece in pieces()]
    assert places == sorted(places)


def test_a_host_that_has_booted_has_the_scripts_that_are_wanted_of_it_to_the_byte() -> None:
    """Else a lab without Systems Manager would run each of them a second time."""
    text = render_userdata(BOOT)

    there = {
        name: sha256(script.encode()).hexdigest()
        for name, script in re.findall(
            r'"/usr/local/lib/enaxp/([\w-]+)\.\$\$" <<\'END_OF_SCRIPT\'\n(.*?)END_OF_SCRIPT\n', text, re.DOTALL
        )
    }
    assert there == {piece.name: piece.version for piece in pieces()}


def test_a_script_that_aws_would_not_take_is_refused() -> None:
    with pytest.raises(LabError, match="AWS takes 16384"):
        render_userdata(replace(BOOT, hostname="x" * 17_000))


def test_the_timer_has_an_absolute_time_and_comes_before_what_can_fail() -> None:
    text = render_userdata(BOOT)

    assert "OnCalendar=2026-01-31 12:00:05 UTC" in text
    assert text.index("OnCalendar=") < text.index("begin hostname") < text.index("begin sockperf")


def test_a_done_marker_is_read_as_how_the_boot_went() -> None:
    good = {"ok": True, "failed_step": None, "steps": [{"name": "ttl", "seconds": 1}], "log_tail": ""}
    bad = {"ok": False, "failed_step": "sockperf", "steps": [], "log_tail": "No match for argument"}

    assert parse_done(json.dumps(good)) == Boot(ok=True, failed_step=None, log_tail="", in_words="ttl 1 s")
    failed = parse_done(json.dumps(bad))

    assert isinstance(failed, Boot)
    assert (failed.ok, failed.failed_step, failed.log_tail) == (False, "sockperf", "No match for argument")


def test_without_a_done_marker_the_running_step_is_reported() -> None:
    assert parse_done("STEP\nsockperf\n") == "sockperf"
    assert parse_done("STEP\n") == ""


def test_a_done_marker_that_is_nonsense_is_a_failed_boot() -> None:
    outcome = parse_done('{"ok": tru')

    assert isinstance(outcome, Boot)
    assert not outcome.ok


def test_a_step_that_fails_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    """The script's own frame, run for real, with a step that fails: quotes and backslashes in the log survive as JSON."""
    script = render_userdata(replace(BOOT, expires_at=None))
    frame = script[: script.index("begin hostname")]
    for real, here in {"/var/lib/enaxp": tmp_path / "root", "/var/log/enaxp-boot.log": tmp_path / "log"}.items():
        frame = frame.replace(real, str(here))
    failing = frame + 'begin broken\necho "said \\"no\\" with a \\\\ and a\ttab" >&2\nsleep 0.2\nfalse\nend\n'

    ran = subprocess.run(["bash", "-c", failing], capture_output=True, check=False)

    assert ran.returncode == 1
    outcome = parse_done((tmp_path / "root/done.json").read_text())
    assert isinstance(outcome, Boot)
    assert (outcome.ok, outcome.failed_step) == (False, "broken")
    assert 'said "no" with a \\ and a\ttab' in outcome.log_tail


@pytest.mark.parametrize("port", [None, 2222])
def test_sshd_is_told_a_port_only_where_it_is_another(port: int | None) -> None:
    script = render_userdata(
        HostBoot(
            hostname="server",
            interfaces=("192.168.3.10",),
            subnet_cidr="192.168.3.0/24",
            expires_at=None,
            ssh_port=port,
        )
    )

    assert (f"\nPort {port}\n" in script) is (port is not None)
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
