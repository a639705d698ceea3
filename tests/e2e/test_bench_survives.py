"""A bench and the accidents of the world: what was measured stays, and the run goes on or says clearly why not."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.driver import COMMAND, TIMERS, Driver, reset_connections
from tests.support.local_machines import wait_until

pytestmark = [pytest.mark.long, pytest.mark.system]

QUICK = ("bench", "--repeats", "1", "--duration", "1s")


def newest_run(lab: Driver) -> Path:
    return max((lab.folder / "results/dev").iterdir())


def trials_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]


def on_host(lab: Driver, role: str, script: str) -> str:
    return lab.on_host(role, script).stdout


# A server mostly uses the kernel's time, so that counts too.
WHEN_BUSY = """cd "${{ENAXP_ROOT:-}}/tmp/enaxp-bench"
end=$(($(cut -d . -f 1 /proc/uptime) + 60))
used() {{ set -- $(cut -d ' ' -f 14,15 "/proc/$1/stat") && [ -n "$2" ] && echo "$(($1 + $2))"; }}
held() {{ kill -STOP "$1" && sleep 0.1 && grep -q '^State:.T' "/proc/$1/status"; }}
until [ "$(cut -d . -f 1 /proc/uptime)" -gt "$end" ]; do
  for p in $(cat {what}*.pid); do
    for c in $(cat "/proc/$p/task/$p/children"); do
      before=$(used "$c") && sleep 0.2 && after=$(used "$c") || continue
      if [ "$after" -gt "$before" ] && {ready}; then echo hit; {act}; exit; fi
    done
  done
  sleep 0.1
