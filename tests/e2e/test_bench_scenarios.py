"""What a bench can measure besides the plain ping-pong, on both kinds of hosts."""

from __future__ import annotations

import gzip
import json
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from enaxp.bench.planning.schedule import PORTS
from enaxp.local.relay.placing import Hold, place_script
from enaxp.traffic import Arm
from tests.support.driver import Driver

pytestmark = [pytest.mark.long, pytest.mark.system]


# By their names in results.csv; what fills a link on the hosts that are most like real ones, udp-flow at a rate that two cores can send.
SCENARIOS = {
    "namespaces": {
        "udp-throughput": "UDP_Large",
        "tcp-bulk": "TCP_Bulk",
        "udp-flow": "UDP_Flow",
        "udp-busy-poll": "UDP_BusyPoll",
        "udp-load@1000": "UDP_Load@1000",
        "congested": "UDP_Congested",
    },
    "processes": {
        "udp-throughput": "UDP_Large",
        "tcp-flow": "TCP_Flow",
        "udp-load@1000": "UDP_Load@1000",
        "congested": "UDP_Congested",
    },
}
SLOW_FLOW = {"scenarios": {"udp-flow": {"rate": 500}}}
PROVEN = {"namespaces": True, "processes": None}
RATES = {"udp-throughput", "tcp-flow", "tcp-bulk"}


def test_rates_are_those_of_the_receiver_and_probes_run_under_load_and_beside_bulk(lab: Driver) -> None:
    names = tuple(SCENARIOS[lab.isolation])
    (lab.folder / "slow.yaml").write_text(json.dumps(SLOW_FLOW))
    asked = [word for name in names for word in ("--scenario", name)]

    quick = ("--iterations", "1", "--repeats", "1", "--duration", "1s", "--json")
    result = lab.run("bench", "--config", "slow.yaml", *asked, *quick).document

    assert tuple(result["scenarios"]) == names
    for name in RATES & set(names):
        for arm in result["scenarios"][name]["arms"].values():
            assert 0 < arm["received"] <= arm["sent"]
            assert arm["dropped"] == arm["sent"] - arm["received"]
            assert arm["throughput_gbps"] > 0
            assert arm["p50_us"] is None
    for name, scenario in result["scenarios"].items():
        measured = all(arm["valid_trials"] for arm in scenario["arms"].values())  # a busy computer misses a rate
        assert not measured or scenario["treatment"]["proven"] is PROVEN[lab.isolation], name
    folder = lab.folder / "results/dev" / result["run_id"]
    for trial in map(json.loads, (folder / "trials.jsonl").read_text().splitlines()):
        if trial["scenario"] == "udp-throughput" and not trial["discarded"] and lab.isolation == "namespaces":
            dropped = trial["usage"]["server"][
                "udp_rcvbuf_errors"
            ]  # of a server that cannot keep up, all on one computer
            assert dropped <= trial["sockperf"]["sent"] - trial["server_received"]
            limits = result["scenarios"]["udp-throughput"]["arms"][trial["arm"]]["limits"]
            assert "receiver" in limits or dropped <= 0.001 * trial["sockperf"]["sent"]
        if trial["scenario"] == "udp-flow":
            assert "--buffer-size 8388608" in trial["command"]
            assert trial["server_received"] > 0
        if trial["scenario"] == "udp-busy-poll":
            assert "--lls 50" in trial["command"]
    [tcp] = [scenario["arms"] for name, scenario in result["scenarios"].items() if name.startswith("tcp-")]
    assert {arm["loss_rate"] for arm in tcp.values()} == {0}
    load = result["scenarios"]["udp-load@1000"]
    for arm in load["arms"].values():
        assert arm["valid_trials"] == 0 or arm["measured_from"] == "planned"
        for figure in ("p50_us", "p90_us", "p99_us", "max_us") if arm["valid_trials"] else ():
            assert arm[figure] >= arm["service"][figure]
    for arm in result["scenarios"]["congested"]["arms"].values():
        assert arm["valid_trials"] == 0 or arm["background_gbps"] > 0
    manifest = json.loads((lab.folder / "results/dev" / result["run_id"] / "manifest.json").read_text())
    [bulk] = [one["background"] for one in manifest["plan"]["scenarios"] if one["name"] == "congested"]
    assert bulk["share"] == 0.65
    assert bulk["rate"] > 0
    rows = (lab.folder / "results/dev" / result["run_id"] / "results.csv").read_text()
    assert {line.split(",")[0] for line in rows.splitlines()[1:]} == set(SCENARIOS[lab.isolation].values())


