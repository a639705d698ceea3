"""Puts the strict responses in moto's place, once for a process, and gives back the WSGI application of all services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def install(managed_policies: Iterable[str]) -> Any:
    """moto's application with the strict layer in it. Idempotent."""
    import moto.ec2.urls
    import moto.iam.urls
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    from enaxp.local.strict.ec2 import StrictEC2Response
    from enaxp.local.strict.iam import StrictIamResponse

    moto.ec2.urls.url_paths["{0}/"] = StrictEC2Response.dispatch
    moto.iam.urls.url_paths["{0}/$"] = StrictIamResponse.dispatch
    _load_policies(managed_policies)
    return DomainDispatcherApplication(create_backend_app)


def _load_policies(names: Iterable[str]) -> None:
    """AWS's managed policies of these names. moto has all of them, but loading them all takes seconds."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.iam.models import AWSManagedPolicy, iam_backends

    backend = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for name in names:
        data = {
            "Arn": f"arn:aws:iam::aws:policy/{name}",
            "Path": "/",
            "CreateDate": "2019-03-15T17:22:12+00:00",
            "UpdateDate": "2019-03-15T17:22:12+00:00",
            "DefaultVersionId": "v1",
            "Document": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "ssm:UpdateInstanceInformation", "Resource": "*"}],
            },
        }
        policy = AWSManagedPolicy.from_data(name, DEFAULT_ACCOUNT_ID, "us-east-1", data)
        backend.managed_policies.setdefault(policy.arn, policy)
