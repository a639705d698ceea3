"""S3: the store of an export in a bucket, by boto3, with the caller's own credentials of AWS.

s3://BUCKET/PREFIX ─▶ Bucket ─▶ objects, each written atomically by one PutObject
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from enaxp.errors import AwsError, UsageError

SCHEME = "s3://"
TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A store below a prefix of a bucket. name: the URL that the user gave. client: boto3's for S3."""

    name: str
    client: Any
    bucket: str
    prefix: str

    def read(self, path: str) -> bytes | None:
        from botocore.exceptions import ClientError

        with _as_os_errors():
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=self._key(path))
                return bytes(answer["Body"].read())
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise

    def write(self, path: str, content: bytes) -> None:
        with _as_os_errors():
            self.client.put_object(Bucket=self.bucket, Key=self._key(path), Body=content)

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path


def bucket_of(url: str, *, profile: str | None, region: str | None) -> Bucket:
    """The store that the URL names. Raises UsageError for another URL, AwsError if there are no credentials."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{url!r} is no place on S3", todo="give s3://BUCKET/PREFIX, or a folder")
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        if session.get_credentials() is None:
            raise AwsError(f"there are no credentials for {url}", todo="sign in as for every other command (--profile)")
        client = session.client("s3", config=Config(connect_timeout=10, read_timeout=TIMEOUT_S))
        return Bucket(name=url, client=client, bucket=parts.netloc, prefix=parts.path.strip("/"))
    except BotoCoreError as error:
        raise AwsError(
            f"preparing to write to {url}", said=str(error), todo="check --profile, --region and the AWS configuration"
        ) from error


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Raises OSError, as every store does, for an error of the SDK."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise OSError(str(error)) from error
