"""Two hosts of one subnet, as RunInstances would ask for them, and what is left of them. Also a program that owns such hosts:
`python local_machines.py KIND RUN_DIR` launches them, prints their addresses once they are up, and waits to be killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from enaxp.hosts.connection import Connection, Host, connect
from enaxp.hosts.sockperf import SockperfOutput, parse
from enaxp.lab.userdata import HostBoot, done_command, render_userdata
from enaxp.local.machines.access import public_addresses, ssh_port, ssh_user
from enaxp.local.machines.fleet import Fleet
from enaxp.local.machines.inside.distributions import distribution_of
from enaxp.local.machines.inside.processes import descendants
from enaxp.local.machines.isolation import probe_isolation
from enaxp.local.machines.namespaces import NamespaceMachines
from enaxp.local.machines.processes import ProcessMachines
from enaxp.local.strict import MachineInterface, MachineSpec

SUBNET, SECOND_SUBNET = "192.168.3.0/24", "192.168.5.0/24"
ADDRESSES = {"server": ("192.168.3.10", "192.168.3.11"), "client": ("192.168.3.20", "192.168.3.21")}
KINDS: dict[str, type[Fleet]] = {"namespaces": NamespaceMachines, "processes": ProcessMachines}
PATIENCE_S = 60.0
AMAZON_LINUX, UBUNTU = (
    "al2023-ami-2023.6.20250101.0-kernel-6.1-x86_64",
    "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server",
)


def wait_until_none(find: Callable[[], Collection[object]], what: str) -> None:
    """Waits until `find` finds nothing; says what it still finds when it gives up."""
    deadline = time.monotonic() + PATIENCE_S
    while found := find():
        assert time.monotonic() < deadline, f"still there after {PATIENCE_S:.0f} s, {what}: {found}"
        time.sleep(0.05)


def wait_until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.02)


def whole(measure: Callable[[], str]) -> SockperfOutput:
    """The first of at most five runs of sockperf that counts. A computer that does much else loses a reply now and then, which ends a
    ping-pong.
    """
    output = parse(measure())
    for _ in range(4):
        if output.ok:
            break
        output = parse(measure())
    return output


@dataclass
class Lab:
    """Machines `i-server` and `i-client` of one fleet, and the way to them."""

    fleet: Fleet
    folder: Path
    kind: str
    port: int
    image_name: str = AMAZON_LINUX
    in_two_zones: bool = False
    public_ips: dict[str, str] = field(default_factory=dict)
    done: dict[str, dict[str, object]] = field(default_factory=dict)
    next_address: Callable[[], str] = field(init=False)

    def __post_init__(self) -> None:
        self.next_address = public_addresses(self.port)

    @property
    def key(self) -> Path:
        path = self.folder / "key"
        if not path.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        return path

    def launch(self, role: str, *, user_data: str | None = None, interfaces: int = 2, is_private: bool = False) -> None:
        if not is_private:
            self.public_ips[role] = self.next_address()
        text = user_data if user_data is not None else script(role, subnet=self.subnet_of(role)[1])
        self.fleet.launch(self.spec(role, text, interfaces=interfaces))

    def subnet_of(self, role: str) -> tuple[str, str]:
        """Its id and its addresses. The client's is in another zone where it was said so."""
        return ("subnet-2", SECOND_SUBNET) if role == "client" and self.in_two_zones else ("subnet-1", SUBNET)

    def addresses(self, role: str) -> tuple[str, ...]:
        """Of its interfaces. The last number is the same in whichever subnet."""
        prefix = self.subnet_of(role)[1].rpartition(".")[0]
        return tuple(f"{prefix}.{address.rpartition('.')[2]}" for address in ADDRESSES[role])

    def interface(self, role: str, index: int) -> MachineInterface:
        subnet_id, cidr = self.subnet_of(role)
        return MachineInterface(
            device_index=index,
            eni_id=f"eni-{role}-{index}",
            mac=f"02:00:00:00:{list(ADDRESSES).index(role):02x}:{index:02x}",
            private_ip=self.addresses(role)[index],
            subnet_id=subnet_id,
            subnet_cidr=cidr,
            vpc_id="vpc-1",
            public_ip=self.public_ips.get(role) if index == 0 else None,
            srd=False,
            udp=False,
        )

    def spec(self, role: str, user_data: str, *, interfaces: int = 2) -> MachineSpec:
        return MachineSpec(
            instance_id=f"i-{role}",
            image_id="ami-1",
            image_name=self.image_name,
            instance_type="c6i.8xlarge",
            user_data=user_data,
            key_name="key",
            public_key=self.key.with_suffix(".pub").read_text().strip(),
            availability_zone="us-east-1b" if self.subnet_of(role)[1] == SECOND_SUBNET else "us-east-1a",
            interfaces=tuple(self.interface(role, index) for index in range(interfaces)),
        )

    def wait_up(self, *roles: str) -> None:
        for role in roles:
            wait_until(lambda: self.fleet.is_up(f"i-{role}") or self.fleet.failure(f"i-{role}"), f"{role} is up")  # noqa: B023
            assert self.fleet.is_up(f"i-{role}"), self.fleet.failure(f"i-{role}")

    def host(self, role: str, *, address: str | None = None) -> Host:
        return Host(
            role=role,
            name=role,
            address=address or self.public_ips[role],
            port=self.port,
            user=ssh_user(self.kind) or distribution_of(self.image_name).user,
            private_key=self.key,
            known_hosts=self.folder / "known_hosts",
            ena_ip=self.addresses(role)[0],
            ena_express_ip=self.addresses(role)[1],
        )

    @contextmanager
    def ssh(self, role: str, *, address: str | None = None) -> Iterator[Connection]:
        connection = connect(self.host(role, address=address))
        try:
            yield connection
        finally:
            connection.close()

    def wait_booted(self, role: str) -> dict[str, object]:
        """What the done-marker says."""
        with self.ssh(role) as host:
            wait_until(lambda: host.run(done_command()).stdout.startswith("{"), f"{role} has booted")
            return dict(json.loads(host.run(done_command()).stdout))

    def terminate(self, *roles: str) -> None:
        for role in roles:
            self.fleet.terminate(f"i-{role}")
        wait_until(lambda: all(self.fleet.is_gone(f"i-{role}") for role in roles), "gone")


