"""SRD switched on and off on the same interfaces: in a lab, and between hosts that exist already, which are somebody else's lab here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.driver import COMMAND, Driver, Ran, is_mutating, reset_connections

pytestmark = [pytest.mark.long, pytest.mark.system, pytest.mark.namespaces]

QUICK = ("bench", "--repeats", "1", "--duration", "1s", "--iterations", "1")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(tmp_path_factory.mktemp("lab"), "namespaces")
    try:
        driver.ok("up")
        yield driver
    finally:
        driver.end()


# Takes sockperf from a host, and leaves a git that "fetches" a source whose make puts it back: GitHub is not reached from here.
WITHOUT_SOCKPERF = r"""sudo sh -e <<'HOST'
mv "$(readlink -f "$(command -v sockperf)")" /root/sockperf && rm -f /usr/bin/sockperf
mkdir -p /run/enaxp/repository
for program in g++ make automake autoconf libtool; do
  command -v $program > /dev/null || { printf '#!/bin/sh\n' > /run/enaxp/repository/$program; chmod +x /run/enaxp/repository/$program; }
done
rm -f /usr/bin/git
cat > /usr/bin/git <<'GIT'
#!/bin/sh
cd "$2"
case "$3" in
  rev-parse) echo 5ebd327da983225321818c0355db922515e026bd ;;
  checkout)
    printf '#!/bin/sh\n' | tee autogen.sh > configure
    chmod +x autogen.sh configure
    printf 'all install:\n\tcp /root/sockperf /usr/local/bin/sockperf\n' > Makefile ;;
esac
GIT
chmod +x /usr/bin/git
HOST"""


class Neighbour:
    """Somebody with another folder, who has hosts and no lab. To them the lab's cloud is AWS."""

    def __init__(self, lab: Driver, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        hosts = lab.ok("status", "--json").document["hosts"]
        self.given = {
            role: {"instance_id": host["instance_id"], "ssh_port": host["ssh"]["port"], "ssh_user": host["ssh"]["user"]}
            for role, host in hosts.items()
        }
        self.interfaces = [host["ena"]["eni"] for host in hosts.values()]
        self.client_ssh = hosts["client"]["ssh"]["host"], str(hosts["client"]["ssh"]["port"])
        (folder / "config").mkdir()
        self.configure([self.given])

    def configure(self, pairs: list[dict[str, Any]]) -> None:
        given = {"private_key": str(self.lab.folder / "state/dev.pem"), "pairs": pairs}
        (self.folder / "config/bench.yaml").write_text(json.dumps({"given": given}))

    @property
    def environment(self) -> Mapping[str, str]:
        cloud = self.lab.local_cloud
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ENDPOINT_URL": cloud.endpoint_url,
            "AWS_ACCESS_KEY_ID": cloud.access_key,
            "AWS_SECRET_ACCESS_KEY": cloud.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "ENAXP_REPORT": "0",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A test run in the background has SIGINT ignored, and would hand that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    @contextmanager
    def measuring(self) -> Iterator[subprocess.Popen[str]]:
        """A bench that has switched ENA Express on, and goes on until it is ended."""
        with self.start(*QUICK, "--iterations", "50", "--watch", "100ms", "--yes") as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "ENA Express is switched on" in line:
                    break
            yield process

    def run(self, *arguments: str) -> Ran:
        with self.start(*arguments) as process:
            stdout, stderr = process.communicate(timeout=300)
        return Ran(process.returncode, stdout, stderr)

    def run_through_a_lost_connection(self, *arguments: str) -> Ran:
        """As `run`; the bench's connection to the client is reset within its second trial."""
        text = ""
        with self.start(*arguments) as process:
            assert process.stderr is not None
            assert process.stdout is not None
            for line in process.stderr:
                text += line
                if "trial   1 of" in line:
                    time.sleep(1.5)
                    reset_connections(*self.client_ssh)
            stdout = process.stdout.read()
        return Ran(process.returncode, stdout, text)

    @contextmanager
    def under_its_policy(self) -> Iterator[None]:
        """Nothing is allowed but what the printed policy says."""
        asked = [word for host in self.given.values() for word in ("--given", str(host["instance_id"]))]
        self.lab.cloud("policies", method="POST", body={"identity": [self.run("policy", *asked).document]})
        try:
            yield
        finally:
            self.lab.cloud("policies", method="DELETE")

    def leaves_on_hosts(self) -> list[str]:
        """The hosts on which a folder of a bench is left."""
        return [role for role in self.given if self.lab.on_host(role, "[ -e /tmp/enaxp-bench ]").code == 0]

    def settings(self) -> dict[str, tuple[bool, bool]]:
        """SRD and its flag for UDP on the interfaces that are measured."""
        found = self.lab.client("ec2").describe_network_interfaces(NetworkInterfaceIds=self.interfaces)
        off = {
            "EnaSrdEnabled": False,
            "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": False},
        }  # what was never set is not told
        srd = {
            one["NetworkInterfaceId"]: one["Attachment"].get("EnaSrdSpecification", off)
            for one in found["NetworkInterfaces"]
        }
        return {
            eni: (one["EnaSrdEnabled"], one["EnaSrdUdpSpecification"]["EnaSrdUdpEnabled"]) for eni, one in srd.items()
        }

    def trials(self) -> list[dict[str, Any]]:
        [run] = self.folder.glob("results/*/*/trials.jsonl")
        return [json.loads(line) for line in run.read_text().splitlines()]


