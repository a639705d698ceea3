"""In an account that several people share: nobody ends or takes over somebody else's lab by typing the same name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from enaxp.commands.lab import bring_up, remove_layers
from enaxp.commands.labs import expired_labs, labs_with_id, remove_labs
from enaxp.commands.status import current_status
from enaxp.errors import LabError, StateError
from enaxp.lab.labs import list_labs
from enaxp.lab.lifecycle import down, look, up
from enaxp.lab.measured import told_to_others
from enaxp.lab.model import LAYERS, TAG_BENCH, TAG_EXPIRES, TAG_OWNER, Found, as_text
from enaxp.lab.ownership import bench_until, owner_of
from enaxp.lab.state import BENCH_LOCK, StateFile
from enaxp.lab.tags import put_tags
from enaxp.local.strict import Fault, FaultPlan
from enaxp.options import Options
from enaxp.session import Session
from enaxp.terminal.console import Console
from enaxp.traffic import SrdOn
from tests.support.crash_harness import TARGET, DeadlyCloud, Labs, deadly_cloud
from tests.support.drift_cases import client, disassociate
from tests.support.local_machines import wait_until

pytestmark = pytest.mark.thorough

ALICE = "arn:aws:iam::123456789012:user/alice"
BOB = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0/bob@example.com"


@pytest.fixture
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as running:
        running.server._world.quotas = replace(running.server._world.quotas, vcpus=1024, addresses=20, vpcs=20)
        yield running


def labs_of(arn: str, cloud: DeadlyCloud, folder: Path) -> Labs:
    """Somebody's computer, with their credentials and their state folder."""
    labs = Labs(cloud, folder)
    labs.aws().__dict__["caller"] = {"Account": "123456789012", "Arn": arn}
    return labs


def session(labs: Labs, **more: bool) -> Session:
    file = labs.file()
    options = Options(state_dir=labs.folder)
    console = Console(as_json=True)
    return Session(
        options=options, config=labs.config, target=TARGET, aws=labs.aws(), file=file, console=console, **more
    )


def put_on_everything(labs: Labs, tags: dict[str, str]) -> None:
    put_tags(labs.aws(), labs.snapshot().survey.all(), tags)


@pytest.fixture
def person(cloud: DeadlyCloud, tmp_path: Path) -> Labs:
    """Alice, who has no lab yet."""
    return labs_of(ALICE, cloud, tmp_path / "alice")


@pytest.fixture
def alice(person: Labs) -> Labs:
    person.up()
    return person


@pytest.fixture
def bob(alice: Labs, cloud: DeadlyCloud, tmp_path: Path) -> Labs:
    return labs_of(BOB, cloud, tmp_path / "bob")


# -- by name -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("verb", ["up", "down"])
def test_the_same_name_neither_ends_nor_takes_over_a_lab(
    alice: Labs, bob: Labs, verb: str, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = alice.cloud.server.resources()
    alice.cloud.server.forget_calls()
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal, raising=False)
    theirs = session(bob)

    acts = {
        "up": lambda: bring_up(theirs, layers=("network", "compute"), assume_yes=True),
        "down": lambda: remove_layers(theirs, layers=()),
    }

    with pytest.raises(LabError) as refused:
        acts[verb]()

    told = str(refused.value)
    state = alice.file().state
    assert ALICE in told
    assert state.lab_id in told
    assert {entry.id for entry in state.resources.values() if entry.kind != "association"} <= set(
        re.split(r"[ ,;]+", told)
    )
    assert re.search(r"\d+ (min|h|days) old", told)
    assert "--adopt" in told
    changing = [c.action for c in alice.cloud.server.calls if not c.action.startswith(("Describe", "Get", "List"))]
    assert changing == []
    assert alice.cloud.server.resources() == before
    assert not (bob.folder / "dev.json").exists()


def test_it_is_taken_over_where_that_is_asked_for(alice: Labs, bob: Labs) -> None:
    context = replace(bob.context(), adopt=True)

    up(context, look(context, layers=bob.layers), watch=lambda _: None)

    assert bob.file().state.lab_id == alice.file().state.lab_id
    assert bob.down().lab_is_gone


def test_one_s_own_lab_is_found_again_without_its_state(alice: Labs, cloud: DeadlyCloud) -> None:
    for path in (alice.file().path, alice.file().backup):
        path.unlink(missing_ok=True)

    alice.up()

    assert alice.changes_left() == []
    assert alice.down().lab_is_gone


def test_one_s_own_running_hosts_are_kept_where_their_key_is_elsewhere(
    alice: Labs, cloud: DeadlyCloud, tmp_path: Path
) -> None:
    other_computer = labs_of(ALICE, cloud, tmp_path / "other")

    with pytest.raises(LabError, match="belongs to you") as refused:
        other_computer.up()

    assert "their key is not here" in refused.value.said


