"""Which cores of a host are free for sockperf, from what it tells."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from enaxp.hosts.cpus import cpus_command, read_cpus


def test_free_cores_are_near_the_nic_and_serve_none_of_its_interrupts() -> None:
    told = "can_pin\nallowed 0-15\nnear 0-7\nserving 1\nserving 2\nnear 0-7\nserving 4-5\n"

    cpus = read_cpus(told)

    assert cpus.free == (3, 6, 7)
    assert cpus.can_pin


def test_threads_that_share_a_physical_core_with_something_busy_come_last() -> None:
    told = "allowed 0-7\nserving 1\nsiblings 0,4\nsiblings 1,5\nsiblings 2,6\nsiblings 3,7\n"

    assert read_cpus(told).free == (2, 3, 4, 5, 6, 7)  # 4 with the first core, 5 with interrupts, 6 and 7 with 2 and 3
    assert read_cpus(told.replace("serving 1\n", "serving 1-3\n")).free == (4, 5, 6, 7)


def test_where_there_is_no_node_all_that_are_allowed_are_near() -> None:
    cpus = read_cpus("allowed 0,2-3\nnear \n")

    assert (cpus.free, cpus.can_pin) == ((2, 3), False)


@pytest.mark.system
def test_the_command_is_sound_shell_and_runs_here() -> None:
    command = cpus_command(["lo"])
    if shutil.which("shellcheck"):
        checked = subprocess.run(
            ["shellcheck", "-s", "sh", "-S", "warning", "-"], input=command, capture_output=True, text=True, check=False
        )
        assert checked.stdout == ""

    told = read_cpus(subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout)

    assert set(told.allowed) == os.sched_getaffinity(0)
    assert told.near == told.allowed
    assert set(told.allowed) <= set().union(*told.siblings)
