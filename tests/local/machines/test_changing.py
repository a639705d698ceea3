"""Hosts that change while they live: interfaces that are attached and taken away, a stop and a start, and two zones."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.hosts.connection import Connection, connect
from enaxp.hosts.network import faults, probe_arms, settle
from enaxp.hosts.proxy import ProxyTarget, proxy_words
from enaxp.local.machines.inside.place import find_program
from tests.support.local_machines import AMAZON_LINUX, UBUNTU, Lab, lab, wait_until, why_not

pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(bool(why_not("processes")), reason=why_not("processes")),
]
OLD_NET_UTILS = "echo 2.3.3 | sudo tee /usr/share/amazon-ec2-net-utils/version"
CLOUD_INIT_IS_THROUGH = "test -e /run/cloud-init/result.json"


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Lab]:
    with lab("namespaces", tmp_path) as owned:
        yield owned


def launch(machines: Lab, *, user_data: str = "") -> None:
    """A client with one interface of which nobody has set anything."""
    machines.launch("client", user_data=user_data, interfaces=1)
    machines.wait_up("client")


def attach(machines: Lab) -> None:
    machines.fleet.attach("i-client", machines.interface("client", 1))


def is_there(host: Connection) -> bool:
    return host.run("test -e /sys/class/net/ens6").ok


def is_configured(host: Connection) -> bool:
    return "192.168.3.21/24" in host.run("ip -o -4 address show dev ens6").stdout


def default_routes(host: Connection) -> list[str]:
    """Interface and metric of each default route of the main table."""
    return re.findall(r"default via 192\.168\.3\.1 (dev ens\d) .*?(metric \d+)", host.check("ip route show default"))


def test_amazon_linux_configures_an_interface_that_is_attached_and_forgets_one_that_is_taken_away(
    machines: Lab,
) -> None:
    # given a host with one interface
    launch(machines)
    with machines.ssh("client") as host:
        refreshed = "systemctl is-active policy-routes@ens5.service"
        wait_until(lambda: host.run(refreshed).stdout.strip() == "active", "the policy routes of the first are set")

        # when another is attached, then it is there, and a moment later it is configured, with a table of its own
        attach(machines)
        wait_until(lambda: is_there(host), "the interface is there")
        wait_until(lambda: "lookup 10001" in host.check("ip -4 rule show"), "its policy routes are set")
        assert is_configured(host)
        assert host.check("cat /sys/class/net/ens6/mtu").strip() == "9001"
        assert "default via 192.168.3.1 dev ens6" in host.check("ip route show table 10001")
        assert default_routes(host) == [("dev ens5", "metric 512")]

        # when it is taken away, then nothing of it is left
        machines.fleet.detach("i-client", device_index=1)
        wait_until(lambda: not is_there(host), "the interface is gone")
        wait_until(lambda: "192.168.3.21" not in host.check("ip -4 rule show"), "its rule is gone")
        units = "systemctl list-units --plain --no-legend --state=active '*@ens6.*'"
        wait_until(lambda: host.check(units) == "", "nothing refreshes it")

        # and when the image has an older package, then it is taken for the first interface
        host.check(OLD_NET_UTILS)
        attach(machines)
        both = [("dev ens5", "metric 512"), ("dev ens6", "metric 512")]
        wait_until(lambda: sorted(default_routes(host)) == both, "there are two default routes of one metric")
        assert "192.168.3.21" not in host.check("ip -4 rule show")


@pytest.mark.skipif(not shutil.which("netplan"), reason="no netplan")
def test_ubuntu_configures_no_interface_that_is_attached_before_cloud_init_has_come_to_its_end(machines: Lab) -> None:
    # given a host whose user data runs
    machines.image_name = UBUNTU
    launch(machines, user_data="#!/bin/bash\nuntil [ -e /tmp/go-on ]; do sleep 0.1; done\n")
    with machines.ssh("client") as host:
        # when an interface is attached, then it is there but nobody configures it, not even later on
        attach(machines)
        wait_until(lambda: is_there(host), "the interface is there")
        host.check("touch /tmp/go-on")
        wait_until(lambda: host.run(CLOUD_INIT_IS_THROUGH).ok, "cloud-init has come to its end")
        assert not is_configured(host)

        # when it is attached once more, then cloud-init's hotplug configures it
        machines.fleet.detach("i-client", device_index=1)
        wait_until(lambda: not is_there(host), "the interface is gone")
        attach(machines)
        wait_until(lambda: is_there(host) and is_configured(host), "it is configured")
        assert sorted(default_routes(host)) == [("dev ens5", "metric 100"), ("dev ens6", "metric 200")]
        assert "from 192.168.3.21 lookup 101" in host.check("ip -4 rule show")


def test_a_host_that_was_stopped_has_its_disk_and_host_key_and_the_addresses_and_interfaces_of_its_start(
    machines: Lab,
) -> None:
    # given a host with two interfaces
    machines.launch("client", user_data="")
    machines.wait_up("client")
    old = machines.public_ips["client"]
    with machines.ssh("client") as host:
        host.check("echo kept | sudo tee /etc/kept; sudo touch /run/lost")
        key, boot = host.check("sudo cat /run/enaxp/host_key.pub; cat /proc/sys/kernel/random/boot_id").splitlines()

    # when it is stopped, then it does not answer any more
    machines.fleet.stop("i-client")
    wait_until(lambda: machines.fleet.is_gone("i-client"), "it has stopped")
    assert not machines.fleet.is_up("i-client")

    # when it is started with one interface and another address
    machines.public_ips["client"] = machines.next_address()
    machines.fleet.launch(machines.spec("client", "#!/bin/bash\ntouch /run/again\n", interfaces=1))
    machines.wait_up("client")

    # then it is the same host at the new address alone, and nothing of the first boot was run once more
    with machines.ssh("client") as host:
        again = host.check("sudo cat /run/enaxp/host_key.pub; cat /proc/sys/kernel/random/boot_id").splitlines()
        assert again[0] == key
        assert again[1] != boot
        assert host.check("ls /etc/kept /run/lost /run/again 2>/dev/null; true").split() == ["/etc/kept"]
        assert not is_there(host)
        # and an interface that is attached now is configured as ever
        attach(machines)
        wait_until(lambda: is_there(host) and is_configured(host), "it is configured")
    assert machines.public_ips["client"] != old
    machines.terminate("client")


@pytest.mark.parametrize("image", [AMAZON_LINUX, UBUNTU])
def test_an_interface_that_is_attached_later_is_waited_for_and_set_as_the_lab_needs_it(
    machines: Lab, image: str
) -> None:
    # given a host whose first boot finds one interface, though it is told of two, and whose system configures the other wrongly or never
    machines.image_name = image
    machines.launch("client", interfaces=1)
    machines.wait_up("client")
    assert machines.wait_booted("client")["ok"]
    with machines.ssh("client") as host:
        if image == AMAZON_LINUX:
            host.check(OLD_NET_UTILS)
        else:
            host.check("sudo rm /run/cloud-init/result.json")

        # when it is attached and waited for, then what is waited for is said, and it is as the lab needs it
        said: list[str] = []
        attach(machines)
        peer = replace(host.host, ena_ip="192.168.3.10", ena_express_ip="192.168.3.11")
        settle(host, peer, say=said.append)
        assert said[0] == "  client: no interface has the address of ena_express yet"
        assert {host.check(f"cat /sys/class/net/{name}/mtu").strip() for name in ("ens5", "ens6")} == {"8900"}
        assert "dev ens6" in host.check("ip route get 192.168.3.11 from 192.168.3.21")
        assert len(set(default_routes(host))) == len({metric for _, metric in default_routes(host)})

        # and it stays so when the distribution configures everything anew
        host.check("sudo networkctl reconfigure ens5 ens6")
        assert faults(probe_arms(host, peer)) == []


def test_hosts_in_two_zones_reach_each_other_by_the_interfaces_of_their_addresses(machines: Lab) -> None:
    # given a server and a client in subnets of their own
    machines.in_two_zones = True
    for role in ("server", "client"):
        machines.launch(role)
    machines.wait_up("server", "client")
    assert [machines.wait_booted(role)["ok"] for role in ("server", "client")] == [True, True]

    # then each address of the one reaches the other's by its own interface, through the router
    with machines.ssh("client") as host, machines.ssh("server") as server:
        for index, name in enumerate(("ens5", "ens6")):
            own, peer = machines.addresses("client")[index], machines.addresses("server")[index]
            assert own.startswith("192.168.5.")
            assert f"via 192.168.5.1 dev {name}" in host.check(f"ip route get {peer} from {own}")
            listen = f"timeout 20 socat -u TCP-LISTEN:{7000 + index},bind={peer},reuseaddr STDOUT"
            if not host.run("command -v socat").ok:
                listen = f"timeout 20 python3 -c 'import socket; s=socket.create_server((\"{peer}\", {7000 + index})); s.accept()'"
            server.check(f"nohup {listen} > /dev/null 2>&1 < /dev/null & sleep 0.5")
            reach = f'import socket; socket.create_connection(("{peer}", {7000 + index}), 5, ("{own}", 0))'
            wait_until(lambda reach=reach: host.run(f"python3 -c '{reach}'").ok, f"{peer} is reached from {own}")


def test_a_host_without_a_public_address_is_reached_through_a_bastion_in_its_vpc(machines: Lab, tmp_path: Path) -> None:
    # given a host that has no public address, and in its VPC a second sshd: the bastion
    machines.launch("client", user_data="", is_private=True)
    machines.wait_up("client")
    [vpc] = machines.fleet._vpcs.values()  # type: ignore[attr-defined]
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "bastion"], check=True)
    config = tmp_path / "sshd_config"
    config.write_text(
        f"HostKey {tmp_path}/bastion\nAuthorizedKeysFile {machines.key}.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
        "PermitRootLogin prohibit-password\n"
    )
    to_bastion = f"nsenter --net --target {vpc.process.pid} {find_program('sshd')} -i -f {config}"
    recipe = (
        f"ssh -F none -i {machines.key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
        f"-o 'ProxyCommand={to_bastion}' -W %h:%p root@bastion"
    )

    # when the recipe of the docs leads to its private address, then it is reached there
    target = ProxyTarget(
        address="192.168.3.20",
        port=machines.port,
        user="ec2-user",
        instance_id="i-0123456789abcdef0",
        region="us-east-1",
    )
    host = replace(machines.host("client", address="192.168.3.20"), proxy=proxy_words(recipe, target))
    connection = connect(host, patience_s=10)
    try:
        came_from, _, reached, _ = connection.check("echo $SSH_CONNECTION").split()
    finally:
        connection.close()
    assert (came_from, reached) == ("192.168.3.1", "192.168.3.20")
