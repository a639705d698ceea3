"""Spec: from a Config and what was resolved to the resources that the lab wants, in dependency order. Pure.

    Config + Resolved + the lab's public key ─▶ wanted() ─▶ (Resource, …)

    inputs.py      what a spec is made from, and how a resource gets its name
    layers.py      which layer a key belongs to, and which layers stand on which
    network.py  compute.py  monitoring.py      the resources of each layer

What must be the same for the whole life of a lab (the image, the zone, who may use SSH) is resolved once, elsewhere, and comes
in as Resolved: two runs over the same lab want the same things, byte for byte.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from enaxp.config import Config
from enaxp.lab.kinds.identity import Role
from enaxp.lab.model import Resource
from enaxp.lab.spec.compute import compute_resources
from enaxp.lab.spec.inputs import Resolved, SpecInputs
from enaxp.lab.spec.layers import MONITORING, above, layer_of, of_layers, with_below
from enaxp.lab.spec.monitoring import monitoring_resources
from enaxp.lab.spec.network import network_resources

__all__ = ["MONITORING", "Resolved", "above", "layer_of", "of_layers", "wanted", "with_below"]


def wanted(
    config: Config, resolved: Resolved, *, public_key: str, partition: str, expires_at: datetime
) -> tuple[Resource, ...]:
    """Every resource of every layer, each after what it needs.

    partition: `aws`, `aws-cn` and so on, for ARNs and names of services.
    Raises LabError when the hosts' user data is longer than AWS takes.
    """
    inputs = SpecInputs(
        config=config, resolved=resolved, public_key=public_key, partition=partition, expires_at=expires_at
    )
    resources = (*network_resources(inputs), *compute_resources(inputs), *monitoring_resources(inputs))
    return tuple(map(_after_the_claim, resources))


def _after_the_claim(resource: Resource) -> Resource:
    """The role comes first: its name is the claim on the lab. Whoever finds it taken has created nothing yet."""
    is_root = not resource.needs and resource.kind != Role.name
    return replace(resource, needs=(Role.name,)) if is_root and resource.owned else resource