done"""
# One that was about to end by itself does not count.
HELD_STILL = 'held "$c"'


@dataclass(frozen=True, kw_only=True)
class Accident:
    """What happens to a host in the midst of a trial: what its shell does there as soon as a sockperf, `$c`, is seen to work and is ready
    for it, and what this machine does then. told: what the reason of an invalid trial must hold, as a pattern.
    """

    role: str
    ready: str = ":"
    act: str = ":"
    here: Callable[[Driver], object] = lambda lab: None
    told: str
    everywhere: bool = False  # also where hosts are plain processes

    def happen(self, lab: Driver) -> None:
        what = {"server": "server-probe", "client": "client-"}[self.role]
        ran = lab.on_host(self.role, WHEN_BUSY.format(what=what, ready=self.ready, act=self.act))
        assert "hit" in ran.stdout, f"no {what}* was seen to work on the {self.role}: {ran}"
        self.here(lab)


def drop_connections(lab: Driver) -> None:
    reset_connections(*address_of_client(lab))


@cache
def address_of_client(lab: Driver) -> tuple[str, str]:
    ssh = lab.ok("status", "--json").document["hosts"]["client"]["ssh"]
    return ssh["host"], str(ssh["port"])


CONFIGURED_ANEW = "sudo systemctl start refresh-policy-routes@ens6.service"
MTU_SPOILT = "sudo rm /etc/systemd/network/*/zz-enaxp.conf && sudo networkctl reload"
ACCIDENTS = {
    "a server dies": Accident(role="server", ready=HELD_STILL, act='kill -KILL "$c"', told=".", everywhere=True),
    "a client hangs": Accident(role="client", ready=HELD_STILL, told="its deadline of", everywhere=True),
    "a connection is dropped": Accident(
        role="client", here=drop_connections, told="connection was lost", everywhere=True
    ),
    "the client's interfaces are configured anew": Accident(
        role="client", act=CONFIGURED_ANEW, told="links or rules of the client were changed by somebody"
    ),
    "the server's interfaces are configured anew": Accident(
        role="server", act=CONFIGURED_ANEW, told="links or rules of the server were changed by somebody"
    ),
    "the client restarts": Accident(role="client", act="sudo reboot", told="the client restarted"),
    "the server restarts": Accident(role="server", act="sudo reboot", told="the server restarted"),
    # The reload takes one interface after the other, and the trial may end in between.
    "an MTU changes": Accident(
        role="client", act=MTU_SPOILT, told="the MTU of the client's ens[56] is 9001, it was 8900"
    ),
}
HAPPENING = [
    pytest.param(name, marks=() if one.everywhere else pytest.mark.namespaces) for name, one in ACCIDENTS.items()
]


@dataclass(frozen=True)
class Survived:
    """A bench to which every accident happened, each in a pair of its own, those that are discarded included."""

    accidents: tuple[str, ...]
    code: int
    text: str
    trials: list[dict[str, Any]]
    result: dict[str, Any]
    timers: dict[str, list[str]]  # that configure interfaces, while it ran

    def reasons(self, name: str) -> list[str]:
        """Why trials of the pair to which this happened do not count; and the next trial, if this machine was slow to act."""
        first = 2 * self.accidents.index(name) + 1
        return [str(one["reason"]) for one in self.trials if first <= one["number"] <= first + 2 and not one["valid"]]


@pytest.fixture(scope="module")
def survived(lab: Driver) -> Survived:
    names = tuple(name for name, one in ACCIDENTS.items() if one.everywhere or lab.isolation == "namespaces")
    # The first trial of each pair ends: what happens then falls into the second.
    timers: dict[str, list[str]] = {}
    address_of_client(lab)
    for role in ("server", "client"):
        on_host(lab, role, "true")  # the way there is found beforehand: trials are short
    moments = {f"trial {2 * place + 1:>3} of": name for place, name in enumerate(names)}
    with lab.start(*QUICK, "--iterations", str(iterations_for(names))) as process:
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if "trial   2 of" in line:
                timers = {role: lab.timers(role) for role in ("server", "client")}
            if moment := next((moment for moment in moments if moment in line), None):
                ACCIDENTS[moments.pop(moment)].happen(lab)
        code = process.wait(timeout=120)
    run = newest_run(lab)
    return Survived(names, code, text, trials_of(run), json.loads((run / "result.json").read_text()), timers)


def iterations_for(names: Sequence[str]) -> int:
    """An iteration has two pairs, of which the first is discarded."""
    return (len(names) + 1) // 2


@pytest.mark.parametrize("name", HAPPENING)
def test_a_trial_in_which_something_happens_is_named_and_its_pair_run_again(survived: Survived, name: str) -> None:
    assert survived.code == 0, survived.text
    assert any(re.search(ACCIDENTS[name].told, reason) for reason in survived.reasons(name)), (
        survived.reasons(name),
        survived.text,
    )


def test_whatever_happened_all_pairs_count_in_the_end(survived: Survived) -> None:
    assert survived.code == 0, survived.text
    assert survived.text.count("running the pair again") >= len(survived.accidents)
    arms = survived.result["scenarios"]["udp-latency"]["arms"].values()
    assert {arm["valid_trials"] for arm in arms} == {iterations_for(survived.accidents)}


@pytest.mark.namespaces
def test_nothing_that_counts_was_measured_with_another_mtu_or_while_something_changed(
    lab: Driver, survived: Survived
) -> None:
    counting = [trial for trial in survived.trials if trial["valid"]]

    assert counting
    assert {one["mtu"] for trial in counting for arms in trial["interfaces"].values() for one in arms.values()} == {
        8900
    }
    assert {tuple(trial["network_changes"]) for trial in counting} == {()}
    assert on_host(lab, "client", "cat /sys/class/net/ens5/mtu /sys/class/net/ens6/mtu").split() == ["8900"] * 2


@pytest.mark.namespaces
def test_timers_that_configure_interfaces_rest_for_as_long_as_a_bench_runs(lab: Driver, survived: Survived) -> None:
    assert survived.timers == {"server": [], "client": []}
    require_timers_to_run_again(lab)


def require_timers_to_run_again(lab: Driver) -> None:
    for role in ("server", "client"):
        wait_until(lambda: lab.timers(role) == TIMERS, f"the timers of the {role} run again")  # noqa: B023


def test_a_killed_run_is_resumed_where_it_was(lab: Driver) -> None:
    process = lab.start(*QUICK, "--iterations", "1")
    assert process.stdout is not None
    for line in process.stdout:
        if "trial   3 of" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    process.wait()
    if lab.isolation == "namespaces":
        require_timers_to_run_again(lab)
    run = newest_run(lab)
    before = trials_of(run)
    with (run / "trials.jsonl").open("a") as file:
        file.write('{"number": 4, "scenario": "udp-la')

    result = lab.ok("bench", "--resume", run.name[:-1] if unique(run) else run.name, "--json").document

    after = trials_of(run)
    assert after[: len(before)] == before
    valid = Counter((t["iteration"], t["repeat"], t["arm"]) for t in after if t["valid"] and t["attempt"] == 1)
    assert max(valid.values()) == 1
    assert result["run_id"] == run.name
    assert {arm["valid_trials"] for arm in result["scenarios"]["udp-latency"]["arms"].values()} == {1}
    assert len({t["client_port"] for t in after}) == len(after)
    again = lab.ok("bench", "--resume", str(run), "--json").document
    assert trials_of(run) == after
    assert measured(again) == measured(result)


def unique(run: Path) -> bool:
    return len([path for path in run.parent.iterdir() if path.name.startswith(run.name[:-1])]) == 1


def measured(result: dict[str, Any]) -> dict[str, Any]:
    """All but the warnings: those also tell of what else the hosts did until now."""
    return {name: scenario | {"warnings": []} for name, scenario in result["scenarios"].items()}


def test_a_run_that_is_not_there_is_named(lab: Driver) -> None:
    ran = lab.run("bench", "--resume", "19700101")

    assert ran.code == 1
    assert "no single run '19700101'" in ran.stderr


def test_a_key_that_is_refused_is_said(lab: Driver) -> None:
    key = lab.folder / "state/dev.pem"
    kept = key.read_bytes()
    try:
        key.unlink()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        ran = lab.run(*QUICK)
    finally:
        key.write_bytes(kept)
        key.chmod(0o600)
        key.with_suffix(".pem.pub").unlink()

    assert ran.code == 1
    assert "the key was refused" in ran.stderr
    assert "dev.pem" in ran.stderr


@pytest.mark.namespaces
def test_a_full_disk_on_this_machine_keeps_what_was_measured(lab: Driver) -> None:
    if lab.isolation != "namespaces":
        return
    results = lab.folder / "small"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(results)], check=True)
    try:
        bench = (*QUICK, "--iterations", "9", "--results-dir", str(results))
        refused, ran = lab.run(*bench), lab.run(*bench, "--force")
        assert (refused.code, ran.code) == (1, 1), (refused, ran)
        assert "this bench would fill a disk" in refused.stderr
        assert "No space left on device" in ran.stderr
        assert "--resume" in ran.stderr
        [run] = (results / "dev").iterdir()
        text = (run / "trials.jsonl").read_text()
        assert text.count("\n") >= 1
    finally:
        subprocess.run(["umount", str(results)], check=True)


@pytest.mark.namespaces
@pytest.mark.parametrize(("role", "size"), [("client", "60k"), ("server", "60k"), ("client", "120k")])
def test_a_full_disk_on_a_host_is_said(lab: Driver, role: str, size: str) -> None:
    if lab.isolation != "namespaces":
        return
    on_host(
        lab, role, f"mkdir -p /tmp/enaxp-bench && sudo mount -t tmpfs -o size={size},mode=1777 tmpfs /tmp/enaxp-bench"
    )
    try:
        ran = lab.run(*QUICK, "--iterations", "1", "--force")  # past the estimate beforehand, which would refuse it
    finally:
        on_host(lab, role, "sudo umount -l /tmp/enaxp-bench")

    assert ran.code == 1, ran.stderr
    assert "no space left" in ran.stderr.lower()
    assert "Traceback" not in ran.stderr


@pytest.mark.namespaces
def test_sockperf_that_is_missing_or_another_is_said(lab: Driver) -> None:
    if lab.isolation != "namespaces":
        return
    fake = "/run/enaxp/bin/sockperf"
    on_host(
        lab, "client", f"printf '#!/bin/sh\\necho sockperf, version 3.5\\n' | sudo tee {fake} && sudo chmod +x {fake}"
    )
    try:
        other = lab.run(*QUICK)
        on_host(lab, "client", f"printf '#!/bin/sh\\nexit 127\\n' | sudo tee {fake}")
        missing = lab.run(*QUICK)
    finally:
        on_host(lab, "client", f"sudo rm {fake}")

    assert (other.code, missing.code) == (1, 1)
    assert "client: sockperf is 3.5, wanted at least 3.7" in other.stderr
    assert "client: sockperf is" in missing.stderr


def test_a_finished_bench_does_not_fail_for_its_output(lab: Driver) -> None:
    bench = [*COMMAND, *QUICK, "--iterations", "1", "--json"]

    ran = subprocess.run(
        ["sh", "-c", f"exec {shlex.join(bench)} </dev/null >/dev/full 2>said"],
        cwd=lab.folder,
        env=lab.environment,
        timeout=300,
        check=False,
    )

    run = newest_run(lab)
    assert ran.returncode == 0
    assert json.loads((run / "result.json").read_text())["run_id"] == run.name
    assert f"(No space left on device): it is in results/dev/{run.name}" in (lab.folder / "said").read_text()


def test_a_bench_that_nobody_watches_is_carried_out(lab: Driver) -> None:
    bench = [*COMMAND, *QUICK, "--iterations", "1", "--json"]

    ran = subprocess.run(
        ["sh", "-c", f"exec {shlex.join(bench)} <&- 2>&-"],
        cwd=lab.folder,
        env=lab.environment,
        stdout=subprocess.PIPE,
        timeout=300,
        check=False,
    )

    assert (ran.returncode, json.loads(ran.stdout)["run_id"]) == (0, newest_run(lab).name)
