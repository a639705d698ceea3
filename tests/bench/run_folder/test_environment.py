"""Environment: a fingerprint of what lasts, and the real text of a host."""

from __future__ import annotations

from dataclasses import dataclass
from subprocess import run
from typing import Any

import pytest

from enaxp.bench.measuring.capture import capture
from enaxp.bench.run_folder.environment import differences, fingerprint
from enaxp.hosts.connection import CommandResult
from enaxp.hosts.nic import InterfaceProbe

HOST = {"kernel": "Linux 6.1", "load": "0.10 0.20", "ena.counters": "tx_timeout: 0", "ena.rings": "RX: 1024"}


def test_what_passes_is_not_in_the_fingerprint_and_no_difference() -> None:
    later = {**HOST, "load": "5.0", "ena.counters": "tx_timeout: 9"}

    assert fingerprint({"client": HOST}) == fingerprint({"client": later})
    assert differences({"client": HOST}, {"client": later}) == ()


@pytest.mark.parametrize("fact", ["kernel", "ena.rings"])
def test_what_lasts_is_distinguished_by_name(fact: str) -> None:
    other = {**HOST, fact: "something else"}

    assert fingerprint({"client": HOST}) != fingerprint({"client": other})
    assert differences({"client": HOST}, {"client": other}) == (f"client: {fact}",)


def test_hosts_that_do_not_answer_have_no_fingerprint() -> None:
    assert fingerprint({}) is None
    assert differences({"client": HOST}, {}) == ()


@pytest.mark.system
@dataclass
class ThisMachine:
    """Stands for a connection: the same commands, run here."""

    def run(self, command: str) -> CommandResult:
        done = run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=30)
        return CommandResult(stdout=done.stdout, stderr=done.stderr, exit_code=done.returncode)


class Pair:
    def by_role(self) -> dict[str, Any]:
        return {"client": ThisMachine()}


def test_a_real_host_tells_its_facts_and_an_interface_its_own() -> None:
    lo = InterfaceProbe(interface="lo", leaves_by="lo", driver=None, mtu=65536)

    facts = capture(Pair(), {"client": {"ena": lo}})["client"]  # type: ignore[arg-type]

    assert facts["kernel"].startswith("Linux")
    assert facts["cpus"].isdigit()
    assert facts["cpu_times"].startswith("cpu ")
    assert "ipv4/tcp_limit_output_bytes:" in facts["settings"]
    assert "lo" in facts["ena.link"]
    assert {"gro_flush_timeout:0", "napi_defer_hard_irqs:0"} <= set(facts["ena.polling"].split())
    assert {"mitigations", "ena.numa_node"} <= facts.keys()
    assert "ena_express.link" not in facts


def test_a_host_without_interfaces_of_its_own_tells_what_it_can() -> None:
    unknown = InterfaceProbe(interface=None, leaves_by=None, driver=None, mtu=None)

    facts = capture(Pair(), {"client": {"ena": unknown}})["client"]  # type: ignore[arg-type]

    assert facts["machine"]
    assert not [name for name in facts if name.startswith("ena")]
