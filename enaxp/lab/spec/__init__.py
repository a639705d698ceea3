"""Spec: derives the wanted resources of a lab, in dependency order, from Config and Resolved. Pure.

    Config + Resolved + the lab's public key ─▶ wanted() ─▶ (Resource, …)

    inputs.py      the inputs of a spec, and the names of resources
    layers.py      the layer of a key, and the dependencies between layers
    network.py  compute.py  monitoring.py      the resources of each layer

What must stay the same for the whole life of a lab (image, zone, SSH source) is resolved once, elsewhere, and passed in as Resolved: two
runs for the same lab give byte-for-byte the same resources.
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
    """Every wanted resource of every layer, in dependency order.

    partition: `aws`, `aws-cn` and so on, for ARNs and names of services.
    Raises LabError when the hosts' user data is longer than AWS takes.
    """
    inputs = SpecInputs(
        config=config, resolved=resolved, public_key=public_key, partition=partition, expires_at=expires_at
    )
    resources = (*network_resources(inputs), *compute_resources(inputs), *monitoring_resources(inputs))
    return tuple(map(_after_the_claim, resources))


def _after_the_claim(resource: Resource) -> Resource:
    """The resources with the role first: its name is the lock on the lab's name. An `up` that finds it taken has created nothing yet."""
    is_root = not resource.needs and resource.kind != Role.name
    return replace(resource, needs=(Role.name,)) if is_root and resource.owned else resource
