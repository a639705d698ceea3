"""The scripts of `templates/software/`: sound, what Systems Manager takes, and walked on every kind of host with stubbed programs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from enaxp.hosts.doctor import SOCKPERF_LEAST, SOCKPERF_LEAST_ARM
from enaxp.lab.software import NAMES, Piece, pieces
from enaxp.local.strict.ssm.content import LARGEST, check_content, steps

PIECES = {piece.name: piece for piece in pieces()}
COMMIT = "5ebd327da983225321818c0355db922515e026bd"
# What any Linux has; everything else that a script calls is a stub, or not there.
PLAIN = (
    "awk bash cat chmod cmp cp cut echo flock grep gzip head install ln ls mkdir mktemp mv nproc printf rm sed seq sh sha256sum "
    "sleep sort tail tar tee tr uname"
)
# A stub says what it was called with, then does what stands in its file: $MADE is where programs are installed.
STUB = r"""#!/bin/bash
echo "${0##*/} $*" >> "$CALLS"
make_program() { printf "#!/bin/bash\necho %s\n" "$2" > "$MADE/$1"; chmod +x "$MADE/$1"; }
"""
INSTALLS = (
    "for word; do case $word in\n"
    "  ethtool | htop | sockperf) make_program $word '$0 version 3.7-0.git' ;;\n"
    "  iproute-tc | iproute2) make_program tc tc ;;\n"
    "esac; done\n"
)
STUBS = {
    "systemctl": "",
    "sysctl": "echo 0\n",
    "dnf": INSTALLS,
    "apt-get": INSTALLS
    + '[[ "$*" != *prometheus-node-exporter* ]] || make_program prometheus-node-exporter "node_exporter"\n',
    "git": r"""case "$*" in
  *checkout*) for file in autogen.sh configure; do printf "#!/bin/bash\n" > "$2/$file"; chmod +x "$2/$file"; done ;;
  *rev-parse*) echo "${HEAD:-COMMIT}" ;;
