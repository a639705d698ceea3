"""Monitoring as it runs: a lab with every layer, the real Prometheus and node_exporter in its hosts, and a bench that they watch."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from enaxp.lab.spec import layer_of
from enaxp.lab.userdata import TIMER_PATH, HostBoot, render_monitoring_userdata
from enaxp.monitor.files import dashboards
from tests.support.driver import COMMAND, Driver, is_mutating, machine
from tests.support.monitoring import api, eventually, promtool, query, query_range

pytestmark = [pytest.mark.namespaces, pytest.mark.system]
SCENARIOS = ("udp-latency", "tcp-latency", "tcp-throughput")


@dataclass
class Watched:
    """A lab whose bench was watched, and what happened meanwhile. Times are those of the clock, in s."""

    driver: Driver
    prometheus: str
    tunnel: subprocess.Popen[str]
    began: float = field(default_factory=time.time)
    bench: subprocess.CompletedProcess[str] | None = None
    away: float = 0.0
    killed: float = 0.0
    restarted: float = 0.0

    def on(self, role: str, script: str) -> str:
        ran = self.driver.on_host(role, script)
        assert ran.code == 0, ran
        return ran.stdout

    def as_root(self, role: str, script: str) -> str:
        """With the path of a first boot, not with sudo's own."""
        return self.on(role, f"sudo env PATH=\"$PATH\" bash <<'END_OF_SCRIPT'\n{script}\nEND_OF_SCRIPT")

    def ended_trials(self) -> float:
        found = query(self.prometheus, "max(enaxp_run_ended_trials)")
        return float(found[0]["value"][1]) if found else 0.0

    def records(self) -> list[dict[str, Any]]:
        [run] = (self.driver.folder / "results/dev").iterdir()
        return [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]

    def targets(self) -> list[dict[str, Any]]:
        return list(api(self.prometheus, "targets")["activeTargets"])

    def up(self, role: str) -> str | None:
        found = query(self.prometheus, f'up{{role="{role}"}}')
        return str(found[0]["value"][1]) if found else None


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    before = machine()
    driver = Driver(tmp_path_factory.mktemp("monitoring"), "namespaces")
    try:
        driver.ok("up", "--all")
        lab, family = tell_the_story(driver), driver.family()
        yield lab
        lab.tunnel.send_signal(signal.SIGINT)
        lab.tunnel.communicate(timeout=10)
        assert lab.tunnel.returncode == 0
    finally:
        driver.end()
    assert driver.living(family) == []
    assert machine() == before


