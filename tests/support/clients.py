"""Clients that are made quickly: botocore works out anew for each client what its service can do, and the tests make thousands."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def share_models_of_clients() -> None:
    """From now on all clients of a service in this process have the model and the methods of its first.

    A model finds its shapes and its errors as they are asked for, and keeps them; EC2 has seven hundred methods. What an event is called
    besides is the same for all.
    """
    from botocore.client import ClientCreator
    from botocore.hooks import EventAliaser

    load, create = ClientCreator._load_service_model, ClientCreator._create_methods
    alias = EventAliaser._alias_event_name
    names: dict[str, str] = {}
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

    def alias_event_name(aliaser: Any, name: str) -> str:
        if name not in names:
            names[name] = alias(aliaser, name)
        return names[name]

    ClientCreator._load_service_model, ClientCreator._create_methods = load_service_model, create_methods
    EventAliaser._alias_event_name = alias_event_name