def test_a_lab_without_an_owner_is_not_taken_over(alice: Labs, bob: Labs) -> None:
    """As one that an older enaxp made: it is its maker's, who has state and key."""
    ids = [found.id for found in alice.snapshot().survey.all() if re.match(r"[a-z]+-[0-9a-f]+$", found.id)]
    alice.aws().ec2.delete_tags(Resources=ids, Tags=[{"Key": TAG_OWNER}])

    with pytest.raises(LabError, match="--adopt"):
        bob.down()

    assert alice.down().lab_is_gone


def test_who_owns_it_is_reported_by_status(alice: Labs) -> None:
    assert current_status(session(alice)).owner == ALICE


@pytest.mark.parametrize(
    ("arn", "owner"),
    [
        (ALICE, ALICE),
        (BOB, BOB),
        (
            "arn:aws:sts::123456789012:assumed-role/Deploy/i-0123456789abcdef0",
            "arn:aws:sts::123456789012:assumed-role/Deploy",
        ),
        ("arn:aws-cn:sts::1:assumed-role/R/s", "arn:aws-cn:sts::1:assumed-role/R"),
        ("arn:aws:iam::1:user/a,b", "arn:aws:iam::1:user/a_b"),
    ],
)
def test_the_owner_is_a_person_or_a_role(arn: str, owner: str) -> None:
    assert owner_of(arn) == owner


# -- while a bench runs ------------------------------------------------------------------------------------------------


def test_a_lab_that_is_measured_elsewhere_is_not_ended(alice: Labs) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    put_on_everything(alice, {TAG_BENCH: as_text(until)})

    with pytest.raises(LabError, match=re.escape(as_text(until))):
        alice.down()
    mine = session(alice)
    put_on_everything(alice, {TAG_EXPIRES: "2020-01-01T00:00:00Z"})
    assert expired_labs(mine, everywhere=False).labs == ()

    done = down(
        replace(alice.context(), despite_bench=True),
        layers=("network", "compute"),
        watch=lambda _: None,
        note=lambda _: None,
    )
    assert done.lab_is_gone


def test_a_bench_that_has_ended_or_was_killed_here_does_not_block(alice: Labs) -> None:
    until = as_text(datetime.now(UTC) + timedelta(hours=1))
    put_on_everything(alice, {TAG_BENCH: until})
    alice.file().mark_bench(until)

    assert alice.down().lab_is_gone


@pytest.mark.parametrize("srd_on", ["first", "none"])
def test_up_leaves_ena_express_as_a_bench_has_it(alice: Labs, srd_on: SrdOn) -> None:
    alice.srd_switch()(srd_on)
    assert alice.changes_left() != []

    until = as_text(datetime.now(UTC) + timedelta(hours=1))
    put_on_everything(alice, {TAG_BENCH: until})

    assert alice.changes_left() == []
    alice.file().mark_bench(until)  # it ran on this computer, where no bench runs any more
    assert alice.changes_left() != []
    put_on_everything(alice, {TAG_BENCH: as_text(datetime.now(UTC) - timedelta(hours=1))})
    assert alice.changes_left() != []


def test_while_a_bench_runs_up_changes_no_host_of_it(alice: Labs) -> None:
    # Given a host that has lost its address while it is measured from elsewhere
    ids = alice.file().state.ids()
    disassociate(client(alice, "ec2"), ids["eip/server"])
    until = as_text(datetime.now(UTC) + timedelta(hours=1))
    put_on_everything(alice, {TAG_BENCH: until})
    before = alice.changes_left()
    assert before != []

    # When somebody brings the lab up
    with pytest.raises(LabError, match=until) as refused:
        bring_up(session(alice), layers=("network", "compute"), assume_yes=True)

    # Then nothing is changed, and it is told what would be, and what can be done
    assert "eip/server" in refused.value.said
    assert "--force" in refused.value.todo
    assert alice.changes_left() == before

    # But with --force it is
    bring_up(session(alice, despite_bench=True), layers=("network", "compute"), assume_yes=True)
    assert alice.changes_left() == []


def test_also_where_the_bench_could_not_tag_its_hosts_up_on_its_computer_leaves_them_alone(alice: Labs) -> None:
    alice.srd_switch()("first")

    with alice.file().lock("bench", name=BENCH_LOCK), pytest.raises(LabError, match="bench of lab dev is running"):
        alice.up()

    assert alice.changes_left() != []


def hosts_of(labs: Labs) -> list[Found]:
    return [one for one in labs.snapshot().survey.all() if one.kind == "instance"]


def told(labs: Labs) -> datetime | None:
    """The end of the bench as the hosts' tags tell it."""
    return bench_until(labs.snapshot().survey)


