"""Given hosts: their setting is saved before the first switch and put back whatever happens; no other call changes anything."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enaxp.aws import Aws
from enaxp.commands.given.asked import given_name
from enaxp.commands.given.restoring import restore
from enaxp.config import GivenHostConfig, GivenPairConfig
from enaxp.errors import AwsError, LabError, StateError
from enaxp.lab.given.discovery import discover
from enaxp.lab.given.policy import given_policy
from enaxp.lab.given.putback import put_back, steps
from enaxp.lab.given.saved import GivenFolder, SavedSettings, warnings
from enaxp.local.strict import Fault, FaultPlan, Timing
from enaxp.options import Options
from tests.support import given_child
from tests.support.crash_harness import DeadlyCloud, Doom, Launcher
from tests.support.strict_lab import Lab

OFF, ON = (False, False), (True, True)
ONLY_UDP = (
    False,
    True,
)  # what is left where only SRD was switched off: legal, without effect, and refused when asked for at once
SWITCHES = 5  # of two interfaces each, to be killed before and after: twenty points


class Hosts:
    """Two running instances that somebody has, in a strict AWS, with one interface each that is measured."""

    def __init__(self, cloud: DeadlyCloud) -> None:
        self.cloud = cloud
        self.launcher = Launcher("-m", given_child.__name__)
        self.lab = Lab.at(cloud.server)
        self.lab.build()
        self.pair = GivenPairConfig(server=self._host("server"), client=self._host("client"))

    def _host(self, role: str) -> GivenHostConfig:
        return GivenHostConfig(
            instance_id=self.lab.ids[f"{role}_host"],
            address=None,
            ssh_user="ec2-user",
            ssh_port=22,
            private_key=None,
            proxy_command=None,
            interface=self.lab.ids[f"{role}_express"],
        )

    @property
    def aws(self) -> Aws:
        return Aws(
            region="us-east-1",
            endpoint_url=self.cloud.server.endpoint_url,
            access_key="x",
            secret_key="x",
            poll_s=0.02,
            grace_s=0.4,
        )

    def found(self) -> SavedSettings:
        return given_child.found(self.aws, self.pair)

    def have(self, setting: tuple[bool, bool]) -> None:
        for role in ("server_express", "client_express"):
            self.lab.express(role, on=True, udp=setting[1])
            if not setting[0]:
                off = {"EnaSrdEnabled": False}
                self.lab.ec2.modify_network_interface_attribute(
                    NetworkInterfaceId=self.lab.ids[role], EnaSrdSpecification=off
                )

    def settings(self) -> set[tuple[bool, bool] | None]:
        return {self.lab.express_of("server_express"), self.lab.express_of("client_express")}

    def changed_by(self) -> set[str]:
        """The calls that changed anything since they were forgotten."""
        done = (call.action for call in self.cloud.server.calls if call.status < 400)
        return {action for action in done if not action.startswith(("Describe", "Get", "List"))}


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    cloud = DeadlyCloud(Timing.instant())
    made = Hosts(cloud)
    try:
        yield made
    finally:
        made.launcher.stop()
        cloud.stop()


@pytest.fixture(autouse=True)
def at_peace(hosts: Hosts) -> Iterator[None]:
    yield
    hosts.cloud.server.set_faults(FaultPlan([]))
    hosts.cloud.server.lift_policies()


@pytest.mark.parametrize("found", [OFF, ON, (True, False), ONLY_UDP])
@pytest.mark.parametrize("now", [OFF, ON, (True, False), ONLY_UDP])
def test_the_steps_lead_from_any_setting_to_any_other_and_none_is_refused(
    found: tuple[bool, bool], now: tuple[bool, bool]
) -> None:
    have = {"srd": now[0], "srd_udp": now[1]}

    for step in steps({"srd": found[0], "srd_udp": found[1]}, {"srd": now[0], "srd_udp": now[1]}):
        have["srd"] = step.get("EnaSrdEnabled", have["srd"])
        udp = step.get("EnaSrdUdpSpecification", {}).get("EnaSrdUdpEnabled")
        assert not (udp and not have["srd"])  # AWS refuses it
        have["srd_udp"] = have["srd_udp"] if udp is None else udp

    assert (have["srd"], have["srd_udp"]) == found


@pytest.mark.parametrize("found", [OFF, ON, ONLY_UDP])
def test_it_is_switched_under_the_printed_policy_alone_and_put_back_as_it_was(
    hosts: Hosts, tmp_path: Path, found: tuple[bool, bool]
) -> None:
    hosts.have(found)
    instances = [hosts.pair.server.instance_id, hosts.pair.client.instance_id]
    enis = [hosts.pair.server.interface, hosts.pair.client.interface]
    server = hosts.cloud.server
    server.put_policies([given_policy(region="us-east-1", account=None, instances=instances, interfaces=enis)])
    server.forget_calls()
    folder = GivenFolder(tmp_path)

    seen = given_child.bench(hosts.aws, folder, hosts.pair, switches=2, look=hosts.settings)

    assert seen == [{ON}, {OFF}]
    assert hosts.settings() == {found}
    assert hosts.changed_by() == {"ModifyNetworkInterfaceAttribute"}
    assert [call.action for call in server.calls if call.code] == []
    assert folder.all() == []
    with pytest.raises(AwsError, match="ENA Express"):  # of other interfaces the policy says nothing
        given_child.set_on(hosts.aws, hosts.lab.ids["server"])


@pytest.mark.thorough
@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("nth", range(1, 2 * SWITCHES + 1))
def test_killed_at_any_switch_the_setting_is_reported_and_restored(
    hosts: Hosts, tmp_path: Path, nth: int, phase: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (OFF, ON, ONLY_UDP)[nth % 3]
    hosts.have(found)
    hosts.cloud.server.forget_calls()
    order = {
        "endpoint": hosts.cloud.server.endpoint_url,
        "folder": str(tmp_path),
        "given": [[host.instance_id, host.interface] for host in (hosts.pair.server, hosts.pair.client)],
        "switches": SWITCHES,
    }

    child = hosts.launcher.fork(order)
    hosts.cloud.doom = Doom(pid=child, nth=nth, phase=phase)
    code = hosts.launcher.let_go(child)
    hosts.cloud.doom = None

    assert code == -signal.SIGKILL
    [warning] = warnings(tmp_path)
    assert "`enaxp restore` puts back what was found" in warning
    given_child.as_a_person(monkeypatch, hosts.cloud.server)
    assert [one.error for one in restore(Options(state_dir=tmp_path, target="aws"))] == [None]
    assert hosts.settings() == {found}
    assert hosts.changed_by() <= {"ModifyNetworkInterfaceAttribute"}
    assert warnings(tmp_path) == []


def test_an_expired_credential_leaves_what_was_found_on_disk_until_it_can_be_put_back(
    hosts: Hosts, tmp_path: Path
) -> None:
    hosts.have(OFF)
    folder = GivenFolder(tmp_path)
    expired = {"code": "ExpiredTokenException", "status": 400, "message": "The security token is expired"}

    def expire() -> None:
        fault = Fault(action="ModifyNetworkInterfaceAttribute", probability=1.0, **expired)  # type: ignore[arg-type]
        hosts.cloud.server.set_faults(FaultPlan([fault]))

    with pytest.raises(AwsError, match="putting ENA Express of eni-") as failure:
        given_child.bench(hosts.aws, folder, hosts.pair, switches=2, look=expire)

    assert "enaxp restore" in failure.value.todo
    assert hosts.settings() == {ON}
    hosts.cloud.server.set_faults(FaultPlan([]))
    [saved] = folder.unrestored()
    put_back(hosts.aws, folder, saved, say=lambda _text: None)
    assert hosts.settings() == {OFF}
    assert folder.all() == []


def test_an_interface_that_cannot_be_put_back_does_not_keep_the_other_one_from_it(hosts: Hosts, tmp_path: Path) -> None:
    hosts.have(OFF)
    folder = GivenFolder(tmp_path)
    denied = Fault(
        action="ModifyNetworkInterfaceAttribute",
        nth=1,
        status=403,
        code="UnauthorizedOperation",
        message="explicit deny",
    )

    with pytest.raises(AwsError, match="putting ENA Express of eni-"):
        given_child.bench(
            hosts.aws, folder, hosts.pair, switches=1, look=lambda: hosts.cloud.server.set_faults(FaultPlan([denied]))
        )

    assert {hosts.lab.express_of(role) for role in ("server_express", "client_express")} == {ON, OFF}
    hosts.cloud.server.set_faults(FaultPlan([]))
    [saved] = folder.unrestored()
    put_back(hosts.aws, folder, saved, say=lambda _text: None)
    assert hosts.settings() == {OFF}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("connection lost")])
def test_an_error_and_an_interruption_put_it_back(hosts: Hosts, tmp_path: Path, error: Any) -> None:
    hosts.have(ON)
    folder = GivenFolder(tmp_path)

    def fail() -> None:
        raise error

    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        given_child.bench(hosts.aws, folder, hosts.pair, switches=3, look=fail, first="none")

    assert hosts.settings() == {ON}
    assert folder.all() == []


def test_one_interface_is_switched_by_one_bench_at_a_time(hosts: Hosts, tmp_path: Path) -> None:
    hosts.have(OFF)
    folder, saved = GivenFolder(tmp_path), hosts.found()

    with folder.held([saved.server.eni]):
        folder.save(saved)
        assert warnings(tmp_path) == []  # it runs
        with pytest.raises(LabError, match="is being switched by another command"), folder.held([saved.server.eni]):
            pass
    assert len(warnings(tmp_path)) == 1  # nobody runs
    with pytest.raises(LabError, match="left these interfaces switched"):
        given_child.bench(hosts.aws, folder, hosts.pair, switches=1, look=lambda: None)
    assert hosts.settings() == {OFF}


def test_a_file_that_cannot_be_read_is_reported_and_never_taken_for_none(tmp_path: Path) -> None:
    folder = GivenFolder(tmp_path)
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "i-0123456789abcdef0-i-0123456789abcdef1.json").write_text('{"schema": 1, "lab"')

    with pytest.raises(StateError, match="cannot be read"):
        folder.all()
    assert "cannot be read" in warnings(tmp_path)[0]


def test_the_runs_of_a_pair_have_a_name_that_tells_no_id(hosts: Hosts) -> None:
    name = given_name([hosts.pair])

    assert name.startswith("given-")
    assert name == given_name([hosts.pair])
    assert not any(part in name for part in (hosts.pair.server.instance_id[2:], hosts.pair.client.instance_id[2:]))


def test_what_aws_says_of_the_hosts_is_found_by_looking_alone(hosts: Hosts) -> None:
    hosts.cloud.server.forget_calls()

    found = discover(hosts.aws, hosts.pair)

    assert (found.server.ip, found.client.ip) == ("192.168.3.11", "192.168.3.21")
    assert found.server.instance_type in found.supporting
    assert found.server.groups
    assert set(found.ingress) == set(found.server.groups)
    assert hosts.changed_by() == set()