def script(role: str, *, subnet: str = SUBNET) -> str:
    prefix = subnet.rpartition(".")[0]
    boot = HostBoot(
        hostname=f"sockperf-{role}",
        interfaces=tuple(f"{prefix}.{address.rpartition('.')[2]}" for address in ADDRESSES[role]),
        subnet_cidr=subnet,
        expires_at=None,
    )
    return render_userdata(boot)


@contextmanager
def lab(kind: str, folder: Path) -> Iterator[Lab]:
    """Closed at the end."""
    port = ssh_port()
    fleet = KINDS[kind](folder / "machines", ssh_port=port)
    try:
        yield Lab(fleet=fleet, folder=folder, kind=kind, port=port)
    finally:
        fleet.close()
        assert not (folder / "machines").exists()


def why_not(kind: str) -> str:
    """Why machines of this kind cannot be had here; empty when they can."""
    missing = [program for program in ("sockperf", "sshd", "ssh-keygen", "ip") if not _which(program)]
    if missing:
        return f"{', '.join(missing)} not found"
    found = probe_isolation()
    return found.reason if kind == "namespaces" and found.name != "namespaces" else ""


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


# -- what is left ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Traces:
    """Processes below an owner, each with the time of its start, and the namespaces that they are in but the owner is not."""

    processes: frozenset[tuple[int, str]]
    spaces: frozenset[str]

    def without(self, other: Traces) -> Traces:
        return Traces(self.processes - other.processes, self.spaces - other.spaces)

    def left(self) -> set[object]:
        """Those of them that are still there, with what they are. A namespace that nothing holds is gone: its number is soon another's."""
        still = {(pid, began, _command(pid)) for pid, began in self.processes if started(pid) == began}
        held = {space for pid, *_ in still for space in spaces_of(pid)}
        return {*still, *(self.spaces & held)}


def traces(owner: int) -> Traces:
    below = list(descendants(owner))
    spaces = {space for pid in below for space in spaces_of(pid)} - set(spaces_of(owner))
    alive = {(pid, began) for pid in below if (began := started(pid))}  # some end while one looks at them
    return Traces(frozenset(alive), frozenset(spaces))


def started(pid: int) -> str:
    """When this process began, in ticks; empty when there is none."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] == "Z" else words[19]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def spaces_of(pid: int) -> list[str]:
    found = []
    for name in ("mnt", "net", "pid", "uts", "ipc"):
        try:
            found.append(str(Path(f"/proc/{pid}/ns/{name}").readlink()))
        except OSError:
            continue
    return found


def main(kind: str, run_dir: str) -> None:
    with lab(kind, Path(run_dir)) as owned:
        owned.launch("server")
        owned.launch("client")
        owned.wait_up("server", "client")
        print(json.dumps({"port": owned.port, "public_ips": owned.public_ips}), flush=True)
        time.sleep(PATIENCE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
