"""Clients that are made quickly: botocore works out anew for each client what its service can do, and the tests make thousands."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def share_models_of_clients() -> None:
    """From now on all clients of a service in this process have the model and the methods of its first.

    A model finds its shapes and its errors as they are asked for, and keeps them; EC2 has seven hundred methods.
    """
    from botocore.client import ClientCreator

    load, create = ClientCreator._load_service_model, ClientCreator._create_methods
    models: dict[tuple[str, str | None], Any] = {}
    methods: dict[tuple[str, str], dict[str, Any]] = {}

    def load_service_model(creator: Any, service_name: str, api_version: str | None = None) -> Any:
        key = service_name, api_version
        if key not in models:
            models[key] = load(creator, service_name, api_version)
        return models[key]

    def create_methods(creator: Any, service: Any) -> dict[str, Any]:
        key = service.service_name, service.api_version
        if key not in methods:
            methods[key] = create(creator, service)
        return dict(methods[key])

    ClientCreator._load_service_model, ClientCreator._create_methods = load_service_model, create_methods
