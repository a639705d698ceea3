"""A bench between given hosts from beginning to end, cheap: AWS is the strict one, and the hosts are plain processes with a real sshd."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.local.strict import Timing, serve
from tests.support import local_machines
from tests.support.local_machines import wait_until, why_not
from tests.support.on_aws import OnAws
from tests.support.strict_lab import Lab

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_not("processes")), reason=why_not("processes")),
]
ROLES = ("server", "client")
# Plain processes have no interfaces of their own: this names one, of which nothing is counted.
IP = """cat > "$ENAXP_ROOT/run/enaxp/bin/ip" <<'END'
#!/bin/sh
case "$*" in
  "-o -4 addr show to "*) echo "2: ens6 inet $6/24 scope global ens6" ;;
  "-o route get "*) echo "$4 from $6 dev ens6" ;;
esac
END
chmod +x "$ENAXP_ROOT/run/enaxp/bin/ip"
"""
QUICK = ("bench", "--repeats", "1", "--duration", "1s", "--watch", "100ms", "--yes", "--force", "--no-report")


class GivenHosts:
    """Two hosts, and somebody to whom AWS tells of them."""

    def __init__(self, cloud: Lab, machines: local_machines.Lab, person: OnAws) -> None:
        self.cloud = cloud
        self.machines = machines
        self.person = person
        self.pair = {role: self._host(role) for role in ROLES}
        (person.folder / "config").mkdir()
        self.configure(self.pair)

    def configure(self, *pairs: dict[str, dict[str, object]]) -> None:
        (self.person.folder / "config/bench.yaml").write_text(json.dumps({"given": {"pairs": pairs}}))

    def _host(self, role: str) -> dict[str, object]:
        host = self.machines.host(role)
        return {
            "instance_id": self.cloud.ids[f"{role}_host"],
            "interface": self.cloud.ids[f"{role}_express"],
            "address": host.address,
            "ssh_port": host.port,
            "ssh_user": host.user,
            "private_key": str(host.private_key),
        }

    @contextmanager
    def measuring(self, *more: str, until: str = "ENA Express is switched off") -> Iterator[subprocess.Popen[str]]:
        """A bench that has said this, and goes on until it is ended."""
        with subprocess.Popen(
            [*self.person.command, *QUICK, *more],
            cwd=self.person.folder,
            env=dict(self.person.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A test run in the background has SIGINT ignored, and would hand that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        ) as process:
            assert process.stderr is not None
            said = ""
            for line in process.stderr:
                said += line
                if until in line:
                    break
            else:
                pytest.fail(said)
            yield process
            process.kill()

    def settings(self) -> set[tuple[bool, bool] | None]:
        return {self.cloud.express_of(f"{role}_express") for role in ROLES}

    def leave_a_folder(self) -> list[str]:
        """The hosts on which the folder of a bench is left."""
        left = []
        for role in ROLES:
            with self.machines.ssh(role) as connection:
                if connection.run('[ -e "$ENAXP_ROOT/tmp/enaxp-bench" ]').ok:
                    left.append(role)
        return left


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GivenHosts]:
    aws = serve(timing=Timing.instant())
    try:
        cloud = Lab.at(aws)
        cloud.build()
        with local_machines.lab("processes", tmp_path_factory.mktemp("machines")) as machines:
            for role in ROLES:
                machines.launch(role, user_data="#!/bin/sh\n")
            machines.wait_up(*ROLES)
            for role in ROLES:
                with machines.ssh(role) as connection:
                    connection.check(IP)
            yield GivenHosts(cloud, machines, OnAws(aws, tmp_path_factory.mktemp("person")))
    finally:
        aws.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_bench_restores_the_setting_and_leaves_nothing_on_the_hosts(
    given: GivenHosts, number: signal.Signals
) -> None:
    before = given.settings()

    with given.measuring("--iterations", "50") as process:
        wait_until(lambda: given.settings() != before, "it is switched")
        process.send_signal(number)
        _, said = process.communicate(timeout=120)

    assert process.returncode == 130, said
    assert given.settings() == before
    assert list(given.person.folder.glob("state/given/*.json")) == []
    assert given.leave_a_folder() == []


def test_a_killed_bench_holds_nothing_and_until_then_refuses_others(given: GivenHosts, tmp_path: Path) -> None:
    before = given.settings()
    third = replace(given.person, folder=tmp_path)
    (tmp_path / "config").symlink_to(given.person.folder / "config")

    with given.measuring("--iterations", "50") as process:
        wait_until(lambda: given.settings() != before, "it is switched")
        refused = third.run(*QUICK, "--iterations", "1")
        process.kill()
    with given.measuring("--iterations", "50") as again:  # the setting is restored first
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=120)

    assert refused.code == 1
    assert "the server is measured by another bench" in refused.stderr
    assert f"(process {process.pid}), since " in refused.stderr
    assert again.returncode == 130
    assert given.settings() == before
    assert given.leave_a_folder() == []


def test_a_bench_of_several_pairs_goes_on_with_those_that_have_not_ended(given: GivenHosts) -> None:
    before = given.settings()
    back = {"server": given.pair["client"], "client": given.pair["server"]}
    given.configure(given.pair, back)

    with given.measuring("--iterations", "1", until="pair given-2") as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    [run] = [path.parent for path in given.person.folder.glob("results/*/*/pairs")]
    given.configure(given.pair, back, given.pair)
    of_others = given.person.run(*QUICK, "--resume", run.name, "--lab", run.parent.name)
    given.configure(given.pair, back)
    resumed = given.person.run(*QUICK, "--resume", run.name, "--json")

    assert process.returncode == 130, said
    assert f"enaxp bench --resume {run.name}" in said
    assert (of_others.code, "measured between other pairs of hosts" in of_others.stderr) == (2, True)
    assert resumed.code == 0, resumed.stderr
    assert "pair given-1" not in resumed.stderr
    assert resumed.document["variants"]["given"]["pairs"] == 2
    assert (run / "pairs/given-2/result.json").is_file()
    assert given.settings() == before
