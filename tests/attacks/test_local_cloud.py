"""What other users of the computer, stale files and the caller's own surroundings can do to the local cloud: nothing."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from enaxp.aws import Aws
from enaxp.lab.state import make_state_folder
from enaxp.local.cloud import LocalCloud, publish, running
from enaxp.local.process import started_at
from tests.attacks.conftest import Standing

pytestmark = pytest.mark.system

# -- an unprivileged user ----------------------------------------------------------------------------------------------

# Sends one request, and prints the first line of the answer. What nobody has to have: bash alone.
ASK = r"""
exec 3<>/dev/tcp/127.0.0.1/"$1" || { echo refused; exit; }
printf '%s' "$2" >&3
timeout 10 head -n 1 <&3
"""
FORGED = (
    "Authorization: AWS4-HMAC-SHA256 Credential=local/20261130/us-east-1/{}/aws4_request, SignedHeaders=host, Signature="
    + "0" * 64
)


def as_nobody(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )


def ask_as_nobody(port: int, method: str, path: str, *headers: str, body: str = "", host: str = "127.0.0.1") -> str:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}:{port}", f"Content-Length: {len(body)}", *headers]
    return as_nobody("bash", "-c", ASK, "ask", str(port), "\r\n".join([*lines, "", body])).stdout


REQUESTS = {
    "list everything": ("GET", "/enaxp/resources", [], ""),
    "list the calls": ("GET", "/enaxp/calls", [], ""),
    "forget the calls": ("DELETE", "/enaxp/calls", [], ""),
    "make every call fail": ("POST", "/enaxp/faults", [], '{"faults": [{"action": "*", "phase": "before"}]}'),
    "make every call slow": ("POST", "/enaxp/latency", [], '{"seconds": 60}'),
    "end it": ("POST", "/enaxp/end", [], "{}"),
    "ask for a proof": ("POST", "/enaxp/proof", [], '{"nonce": "x"}'),
    "reset moto": ("POST", "/moto-api/reset", [], ""),
    "reset moto with a forged signature": ("POST", "/moto-api/reset", [FORGED.format("ec2")], ""),
    "read moto's data": ("GET", "/moto-api/data.json", [FORGED.format("ec2")], ""),
    "make a VPC": ("POST", "/", [FORGED.format("ec2")], "Action=CreateVpc&CidrBlock=10.0.0.0/16&Version=2016-11-15"),
    "import a key": ("POST", "/", [FORGED.format("ec2")], "Action=ImportKeyPair&KeyName=x&PublicKeyMaterial=eA=="),
    "make a role": ("POST", "/", [FORGED.format("iam")], "Action=CreateRole&RoleName=x"),
    "make a VPC without a signature": ("POST", "/", [], "Action=CreateVpc&CidrBlock=10.0.0.0/16&Version=2016-11-15"),
    "presigned": (
        "GET",
        "/?Action=DescribeVpcs&X-Amz-Credential=local%2F20261130%2Fus-east-1%2Fec2%2Faws4_request",
        [],
        "",
    ),
    "ask what is allowed": ("OPTIONS", "/", ["Origin: http://example.com", "Access-Control-Request-Method: POST"], ""),
}


def test_another_user_of_the_computer_gets_nothing_from_the_cloud(standing: Standing) -> None:
    answers = {
        name: ask_as_nobody(standing.port, method, path, *headers, body=body)
        for name, (method, path, headers, body) in REQUESTS.items()
    }

    assert {name: answer.split()[1:2] for name, answer in answers.items()} == {name: ["403"] for name in REQUESTS}
    assert standing.is_whole()


def test_another_user_of_the_computer_reads_nothing_of_the_cloud(standing: Standing) -> None:
    files = [path for path in (standing.state / "local-cloud").rglob("*") if path.is_file()]
    assert {"cloud.json", "credentials", "cloud.log"} <= {path.name for path in files}
    wanted = [*map(str, files), f"/proc/{standing.cloud.pid}/environ"]

    read = {path: as_nobody("cat", path).returncode for path in wanted}
    signalled = as_nobody("bash", "-c", f"kill -TERM {standing.cloud.pid}")

    assert all(read.values()), read
    assert signalled.returncode != 0
    assert all(
        path.stat().st_mode & 0o077 == 0 for path in files if path.name in {"cloud.json", "credentials", "cloud.log"}
    )
    assert standing.is_whole()


def test_a_signed_request_is_refused_where_it_was_changed(standing: Standing) -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    body = "Action=DescribeVpcs&Version=2016-11-15"
    url, form = f"{standing.cloud.endpoint_url}/", "application/x-www-form-urlencoded"
    request = AWSRequest(method="POST", url=url, data=body, headers={"Content-Type": form})
    SigV4Auth(Credentials(standing.cloud.access_key, standing.cloud.secret_key), "ec2", "us-east-1").add_auth(request)
    headers = dict(request.headers)

    assert _status(url, body, headers) == 200
    assert _status(url, body.replace("DescribeVpcs", "DescribeTags"), headers) == 403
    assert _status(f"{url}enaxp/resources", body, headers) == 403
    assert _status(url, body, {**headers, "Origin": "http://127.0.0.1"}) == 403
    assert _status(url, body, {**headers, "Host": f"localhost:{standing.port}"}) == 403
    assert _status(url, body, {**headers, "X-Amz-Target": "AmazonSSM.DescribeDocument"}) == 403
    assert _status(url, body, {**headers, "X-Amz-Date": "20200101T000000Z"}) == 403


def _status(url: str, body: str, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, data=body.encode(), headers=headers, method="POST")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def test_its_owner_reaches_no_path_of_moto_s_own(standing: Standing) -> None:
    client = standing.ec2()
    client.meta.events.register("before-sign.ec2", _to("/moto-api/reset"))

    with pytest.raises(ClientError, match="does not serve"):
        client.describe_vpcs()

    assert standing.is_whole()


def _to(path: str):  # type: ignore[no-untyped-def]
    def change(request, **_):  # type: ignore[no-untyped-def]
        request.url = request.url.rstrip("/") + path

    return change


def test_aws_s_own_command_reads_the_file_of_credentials(standing: Standing) -> None:
    """As docs/local.md says."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "awscli", "--region", "us-east-1", "--endpoint-url", standing.cloud.endpoint_url),
            *("ec2", "describe-vpcs", "--query", "Vpcs[].VpcId"),
        ],
        env={**os.environ, "AWS_SHARED_CREDENTIALS_FILE": str(standing.state / "local-cloud/credentials")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert standing.vpc in json.loads(done.stdout), done.stderr


# -- a file that tells of a cloud that is none ----------------------------------------------------------------------


class Stranger(BaseHTTPRequestHandler):
    """Who has the port of a cloud that is gone, and says yes to everything."""

    relay_to: LocalCloud | None = None

    def do_GET(self) -> None:
        self._answer({"resources": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.relay_to is not None and self.path == "/enaxp/proof":
            self._answer(json.loads(self.relay_to.ask("proof", method="POST", body=body)))
        else:
            self._answer({"proof": "0" * 64})

    def _answer(self, document: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def stranger(relay_to: LocalCloud | None = None) -> Iterator[str]:
    """Where a stranger answers."""
    with HTTPServer(("127.0.0.1", 0), type("Told", (Stranger,), {"relay_to": relay_to})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any cloud."""
    process = subprocess.Popen(["sleep", "600"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("start_is_known", [True, False])
def test_a_stale_file_makes_nobody_believe_or_signal_a_stranger(
    start_is_known: bool, tmp_path: Path, bystander: subprocess.Popen[bytes], local_target: None
) -> None:
    state = tmp_path / "state"
    make_state_folder(state)
    (state / "local-cloud").mkdir(mode=0o700)
    with stranger() as url:
        stale = LocalCloud(
            pid=bystander.pid,
            started=started_at(bystander.pid) if start_is_known else "1",
            endpoint_url=url,
            isolation="processes",
            reason="",
            ssh_port=22,
            ssh_user="root",
            access_key="ENAXP0123456789ABCDE",
            secret_key="secret",
        )
        publish(state / "local-cloud", stale)

        with running(state, isolation="processes", say=lambda _: None) as cloud:
            assert cloud.endpoint_url != url
            assert cloud.access_key != stale.access_key

    assert bystander.poll() is None


def test_a_stranger_who_relays_to_the_cloud_is_not_believed(standing: Standing) -> None:
    with stranger(relay_to=standing.cloud) as url:
        assert standing.cloud.is_itself()
        assert not replace(standing.cloud, endpoint_url=url).is_itself()
        assert not replace(standing.cloud, pid=os.getpid()).is_itself()


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_file_that_others_can_open_is_not_believed(mode: int, standing: Standing) -> None:
    from enaxp.local.cloud import _alive

    folder = standing.state / "local-cloud"
    assert _alive(folder) == standing.cloud
    (folder / "cloud.json").chmod(mode)

    assert _alive(folder) is None
    (folder / "cloud.json").chmod(0o600)


# -- what surrounds the command that starts it -------------------------------------------------------------------------


def test_nothing_of_the_caller_s_environment_reaches_the_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_target: None
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "ENAXP_X"):
        monkeypatch.setenv(name, "the-caller-s-own")
    monkeypatch.setenv("HTTP_PROXY", "http://the-caller-s-own:3128")
    make_state_folder(tmp_path / "state")

    with running(tmp_path / "state", isolation="processes", say=lambda _: None) as cloud:
        environment = Path(f"/proc/{cloud.pid}/environ").read_bytes()
        names = {entry.partition(b"=")[0].decode() for entry in environment.split(b"\0") if entry}

    assert b"the-caller-s-own" not in environment
    assert names == {"PATH", "LANG", "PYTHONSAFEPATH"}


def test_nothing_is_imported_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_target: None
) -> None:
    trap = f"open({str(tmp_path / 'sprung')!r}, 'a').write(__name__ + '\\n')\nraise SystemExit(1)\n"
    for name in ("moto", "msgspec", "werkzeug", "sitecustomize", "usercustomize", "enaxp", "signal"):
        (tmp_path / f"{name}.py").write_text(trap)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "moto.py"))
    make_state_folder(Path("state"))

    with running(Path("state"), isolation="processes", say=lambda _: None) as cloud:
        assert cloud.resources() == []

    assert not (tmp_path / "sprung").exists()


def test_the_caller_s_aws_settings_do_not_matter(
    standing: Standing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("this is [no configuration\n")
    settings = {
        "AWS_PROFILE": "no-such-profile",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "config"),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:9",
        "AWS_SESSION_TOKEN": "token",
        "AWS_CA_BUNDLE": "/nowhere",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_MAX_ATTEMPTS": "many",
        "AWS_DEFAULTS_MODE": "no-such-mode",
        "AWS_DATA_PATH": str(tmp_path),
        "AWS_DEFAULT_REGION": "mars-north-1",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    cloud = standing.cloud
    aws = Aws(
        region="us-east-1",
        endpoint_url=cloud.endpoint_url,
        access_key=cloud.access_key,
        secret_key=cloud.secret_key,
    )

    assert standing.vpc in {vpc["VpcId"] for vpc in aws.ec2.describe_vpcs()["Vpcs"]}
    assert aws.account()