@pytest.fixture
def neighbour(lab: Driver, tmp_path: Path) -> Neighbour:
    return Neighbour(lab, tmp_path)


def is_treated_by_the_counters(trial: dict[str, Any]) -> bool:
    srd, on = trial["srd"], trial["arm"] == "ena_express"
    moved = srd["tx"] > 100 and srd["peer_tx"] > 100 if on else srd["tx"] == srd["peer_tx"] == srd["rx"] == 0
    return moved and srd["mode"] == srd["peer_mode"] == (3 if on else 0)


def test_in_a_lab_both_arms_use_the_second_interfaces_and_only_srd_differs(lab: Driver) -> None:
    result = lab.ok(*QUICK, "--iterations", "2", "--order", "toggled", "--json").document

    scenario = result["scenarios"]["udp-latency"]
    assert scenario["treatment"]["proven"] is True
    assert "nothing but SRD differs between the arms" in scenario["verdict"]["words"]
    assert {arm["valid_trials"] for arm in scenario["arms"].values()} == {2}
    run = lab.folder / "results/dev" / result["run_id"]
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    assert all(map(is_treated_by_the_counters, trials))
    assert all("-i 192.168.3.11 -p 11111" in trial["command"] for trial in trials)
    status = lab.ok("status", "--json").document
    assert [one["drift"] for one in status["resources"] if one["drift"]] == []


def test_given_hosts_are_measured_and_nothing_but_their_setting_is_touched_and_put_back(neighbour: Neighbour) -> None:
    before = neighbour.settings()
    neighbour.lab.on_host("client", "sudo ip link set ens5 mtu 9001")
    neighbour.lab.cloud("calls", method="DELETE")

    with neighbour.under_its_policy():
        nobody_asked = neighbour.run(*QUICK, "--watch", "100ms")
        assert neighbour.lab.on_host("client", WITHOUT_SOCKPERF).code == 0
        not_installed = neighbour.run(*QUICK, "--watch", "100ms", "--yes")
        switched = [action for action in neighbour.lab.cloud("calls")["counts"] if is_mutating(action)]
        wishes = ("--watch", "100ms", "--yes", "--fix", "--install", "--json")
        ran = neighbour.run_through_a_lost_connection(*QUICK, *wishes)

    assert (nobody_asked.code, switched) == (2, [])
    assert "nobody said yes" in nobody_asked.stderr
    assert not_installed.code == 1
    assert "the client has no sockperf" in not_installed.stderr
    assert "give --install" in not_installed.stderr
    assert "client: putting sockperf in place" in ran.stderr
    assert "ens5 has MTU 9001" in nobody_asked.stderr
    assert "sudo ip link set dev ens5 mtu 9001` there takes it back" in ran.stderr
    assert neighbour.lab.on_host("client", "cat /sys/class/net/ens5/mtu").stdout == "8900\n"
    assert ran.code == 0, ran.stderr
    scenario = ran.document["scenarios"]["udp-latency"]
    assert scenario["treatment"]["proven"] is True
    assert "nothing but SRD differs between the arms" in scenario["verdict"]["words"]
    trials = neighbour.trials()
    assert any("connection was lost" in (trial["reason"] or "") for trial in trials), trials
    assert all(is_treated_by_the_counters(trial) for trial in trials if trial["valid"])
    assert neighbour.settings() == before
    calls = neighbour.lab.cloud("calls")["counts"]
    assert {action for action in calls if is_mutating(action)} == {"ModifyNetworkInterfaceAttribute"}
    assert list(neighbour.folder.glob("state/given/*.json")) == []
    assert neighbour.leaves_on_hosts() == []
    assert "Gbit/s in" in ran.stderr  # what else the interfaces carried
    [run] = neighbour.folder.glob("results/*/*")
    shown = neighbour.run("report", str(run), "--redact")
    assert shown.code == 0, shown.stderr
    page = run / "redacted-report.html"
    assert "your hosts" in page.read_text()
    assert not any(host["instance_id"] in page.read_text() for host in neighbour.given.values())


def test_several_given_pairs_are_measured_one_after_the_other_and_judged_together(neighbour: Neighbour) -> None:
    before = neighbour.settings()
    there, back = neighbour.given, {"server": neighbour.given["client"], "client": neighbour.given["server"]}
    neighbour.configure([there, back])

    ran = neighbour.run(*QUICK, "--watch", "100ms", "--yes", "--json")

    assert ran.code == 0, ran.stderr
    assert ran.document["variants"]["given"]["valid_pairs"] == 2
    assert neighbour.settings() == before


def test_a_killed_bench_is_reported_by_every_command_until_its_setting_is_restored(
    neighbour: Neighbour, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = neighbour.settings()
    third = Neighbour(neighbour.lab, tmp_path_factory.mktemp("third"))
    with neighbour.measuring() as process:
        refused = [third.run(*QUICK, "--watch", "100ms", "--yes"), neighbour.lab.run(*QUICK)]
        process.kill()

    told = neighbour.run("runs")
    restored = neighbour.run("restore", "--json")

    for beside in refused:
        assert beside.code == 1
        assert "the server is measured by another bench" in beside.stderr
        assert f"(process {process.pid}), since " in beside.stderr
    assert "`enaxp restore` puts back" in told.stderr
    assert restored.code == 0, restored.stderr
    assert len(restored.document["restored"]) == 1
    assert neighbour.settings() == before
    assert "restore" not in neighbour.run("runs").stderr
