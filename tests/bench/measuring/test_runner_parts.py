"""The parts of the runner that decide something without a host: what is left, what a script brought, when it is enough."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace

import pytest

from enaxp.bench.judging.evaluation import noise_pct, result_from
from enaxp.bench.judging.result import Result
from enaxp.bench.measuring.crossover import TOGGLE_SETTLES_S
from enaxp.bench.measuring.pair import Pair
from enaxp.bench.measuring.runner import Runner, RunOptions, _Finished, needed
from enaxp.bench.measuring.scripts import ClientRun, client_script, end_script, servers_script, split
from enaxp.bench.measuring.servers import Servers, bulk_port, probe_port
from enaxp.bench.planning.schedule import BenchPlan, Trial, pairs, schedule, seconds, units
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.records import RunFolder, TrialRecord, trial_name
from enaxp.errors import BenchError, HostError
from enaxp.hosts.connection import CommandResult
from enaxp.hosts.sockperf import Pace, combine, parse, received_by_server
from enaxp.traffic import Background, Scenario
from tests.support.factories import GOOD, TCP_RATE, UDP, a_manifest, a_plan, a_record, an_effect


def a_pair(**changes: object) -> tuple[Trial, Trial]:
    trials = [trial for trial in schedule(a_plan(**changes)) if trial.repeat == 1 and trial.iteration == 1]
    return trials[0], trials[1]


BOTH = {"ena": a_record("ena"), "ena_express": a_record("ena_express")}
FAILED = replace(BOTH["ena"], valid=False, reason="it hung")


@pytest.mark.parametrize(
    ("records", "attempt", "arms"),
    [
        ([], 1, {"ena", "ena_express"}),
        ([BOTH["ena"]], 1, {"ena_express"}),
        ([BOTH["ena"], BOTH["ena_express"]], 1, set()),
        ([FAILED, BOTH["ena_express"]], 2, {"ena", "ena_express"}),
        ([FAILED], 2, {"ena", "ena_express"}),
        ([replace(BOTH["ena"], control=True), replace(BOTH["ena_express"], control=True)], 1, {"ena", "ena_express"}),
    ],
    ids=["nothing", "one of two", "both", "one is invalid", "an invalid one alone", "those of the control"],
)
def test_what_is_left_of_a_pair(records: list[TrialRecord], attempt: int, arms: set[str]) -> None:
    left = _Finished(records).what_is_left(a_pair())

    assert (left[0], {trial.arm for trial in left[1]}) == (attempt, arms)


def test_a_resumed_run_uses_fresh_client_ports() -> None:
    command = "sockperf a --client_port 20007; sockperf b --client_port 20008"

    assert _Finished([a_record(client_port=20007, command=command)]).last_port == 20009


def test_in_a_crossover_each_arm_has_each_interface_in_half_of_the_iterations() -> None:
    trials = schedule(a_plan(iterations=5, crossover=True))

    assert {trial.iteration for trial in trials if trial.crossed} == {4, 5}
    assert {(t.arm, t.home) for t in trials if t.crossed} == {("ena", "ena_express"), ("ena_express", "ena")}
    assert all(trial.home == trial.arm for trial in trials if not trial.crossed)


def test_a_control_follows_the_arms_with_srd_off_and_each_side_on_interfaces_of_its_own() -> None:
    plan = a_plan(iterations=2, repeats=3, control=True, control_between="interfaces")
    trials = schedule(plan)

    arms, control = trials[: len(trials) // 2], trials[len(trials) // 2 :]
    assert arms == schedule(a_plan(iterations=2, repeats=3))
    assert [replace(one, control=False, srd_on="second", number=one.number - len(arms)) for one in control] == [*arms]
    assert {(one.control, one.srd_on, one.treated_as) for one in control} == {(True, "none", "ena")}
    assert {(one.arm, one.home, one.crossed, probe_port(one, 0), bulk_port(one, 0)) for one in control} == {
        ("ena", "ena", False, 11110, 11310),
        ("ena_express", "ena_express", True, 11111, 11311),
    }
    assert len({trial_name(trial, attempt=1) for trial in trials}) == len(trials)
    assert seconds(plan) == pytest.approx(2 * 2 * (3 + 1) * 2 * 12.24)


def test_a_control_of_an_earlier_version_is_as_many_pairs_of_ena_against_ena() -> None:
    plan = a_plan(iterations=2, repeats=3, control=True)
    trials = schedule(plan)

    control = [trial for trial in trials if trial.control]
    assert len(control) == 2 * 3 * 2
    assert {trial.home for trial in control} == {trial.treated_as for trial in control} == {"ena"}
    assert all(one.arm != two.arm and one.control == two.control for one, two in pairs(trials))
    assert len({trial_name(trial, attempt=1) for trial in trials}) == len(trials)
    assert seconds(plan) == pytest.approx(2 * 2 * (3 + 3 + 1) * 12.24)


def test_a_run_that_ends_as_soon_as_it_knows_enough_has_a_control_of_as_many_iterations() -> None:
    trials = schedule(a_plan(until_pct=1.0, max_iterations=9, control=True, control_between="interfaces"))
    carried_out: list[Trial] = []

    for pair in needed(
        pairs(trials), is_enough=lambda first: first.iteration > 3, taken=lambda: carried_out[-1].iteration
    ):
        carried_out.extend(pair)

    assert [(one.control, one.iteration) for one in carried_out if one.repeat == one.position == 1] == [
        *((False, iteration) for iteration in (1, 2, 3)),
        *((True, iteration) for iteration in (1, 2, 3)),
    ]


@pytest.mark.parametrize(("narrow_from", "last"), [(1, 2), (2, 2), (3, 3), (4, 4), (9, 4)])
def test_a_run_ends_before_the_first_iteration_beyond_those_asked_for_at_which_its_intervals_are_narrow(
    tmp_path: Path, narrow_from: int, last: int
) -> None:
    """narrow_from: how many iterations make them so."""
    carried_out: list[Trial] = []
    runner = Runner(
        Pair(server=None, client=None),  # type: ignore[arg-type]
        a_plan(until_pct=1.0, max_iterations=4),
        RunFolder(tmp_path),
        probes={},
        options=RunOptions(watch=lambda _: None, is_narrow=lambda: carried_out[-1].iteration >= narrow_from),
    )

    for pair in needed(pairs(runner.trials), is_enough=runner._is_enough, taken=lambda: 0):
        carried_out.extend(pair)

    assert carried_out[-1].iteration == last


def test_where_srd_is_toggled_no_trial_begins_before_the_devices_show_the_switch_and_the_flows_of_before_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, object]] = []
    plan = a_plan(order="toggled", iterations=2)
    options = RunOptions(watch=lambda _: None, assign=lambda on: events.append(("switch", on)))
    runner = Runner(Pair(server=None, client=None), plan, RunFolder(tmp_path), probes={}, options=options)  # type: ignore[arg-type]
    monkeypatch.setattr(
        "enaxp.bench.measuring.runner.wait_for_devices", lambda *_, srd_on, **__: events.append(("shown", srd_on))
    )
    monkeypatch.setattr("enaxp.bench.measuring.runner.time.sleep", lambda pause_s: events.append(("pause", pause_s)))

    def attempt(_pool: object, trials: Iterable[Trial], _attempt: int) -> list[TrialRecord]:
        trials = list(trials)
        events.extend(("trial", trial.srd_on) for trial in trials)
        return [a_record(trial.arm, iteration=trial.iteration, repeat=trial.repeat, toggled=True) for trial in trials]

    monkeypatch.setattr(runner, "_attempt", attempt)
    for unit in units(plan, runner.trials):
        runner._carry_out(None, unit)  # type: ignore[arg-type]

    blocks = [(on, len(list(trials))) for on, trials in groupby(trial.srd_on for trial in runner.trials)]
    assert len(blocks) >= 3
    assert events == [
        event
        for on, trials in blocks
        for event in [("switch", on), ("shown", on), ("pause", TOGGLE_SETTLES_S), *[("trial", on)] * trials]
    ]


def test_after_a_lost_connection_the_hosts_are_locked_again_before_anything_else_is_done_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    pair = SimpleNamespace(reconnect=lambda **_: events.append("connected"), client=FakeServer())

    def hold() -> None:
        events.append("locked")
        raise HostError("the server is measured by another bench")

    options = RunOptions(watch=lambda _: None, hold=hold)
    runner = Runner(pair, a_plan(), RunFolder(tmp_path), probes={}, options=options)  # type: ignore[arg-type]

    with pytest.raises(HostError, match="another bench"):
        runner._repair()

    assert events == ["connected", "locked"]
    assert pair.client.scripts == []


def test_the_order_of_a_run_is_that_of_one_with_more_iterations() -> None:
    short, long = schedule(a_plan()), schedule(a_plan(until_pct=1.0, max_iterations=9))

    assert long[: len(short)] == short
    assert long[-1].iteration == 9


def test_flows_and_arms_never_share_a_port() -> None:
    trials = a_pair()
    polling = [replace(trial, scenario=replace(UDP, busy_poll_us=50)) for trial in trials]
    ports = [port(trial, flow) for trial in trials for port in (probe_port, bulk_port) for flow in range(64)]
    ports += [probe_port(trial, flow) for trial in polling for flow in range(64)]

    assert len(set(ports)) == len(ports)
    assert [probe_port(trial, 0) for trial in sorted(trials, key=lambda trial: trial.arm)] == [11110, 11111]


class FakeServer:
    """A server host that takes down what is started on it, and lets all end as asked."""

    def __init__(self) -> None:
        self.scripts: list[str] = []
        self.host = SimpleNamespace(ip_of=lambda arm: {"ena": "192.168.3.10", "ena_express": "192.168.3.11"}[arm])

    def run(self, script: str, *, timeout_s: float) -> CommandResult:
        self.scripts.append(script)
        return CommandResult(stdout="", stderr="", exit_code=0)

    def check(self, script: str) -> str:
        names = re.findall(r"cat (server-\S+)\.out", script)
        said = "sockperf: Socket buffers sizes of fd 3: RX: 425984 Byte, TX: 425984 Byte\nsockperf: Total 7 messages received and handled\n"
        return "".join(f"--8<-- enaxp {name}\n{said}" for name in names) + "--8<-- enaxp end\n"

    def started(self) -> list[str]:
        """The server commands of the last script, without their names and hosts."""
        return re.findall(r"^start \S+ (sockperf server .*)$", self.scripts[-1], re.MULTILINE)


def servers_of(*scenarios: Scenario) -> tuple[Servers, FakeServer, BenchPlan]:
    host, plan = FakeServer(), a_plan(scenarios=scenarios)
    return Servers(SimpleNamespace(server=host), plan), host, plan  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scenario", "commands"),
    [
        (UDP, None),
        (TCP_RATE, ["sockperf server -i 192.168.3.10 -p 11310 --tcp"]),
        (replace(TCP_RATE, message_size=65536), ["sockperf server -i 192.168.3.10 -p 11310 --tcp -m 65536"]),
        (replace(TCP_RATE, buffer_size=8192), ["sockperf server -i 192.168.3.10 -p 11310 --tcp --buffer-size 8192"]),
        (replace(UDP, busy_poll_us=50), ["sockperf server -i 192.168.3.10 -p 11510 --lls 50"]),
        (
            replace(UDP, flows=2, busy_poll_us=50, background=Background(protocol="tcp", flows=1, message_size=1472)),
            [
                "sockperf server -i 192.168.3.10 -p 11310 --tcp",
                "sockperf server -i 192.168.3.10 -p 11510 --lls 50",
                "sockperf server -i 192.168.3.10 -p 11512 --lls 50",
            ],
        ),
    ],
)
def test_a_trial_has_servers_of_its_own_for_bulk_flows_and_for_sockets_that_others_do_not_share(
    scenario: Scenario, commands: list[str] | None
) -> None:
    servers, host, plan = servers_of(scenario)
    trial = next(trial for trial in schedule(plan) if trial.arm == "ena")

    own = servers.start_own(trial)
    ended = servers.end_own(own)

    assert (host.started() if host.scripts else None) == commands
    assert ended.received == (7 if own.bulk else None)
    assert ended.receive_buffer == (212992 if commands else None)
    assert not ended.probe_had_ended


def test_the_servers_of_a_whole_run_are_those_of_probes_that_share_their_sockets_settings() -> None:
    servers, host, _ = servers_of(UDP, replace(UDP, name="polling", busy_poll_us=50), TCP_RATE)

    servers.start_probes(homes={"ena": "ena", "ena_express": "ena_express"})

    assert host.started() == [f"sockperf server -i 192.168.3.1{n} -p 1111{n}" for n in (0, 1)]


def test_several_flows_count_as_one_and_one_that_failed_fails_all() -> None:
    both = combine([GOOD, replace(GOOD, mean_us=60.0, max_us=100.0, observations=2000)])
    broken = combine([GOOD, parse("")])

    assert (both.ok, both.observations, both.sent, both.mean_us, both.max_us) == (True, 3000, 2000, 50.0, 100.0)
    assert both.percentiles_us == {}
    assert (broken.ok, broken.reason) == (False, "flow 2 of 2: empty: sockperf printed nothing")


def test_what_a_server_received_is_read_from_its_end() -> None:
    assert received_by_server("\x1b[2msockperf: Total 358678 messages received and handled\n") == 358678
    assert received_by_server("sockperf: Warmup stage") is None


def test_an_interval_is_narrow_when_those_of_all_primaries_are() -> None:
    def result(*widths: float | None) -> Result:
        primaries = {
            str(n): an_effect(low_pct=None if width is None else -width, high_pct=width)
            for n, width in enumerate(widths)
        }
        whole = result_from(a_manifest(), weigh(a_plan(), [], read_histogram=lambda record: None))
        effects = primaries | {"mean": an_effect(primary=False, low_pct=-9.0, high_pct=9.0)}
        scenarios = {name: replace(one, effects=effects) for name, one in whole.scenarios.items()}
        return replace(whole, scenarios=scenarios)

    assert result(0.9, 1.0).is_narrow(to_pct=1)
    assert not result(0.9, 1.1).is_narrow(to_pct=1)
    assert not result(0.9, None).is_narrow(to_pct=1)


def test_noise_is_how_far_the_same_is_from_itself() -> None:
    assert noise_pct([(100.0, 100.0)]) == 0
    assert noise_pct([(100.0, 101.0), (101.0, 100.0)]) == pytest.approx(1.0)


def test_a_part_that_is_missing_is_named() -> None:
    with pytest.raises(HostError) as raised:
        split("--8<-- enaxp before\n1\n", needed=("before", "after"))

    assert "'after'" in raised.value.said


def test_the_scripts_are_shell() -> None:
    run = ClientRun(name="0001", flows=[["sockperf", "x y"]], bulk=[["sockperf"]], timeout_s=12, pace=Pace(rate=1000))

    for script in (
        client_script(run, counters="true"),
        servers_script({"server-a": ["sockperf"]}, life_s=9),
        end_script(["a"]),
    ):
        checked = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_a_run_is_found_by_its_path_or_by_how_its_name_begins(tmp_path: Path) -> None:
    for name in ("20250411-082610", "20250411-092610"):
        (tmp_path / "dev" / name).mkdir(parents=True)
        RunFolder(tmp_path / "dev" / name).write_manifest(a_manifest(run_id=name))

    assert RunFolder.find(tmp_path, lab="dev", run="20250411-08").run_id == "20250411-082610"
    assert RunFolder.find(tmp_path, lab="x", run=str(tmp_path / "dev/20250411-092610")).run_id == "20250411-092610"
    for run, said in (("20250411", "several"), ("1970", "there are"), ("", "there are")):
        with pytest.raises(BenchError) as raised:
            RunFolder.find(tmp_path, lab="dev", run=run)
        assert said in raised.value.said
