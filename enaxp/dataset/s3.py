"""S3: the store of an export in a bucket, by pyarrow, with the caller's own credentials of AWS.

s3://BUCKET/PREFIX ─▶ Bucket ─▶ objects, each put at once: nobody sees half of one
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from enaxp.errors import AwsError, UsageError

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

SCHEME = "s3://"


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A store below a prefix of a bucket. name: as it was given."""

    name: str
    files: S3FileSystem
    root: str

    def read(self, path: str) -> bytes | None:
        from pyarrow.fs import FileType

        place = f"{self.root}/{path}"
        if self.files.get_file_info(place).type == FileType.NotFound:
            return None
        with self.files.open_input_stream(place) as stream:
            return bytes(stream.read())

    def write(self, path: str, content: bytes) -> None:
        # The object is there once the stream is closed, and not before.
        with self.files.open_output_stream(f"{self.root}/{path}") as stream:
            stream.write(content)


def bucket_of(url: str, *, profile: str | None, region: str | None) -> Bucket:
    """The store that the URL names. Raises UsageError for another URL, AwsError where there are no credentials."""
    import boto3
    from botocore.exceptions import BotoCoreError

    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{url!r} is no place on S3", todo="give s3://BUCKET/PREFIX, or a folder")
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        credentials = session.get_credentials()
        if credentials is None:
            raise AwsError(f"there are no credentials for {url}", todo="sign in as for every other command (--profile)")
        client = session.client("s3")
        return Bucket(
            name=url,
            files=_files(credentials.get_frozen_credentials(), client.meta.endpoint_url, client.meta.region_name),
            root=f"{parts.netloc}/{parts.path.strip('/')}".rstrip("/"),
        )
    except BotoCoreError as error:
        raise AwsError(
            f"preparing to write to {url}", said=str(error), todo="check --profile, --region and the AWS configuration"
        ) from error


def _files(credentials: Any, endpoint_url: str, region: str) -> S3FileSystem:
    """pyarrow's own view of S3, which knows neither profiles nor single sign-on: so it is given what the SDK found."""
    from pyarrow.fs import S3FileSystem

    named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    endpoint = urlsplit(endpoint_url)
    own = {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme} if named else {}
    return S3FileSystem(
        access_key=credentials.access_key,
        secret_key=credentials.secret_key,
        session_token=credentials.token,
        region=region,
        connect_timeout=10,
        request_timeout=60,
        **own,
    )