def test_a_bench_that_takes_longer_than_expected_tells_others_in_time(alice: Labs, bob: Labs) -> None:
    alice.srd_switch()("first")

    # Given a bench that was expected to have ended by now
    with told_to_others(alice.aws(), hosts_of(alice), file=alice.file(), takes_s=0, warn=pytest.fail):
        soon = datetime.now(UTC) + timedelta(minutes=5)
        wait_until(lambda: (told(alice) or soon) > soon, "the end has been put off")

        # Then somebody else's `up` has ENA Express as the bench has it, and their `down` does not happen
        theirs = replace(bob.context(), adopt=True)
        snapshot = look(theirs)
        assert not any(step.changes for step in snapshot.plan.steps if step.kind == "instance")
        assert any("a bench runs" in note for note in snapshot.notes)
        with pytest.raises(LabError, match="bench of lab dev is running"):
            down(theirs, layers=LAYERS, watch=lambda _: None, note=lambda _: None)

    # And once it has ended it is in nobody's way
    ended = told(alice)
    assert ended is not None
    assert ended <= datetime.now(UTC)
    assert alice.changes_left() != []


def test_a_bench_that_may_not_tag_its_hosts_says_so_once_and_goes_on(alice: Labs) -> None:
    warnings: list[str] = []
    hosts, file = hosts_of(alice), alice.file()
    denied = Fault(
        action="CreateTags", status=403, code="UnauthorizedOperation", message="You may not.", probability=1.0
    )
    alice.cloud.server.set_faults(FaultPlan([denied]))

    with told_to_others(alice.aws(), hosts, file=file, takes_s=0, warn=warnings.append):
        alice.cloud.server.forget_calls()
        wait_until(lambda: any(c.action == "CreateTags" for c in alice.cloud.server.calls), "the end was put off")

    assert len(warnings) == 1
    assert "You may not." in warnings[0]
    assert file.bench_until() == ""


# -- replacing ------------------------------------------------------------------------------------------------------------


def test_running_hosts_are_replaced_only_where_that_is_said(alice: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    bigger = replace(alice.config.hosts, instance_type="c6i.16xlarge")
    mine = session(alice)
    mine = replace(mine, config=replace(mine.config, hosts=bigger))

    with pytest.raises(LabError, match="would be replaced, and runs") as refused:
        bring_up(mine, layers=("network", "compute"), assume_yes=True)

    assert "--replace" in refused.value.todo
    assert alice.changes_left() == []


# -- the janitor ------------------------------------------------------------------------------------------------------------


def a_strangers_vpc(person: Labs, **tags: str) -> str:
    given = [{"Key": key.replace("_", ":", 1).replace("_", "-"), "Value": value} for key, value in tags.items()]
    vpc = person.aws().ec2.create_vpc(
        CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": given}]
    )
    return str(vpc["Vpc"]["VpcId"])


ID = "3f0c8bd2-7b06-4b8c-9d5e-2d8c9f6f0a11"
OVER = "2020-01-01T00:00:00Z"
FORGED = {
    "a path for a name": {"enaxp_lab": "../../x/prod", "enaxp_lab_id": ID, "enaxp_expires": OVER, "enaxp_key": "vpc"},
    "a path for an id": {"enaxp_lab": "prod", "enaxp_lab_id": "../../x", "enaxp_expires": OVER, "enaxp_key": "vpc"},
    "two tags alone": {"enaxp_lab": "prod", "enaxp_lab_id": ID, "enaxp_expires": OVER},
    "markup for a name": {"enaxp_lab": "[red]<script>", "enaxp_lab_id": ID, "enaxp_expires": OVER, "enaxp_key": "vpc"},
}


@pytest.mark.parametrize("tags", FORGED.values(), ids=FORGED)
def test_a_few_tags_on_a_stranger_s_vpc_do_not_have_it_removed(
    person: Labs, tmp_path: Path, tags: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    vpc = a_strangers_vpc(person, **tags)
    (tmp_path / "x").mkdir()
    for name in ("prod.json", "prod.pem"):
        (tmp_path / "x" / name).write_text("mine")
    mine = session(person)

    over = expired_labs(mine, everywhere=False).labs
    by_id = labs_with_id(mine, tags["enaxp_lab_id"])
    remove_labs(mine, [*over, *by_id], force=True)

    assert [*over, *by_id] == []
    assert vpc in {one["VpcId"] for one in person.aws().ec2.describe_vpcs()["Vpcs"]}
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"prod.json", "prod.pem"}
    told = capsys.readouterr().err
    assert vpc in told
    assert "passed over" in told
    assert "\x1b" not in told


@pytest.mark.parametrize("name", ["../x/prod", "/etc/passwd", "a/b", "", "A", "a" * 25, "a\n"])
def test_no_name_of_a_lab_becomes_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no name of a lab"):
        StateFile(tmp_path, name)


def test_no_id_becomes_a_path(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no id of an instance"):
        StateFile(tmp_path, "dev").known_hosts("../../i-0")


def test_the_janitor_tells_whose_labs_it_removes_and_of_what(
    alice: Labs, cloud: DeadlyCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_on_everything(alice, {TAG_EXPIRES: OVER})
    janitor = session(labs_of(BOB, cloud, tmp_path / "janitor"))
    [lab] = list_labs(janitor.aws)

    [done] = remove_labs(janitor, expired_labs(janitor, everywhere=False).labs, force=False)

    told = capsys.readouterr().err
    assert done.is_done
    assert ALICE in told
    assert all(id in told for id in lab.ids)
    assert cloud.server.resources() == []