esac
""".replace("COMMIT", COMMIT),
    "make": '[[ "$*" != *install* ]] || make_program sockperf "sockperf, version 3.10-no.git"\n',
    "curl": 'while [ "$1" != -o ]; do shift; done\ncp "$RELEASE" "$2"\n',
}
AMAZON_LINUX = frozenset(STUBS) - {"apt-get"}
DEBIAN = frozenset(STUBS) - {"dnf", "curl"}


@dataclass(frozen=True)
class StubbedHost:
    """A folder in which the paths of a host lie, and the stubs that are its programs."""

    root: Path
    programs: frozenset[str]
    port: int

    def run(self, piece: Piece, **environment: str) -> subprocess.CompletedProcess[str]:
        """As Systems Manager's agent does, with the paths of this folder."""
        [step] = steps(piece.document, {})
        text = re.sub(r"(?<=[\s\"'=])/(etc|usr|var|run|sys)(?=/)", rf"{self.root}/\1", step.script)
        text = text.replace("PORT=9100", f"PORT={self.port}")
        return subprocess.run(
            ["bash", "-c", text],
            env={
                "PATH": f"{self.root}/bin:{self.root}/usr/local/bin:{self.root}/usr/bin",
                **self._known,
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def calls(self) -> list[str]:
        """What the stubs were called with since this was last asked."""
        said = self._log.read_text().replace(str(self.root), "").splitlines() if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        return said

    @property
    def _log(self) -> Path:
        return self.root / "calls"

    @property
    def _known(self) -> dict[str, str]:
        return {
            "CALLS": str(self._log),
            "MADE": f"{self.root}/usr/local/bin",
            "RELEASE": f"{self.root}/release.tar.gz",
            "TMPDIR": f"{self.root}/tmp",
        }


@pytest.fixture(params=["Amazon Linux", "Debian"])
def host(request: pytest.FixtureRequest, tmp_path: Path, exporter: int) -> StubbedHost:
    return stubbed(tmp_path, AMAZON_LINUX if request.param == "Amazon Linux" else DEBIAN, exporter)


@pytest.fixture
def amazon_linux(tmp_path: Path, exporter: int) -> StubbedHost:
    return stubbed(tmp_path, AMAZON_LINUX, exporter)


@pytest.fixture(scope="module")
def exporter() -> Iterator[int]:
    """The port on which something answers as a node_exporter that a stub of systemctl cannot start."""

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"go_info 1\nnode_exporter_build_info 1\n" + b"node_more 1\n" * 20_000)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def stubbed(root: Path, programs: frozenset[str], port: int) -> StubbedHost:
    for folder in ("bin", "tmp", "usr/local/bin", "usr/local/sbin", "usr/bin", "var/log", "run", "etc/systemd/system"):
        (root / folder).mkdir(parents=True)
    for name in PLAIN.split():
        (root / "bin" / name).symlink_to(str(shutil.which(name)))
    for name in programs:
        path = root / "bin" / name
        path.write_text(STUB + STUBS[name])
        path.chmod(0o755)
    return StubbedHost(root, programs, port)


def release(host: StubbedHost, piece: Piece) -> Piece:
    """Something to download, and the piece that expects it."""
    name = f"node_exporter-1.8.2.linux-{'amd64' if os.uname().machine == 'x86_64' else 'arm64'}"
    folder = host.root / name
    folder.mkdir()
    (folder / "node_exporter").write_text("#!/bin/bash\n")
    subprocess.run(["tar", "-czf", "release.tar.gz", name], cwd=host.root, check=True)
    digest = hashlib.sha256((host.root / "release.tar.gz").read_bytes()).hexdigest()
    return replace(piece, script=re.sub(r"(SHA256_\w+)=\w+", rf"\1={digest}", piece.script))


@pytest.mark.system
@pytest.mark.parametrize("name", NAMES)
def test_shellcheck_finds_nothing(name: str) -> None:
    [step] = steps(PIECES[name].document, {})
    for text in (PIECES[name].script, step.script):
        # SC2034: no script needs all names of packages.sh
        command = ["shellcheck", "--exclude=SC2034", "-"]
        checked = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert checked.stdout + checked.stderr == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_what_systems_manager_takes(name: str) -> None:
    content = PIECES[name].document

    check_content(content)
    assert len(content.encode()) <= LARGEST
    assert "{{" not in content, "Systems Manager would put a parameter there"
    assert "\n" not in "".join(json.loads(content)["mainSteps"][0]["inputs"]["runCommand"])


def test_a_changed_script_has_another_digest_and_an_unchanged_one_the_same() -> None:
    piece = PIECES["tuning"]

    assert replace(piece).digest == piece.digest
    assert replace(piece, script=piece.script + "# more\n").digest != piece.digest
    assert len({one.digest for one in pieces()}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_piece_is_put_in_place_once_however_often_it_runs(name: str, host: StubbedHost) -> None:
    piece = release(host, PIECES[name]) if name == "node-exporter" else PIECES[name]

    first = host.run(piece)
    installed = [call for call in host.calls() if not call.startswith(("systemctl", "sysctl"))]
    second = host.run(piece)
    again = [call for call in host.calls() if not call.startswith(("systemctl", "sysctl"))]

    assert (first.returncode, second.returncode) == (0, 0), first.stdout + first.stderr + second.stderr
    assert bool(installed) == (name != "tuning")
    assert again == []
    assert (host.root / f"var/log/enaxp-{name}.log").read_text() == second.stdout


def test_sockperf_is_built_from_the_pinned_commit_on_amazon_linux(amazon_linux: StubbedHost) -> None:
    assert amazon_linux.run(PIECES["sockperf"]).returncode == 0

    calls = amazon_linux.calls()
    assert calls[0] == "dnf install -y gcc-c++ make automake autoconf libtool git tar"
    assert any(call.endswith(f"fetch -q --depth 1 https://github.com/Mellanox/sockperf {COMMIT}") for call in calls)
    assert calls[-1] == "make install"
    assert (amazon_linux.root / "usr/bin/sockperf").readlink() == amazon_linux.root / "usr/local/bin/sockperf"


def test_sockperf_is_built_on_arm_where_the_distributions_own_has_no_clock(tmp_path: Path, exporter: int) -> None:
    # given an Ubuntu on Arm that has the distribution's package
    host = stubbed(tmp_path, DEBIAN, exporter)
    for path, text in (
        (host.root / "bin/uname", "echo aarch64"),
        (host.root / "usr/bin/sockperf", "echo 'sockperf, version 3.7'"),
    ):
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    # when the piece runs, then the pinned commit is built, and a second run finds it
    assert host.run(PIECES["sockperf"]).returncode == 0
    calls = host.calls()
    assert "apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends g++ make" in "\n".join(calls)
    assert calls[-1] == "make install"
    assert host.run(PIECES["sockperf"]).returncode == 0
    assert host.calls() == []


@pytest.mark.parametrize(("machine", "floor"), [("x86_64", SOCKPERF_LEAST), ("aarch64", SOCKPERF_LEAST_ARM)])
def test_the_piece_and_the_doctor_ask_for_the_same_sockperf(
    machine: str, floor: tuple[int, int], amazon_linux: StubbedHost
) -> None:
    uname = amazon_linux.root / "bin/uname"
    uname.unlink()
    uname.write_text(f"#!/bin/bash\necho {machine}\n")
    uname.chmod(0o755)
    old = amazon_linux.root / "usr/bin/sockperf"
    for version, is_built in (((floor[0], floor[1] - 1), True), (floor, False)):
        old.unlink(missing_ok=True)
        (amazon_linux.root / "usr/local/bin/sockperf").unlink(missing_ok=True)
        old.write_text(f"#!/bin/bash\necho 'sockperf, version {'.'.join(map(str, version))}'\n")
        old.chmod(0o755)
        assert amazon_linux.run(PIECES["sockperf"]).returncode == 0
        assert bool(amazon_linux.calls()) == is_built


def test_apts_locks_are_waited_for(tmp_path: Path, exporter: int) -> None:
    # given an Ubuntu whose lists are locked at first
    host = stubbed(tmp_path, DEBIAN, exporter)
    locked = host.root / "locked"
    locked.touch()
    apt = host.root / "bin/apt-get"
    apt.write_text(f'{STUB}[ "$1" != update ] || ! rm {locked} 2>/dev/null || exit 100\n{STUBS["apt-get"]}')
    (host.root / "bin/sleep").unlink()
    (host.root / "bin/sleep").write_text("#!/bin/bash\n")
    (host.root / "bin/sleep").chmod(0o755)

    assert host.run(PIECES["utilities"]).returncode == 0

    calls = host.calls()
    assert calls[:2] == ["apt-get update -q", "apt-get update -q"]
    assert calls[2].startswith("apt-get -o DPkg::Lock::Timeout=300 install")
    assert calls[2].endswith("ethtool htop iproute2")


def test_another_commit_than_the_pinned_one_is_not_built(amazon_linux: StubbedHost) -> None:
    ran = amazon_linux.run(PIECES["sockperf"], HEAD="0" * 40)

    assert ran.returncode != 0
    assert not any(call.startswith("make") for call in amazon_linux.calls())


@pytest.mark.parametrize(("version", "is_built"), [("3.6", True), ("3.7", False), ("3.10", False), ("nonsense", True)])
def test_only_a_sockperf_that_is_too_old_is_replaced(version: str, is_built: bool, amazon_linux: StubbedHost) -> None:
    old = amazon_linux.root / "usr/bin/sockperf"
    old.write_text(f"#!/bin/bash\necho 'sockperf, version {version}'\n")
    old.chmod(0o755)

    assert amazon_linux.run(PIECES["sockperf"]).returncode == 0
    assert bool(amazon_linux.calls()) == is_built


def test_a_download_with_another_checksum_is_not_installed(amazon_linux: StubbedHost) -> None:
    release(amazon_linux, PIECES["node-exporter"])

    ran = amazon_linux.run(PIECES["node-exporter"])

    assert ran.returncode != 0
    assert "FAILED" in ran.stdout
    assert not (amazon_linux.root / "usr/local/bin/node_exporter").exists()


def test_node_exporter_is_a_service_that_comes_back_and_is_left_alone_while_nothing_changes(host: StubbedHost) -> None:
    piece = release(host, PIECES["node-exporter"])

    host.run(piece)
    first = [call for call in host.calls() if call.startswith("systemctl")]
    host.run(piece)
    second = [call for call in host.calls() if call.startswith("systemctl")]

    unit = (host.root / "etc/systemd/system/enaxp-node-exporter.service").read_text()
    assert f"--web.listen-address=:{host.port} " in unit
    assert "--collector.ethtool --collector.ethtool.metrics-include=ena_srd|allowance " in unit
    assert "Restart=always" in unit
    assert first[-1] == "systemctl restart enaxp-node-exporter.service"
    assert second == ["systemctl enable enaxp-node-exporter.service", "systemctl start enaxp-node-exporter.service"]


def test_tuning_comes_back_after_a_boot_and_leaves_alone_what_is_not_there(amazon_linux: StubbedHost) -> None:
    assert amazon_linux.run(PIECES["tuning"]).returncode == 0

    assert "systemctl enable enaxp-tuning.service" in amazon_linux.calls()
    settings = subprocess.run(
        ["bash", str(amazon_linux.root / "usr/local/sbin/enaxp-tuning")],
        env={"PATH": f"{amazon_linux.root}/bin", "CALLS": f"{amazon_linux.root}/calls"},
        check=False,
    )
    assert settings.returncode == 0
    assert "sysctl -q -w net.ipv4.tcp_limit_output_bytes=1048576" in amazon_linux.calls()


@pytest.mark.parametrize("name", ["utilities", "sockperf"])
def test_a_package_that_cannot_be_had_fails_with_what_was_said(name: str, amazon_linux: StubbedHost) -> None:
    (amazon_linux.root / "bin/dnf").write_text("#!/bin/bash\necho 'No match for argument' >&2\nexit 1\n")

    ran = amazon_linux.run(PIECES[name])

    assert ran.returncode == 1
    assert "No match for argument" in (amazon_linux.root / f"var/log/enaxp-{name}.log").read_text()
