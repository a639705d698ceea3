"""A fleet from nothing to nothing on the strict AWS: how its hosts come to interfaces and addresses, and what brings them back."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enaxp.commands.bench import plan_of, told_to_others
from enaxp.commands.status import current_status
from enaxp.config import ROLES
from enaxp.errors import LabError, NoRoomError, UsageError
from enaxp.lab.labs import list_labs
from enaxp.lab.lifecycle import look
from enaxp.lab.model import TAG_BENCH, as_text
from enaxp.lab.state import BENCH_LOCK
from enaxp.lab.zones import rollback, up_in_some_zone
from enaxp.local.strict import Capacity, Timing
from enaxp.options import Options
from enaxp.session import Session
from enaxp.terminal.console import Console
from tests.support.crash_harness import TARGET, DeadlyCloud, Labs, census
from tests.support.drift_cases import client
from tests.support.local_machines import wait_until

TWO_VARIANTS = {
    "fleet": {
        "pairs": 2,
        "variants": {"near": {"hosts": {"instance_type": "c6i.8xlarge"}}, "far": {"placement": "zones"}},
    }
}


def fleet(cloud: DeadlyCloud, folder: Path, **overrides: Any) -> Labs:
    asked = overrides or TWO_VARIANTS
    return Labs(cloud, folder, overrides={key.replace("__", "."): value for key, value in asked.items()})


def instances(labs: Labs) -> dict[str, dict[str, Any]]:
    """What AWS tells of each living instance, by its key."""
    living = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    answer = client(labs, "ec2").describe_instances(Filters=living)
    found = [one for reservation in answer["Reservations"] for one in reservation["Instances"]]
    return {next(tag["Value"] for tag in one["Tags"] if tag["Key"] == "enaxp:key"): one for one in found}


def interfaces(instance: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {nic["Attachment"]["DeviceIndex"]: nic for nic in instance["NetworkInterfaces"]}


def express_of(nic: dict[str, Any]) -> bool:
    return bool(nic["Attachment"].get("EnaSrdSpecification", {}).get("EnaSrdEnabled", False))


def stop(labs: Labs, key: str) -> None:
    """Somebody stops this host; comes back once it has stopped."""
    client(labs, "ec2").stop_instances(InstanceIds=[instances(labs)[key]["InstanceId"]])
    wait_until(lambda: instances(labs)[key]["State"]["Name"] == "stopped", f"{key} has stopped")


def tag(instance: dict[str, Any], name: str) -> str:
    return next((str(tag["Value"]) for tag in instance["Tags"] if tag["Key"] == name), "")


def calls(cloud: DeadlyCloud) -> Counter[str]:
    return Counter(call.action for call in cloud.server.calls if not call.dry_run)


def test_two_variants_come_up_and_go_down_with_nothing_left(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = fleet(cloud, tmp_path)

    labs.up()

    there = instances(labs)
    assert set(there) == {
        f"instance/{pair}/{role}" for pair in ("near-1", "near-2", "far-1", "far-2") for role in ("server", "client")
    }
    for key, instance in there.items():
        nics = interfaces(instance)
        assert instance["PublicIpAddress"], key
        assert [express_of(nics[0]), express_of(nics[1])] == [False, True], key
        assert nics[0]["Attachment"]["DeleteOnTermination"], key
    groups = {key: instance["Placement"].get("GroupName") for key, instance in there.items()}
    assert groups["instance/near-1/server"] == groups["instance/near-1/client"] != groups["instance/near-2/server"]
    zones = {key: instance["Placement"]["AvailabilityZone"] for key, instance in there.items()}
    assert zones["instance/far-1/server"] == zones["instance/near-1/client"] != zones["instance/far-1/client"]
    assert census(labs)["i"] == 8
    assert "eipalloc" not in census(labs)
    assert labs.changes_left() == []
    assert labs.down().lab_is_gone
    assert census(labs) == {}


def test_what_was_up_is_kept_by_a_later_up_without_the_option(cloud: DeadlyCloud, tmp_path: Path) -> None:
    fleet(cloud, tmp_path, fleet__pairs=2).up()
    cloud.server.forget_calls()

    without = fleet(cloud, tmp_path, lab="dev")
    without.up()

    assert not {action for action in calls(cloud) if not action.startswith(("Describe", "Get", "List"))}
    assert len(instances(without)) == 4


def test_pairs_are_added_beside_those_that_are_measured_but_none_of_these_is_taken_away(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    labs = fleet(cloud, tmp_path, fleet__pairs=1)
    labs.up()
    session = Session(
        options=Options(state_dir=tmp_path),
        config=labs.config,
        target=TARGET,
        aws=labs.aws(),
        file=labs.file(),
        console=Console(as_json=True),
    )
    pairs = list(current_status(session).each_pair().values())

    with session.file.lock("bench", name=BENCH_LOCK), told_to_others(session, pairs, plan_of(labs.config)):
        fleet(cloud, tmp_path, fleet__pairs=2).up()

        ends = {key: tag(instance, TAG_BENCH) for key, instance in instances(labs).items()}
        assert all(ends[f"instance/main-1/{role}"] > as_text(datetime.now(UTC)) for role in ROLES)
        assert {ends[f"instance/main-2/{role}"] for role in ROLES} == {""}
        with pytest.raises(LabError, match="a bench of lab dev is running") as refused:
            fleet(cloud, tmp_path, fleet__pairs=1).up()
        assert "instance/main-2/server" in refused.value.said

    assert len(instances(labs)) == 4


def test_a_fleet_whose_state_is_lost_is_adopted_with_its_pairs_and_addresses(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    labs = fleet(cloud, tmp_path)
    labs.up()
    before = labs.file().state.pinned.fleet
    key = (tmp_path / "dev.pem").read_bytes()
    labs.file().forget()
    (tmp_path / "dev.pem").write_bytes(key)
    (tmp_path / "dev.pem").chmod(0o600)

    again = fleet(cloud, tmp_path, lab="dev")
    snapshot = look(again.context())

    assert {step.action for step in snapshot.plan.steps} <= {"adopt", "keep"}
    after = snapshot.state.pinned.fleet
    assert before
    assert after
    assert {name: (one.slots, one.placement) for name, one in after.items()} == {
        name: (one.slots, one.placement) for name, one in before.items()
    }


def test_a_host_that_was_stopped_starts_with_one_interface_gets_an_address_and_then_its_second(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    labs = fleet(cloud, tmp_path, fleet__pairs=1)
    labs.up()
    host = instances(labs)["instance/main-1/server"]
    stop(labs, "instance/main-1/server")
    assert "PublicIpAddress" not in instances(labs)["instance/main-1/server"]
    cloud.server.forget_calls()

    labs.up()

    mended = instances(labs)["instance/main-1/server"]
    assert mended["InstanceId"] == host["InstanceId"]
    assert mended["PublicIpAddress"]
    assert express_of(interfaces(mended)[1])
    made = [call.action for call in cloud.server.calls if not call.action.startswith(("Describe", "Get", "List"))]
    assert made == ["DetachNetworkInterface", "StartInstances", "AttachNetworkInterface"]


def test_a_host_that_others_stopped_and_started_with_two_interfaces_is_stopped_once_more(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    # Given a host that has lost its public address, because it started with two interfaces
    labs = fleet(cloud, tmp_path, fleet__pairs=1)
    labs.up()
    stop(labs, "instance/main-1/client")
    client(labs, "ec2").start_instances(InstanceIds=[instances(labs)["instance/main-1/client"]["InstanceId"]])
    wait_until(lambda: instances(labs)["instance/main-1/client"]["State"]["Name"] == "running", "it runs")
    assert "PublicIpAddress" not in instances(labs)["instance/main-1/client"]

    labs.up()

    assert instances(labs)["instance/main-1/client"]["PublicIpAddress"]
    assert labs.changes_left() == []


def test_a_host_that_somebody_terminated_is_recreated_with_its_address_and_its_second_interface(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    labs = fleet(cloud, tmp_path, fleet__pairs=2)
    labs.up()
    before = instances(labs)["instance/main-2/server"]
    client(labs, "ec2").terminate_instances(InstanceIds=[before["InstanceId"]])

    labs.up()

    after = instances(labs)["instance/main-2/server"]
    assert after["InstanceId"] != before["InstanceId"]
    assert after["PrivateIpAddress"] == before["PrivateIpAddress"] == "192.168.3.22"
    assert interfaces(after)[1]["NetworkInterfaceId"] == interfaces(before)[1]["NetworkInterfaceId"]
    assert len(instances(labs)) == 4


def test_drift_of_hot_interfaces_is_seen_and_mended(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = fleet(cloud, tmp_path, fleet__pairs=1)
    labs.up()
    ec2, server = client(labs, "ec2"), instances(labs)["instance/main-1/server"]
    first, second = interfaces(server)[0], interfaces(server)[1]
    other = ec2.create_security_group(GroupName="other", Description="other", VpcId=server["VpcId"])["GroupId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=first["NetworkInterfaceId"], Groups=[other])
    ec2.detach_network_interface(AttachmentId=second["Attachment"]["AttachmentId"])

    changes = {str(c.field) for step in labs.snapshot().plan.changing for c in step.changes}
    labs.up()

    assert changes == {"groups of eni/main-1/server-ena", "interface 1"}
    mended = interfaces(instances(labs)["instance/main-1/server"])
    assert express_of(mended[1])
    assert [group["GroupId"] for group in mended[0]["Groups"]] != [other]


def test_more_pairs_leave_those_that_are_there_alone_and_fewer_take_the_last_away(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    fleet(cloud, tmp_path, fleet__pairs=1).up()
    one = instances(fleet(cloud, tmp_path, fleet__pairs=1))

    fleet(cloud, tmp_path, fleet__pairs=2).up()
    two = instances(fleet(cloud, tmp_path))
    fewer = fleet(cloud, tmp_path, fleet__pairs=1)
    surplus = fewer.snapshot().plan.surplus
    fewer.up()

    assert {key: two[key]["InstanceId"] for key in one} == {key: it["InstanceId"] for key, it in one.items()}
    assert {key.split("/")[1] for key in surplus} == {"main-2"}
    assert set(instances(fewer)) == set(one)
    assert fewer.changes_left() == []
    assert not [key for key in fewer.file().state.resources if "main-2" in key]


def test_a_lab_of_one_pair_does_not_become_a_fleet_by_an_option(cloud: DeadlyCloud, tmp_path: Path) -> None:
    Labs(cloud, tmp_path).up()

    with pytest.raises(UsageError, match="cannot become a fleet"):
        fleet(cloud, tmp_path, fleet__pairs=2).up()


def test_pairs_without_room_are_reported_and_left_out_if_asked_and_refused_if_not(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    cloud.server.set_capacity(Capacity(zones={"us-east-1a": 3}))
    labs = fleet(cloud, tmp_path, fleet__pairs=3)
    said: list[str] = []

    with pytest.raises(LabError, match="give --partial"):
        up_in_some_zone(labs.context(), labs.snapshot(), layers=None, watch=lambda _event: None, note=said.append)
    cloud.server.set_capacity(Capacity(zones={"us-east-1a": 0}))
    up_in_some_zone(
        labs.context(), labs.snapshot(), layers=None, watch=lambda _event: None, note=said.append, partial=True
    )

    pairs = Counter(key.split("/")[1] for key in instances(labs))
    assert set(pairs.values()) <= {2}
    assert len(said) == 3 - len(pairs)
    assert all("no room for pair main-" in text for text in said)
    cloud.server.set_capacity(Capacity())
    labs.up()
    assert len(instances(labs)) == 6


def test_a_fleet_moves_on_to_another_zone_while_none_of_its_hosts_was_launched(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    cloud.server.set_capacity(Capacity(zones={"us-east-1a": 0}))
    labs = fleet(cloud, tmp_path, fleet__pairs=2)
    said: list[str] = []

    up_in_some_zone(
        labs.context(), labs.snapshot(), layers=None, watch=lambda _event: None, note=said.append, partial=True
    )

    assert said == ["us-east-1a has no room for a c6i.8xlarge: moving on to us-east-1b"]
    assert {one["Placement"]["AvailabilityZone"] for one in instances(labs).values()} == {"us-east-1b"}
    assert len(instances(labs)) == 4


def test_a_fleet_that_finds_no_room_can_take_back_what_it_made(cloud: DeadlyCloud, tmp_path: Path) -> None:
    cloud.server.set_capacity(Capacity(zones={"us-east-1a": 2}))
    labs = fleet(cloud, tmp_path, fleet__pairs=2)
    before = labs.snapshot()
    with pytest.raises(LabError):
        up_in_some_zone(labs.context(), before, layers=None, watch=lambda _event: None, note=lambda _text: None)

    rollback(labs.context(), before, watch=lambda _event: None)

    assert census(labs) == {}


def test_after_an_error_launches_that_wait_for_their_turn_are_not_made(cloud: DeadlyCloud, tmp_path: Path) -> None:
    cloud.server.set_throttling(on=True)
    cloud.server.set_capacity(Capacity(zones={"us-east-1a": 0}))
    labs = fleet(cloud, tmp_path, fleet__pairs=16)

    with pytest.raises(NoRoomError):
        labs.up()

    assert calls(cloud)["RunInstances"] < 16


def test_ls_counts_the_addresses_that_aws_assigned(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = fleet(cloud, tmp_path, fleet__pairs=1)
    labs.up()

    [listed] = list_labs(labs.aws())

    assert (len(listed.instance_types), listed.addresses) == (2, 2)


def test_a_fleet_across_zones_is_refused_where_ena_express_does_not_work_across_them(
    tmp_path: Path, cloud: DeadlyCloud
) -> None:
    labs = fleet(cloud, tmp_path, fleet__pairs=1, placement="zones", aws__region="sa-east-1")
    labs._aws = labs.aws().in_region("sa-east-1")

    with pytest.raises(LabError, match="does not work across zones"):
        labs.up()

    assert census(labs) == {}


def test_launches_keep_within_the_rates_of_an_account_that_throttles(cloud: DeadlyCloud, tmp_path: Path) -> None:
    cloud.server.set_timing(Timing.instant())
    cloud.server.set_throttling(on=True)
    labs = fleet(cloud, tmp_path, fleet__pairs=4)

    labs.up()

    # On a computer with much to do calls come a little late, and the next then too early: that one is made again.
    throttled = [call for call in cloud.server.calls if call.code == "RequestLimitExceeded"]
    assert len(instances(labs)) == 8
    assert len(throttled) < 4
