"""The bill ends: what a person sees of a lab's time and cost, on real hosts."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.support.driver import Driver

pytestmark = [pytest.mark.long, pytest.mark.system]


def test_more_time_reaches_the_hosts_the_tags_and_the_state(lab: Driver) -> None:
    before = datetime.fromisoformat(lab.ok("status", "--json").document["expires_at"])

    after = datetime.fromisoformat(lab.ok("extend", "2h", "--json").document["expires_at"])

    assert after == before + timedelta(hours=2)
    [listed] = lab.ok("ls", "--json").document
    assert datetime.fromisoformat(listed["expires_at"]) == after
    if lab.isolation == "namespaces":  # plain processes have no timers
        shown = lab.ok(
            "ssh", "client", "--", "cat /etc/systemd/system/enaxp-ttl.timer && systemctl is-active enaxp-ttl.timer"
        )
        assert f"OnCalendar={after:%Y-%m-%d %H:%M:%S} UTC" in shown.stdout
        assert shown.stdout.rstrip().endswith("active")


def test_a_lab_that_stands_has_nothing_against_it(lab: Driver) -> None:
    report = lab.ok("doctor", "--preflight", "--json").document

    assert report["ok"]
    assert {finding["level"] for finding in report["findings"]} <= {"ok", "warning"}


def test_nothing_costs_anything_on_this_machine(lab: Driver) -> None:
    status, [listed] = lab.ok("status", "--json").document, lab.ok("ls", "--json").document

    assert (status["usd_per_hour"], status["usd_so_far"], listed["usd_per_hour"]) == (None, None, None)


def test_a_lab_whose_time_is_not_over_survives_a_sweep(lab: Driver) -> None:
    assert lab.ok("down", "--expired", "--json").document == {"labs": []}
    assert len(lab.ok("ls", "--json").document) == 1


def test_ways_to_name_what_goes_down_exclude_each_other(lab: Driver) -> None:
    assert lab.run("down", "--expired", "--lab-id", "x").code == 2
    assert lab.run("down", "compute", "--expired").code == 2
    assert lab.run("down", "--all-regions").code == 2


def test_the_policy_needs_no_account(lab: Driver) -> None:
    document = lab.ok("policy").document

    assert document["Version"] == "2012-10-17"