@contextmanager
def relayed(lab: Driver, table: dict[Arm, Hold]) -> Iterator[None]:
    """A relay before the server of each of these arms, that holds messages back or loses them."""

    def place(holds: dict[Arm, Hold]) -> None:
        ran = lab.on_host("server", place_script({PORTS[arm]: hold for arm, hold in holds.items()}))
        assert ran.code == 0, ran

    place(table)
    try:
        yield
    finally:
        place({})


@pytest.mark.namespaces
def test_a_ping_pong_that_falls_silent_over_a_lost_message_counts_until_then(lab: Driver) -> None:
    # More than half of its time is measured, and a second of silence is left: one that is shorter than a run began late is not told.
    with relayed(lab, {"ena": Hold(until_s=1.9)}):
        document = lab.ok("bench", "-i", "1", "-r", "1", "-d", "3s", "--json").document

    scenario = document["scenarios"]["udp-latency"]
    lines = (lab.folder / "results/dev" / document["run_id"] / "trials.jsonl").read_text().splitlines()
    silent = [trial for trial in map(json.loads, lines) if trial["stalled_flows"]]
    assert "ena" in {trial["arm"] for trial in silent}  # on a busy computer the other may lose one, too
    assert scenario["arms"]["ena"]["dropped"] == scenario["arms"]["ena"]["valid_trials"] == 1
    assert "fell silent over a lost message, and count until then: ENA 1 of 1 trial" in scenario["verdict"]["words"]


@pytest.mark.namespaces
def test_an_arm_that_loses_messages_is_named_and_never_the_better_one_for_it(lab: Driver) -> None:
    with relayed(lab, {"ena": Hold(loss=0.05), "ena_express": Hold(tail=0.02, tail_us=2000)}):
        options = ("--scenario", "udp-load@1000", "-i", "2", "-r", "1", "-d", "1s", "--json")
        scenario = lab.ok("bench", *options).document["scenarios"]["udp-load@1000"]

    ena, express = scenario["arms"]["ena"], scenario["arms"]["ena_express"]
    assert 0.02 < ena["loss_rate"] < 0.5  # where the computer is busy, sockets lose some, too
    assert "p99" in ena["beyond_measurement"]
    assert ena["p99_us"] is None
    assert express["loss_rate"] < ena["loss_rate"] / 2
    assert scenario["effects"]["p99"]["code"] == "inconclusive"  # two iterations are too few for ranks
    assert "messages lost: ENA " in scenario["verdict"]["words"]


def test_a_crossover_swaps_the_interfaces_and_puts_them_back(lab: Driver) -> None:
    result = lab.ok("bench", "--crossover", "--keep-full-log", "-i", "4", "-r", "1", "-d", "1s", "--json").document

    run = lab.folder / "results/dev" / result["run_id"]
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    sources = {(t["arm"], t["crossed"]): client_ip(t["command"]) for t in trials if not t["control"]}
    assert sources == {
        ("ena", False): "192.168.3.20",
        ("ena_express", False): "192.168.3.21",
        ("ena", True): "192.168.3.21",
        ("ena_express", True): "192.168.3.20",
    }
    [cores] = {json.dumps(t["cpus"]) for t in trials}  # within one computer a ping-pong and its server share a core
    assert json.loads(cores)["client"] == json.loads(cores)["server"] == json.loads(cores)["client"][:1]
    assert result["plan"]["cpus"] == "auto"
    scenario = result["scenarios"]["udp-latency"]
    assert scenario["treatment"]["proven"] is {"namespaces": True, "processes": None}[lab.isolation]
    assert scenario["interface"]["low_pct"] <= scenario["interface"]["high_pct"]
    [log, *_] = [t["log_files"][0] for t in trials if t["valid"]]
    assert b"packet, txTime(sec)" in gzip.decompress((run / log).read_bytes())
    assert lab.ok("plan", "--check").code == 0


def client_ip(command: str) -> str:
    words = command.split()
    return words[words.index("--client_ip") + 1]


def kill_at(lab: Driver, line: str, how: int, *words: str) -> int:
    """Starts a bench and ends it as soon as it prints that; its exit code."""
    return ended_at(lab, line, how, *words)[0]


def ended_at(lab: Driver, line: str, how: int, *words: str) -> tuple[int, str]:
    """As kill_at, with what it says from then on."""
    process = lab.start("bench", *words)
    assert process.stdout is not None
    for printed in process.stdout:
        if line in printed:
            process.send_signal(how)
            break
    said = process.stdout.read()
    process.stdout.close()
    return process.wait(), said


