"""`bench --server --client` up to where it would log in, and `policy --given`: what is asked for, what is refused, what is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enaxp.aws import Aws
from enaxp.commands.bench import BenchOptions
from enaxp.commands.given.asked import Asked, GivenOptions, given_pairs, in_the_name_of, toggled, watch_seconds
from enaxp.commands.given.benches import bench_between_given
from enaxp.commands.given.reach import private_key_of
from enaxp.commands.policy import given_policy_document
from enaxp.config import load_config
from enaxp.errors import AwsError, BenchError, NoValidResultError, UsageError
from enaxp.local.strict import StrictServer
from enaxp.options import Options
from tests.support.given_child import as_a_person
from tests.support.on_aws import strict_aws
from tests.support.strict_lab import Lab

ONE, OTHER = "i-0123456789abcdef0", "i-0123456789abcdef1"


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[StrictServer, Lab]]:
    with strict_aws() as server:
        built = Lab.at(server)
        built.build()
        yield server, built


@pytest.fixture
def options(folder: Path) -> Options:
    return Options(state_dir=folder / "state", results_dir=folder / "results", region="us-east-1")


def bench(options: Options, server: str, client: str, **changes: Any) -> None:
    pairs = given_pairs(options, Asked(server=server, client=client, private_key="mine.pem"))
    asked = BenchOptions(argv=["bench"], report=False, **changes)
    bench_between_given(options, pairs, asked, GivenOptions(assume_yes=True), overrides=toggled({}))


def changed_by(server: StrictServer) -> list[str]:
    return [call.action for call in server.calls if not call.action.startswith(("Describe", "Get", "List"))]


def test_the_hosts_are_those_of_the_command_line_else_those_of_the_config(options: Options, folder: Path) -> None:
    assert given_pairs(options, Asked()) == ()
    (folder / "config").mkdir()
    (folder / "config/bench.yaml").write_text(
        f"given: {{ssh_user: ubuntu, proxy_command: 'ssh -W %h:%p bastion', pairs: [{{server: {{instance_id: {ONE}, ssh_port: 2222}}, "
        f"client: {{instance_id: {OTHER}, ssh_user: admin, interface: eni-0123456789abcdef0}}}}]}}\n"
    )

    [configured] = given_pairs(options, Asked())
    [asked] = given_pairs(options, Asked(server=OTHER, client=ONE, private_key="mine.pem"))

    assert [(one.ssh_user, one.ssh_port, one.interface) for one in (configured.server, configured.client)] == [
        ("ubuntu", 2222, "primary"),
        ("admin", 22, "eni-0123456789abcdef0"),
    ]
    assert configured.client.proxy_command == "ssh -W %h:%p bastion"
    assert (asked.server.instance_id, asked.server.ssh_user, asked.client.private_key) == (
        OTHER,
        "ubuntu",
        Path("mine.pem"),
    )


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda options: given_pairs(options, Asked(server=ONE)), "--server and --client go together"),
        (lambda _options: toggled({"bench.order": "interleaved"}), "in order toggled"),
        (lambda _options: watch_seconds("soon"), "--watch 'soon'"),
        (lambda _options: watch_seconds("2h"), "--watch '2h'"),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_is_called(options: Options, ask: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ask(options)


def test_the_key_is_the_one_given_or_one_that_ssh_would_take(
    options: Options, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    [pair] = given_pairs(options, Asked(server=ONE, client=OTHER))
    with pytest.raises(UsageError, match="which key"):
        private_key_of(pair.server)

    (folder / ".ssh").mkdir()
    (folder / ".ssh/id_rsa").touch()

    assert private_key_of(pair.server) == folder / ".ssh/id_rsa"


def test_runs_of_a_pair_are_kept_under_a_name_of_their_own_or_the_one_given(options: Options) -> None:
    [pair] = given_pairs(options, Asked(server=ONE, client=OTHER))
    [back] = given_pairs(options, Asked(server=OTHER, client=ONE))

    assert in_the_name_of(options, [pair]).lab != in_the_name_of(options, [back]).lab
    assert in_the_name_of(Options(lab="mine"), [pair]).lab == "mine"


def test_hosts_that_cannot_be_measured_are_refused_with_everything_that_is_wrong_and_nothing_is_switched(
    options: Options, lab: tuple[StrictServer, Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, built = lab
    as_a_person(monkeypatch, server)
    rule = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": built.ids["security"]}]}
    built.ec2.revoke_security_group_ingress(GroupId=built.ids["security"], IpPermissions=[rule])
    server.forget_calls()
    try:
        with pytest.raises(BenchError, match="nothing was switched") as refusal:
            bench(options, built.ids["server_host"], built.ids["client_host"])
        with pytest.raises(UsageError, match="no such instance"):
            bench(options, ONE, OTHER)
        with pytest.raises(BenchError, match="nothing was switched"):
            bench(options, built.ids["server_host"], built.ids["server_host"], force=True)
    finally:
        calls = changed_by(server)
        built.ec2.authorize_security_group_ingress(GroupId=built.ids["security"], IpPermissions=[rule])

    assert "lets udp port 11111 in from 192.168.3.20" in refusal.value.said
    assert "--force" in refusal.value.todo
    assert calls == []
    assert not (options.state_dir / "given").exists()


def test_of_several_pairs_one_that_fails_does_not_stop_the_others(
    options: Options, lab: tuple[StrictServer, Lab], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    server, built = lab
    as_a_person(monkeypatch, server)
    pairs = [
        *given_pairs(options, Asked(server=ONE, client=OTHER, private_key="mine.pem")),
        *given_pairs(options, Asked(server=built.ids["server_host"], client=built.ids["server_host"])),
    ]

    asked = BenchOptions(argv=["bench"], report=False)
    with pytest.raises(NoValidResultError, match="no pair of variant given is valid"):
        bench_between_given(options, pairs, asked, GivenOptions(assume_yes=True), overrides=toggled({}))

    told = capfd.readouterr().err
    assert "pair given-1 was lost: there is no such instance" in told
    assert "pair given-2 was lost: these hosts cannot be measured so" in told
    [kept] = options.results_dir.glob("given-*/*/pairs.json")
    assert "the same instance" in kept.read_text()


def test_the_policy_names_the_interfaces_and_asks_which_they_are_only_where_none_is_named(
    lab: tuple[StrictServer, Lab], folder: Path
) -> None:
    server, built = lab
    aws = Aws(region="us-east-1", endpoint_url=server.endpoint_url, access_key="x", secret_key="x")
    config, host = load_config(), built.ids["server_host"]
    server.forget_calls()

    named = given_policy_document(config, aws, ids=["eni-0123456789abcdef0", host])
    asked_nothing = list(server.calls)
    found = given_policy_document(config, aws, ids=[host])

    assert asked_nothing == []
    assert [one["Resource"] for one in named["Statement"]][1] == [
        "arn:aws:ec2:us-east-1:*:network-interface/eni-0123456789abcdef0",
        f"arn:aws:ec2:us-east-1:*:instance/{host}",
    ]
    assert f"arn:aws:ec2:us-east-1:*:network-interface/{built.ids['server']}" in found["Statement"][1]["Resource"]
    assert found["Statement"][1]["Action"] == ["ec2:ModifyNetworkInterfaceAttribute"]
    with pytest.raises(UsageError, match="'web-1' is no id"):
        given_policy_document(config, aws, ids=["web-1"])


def test_without_credentials_nothing_is_looked_at(options: Options, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    as_a_person(monkeypatch, lab[0])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")

    with pytest.raises(AwsError, match=r"asking AWS who we are"):
        bench(options, ONE, OTHER)
