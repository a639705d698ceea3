"""The console of a local host shows its keys as a real one's does."""

from __future__ import annotations

from pathlib import Path

import pytest

from enaxp.hosts.hostkeys import keys_on_console
from enaxp.local.machines.inside.messages import Ready, encode, read_report
from enaxp.local.machines.inside.place import Place, host_keys_shown, prepare
from enaxp.local.machines.programs import missing_programs


@pytest.mark.system
def test_it_shows_the_key_that_its_sshd_has(tmp_path: Path) -> None:
    missing = missing_programs(("sockperf", "sshd", "bash"))
    if missing:
        pytest.skip(f"a host needs {', '.join(program for program, _ in missing)}")
    place = Place(root=tmp_path, kind="processes", init=1)
    prepare(
        place, marker="i-0", public_key_file=".ssh/authorized_keys", words={"@SLOT@": "64", "@SOCKPERF@": "sockperf"}
    )

    report = read_report(encode(Ready(console=host_keys_shown(place))))

    assert isinstance(report, Ready)
    key = (tmp_path / "run/enaxp/host_key.pub").read_text().split()[:2]
    assert keys_on_console(report.console.replace("\n", "\r\n")) == (" ".join(key),)