@pytest.mark.namespaces
def test_a_control_has_srd_off_on_all_interfaces_and_it_is_put_back_after_whatever_ended_it(lab: Driver) -> None:
    interrupted = kill_at(lab, "trial   5 of 8", signal.SIGINT, "--control", "-i", "1", "-r", "1", "-d", "1s")
    put_back = lab.ok("plan", "--check")
    kill_at(lab, "trial   6 of 8", signal.SIGKILL, "--resume", "latest")
    left_off, refused = lab.run("plan", "--check"), lab.run("bench", "-i", "1", "-r", "1", "-d", "1s")
    result = lab.ok("bench", "--resume", "latest", "--json").document

    assert (interrupted, put_back.code, left_off.code, refused.code) == (130, 0, 3, 1)
    assert "ENA Express is not as it should be" in refused.stderr
    assert lab.ok("plan", "--check").code == 0
    lines = (lab.folder / "results/dev" / result["run_id"] / "trials.jsonl").read_text().splitlines()
    trials = [trial for trial in map(json.loads, lines) if trial["valid"]]
    assert [trial["control"] for trial in trials] == [False] * 4 + [True] * 4
    control = {(trial["arm"], client_ip(trial["command"]), trial["srd"]["tx"]) for trial in trials if trial["control"]}
    assert control == {("ena", "192.168.3.20", 0), ("ena_express", "192.168.3.21", 0)}
    scenario = result["scenarios"]["udp-latency"]
    assert scenario["treatment"]["proven"] is True
    told = {name: scenario["control"][name] for name in ("between", "proven", "trials", "valid_trials")}
    assert told == {"between": "interfaces", "proven": True, "trials": 2, "valid_trials": 2}


CROSSED = ("--crossover", "-i", "4", "-r", "1", "-d", "1s")


@pytest.mark.namespaces
def test_a_crossover_is_put_back_when_its_terminal_is_closed_and_when_it_is_terminated(lab: Driver) -> None:
    before = runs_of(lab)

    # when the terminal is closed in mid-trial, once the interfaces have been swapped
    hung_up = closed_terminal(
        lab, *CROSSED, when=lambda: any(trial["crossed"] for trial in trials_of_newest(lab, before))
    )
    put_back, left = lab.ok("plan", "--check"), lab.running("sockperf")
    kept = trials_of_newest(lab, before)

    # and when what goes on with it is terminated
    [run] = runs_of(lab) - before
    terminated, said = ended_at(lab, "trial ", signal.SIGTERM, "--resume", run.name)

    # then the interfaces are back each time, nothing is left on the hosts, and it can go on to its end
    assert (hung_up, terminated, put_back.code, left) == (130, 130, 0, [])
    assert f"`enaxp bench --resume {run.name}`" in said
    assert lab.ok("plan", "--check").code == 0
    assert lab.running("sockperf") == []
    lab.ok("bench", "--resume", run.name)
    trials = trials_of_newest(lab, before)
    assert trials[: len(kept)] == kept
    assert [trial["crossed"] for trial in trials if trial["valid"]] == sorted(
        trial["crossed"] for trial in trials if trial["valid"]
    )
    assert lab.ok("plan", "--check").code == 0


def runs_of(lab: Driver) -> set[Path]:
    return set((lab.folder / "results/dev").glob("*"))


def trials_of_newest(lab: Driver, before: set[Path]) -> list[dict[str, Any]]:
    """The trials on disk of the run that is not one of those before."""
    paths = [run / "trials.jsonl" for run in runs_of(lab) - before]
    lines = [line for path in paths if path.exists() for line in path.read_text().splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def closed_terminal(lab: Driver, *words: str, when: Callable[[], bool]) -> int:
    """Starts a bench in a terminal of its own, and closes that, as a person closes a window; the exit code."""
    ours, its = os.openpty()
    process = lab.start_in_terminal(its, "bench", *words)
    os.close(its)
    while process.poll() is None and not when():
        if select.select([ours], [], [], 0.1)[0]:
            os.read(ours, 65536)
    os.close(ours)
    return process.wait(timeout=120)


def test_until_continues_until_the_interval_is_narrow_or_the_limit_is_reached(lab: Driver) -> None:
    common = ("--repeats", "1", "--duration", "1s", "--json")
    ran = lab.ok("bench", *common, "--iterations", "1", "--until", "0.001%", "--max-iterations", "2")

    lines = (lab.folder / "results/dev" / ran.document["run_id"] / "trials.jsonl").read_text().splitlines()
    assert "goes on until" in ran.stderr
    assert {json.loads(line)["iteration"] for line in lines} == {1, 2}
    assert ran.document["plan"]["iterations"] == 2


def test_what_contradicts_itself_is_refused_before_anything_runs(lab: Driver) -> None:
    for words in (
        ("--crossover", "--iterations", "3"),
        ("--crossover", "--control", "--iterations", "6"),
        ("--crossover", "--until", "1%"),
        ("--max-iterations", "5"),
        ("--until", "often"),
    ):
        assert lab.run("bench", *words).code == 2, words
