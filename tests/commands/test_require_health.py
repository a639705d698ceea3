"""Which hosts a bench on AWS refuses: AWS is the strict one, and the hosts tell what hosts on EC2 told (doctor_cases.yaml)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from enaxp.bench.measuring.pair import Pair
from enaxp.commands.doctor import Health, require_health
from enaxp.commands.status import current_status
from enaxp.errors import BenchError
from enaxp.lab.kinds.compute import set_srd
from enaxp.lab.lifecycle import Target
from enaxp.options import Options
from enaxp.session import Session
from enaxp.terminal.console import Console
from tests.support.crash_harness import Labs, deadly_cloud

SOUND: dict[str, Any] = yaml.safe_load((Path(__file__).parent.parent / "hosts/doctor_cases.yaml").read_text())[
    "sound host"
]
NO_COUNTERS = {"ena srd_mode": None, "ena_express srd_mode": None}


class TellingHost:
    """A connection to a host that tells what it was recorded with."""

    def __init__(self, tells: Mapping[str, Any]) -> None:
        self.tells = tells
        self.host = SimpleNamespace(ip_of={"ena": "192.168.3.20", "ena_express": "192.168.3.21"}.__getitem__)

    def check(self, _command: str) -> str:
        return "\n".join(f"{key} {value}" for key, value in self.tells.items() if value is not None)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Of a lab that is up, as far as AWS is concerned."""
    folder = tmp_path_factory.mktemp("health")
    with deadly_cloud() as cloud:
        labs = Labs(cloud, folder, overrides={"hosts.ssm": False})
        labs.up()
        yield Session(
            options=Options(state_dir=folder),
            config=labs.config,
            target=Target(name="aws"),
            aws=labs.aws(),
            file=labs.file(),
            console=Console(as_json=False),
        )


Judge = Callable[..., Health]


@pytest.fixture
def judge(session: Session) -> Judge:
    def of(*, force: bool = False, srd_is_moved: bool = False, **of_role: Mapping[str, Any]) -> Health:
        hosts: Any = {role: TellingHost({**SOUND, **of_role.get(role, {})}) for role in ("server", "client")}
        pair = Pair(**hosts)
        return require_health(session, pair, current_status(session), force=force, srd_is_moved=srd_is_moved)

    return of


def test_sound_hosts_are_measured_and_nothing_is_said_of_them(judge: Judge) -> None:
    assert judge() == Health(forced=(), untuned=())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an MTU that SRD does not carry": ({"client": {"ena_express mtu": 9001}}, "client: MTU of ena_express is 9001"),
    "traffic that leaves by another interface": (
        {"server": {"ena_express leaves_by": "ens5"}},
        "server: route of ena_express",
    ),
    "a device that does not have SRD on": (
        {"server": {"ena_express srd_mode": 0}},
        "server: device: ena_srd_mode of ena_express is 0",
    ),
    "a driver without counters": ({"server": NO_COUNTERS}, "server: its driver has no ena_srd counters"),
    "no sockperf": ({"client": {"host sockperf": None}}, "client: sockperf"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_spoil_the_comparison_is_refused_and_measured_only_by_force(judge: Judge, case: str) -> None:
    tells, words = REFUSED[case]

    with pytest.raises(BenchError) as refused:
        judge(**tells)

    assert words in refused.value.said
    assert (refused.value.exit_code, "--force" in refused.value.todo) == (1, True)
    assert any(words in line for line in judge(**tells, force=True).forced)


def test_what_aws_recommends_is_told_and_refuses_nothing(judge: Judge) -> None:
    health = judge(client={"ena now_rx": 1024})

    assert health.forced == ()
    assert [line for line in health.untuned if "rx ring of ena" in line]


def test_an_interface_on_which_aws_has_srd_off_is_refused_unless_the_bench_itself_has_moved_it(
    session: Session, judge: Judge
) -> None:
    express = current_status(session).hosts["server"].ena_express
    assert express is not None
    set_srd(session.aws, eni=express.eni, on=False)

    with pytest.raises(BenchError, match="ENA Express is not as it should be") as refused:
        judge()
    assert "server: ENA Express on the attachment" in refused.value.said
    assert judge(srd_is_moved=True).forced == ()
