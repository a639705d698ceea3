"""Layers: the layer of a resource, and the dependencies between layers. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from enaxp.lab.kinds import KINDS
from enaxp.lab.model import BELOW, LAYERS, Layer, Resource, kind_of

MONITORING = "monitoring"  # what follows the kind in the keys of that layer's resources


def layer_of(key: str) -> Layer:
    """The layer of a resource: monitoring if its key says so, else its kind's layer; compute for an unknown kind."""
    if key.partition("/")[2] == MONITORING:
        return "monitoring"
    kind = KINDS.get(kind_of(key))
    return kind.layer if kind else "compute"


def of_layers(resources: Iterable[Resource], layers: Iterable[Layer]) -> tuple[Resource, ...]:
    """The resources of these layers and of the layers that they depend on."""
    chosen = with_below(layers)
    return tuple(resource for resource in resources if resource.layer in chosen)


def with_below(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """The layers and those that they depend on, lowest first."""
    chosen = set(layers)
    for layer in tuple(chosen):
        chosen.update(BELOW[layer])
    return tuple(layer for layer in LAYERS if layer in chosen)


def above(layer: Layer) -> tuple[Layer, ...]:
    """The layers that depend on this one."""
    return tuple(other for other in LAYERS if layer in BELOW[other])
