"""The scripts that install: what they print is what they do and how long it took, and a failure shows what was said."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
NOISE = "Get:1 lots of noise\nWARNING: more of it"
# Stands for apt-get on a machine that lacks two packages. It is as talkative on both streams as the real one.
APT_GET = f"""#!/bin/sh
printf '%s\\n' '{NOISE}'; printf '%s\\n' '{NOISE}' >&2
[ -z "${{BROKEN:-}}" ] || {{ echo "E: no room" >&2; exit 100; }}
for word; do case $word in install | update | -*) ;; *) echo "$word" >> "$INSTALLED" ;; esac; done
"""
DPKG_QUERY = """#!/bin/sh
for word; do package=$word; done
grep -qx "$package" "$INSTALLED" && echo 'install ok installed'
"""
AS_IT_IS = '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n'


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine where one of three packages is installed."""
    for name, text in {
        "apt-get": APT_GET,
        "dpkg-query": DPKG_QUERY,
        "sudo": AS_IT_IS,
        "id": "#!/bin/sh\necho 1000\n",
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "installed").write_text("bash\n")
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "INSTALLED": str(tmp_path / "installed")}


def install(environment: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    command = [SCRIPTS / "install-system", "bash", "sockperf", "ethtool"]
    return subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, timeout=60, check=False)


def test_packages_are_installed_without_their_noise(machine: dict[str, str]) -> None:
    ran = install(machine)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert [re.sub(r": \d+ s$", "", line) for line in ran.stdout.splitlines()] == [
        "reading the lists of packages",
        "installing sockperf ethtool",
    ]


def test_what_exists_is_neither_installed_nor_reported(machine: dict[str, str]) -> None:
    install(machine)

    again = install(machine)

    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_what_a_failing_step_said_is_shown(machine: dict[str, str]) -> None:
    ran = install(machine, BROKEN="1")

    assert ran.returncode == 100
    assert re.fullmatch(r"reading the lists of packages: failed after \d+ s\n", ran.stdout)
    assert "E: no room" in ran.stderr
    assert NOISE in ran.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
@pytest.mark.parametrize("script", sorted(SCRIPTS.iterdir()), ids=lambda path: path.name)
def test_shellcheck_finds_nothing_in_the_scripts(script: Path) -> None:
    checked = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stdout) == (0, "")
