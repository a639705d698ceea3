"""Hosts as Amazon Linux and as Ubuntu: what sets their interfaces takes back what is not in its files, and enaxp's setting lasts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from enaxp.errors import HostError
from enaxp.hosts.connection import Connection
from enaxp.lab.software import pieces
from tests.support.local_machines import ADDRESSES, AMAZON_LINUX, UBUNTU, Lab, lab, wait_until, why_not

pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(bool(why_not("processes")), reason=why_not("processes")),
]
UTILITIES = next(piece for piece in pieces() if piece.name == "utilities")
POLICY_ROUTES = "systemctl is-active policy-routes@ens5.service policy-routes@ens6.service"
OWN_RULES = {"from 192.168.3.20 lookup 1000", "from 192.168.3.21 lookup 1001"}


@pytest.fixture(
    params=[
        AMAZON_LINUX,
        pytest.param(UBUNTU, marks=pytest.mark.skipif(not shutil.which("netplan"), reason="no netplan")),
    ]
)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """A lab whose client has booted with the user data of a lab, of the one and the other distribution."""
    with lab("namespaces", tmp_path) as machines:
        machines.image_name = request.param
        machines.launch("client")
        machines.wait_up("client")
        done = machines.wait_booted("client")
        assert done["ok"], done
        yield machines


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Lab]:
    """A client of Amazon Linux of which nobody has set anything."""
    with lab("namespaces", tmp_path) as machines:
        machines.launch("client", user_data="")
        machines.wait_up("client")
        yield machines


def mtus(host: Connection) -> list[str]:
    return host.check("cat /sys/class/net/ens5/mtu /sys/class/net/ens6/mtu").split()


def rules(host: Connection) -> set[str]:
    """Those that are not the kernel's."""
    found = re.findall(r"^[1-9]\d{0,4}:\s+(from [\d.]+ lookup \d+)", host.check("ip -4 rule show"), re.MULTILINE)
    return set(found)


def leaves_by(host: Connection) -> list[str]:
    said = [host.check(f"ip route get 192.168.3.10 from {address}") for address in ADDRESSES["client"]]
    return [re.findall(r"dev (\S+)", text)[0] for text in said]


def as_set(machines: Lab) -> None:
    with machines.ssh("client") as host:
        assert mtus(host) == ["8900", "8900"]
        assert rules(host) >= OWN_RULES
        assert leaves_by(host) == ["ens5", "ens6"]


def wait_for_policy_routes(host: Connection) -> None:
    wait_until(lambda: host.run(POLICY_ROUTES).stdout.split() == ["active", "active"], "the policy routes are set")


def reboot(machines: Lab) -> None:
    with machines.ssh("client") as host:
        before = host.check("cat /proc/sys/kernel/random/boot_id")
        with pytest.raises(HostError):
            host.check("sudo reboot; sleep 5")
    with machines.ssh("client") as host:
        wait_until(
            lambda: host.run("cat /proc/sys/kernel/random/boot_id").stdout not in ("", before), "it is another boot"
        )


def test_what_is_set_by_hand_does_not_last(bare: Lab) -> None:
    # given an interface set by hand, before the policy routes of Amazon Linux come
    with bare.ssh("client") as host:
        assert mtus(host) == ["9001", "9001"]
        by_hand = (
            "ip link set ens6 mtu 8900; ip rule add from 192.168.3.21 lookup 77; ip route add default dev ens6 table 77"
        )
        wait_for_policy_routes(host)
        host.check(f"sudo sh -c '{by_hand}'")

        # when they are refreshed, as their timer does
        host.check("sudo systemctl start refresh-policy-routes@ens6.service")

        # then the distribution's own setting is back, and the rest gone
        assert mtus(host) == ["9001", "9001"]
        assert rules(host) == {"from 192.168.3.21 lookup 10001"}
        assert host.run("ip route show table 77").stdout == ""
        timers = host.check("systemctl list-units --plain --no-legend --state=active 'refresh-policy-routes@*.timer'")
        assert [line.split()[0] for line in timers.splitlines()] == [
            f"refresh-policy-routes@ens{n}.timer" for n in (5, 6)
        ]


def test_a_restart_takes_everything_back_that_is_not_in_a_file(bare: Lab) -> None:
    with bare.ssh("client") as host:
        wait_for_policy_routes(host)
        host.check("sudo sysctl -q -w net.ipv4.conf.ens6.arp_ignore=1 net.ipv4.tcp_autocorking=0")
        host.check("sudo touch /etc/kept /run/lost /tmp/lost")
    reboot(bare)
    with bare.ssh("client") as host:
        assert host.check("sysctl -n net.ipv4.conf.ens6.arp_ignore net.ipv4.tcp_autocorking").split() == ["0", "1"]
        assert host.check("ls -d /etc/kept /run/lost /tmp/lost 2>/dev/null; true").split() == ["/etc/kept"]
        assert mtus(host) == ["9001", "9001"]


def test_mtu_and_routes_last_when_the_distribution_reconfigures_the_interfaces(host: Lab) -> None:
    as_set(host)
    with host.ssh("client") as connection:
        if host.image_name == AMAZON_LINUX:
            wait_for_policy_routes(connection)
            connection.check(
                "sudo systemctl start refresh-policy-routes@ens5.service refresh-policy-routes@ens6.service"
            )
        connection.check("sudo networkctl reload && sudo networkctl reconfigure ens5 ens6")
    as_set(host)


def test_mtu_and_routes_last_over_a_restart(host: Lab) -> None:
    reboot(host)
    with host.ssh("client") as connection:
        active = "systemctl is-active enaxp-net.service"
        wait_until(lambda: connection.run(active).stdout.strip() == "active", "the lab's unit has run")
        if host.image_name == AMAZON_LINUX:
            wait_for_policy_routes(connection)
    as_set(host)


def test_what_a_host_lacks_is_installed_though_others_install_too(host: Lab) -> None:
    # given a host that boots, whose image comes without htop, and without tc where that is Amazon Linux
    with host.ssh("client") as connection:
        # then the first boot has installed them, and whoever comes later waits for apt's lock
        assert connection.run("command -v htop tc").ok
        if host.image_name == UBUNTU:
            connection.check("sudo rm /usr/bin/htop")
            hold = "setsid flock /var/lib/dpkg/lock-frontend sleep 2"
            connection.check(f"sudo sh -c '{hold} > /dev/null 2>&1 < /dev/null &'")
            assert not connection.run("sudo apt-get install htop").ok
            connection.check("sudo bash -s <<'END_OF_PIECE'\n" + UTILITIES.script + "\nEND_OF_PIECE")
            assert connection.run("command -v htop").ok


def test_the_lab_unit_says_why_it_cannot(host: Lab) -> None:
    with host.ssh("client") as connection:
        connection.check(
            "sudo sed -i 's/192.168.3.21/192.168.3.99/; s/seq 120/seq 1/' /etc/enaxp/network /usr/local/sbin/enaxp-net"
        )
        failed = connection.run("sudo systemctl restart enaxp-net.service")
    assert not failed.ok
    assert "no interface has the address 192.168.3.99" in failed.stderr
