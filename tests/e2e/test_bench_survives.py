"""A bench and the accidents of the world: what was measured stays, and the run goes on or says clearly why not."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.driver import COMMAND, Driver
from tests.support.local_machines import wait_until

pytestmark = [pytest.mark.long, pytest.mark.system]

QUICK = ("bench", "--repeats", "1", "--duration", "1s")


def newest_run(lab: Driver) -> Path:
    return max((lab.folder / "results/dev").iterdir())


def trials_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]


def when_a_trial_has_ended(lab: Driver, *arguments: str, act: Callable[[], None]) -> tuple[int, str]:
    """Starts a bench and acts once its first trial has ended, of the six that two iterations have; gives back how the bench ended."""
    with lab.start(*QUICK, "--iterations", "2", *arguments) as process:
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if "trial   1 of" in line:
                act()
                break
        text += process.stdout.read()
        return process.wait(timeout=120), text


def on_host(lab: Driver, role: str, script: str) -> str:
    return lab.on_host(role, script).stdout


# Held still before it is signalled: one that was about to end by itself does not count. A server mostly uses the kernel's time, so that
# counts too.
WHEN_BUSY = """cd "${{ENAXP_ROOT:-}}/tmp/enaxp-bench"
end=$(($(cut -d . -f 1 /proc/uptime) + 60))
used() {{ set -- $(cut -d ' ' -f 14,15 "/proc/$1/stat") && [ -n "$2" ] && echo "$(($1 + $2))"; }}
held() {{ kill -STOP "$1" && sleep 0.1 && grep -q '^State:.T' "/proc/$1/status"; }}
until [ "$(cut -d . -f 1 /proc/uptime)" -gt "$end" ]; do
  for p in $(cat {what}*.pid); do
    for c in $(cat "/proc/$p/task/$p/children"); do
      before=$(used "$c") && sleep 0.2 && after=$(used "$c") || continue
      if [ "$after" -gt "$before" ] && held "$c"; then kill -{name} "$c"; echo hit; exit; fi
    done
  done
  sleep 0.1
done"""


def signal_sockperf(lab: Driver, role: str, what: str, *, name: signal.Signals) -> None:
    """Signals a sockperf process of one host, found by what its pid file is called, as soon as it is seen to work."""
    ran = lab.on_host(role, WHEN_BUSY.format(what=what, name=name.name[3:]))
    assert "hit" in ran.stdout, f"no {what}* was seen to work on the {role}: {ran}"


def test_a_killed_run_goes_on_where_it_was(lab: Driver) -> None:
    process = lab.start(*QUICK, "--iterations", "2")
    assert process.stdout is not None
    for line in process.stdout:
        if "trial   3 of" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    process.wait()
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
    assert {arm["valid_trials"] for arm in result["scenarios"]["udp-latency"]["arms"].values()} == {2}
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


def test_a_server_that_dies_is_started_again_and_its_pair_run_again(lab: Driver) -> None:
    code, text = when_a_trial_has_ended(
        lab, act=lambda: signal_sockperf(lab, "server", "server-probe", name=signal.SIGKILL)
    )

    assert code == 0, text
    assert "running the pair again" in text
    [broken, *_] = [trial for trial in trials_of(newest_run(lab)) if not trial["valid"]]
    assert broken["reason"]
    result = json.loads((newest_run(lab) / "result.json").read_text())
    assert {arm["valid_trials"] for arm in result["scenarios"]["udp-latency"]["arms"].values()} == {2}


def test_a_trial_that_hangs_is_ended_by_its_deadline(lab: Driver) -> None:
    code, text = when_a_trial_has_ended(lab, act=lambda: signal_sockperf(lab, "client", "client-", name=signal.SIGSTOP))

    assert code == 0, text
    reasons = [trial["reason"] for trial in trials_of(newest_run(lab)) if not trial["valid"]]
    assert any("its deadline of" in reason for reason in reasons), (reasons, text)


def test_a_dropped_connection_is_opened_again(lab: Driver) -> None:
    address = lab.ok("status", "--json").document["hosts"]["client"]["ssh"]
    code, text = when_a_trial_has_ended(lab, act=lambda: drop_connections(address))

    assert code == 0, text
    reasons = [trial["reason"] for trial in trials_of(newest_run(lab)) if not trial["valid"]]
    assert any("connection was lost" in reason for reason in reasons), (reasons, text)


def drop_connections(address: dict[str, Any]) -> None:
    """Ends the connection of the bench within its next trial, as a network would: its socket on this machine's side is reset."""
    time.sleep(1.5)
    subprocess.run(
        ["ss", "-K", "dst", address["host"], "dport", "=", str(address["port"])], check=False, capture_output=True
    )


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
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(results)], check=True)
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


