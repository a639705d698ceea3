"""Reach: the SSH access to a given host, from AWS's data and the config."""

from __future__ import annotations

from pathlib import Path

from enaxp.config import GivenHostConfig
from enaxp.errors import UsageError
from enaxp.hosts.connection import Host
from enaxp.hosts.proxy import ProxyTarget, proxy_words
from enaxp.lab.given.discovery import GivenHostFound
from enaxp.session import Session
from enaxp.traffic import TOGGLED_HOME

KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")  # as ssh itself looks for them in ~/.ssh


def host_of(session: Session, config: GivenHostConfig, found: GivenHostFound, *, known_hosts: Path) -> Host:
    """The SSH access to the host. known_hosts: the file of its key, which is compared with the one that AWS reports, if it does.

    Raises UsageError for a host without an address or a private key, HostKeyError if the host key differs.
    """
    if found.address is None:
        raise UsageError(
            f"AWS tells no address of the {found.role} {found.instance_id}", todo="give its `address` in the config"
        )
    if not known_hosts.exists():
        session.verify_key(found.role, found.instance_id, known_hosts=known_hosts)
    through = ProxyTarget(
        address=found.address,
        port=config.ssh_port,
        user=config.ssh_user,
        instance_id=config.instance_id,
        region=session.aws.region,
    )
    return Host(
        role=found.role,
        name=found.name,
        address=found.address,
        port=config.ssh_port,
        user=config.ssh_user,
        private_key=private_key_of(config),
        known_hosts=known_hosts,
        ena_ip=found.ip,
        ena_express_ip=found.ip,
        proxy=proxy_words(config.proxy_command, through),
        homes=(TOGGLED_HOME,),
    )


def private_key_of(config: GivenHostConfig) -> Path:
    """The given private key, or the first that ssh itself would use. Raises UsageError if there is none."""
    if config.private_key is not None:
        return config.private_key
    there = [path for name in KEYS if (path := Path.home() / ".ssh" / name).exists()]
    if not there:
        raise UsageError(
            f"which key opens {config.instance_id}?", todo="give --private-key, or `given.private_key` in the config"
        )
    return there[0]
