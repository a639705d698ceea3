"""Puts the strict responses in moto's place, once for a process, and gives back the WSGI application of all services."""

from __future__ import annotations

import random
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
    _make_ids_at_once()
    _make_one_private_key()
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
def _make_ids_at_once() -> None:
    """Makes moto take all digits of a resource's id at once: it would choose one after the other, for what it makes of each image, too.

    The generator is one of its own. AWS gives no id twice, and moto keeps the tags of what is deleted by its id; somebody who seeds
    Python's own generator, as Hypothesis does before each example, would see ids again, with old tags.
    """
    import moto.ec2.utils

    generator = random.Random()

    def random_resource_id(size: int = 8) -> str:
        return f"{generator.getrandbits(4 * size):0{size}x}"

    moto.ec2.utils.random_resource_id = random_resource_id


@cache
def _make_one_private_key() -> None:
    """Makes moto give all its KMS keys the same private key: it makes one for the encryption of the first disk of each cloud, and nothing
    here asks for it.
    """
    import moto.kms.models

    moto.kms.models.generate_private_key = cache(moto.kms.models.generate_private_key)


@cache
def _load_images_when_asked() -> None:
    """Makes moto load a region's images when one is asked for, and for each region once in a process: a thousand objects, which no call to
    most regions ever needs. A cloud has copies of its own, and of their snapshots.
    """
    from moto.ec2.models.amis import AmiBackend

    load = AmiBackend._load_amis
    kept: dict[tuple[str, str], list[Any]] = {}

    def begin(backend: Any) -> None:
        backend.deleted_amis = []

    def loaded(backend: Any) -> dict[str, Any]:
        place = backend.account_id, backend.region_name
        if place not in kept:
            backend.__dict__["amis"] = {}  # which `load` fills, and where this is not asked again
            load(backend)
            kept[place] = [_image_in(None, image) for image in backend.amis.values()]
        images = [_image_in(backend, image) for image in kept[place]]
        backend.snapshots.update((image.ebs_snapshot.id, image.ebs_snapshot) for image in images)
        return {image.id: image for image in images}

    images = cached_property(loaded)
    images.__set_name__(AmiBackend, "amis")
    AmiBackend.__init__, AmiBackend.amis = begin, images


def _image_in(backend: Any, image: Any) -> Any:
    """A copy of an image and of its snapshot in another cloud, with which it shares nothing that can be changed."""
    image = _copy(image)
    image.launch_permissions, image.product_codes = list(image.launch_permissions), set(image.product_codes)
    image.ebs_snapshot = snapshot = _copy(image.ebs_snapshot)
    snapshot.create_volume_permission_groups = set(snapshot.create_volume_permission_groups)
    snapshot.create_volume_permission_userids = set(snapshot.create_volume_permission_userids)
    snapshot.volume = _copy(snapshot.volume)
    image.ec2_backend = snapshot.ec2_backend = snapshot.volume.ec2_backend = backend
    return image


def _copy(one: Any) -> Any:
    """As copy.copy does, without its detour over what pickling would need: there are thousands."""
    another = object.__new__(type(one))
    another.__dict__.update(one.__dict__)
    return another
