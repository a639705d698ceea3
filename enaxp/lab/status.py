"""Status: the lab as one document, the same for people and for programs. Pure: from a Snapshot and Prices to plain data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from enaxp.config import Config
from enaxp.lab.cost import Prices, usd_per_hour, usd_so_far
from enaxp.lab.lifecycle import Snapshot
from enaxp.lab.model import Found, Resource, as_text
from enaxp.lab.plan import drift_of
from enaxp.lab.spec import MONITORING, eni_key
from enaxp.lab.state_manager import SoftwareResults, as_json

PORTS = {"grafana": 3000, "prometheus": 9090}  # of the monitoring, on its own host and at this end of the tunnel


def nothing_there(*, lab: str, target: str, endpoint_url: str | None, region: str) -> dict[str, Any]:
    """The status of a lab of which there is nothing."""
    return {
        "lab": lab,
        "lab_id": None,
        "target": target,
        "isolation": None,
        "endpoint_url": endpoint_url,
        "account": None,
        "region": region,
        "availability_zone": None,
        "resources": [],
        "hosts": {},
        "urls": {},
        "created_at": None,
        "expires_at": None,
        "usd_per_hour": None,
        "usd_so_far": None,
    }


def status_of(
    snapshot: Snapshot,
    *,
    config: Config,
    endpoint_url: str | None,
    prices: Prices | None,
    software: SoftwareResults,
    now: datetime,
) -> dict[str, Any]:
    """The document of `status --json`. Without prices (on the local target, or where they are not known) what it costs is None."""
    state = snapshot.state
    owned = {resource.key for resource in snapshot.resources if resource.owned}
    ours = [found for key, found in snapshot.survey.found.items() if key in owned]
    return {
        "lab": state.lab,
        "lab_id": state.lab_id,
        "target": state.target,
        "isolation": snapshot.resolved.isolation,
        "endpoint_url": endpoint_url,
        "account": state.account,
        "region": state.region,
        "availability_zone": snapshot.resolved.availability_zone,
        "resources": [_resource(resource, snapshot) for resource in snapshot.resources],
        "hosts": _hosts(snapshot, config, software),
        **_monitoring(snapshot, config),
        "urls": _urls(snapshot),
        "created_at": as_text(state.created_at),
        "expires_at": as_text(state.expires_at),
        "usd_per_hour": usd_per_hour(prices, (found.key for found in ours)),
        "usd_so_far": usd_so_far(prices, ours, now=now),
    }


def _resource(resource: Resource, snapshot: Snapshot) -> dict[str, Any]:
    found = snapshot.survey.found.get(resource.key)
    drift = drift_of(resource, found, snapshot.survey.ids(), snapshot.lab) if found and found.facts else ()
    return {
        "key": resource.key,
        "kind": resource.kind,
        "id": found.id if found else None,
        "owned": resource.owned,
        "state": "missing" if found is None else "pending" if found.pending else "present",
        "drift": [{"field": d.field, "have": d.have, "want": d.want} for d in drift],
    }


def _hosts(snapshot: Snapshot, config: Config, software: SoftwareResults) -> dict[str, Any]:
    found = snapshot.survey.found
    hosts: dict[str, Any] = {}
    for role, host in config.hosts.by_role().items():
        instance = found.get(f"instance/{role}")
        if instance is None:
            continue
        address = found.get(f"eip/{role}")
        public_ip = address.facts["public_ip"] if address else instance.facts["public_ip"]
        hosts[role] = {
            "role": role,
            "pair": 1,
            "name": host.name,
            "instance_id": instance.id,
            "public_ip": public_ip,
            "ssh": {
                "host": public_ip if config.hosts.address == "public" else host.ena_ip,
                "port": config.hosts.ssh_port,
                "user": config.hosts.ssh_user,
            },
            "ena": _interface(found.get(eni_key(role, "ena"))),
            "ena_express": _interface(found.get(eni_key(role, "express"))),
            "software": as_json(software.get(role, {})),
        }
    return hosts


def _monitoring(snapshot: Snapshot, config: Config) -> dict[str, Any]:
    """The host of that layer, as `monitoring`; nothing while there is none."""
    found = snapshot.survey.found
    instance, eni, address = (found.get(f"{kind}/{MONITORING}") for kind in ("instance", "eni", "eip"))
    if instance is None or eni is None:
        return {}
    public_ip = address.facts["public_ip"] if address else instance.facts["public_ip"]
    host = {
        "name": instance.tags.get("Name", MONITORING),
        "instance_id": instance.id,
        "public_ip": public_ip,
        "ip": eni.facts["address"],
        "ssh": {
            "host": public_ip if config.hosts.address == "public" else eni.facts["address"],
            "port": config.hosts.ssh_port,
            "user": config.hosts.ssh_user,
        },
    }
    return {"monitoring": host}


def _urls(snapshot: Snapshot) -> dict[str, str]:
    """Where the monitoring is seen while `enaxp monitor` holds a tunnel to it: it is open to nobody else. No Grafana on this machine."""
    if f"instance/{MONITORING}" not in snapshot.survey.found:
        return {}
    names = ("prometheus",) if snapshot.resolved.isolation else ("grafana", "prometheus")
    return {name: f"http://127.0.0.1:{PORTS[name]}" for name in names}


def _interface(eni: Found | None) -> dict[str, Any] | None:
    """ENA Express as read back from the interface's attachment."""
    if eni is None:
        return None
    return {"eni": eni.id, "ip": eni.facts["address"], "srd": eni.facts["srd"], "srd_udp": eni.facts["srd_udp"]}