def tell_the_story(driver: Driver) -> Watched:
    """A bench, and while it runs a node_exporter that is away for a while, a Prometheus and a tunnel that are killed; afterwards hosts
    that are restarted.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    lab = Watched(
        driver, f"http://127.0.0.1:{port}", driver.start("monitor", "--no-open", "--prometheus-port", str(port))
    )
    eventually(lambda: [lab.up("server"), lab.up("client")] == ["1", "1"])
    bench = threading.Thread(target=run_bench, args=(lab,))
    bench.start()
    eventually(lambda: lab.ended_trials() >= 1, within_s=60)
    lab.on("server", "sudo systemctl stop enaxp-node-exporter.service")
    eventually(lambda: lab.up("server") == "0")
    lab.away = time.time()
    lab.on("server", "sudo systemctl start enaxp-node-exporter.service")
    lab.on("client", "sudo pkill -9 -x prometheus-node")
    eventually(lambda: [lab.up("server"), lab.up("client")] == ["1", "1"])
    lab.killed = time.time()
    lab.on("monitoring", "sudo pkill -9 -x prometheus")
    for ssh in children(lab.tunnel.pid):
        os.kill(ssh, signal.SIGKILL)
    eventually(lambda: lab.up("client") == "1")
    bench.join()
    eventually(lambda: query(lab.prometheus, "enaxp_run_active == 0"))
    lab.restarted = time.time()
    for role in ("client", "monitoring"):
        driver.on_host(role, "sudo reboot")  # which ends the connection as well
    since = datetime.fromtimestamp(lab.restarted, UTC).isoformat()
    eventually(lambda: api(lab.prometheus, "status/runtimeinfo")["startTime"] > since)
    eventually(lambda: [one["health"] for one in lab.targets()] == ["up", "up"])
    eventually(lambda: query(lab.prometheus, f'process_start_time_seconds{{role="client"}} > {lab.restarted - 2}'))
    return lab


def run_bench(lab: Watched) -> None:
    wanted = [word for name in SCENARIOS for word in ("-s", name)]
    lab.bench = subprocess.run(
        [*COMMAND, "bench", "--json", "-i", "1", "-r", "1", "-d", "1s", *wanted],
        cwd=lab.driver.folder,
        env=lab.driver.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] or [
        int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
    ]


def panels() -> list[Any]:
    """Each query of each panel, as Grafana asks it when every value of the variables is chosen."""
    found = []
    for name, text in dashboards().items():
        for panel in json.loads(text)["panels"]:
            for target in panel.get("targets", ()):
                asked = re.sub(r"\$\w+", ".*", target["expr"])
                found.append(pytest.param(asked, id=f"{name}: {panel['title']} {target['refId']}"))
    return found


@pytest.mark.parametrize("asked", panels())
def test_every_query_of_every_panel_has_data(watched: Watched, asked: str) -> None:
    series = query_range(watched.prometheus, asked, start=watched.began, end=time.time())

    values = [float(value) for one in series for _, value in one["values"]]
    assert [value for value in values if value == value], "nothing but gaps"


def test_every_rule_is_evaluated_on_data_and_no_alert_rings_without_a_reason(watched: Watched) -> None:
    [group] = api(watched.prometheus, "rules")["groups"]
    signals = [rule["name"] for rule in group["rules"] if rule["type"] == "recording"]
    alerts = {rule["name"]: rule for rule in group["rules"] if rule["type"] == "alerting"}

    assert {rule["health"] for rule in group["rules"]} == {"ok"}
    for name in signals:
        assert query_range(watched.prometheus, name, start=watched.began, end=time.time()), name
    assert all(any(name in rule["query"] for rule in alerts.values()) for name in signals)
    eventually(lambda: not ringing_without_a_reason(watched), within_s=60)


def ringing_without_a_reason(watched: Watched) -> set[str]:
    """The alerts that ring, but for those whose reason is seen now. On a machine that is too busy for a scrape in time a target is down
    for Prometheus, and the alert is right; it has to end once the target answers.
    """
    [group] = api(watched.prometheus, "rules")["groups"]
    firing = {rule["name"] for rule in group["rules"] if rule.get("state") == "firing"}
    reasons = {"EnaxpTrialFailures": 'enaxp_trials_total{outcome="invalid"} > 0', "EnaxpTargetDown": "up == 0"}
    return {name for name in firing if name not in reasons or not query(watched.prometheus, reasons[name])}


def test_what_it_shows_is_what_the_bench_found(watched: Watched) -> None:
    assert watched.bench is not None
    assert watched.bench.returncode in (0, 4), watched.bench.stderr
    shown = query(watched.prometheus, 'enaxp_trials_total{outcome=~"valid|discarded"} > 0')

    trials = {
        (one["metric"]["scenario"], one["metric"]["arm"], one["metric"]["outcome"]): float(one["value"][1])
        for one in shown
    }
    assert trials == Counter(
        (record["scenario"], record["arm"], "discarded" if record["discarded"] else "valid")
        for record in watched.records()
        if record["valid"]
    )
    [rows] = (watched.driver.folder / "results/dev").glob("*/results.csv")
    names = {line.split(",")[0] for line in rows.read_text().splitlines()[1:]}
    assert names == {"UDP_Small", "TCP_Small", "TCP_Large"}
    assert query(watched.prometheus, "enaxp_run_active")[0]["value"][1] == "0"
    srd = query(watched.prometheus, 'enaxp_trial_srd_ratio{scenario="udp-latency"}')
    shares = {one["metric"]["arm"]: round(float(one["value"][1]), 2) for one in srd}
    assert shares == {"ena_express": 1.0}, "on the other arm nothing is eligible"


def test_the_hosts_are_scraped_every_second_by_their_roles(watched: Watched) -> None:
    targets = watched.targets()

    assert {one["labels"]["role"]: one["labels"]["instance"] for one in targets} == {
        "server": "192.168.3.10:9100",
        "client": "192.168.3.20:9100",
    }
    assert {one["scrapeInterval"] for one in targets} == {"1s"}


def test_a_gap_is_a_gap_and_what_was_before_it_is_still_there(watched: Watched) -> None:
    cpu = 'node_cpu_seconds_total{role="server", cpu="0", mode="idle"}'
    there = {
        round(at)
        for one in query_range(watched.prometheus, cpu, start=watched.began, end=time.time())
        for at, _ in one["values"]
    }

    assert query(watched.prometheus, cpu, at=watched.away) == []
    assert query(watched.prometheus, 'up{role="server"}', at=watched.away)[0]["value"][1] == "0"
    assert min(there) < watched.away < watched.killed < watched.restarted < max(there)


def test_no_trial_was_lost_to_what_happened_to_the_monitoring(watched: Watched) -> None:
    records = watched.records()
    reasons = {record["reason"] for record in records if not record["valid"]}
    assert len({(r["scenario"], r["arm"], r["iteration"], r["repeat"]) for r in records}) == 12
    assert not [reason for reason in reasons if "metric" in reason or "connection" in reason]


def test_what_the_client_publishes_is_what_promtool_calls_good_metrics(watched: Watched) -> None:
    text = watched.on("client", "cat /var/lib/node_exporter/textfile/enaxp.prom")

    assert promtool("check", "metrics", given=text).returncode == 0
    assert text.count("\n") < 300


def test_the_only_door_is_ssh_for_whom_the_config_names(watched: Watched) -> None:
    filters = [{"Name": "tag:enaxp:lab", "Values": ["dev"]}]
    groups = watched.driver.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]

    doors = {
        (rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort"), entry["CidrIp"])
        for group in groups
        for rule in group["IpPermissions"]
        for entry in rule["IpRanges"]
    }
    own = {pair["GroupId"] for group in groups for rule in group["IpPermissions"] for pair in rule["UserIdGroupPairs"]}
    assert len(groups) == 2
    assert doors == {("tcp", 22, 22, "127.0.0.0/8")}
    assert own == {group["GroupId"] for group in groups}
    listening = watched.on("monitoring", "cat /proc/net/tcp /proc/net/tcp6")
    assert "0100007F:2382" in listening, "Prometheus listens on loopback"
    assert "00000000:2382" not in listening


def test_up_again_brings_nothing_new_and_disturbs_nothing(watched: Watched) -> None:
    before = watched.on("monitoring", "pgrep -x prometheus")

    calls = watched.driver.calls_of("up", "--all")

    assert [action for action in calls if is_mutating(action)] == []

    assert watched.on("monitoring", "pgrep -x prometheus") == before
    assert watched.driver.run("plan", "monitoring", "--check").code == 0


def test_more_time_for_the_lab_is_more_time_for_its_monitoring(watched: Watched) -> None:
    ends = datetime.fromisoformat(watched.driver.ok("extend", "1h", "--json").document["expires_at"])

    assert f"OnCalendar={ends:%Y-%m-%d %H:%M:%S} UTC" in watched.on("monitoring", f"cat {TIMER_PATH}")


def test_status_shows_the_host_and_where_it_is_seen(watched: Watched) -> None:
    status = watched.driver.ok("status", "--json").document

    assert status["monitoring"]["ip"] == "192.168.4.10"
    assert status["urls"] == {"prometheus": "http://127.0.0.1:9090"}
    assert set(status["hosts"]) == {"server", "client"}


# What stands for the two releases here: archives of their form. No host reaches the real ones, and no test can.
RELEASES = r"""
set -e
rm -rf /tmp/releases && mkdir -p /tmp/releases/made && cd /tmp/releases/made
name=prometheus-$(sed -n 's/^PROMETHEUS=//p' /tmp/first-boot).linux-amd64
mkdir $name && cp /usr/bin/true $name/prometheus && cp /usr/bin/true $name/promtool
tar -czf ../$name.tar.gz $name
sum=$(sha256sum < ../$name.tar.gz | cut -c 1-64)
sed -i "s/^PROMETHEUS_SHA256_amd64=.*/PROMETHEUS_SHA256_amd64=$sum/" /tmp/first-boot
grafana=grafana-$(sed -n 's/^GRAFANA=//p' /tmp/first-boot)
mkdir -p $grafana/bin $grafana/shown/api && echo ok > $grafana/shown/api/health
printf '#!/bin/sh\ncd /opt/grafana/shown && exec python3 -m http.server 3000 --bind 127.0.0.1\n' > $grafana/bin/grafana
chmod +x $grafana/bin/grafana
tar -czf ../$grafana.linux-amd64.tar.gz $grafana
(cd .. && sha256sum $grafana.linux-amd64.tar.gz | cut -c 1-64 > $grafana.linux-amd64.tar.gz.sha256)
cat > /usr/local/bin/curl <<'END'
#!/bin/bash
# Answers from a folder, by the file's name, and keeps what was asked for.
for url; do :; done
echo "$url" >> /tmp/releases/asked
cp "/tmp/releases/${url##*/}" . || exit 22
END
printf '#!/bin/sh\necho x86_64\n' > /usr/local/bin/uname
chmod +x /usr/local/bin/curl /usr/local/bin/uname
"""
# Every command line is written down from now on.
WATCH_PROCESSES = (
    "nohup sh -c 'while sleep 0.2; do cat /proc/[0-9]*/cmdline; done' > /tmp/seen 2> /dev/null < /dev/null &"
)
# Nothing is installed; the Prometheus that runs goes on.
BARE = "rm -rf /opt/grafana /usr/bin/prometheus /usr/bin/promtool /usr/local/bin/prom*"
BOOT = "bash /tmp/first-boot > /tmp/boot.log 2>&1; cat /var/lib/enaxp/done.json"


@pytest.fixture(scope="module")
def amazon(watched: Watched) -> Watched:
    """The monitoring host once more, as an Amazon Linux that has nothing yet. Its files are its own: this machine keeps its Prometheus."""
    boot = HostBoot(
        hostname="monitoring-dev",
        interfaces=("192.168.4.10",),
        subnet_cidr="192.168.4.0/24",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    script = render_monitoring_userdata(boot, grafana=True)
    watched.as_root("monitoring", f"cat > /tmp/first-boot <<'END_OF_BOOT'\n{script}\nEND_OF_BOOT\n{RELEASES}")
    return watched


@pytest.mark.acceptance
@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        ("echo more >> /tmp/releases/prometheus-*.tar.gz", "prometheus"),
        ("echo more >> /tmp/releases/grafana-*.tar.gz", "grafana"),
    ],
    ids=["Prometheus", "Grafana"],
)
def test_a_release_that_is_not_what_its_checksum_says_is_not_installed(amazon: Watched, spoil: str, step: str) -> None:
    amazon.as_root("monitoring", f"{BARE}\n{RELEASES}\n{spoil}")

    done = json.loads(amazon.as_root("monitoring", BOOT))

    assert (done["ok"], done["failed_step"]) == (False, step), amazon.on("monitoring", "tail -20 /tmp/boot.log")
    installed = {"prometheus": "/usr/local/bin/prometheus", "grafana": "/opt/grafana/bin/grafana"}[step]
    assert amazon.as_root("monitoring", f"[ -e {installed} ] && echo there || echo not") == "not\n"


def test_pinned_releases_are_installed_and_grafana_gets_a_password_that_nobody_else_sees(amazon: Watched) -> None:
    amazon.as_root("monitoring", f"{BARE}\n{RELEASES}")
    done = json.loads(amazon.as_root("monitoring", BOOT))
    assert done["ok"], done
    asked = amazon.on("monitoring", "cat /tmp/releases/asked").split()
    assert [url.split("/")[2] for url in asked] == ["github.com"] + ["dl.grafana.com"] * 2
    amazon.as_root("monitoring", WATCH_PROCESSES)

    told = amazon.driver.ok("up", "monitoring")

    kept = amazon.driver.folder / "state/dev.grafana-password"
    password = kept.read_text()
    assert (kept.stat().st_mode & 0o777, len(password)) == (0o600, 32)
    assert amazon.as_root("monitoring", "cat /etc/enaxp/grafana-password") == password
    assert amazon.on("monitoring", "stat -c '%a %U %G' /etc/enaxp/grafana-password").split()[0::2] == ["640", "grafana"]
    # Out of the file: the process list that is searched would have it from the search.
    search = "grep -rlF -f /etc/enaxp/grafana-password /tmp /var/log /var/lib/enaxp /home /etc/systemd || true"
    assert amazon.on("monitoring", "test -s /tmp/seen && echo watched") == "watched\n"
    assert amazon.as_root("monitoring", search) == ""
    assert password not in told.stdout + told.stderr
    assert not [path for path in (amazon.driver.folder / "state").rglob("*") if path != kept and is_in(password, path)]


def is_in(secret: str, path: Path) -> bool:
    return path.is_file() and secret.encode() in path.read_bytes()


def test_down_monitoring_takes_it_alone(watched: Watched) -> None:
    removal = watched.driver.ok("down", "monitoring", "--json").document

    assert {layer_of(one["key"]) for one in removal["removed"]} == {"monitoring"}
    assert removal["leftovers"] == []
    status = watched.driver.ok("status", "--json").document
    assert (status.get("monitoring"), status["urls"]) == (None, {})
    assert {resource["state"] for resource in status["resources"]} == {"present"}