TIMERS = "systemctl list-units --plain --no-legend --state=active 'refresh-policy-routes@*.timer' | cut -d ' ' -f 1"
BOTH_TIMERS = ["refresh-policy-routes@ens5.timer", "refresh-policy-routes@ens6.timer"]


def invalid_reasons(lab: Driver) -> list[str]:
    return [str(trial["reason"]) for trial in trials_of(newest_run(lab)) if not trial["valid"]]


def require_all_counted_with_the_right_mtu(lab: Driver) -> None:
    """Both pairs count, and nothing that counts was measured with another MTU or while something changed."""
    result = json.loads((newest_run(lab) / "result.json").read_text())
    assert {arm["valid_trials"] for arm in result["scenarios"]["udp-latency"]["arms"].values()} == {2}
    counting = [trial for trial in trials_of(newest_run(lab)) if trial["valid"]]
    assert {one["mtu"] for trial in counting for arms in trial["interfaces"].values() for one in arms.values()} == {
        8900
    }
    assert {tuple(trial["network_changes"]) for trial in counting} == {()}


@pytest.mark.namespaces
@pytest.mark.parametrize("role", ["client", "server"])
def test_interfaces_that_are_configured_anew_in_a_trial_are_named_and_the_pair_run_again(
    lab: Driver, role: str
) -> None:
    if lab.isolation != "namespaces":
        return

    def refresh() -> None:
        for _ in range(3):  # one of them at least falls into a trial
            on_host(lab, role, "sudo systemctl start refresh-policy-routes@ens6.service")

    code, text = when_a_trial_has_ended(lab, act=refresh)

    assert code == 0, text
    assert any(f"links or rules of the {role} were changed by somebody" in reason for reason in invalid_reasons(lab))
    require_all_counted_with_the_right_mtu(lab)


@pytest.mark.namespaces
def test_an_mtu_that_changes_in_a_trial_is_named_and_set_again(lab: Driver) -> None:
    if lab.isolation != "namespaces":
        return
    spoil = "sudo rm /etc/systemd/network/*/zz-enaxp.conf; sudo networkctl reload"

    code, text = when_a_trial_has_ended(lab, act=lambda: on_host(lab, "client", spoil) and None)

    assert code == 0, text
    # The reload takes one interface after the other, and the trial may end in between.
    found = re.compile("the MTU of the client's ens[56] is 9001, it was 8900")
    assert any(found.search(reason) for reason in invalid_reasons(lab)), text
    require_all_counted_with_the_right_mtu(lab)
    assert on_host(lab, "client", "cat /sys/class/net/ens5/mtu /sys/class/net/ens6/mtu").split() == ["8900"] * 2


@pytest.mark.namespaces
@pytest.mark.parametrize("role", ["client", "server"])
def test_a_host_that_restarts_in_a_trial_is_named_and_the_next_trial_is_right(lab: Driver, role: str) -> None:
    if lab.isolation != "namespaces":
        return

    code, text = when_a_trial_has_ended(lab, act=lambda: on_host(lab, role, "sudo reboot") and None)

    assert code == 0, text
    assert any(f"the {role} restarted" in reason for reason in invalid_reasons(lab)), (invalid_reasons(lab), text)
    require_all_counted_with_the_right_mtu(lab)


@pytest.mark.namespaces
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL, None], ids=["Ctrl-C", "killed", "to its end"])
def test_timers_that_configure_interfaces_rest_for_as_long_as_a_bench_runs(
    lab: Driver, end: signal.Signals | None
) -> None:
    if lab.isolation != "namespaces":
        return
    during = {}

    process = lab.start(*QUICK, "--iterations", "1")
    assert process.stdout is not None
    for line in process.stdout:
        if not during and "trial   1 of" in line:  # a pair that is run again begins with it, too
            during = {role: on_host(lab, role, TIMERS).split() for role in ("server", "client")}
            if end is not None:
                process.send_signal(end)
    process.stdout.close()
    process.wait(timeout=120)

    assert during == {"server": [], "client": []}
    for role in ("server", "client"):
        wait_until(lambda: on_host(lab, role, TIMERS).split() == BOTH_TIMERS, f"the timers of the {role} run again")  # noqa: B023


def test_a_finished_bench_does_not_fail_for_its_output(lab: Driver) -> None:
    bench = [*COMMAND, *QUICK, "--iterations", "2", "--json"]

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
    bench = [*COMMAND, *QUICK, "--iterations", "2", "--json"]

    ran = subprocess.run(
        ["sh", "-c", f"exec {shlex.join(bench)} <&- 2>&-"],
        cwd=lab.folder,
        env=lab.environment,
        stdout=subprocess.PIPE,
        timeout=300,
        check=False,
    )

    assert (ran.returncode, json.loads(ran.stdout)["run_id"]) == (0, newest_run(lab).name)
