"""Puts the strict responses in moto's place, once for a process, and gives back the WSGI application of all services."""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def install() -> WSGIApplication:
    """moto's application with the strict layer in it. Idempotent."""
    import moto.ec2.urls
    import moto.ecr.urls
    import moto.iam.urls
    import moto.servicequotas.urls
    import moto.ssm.urls
    from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, EC2_RESOURCE_TO_PREFIX
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    from enaxp.local.strict.ec2 import StrictEC2Response
    from enaxp.local.strict.ecr import StrictEcrResponse
    from enaxp.local.strict.iam import StrictIamResponse
    from enaxp.local.strict.resource_types import TYPES
    from enaxp.local.strict.service_quotas import StrictServiceQuotasResponse
    from enaxp.local.strict.ssm.actions import StrictSsmResponse

    # moto has most of them, not all, and one by another name.
    EC2_RESOURCE_TO_PREFIX.update({one.type: one.prefix for one in TYPES})
    EC2_PREFIX_TO_RESOURCE.update({one.prefix: one.type for one in TYPES})
    moto.ec2.urls.url_paths["{0}/"] = StrictEC2Response.dispatch
    moto.ecr.urls.url_paths["{0}/$"] = StrictEcrResponse.dispatch
    moto.iam.urls.url_paths["{0}/$"] = StrictIamResponse.dispatch
    moto.ssm.urls.url_paths["{0}/$"] = StrictSsmResponse.dispatch
    moto.servicequotas.urls.url_paths["{0}/$"] = StrictServiceQuotasResponse.dispatch
    _find_methods_once()
    _load_images_when_asked()
    dispatcher = DomainDispatcherApplication(create_backend_app)
    # Which service a host name belongs to: moto would list its own folders and try 180 patterns for each call.
    dispatcher.get_backend_for_host = cache(dispatcher.get_backend_for_host)
    application: WSGIApplication = dispatcher
    return application


@cache
def read_models_once() -> None:
    """Makes botocore keep its models, some of which are tens of megabytes, and its lists of services.

    moto makes a session for each part of it, and each session would read and list them anew: more than half of the time until the
    first answer. To be called before moto is imported.
    """
    from botocore.loaders import JSONFileLoader, Loader

    loader, read, list_services = JSONFileLoader(), JSONFileLoader.load_file, Loader.list_available_services
    services: dict[tuple[str, ...], list[str]] = {}

    @cache
    def kept(path: str) -> Any:
        return read(loader, path)

    def load_file(_loader: Any, path: str) -> Any:
        return kept(path)

    def list_available_services(loader: Any, type_name: str) -> list[str]:
        key = (*loader.search_paths, type_name)
        if key not in services:
            services[key] = list_services(loader, type_name)
        return services[key]

    JSONFileLoader.load_file = load_file  # type: ignore[method-assign, assignment]
    Loader.list_available_services = list_available_services  # type: ignore[method-assign, assignment]


@cache
def _find_methods_once() -> None:
    """Makes moto keep which methods answer a service's calls: it would list them anew for each call."""
    import moto.core.responses

    moto.core.responses.method_names_from_class = cache(moto.core.responses.method_names_from_class)


@cache
def _load_images_when_asked() -> None:
    """Makes moto load a region's images when one is asked for: a thousand objects, which no call to most regions ever needs."""
    from moto.ec2.models.amis import AmiBackend

    load = AmiBackend._load_amis

    def begin(backend: Any) -> None:
        backend.deleted_amis = []

    def loaded(backend: Any) -> dict[str, Any]:
        images: dict[str, Any] = {}
        backend.__dict__["amis"] = images  # which `load` fills, and where this is not asked again
        load(backend)
        return images

    images = cached_property(loaded)
    images.__set_name__(AmiBackend, "amis")
    AmiBackend.__init__, AmiBackend.amis = begin, images
