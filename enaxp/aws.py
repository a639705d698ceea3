"""AWS: clients that retry calls which are safe to repeat, and make other calls once; classification of error codes; waiting.

    Aws(region, …) ─▶ .ec2 .iam .ssm .ecr .sts .quotas    reads, deletes and settings: safe to repeat
                   └▶ .once("ec2")                        creates without a token: one attempt; the caller handles a lost answer

Errors are classified by their code, because texts change. Two codes that AWS uses for several causes are distinguished by their text,
only in this module. The clients are typed by boto3-stubs, which only type checkers import.
"""

from __future__ import annotations

import copy
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from enaxp.errors import AwsError, EnaxpError, LabError
from enaxp.rates import Limiter
from enaxp.retries import PatientRetries

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

_T = TypeVar("_T")
_U = TypeVar("_U")
FIRST_PAUSE_S = 0.5
PAUSE_GROWS = 1.5
TELL_AGAIN_S = 30.0

# "Not found" codes, in addition to EC2's of the form Invalid….NotFound (`is_gone`).
GONE = frozenset(
    {
        "Gateway.NotAttached",
        "InvalidPlacementGroup.Unknown",
        "NoSuchEntity",
        "RepositoryNotFoundException",
        "InvalidDocument",
        "InvalidDocumentVersion",
        "AssociationDoesNotExist",
        "InvalidResourceId",
    }
)
NOT_MADE_HERE = ("InvalidAMIID",)  # not created by enaxp, so waiting for them is useless
# "In use" codes, in addition to EC2's of the form Invalid….InUse (`is_in_use`).
IN_USE = frozenset(
    {
        "DependencyViolation",
        "DeleteConflict",
        "AssociatedInstances",
        "TooManyUpdates",
        "VolumeInUse",
    }
)
# The caller may not do this.
DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
# Whoever asks is not known, or not any more: every other call would be refused as this one was.
CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
ALREADY = frozenset(
    {
        "Resource.AlreadyAssociated",
        "RouteAlreadyExists",
        "InvalidPermission.Duplicate",
        "EntityAlreadyExists",
        "LimitExceeded",
    }
)
THROTTLED = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "EC2ThrottledException",
        "SlowDown",
        "PriorRequestNotComplete",
        "ConcurrentModification",
        "ConcurrentTagAccess",
        "TooManyUpdates",
    }
)
# 5xx answers after which it is unknown whether the call was performed
AMBIGUOUS = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "Unavailable",
        "ServiceUnavailable",
        "ServiceFailure",
        "InternalServerError",
        "500",
        "502",
        "503",
        "504",
    }
)
CAPACITY = frozenset({"InsufficientInstanceCapacity"})  # of a zone
NO_ADDRESSES = "InsufficientAddressCapacity"  # of the region: another zone has none either
PROFILE_NOT_YET_KNOWN = ("iamInstanceProfile", "IAM Instance Profile", "associated IAM Roles")


class Blocked(EnaxpError):  # noqa: N818 - a condition that passes, not a mistake
    """A resource cannot be deleted yet, because another one uses it. `by`: which one, as far as AWS says."""

    def __init__(self, where: str, *, by: str) -> None:
        super().__init__(where, said=by)
        self.by = by


class Refused(EnaxpError):  # noqa: N818 - an answer, not a mistake
    """AWS refuses to delete a resource, and a retry is useless. `by`: AWS's message; `code`: its error code."""

    def __init__(self, where: str, *, by: str, todo: str, code: str) -> None:
        super().__init__(where, said=by, todo=todo)
        self.by = by
        self.code = code


class Aws:
    """Clients for one account and region. Thread-safe.

    only_account: the only account in which calls are made; None means any. poll_s: the longest pause in seconds between two polls of a
    resource that is not ready (AWS recommends at least about five). grace_s: how long a new resource may stay invisible to reads.
    patience_s: how long reads, deletes and settings are retried while AWS throttles or fails. tell: receives a message for the user when
    that takes long.
    """

    def __init__(
        self,
        *,
        region: str,
        profile: str | None = None,
        endpoint_url: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        only_account: str | None = None,
        poll_s: float = 5.0,
        grace_s: float = 60.0,
        patience_s: float = 180.0,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.region = region
        self.endpoint_url = endpoint_url
        self.poll_s = poll_s
        self.grace_s = grace_s
        self.patience_s = patience_s
        self._profile = profile
        self._only_account = only_account
        self._access_key = access_key
        self._secret_key = secret_key
        self._tell = tell
        self._told: dict[str, float] = {}  # when the user was last told of an API
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[tuple[str, bool], Any] = {}
        self._limiter = Limiter()

    def pauses(self) -> Iterator[float]:
        """The pauses between polls in seconds: short at first, because most resources are ready soon, then growing to poll_s, without
        end."""
        pause_s = min(FIRST_PAUSE_S, self.poll_s)
        while True:
            yield pause_s
            pause_s = min(PAUSE_GROWS * pause_s, self.poll_s)

    @property
    def ec2(self) -> EC2Client:
        client: EC2Client = self._client("ec2", patient=True)
        return client

    @property
    def iam(self) -> IAMClient:
        client: IAMClient = self._client("iam", patient=True)
        return client

    @property
    def ssm(self) -> SSMClient:
        client: SSMClient = self._client("ssm", patient=True)
        return client

    @property
    def ecr(self) -> ECRClient:
        client: ECRClient = self._client("ecr", patient=True)
        return client

    @property
    def sts(self) -> STSClient:
        client: STSClient = self._client("sts", patient=True)
        return client

    @property
    def quotas(self) -> ServiceQuotasClient:
        client: ServiceQuotasClient = self._client("service-quotas", patient=True)
        return client

    @overload
    def once(self, service: Literal["ec2"]) -> EC2Client: ...
    @overload
    def once(self, service: Literal["iam"]) -> IAMClient: ...
    @overload
    def once(self, service: Literal["ssm"]) -> SSMClient: ...
    @overload
    def once(self, service: Literal["ecr"]) -> ECRClient: ...
    @overload
    def once(self, service: Literal["sts"]) -> STSClient: ...
    @overload
    def once(self, service: Literal["pricing"]) -> Any: ...
    def once(self, service: str) -> Any:
        """A client that never retries by itself: for creates, where a blind retry could create a second resource."""
        return self._client(service, patient=False)

    def pages(self, describe: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        """The pages of an EC2 describe call (named by the client's method). Raises as the client does."""
        client: Any = self.ec2
        if client.can_paginate(describe):
            yield from client.get_paginator(describe).paginate(**arguments)
        else:
            yield getattr(client, describe)(**arguments)

    def in_region(self, region: str) -> Aws:
        """An Aws with the same credentials and time limits in another region."""
        other = copy.copy(self)
        other.region, other._lock, other._clients, other._limiter = region, threading.Lock(), {}, Limiter()
        return other

    def account(self) -> str:
        """The account id of the credentials. Raises AwsError when there are none, or they are refused; LabError when `only_account` is
        another one.
        """
        account = str(self.caller["Account"])
        if self._only_account not in (None, account):
            raise LabError(
                f"these credentials belong to account {account}, the config allows {self._only_account} alone",
                todo="choose another --profile, or change aws.account",
            )
        return account

    @cached_property
    def caller(self) -> Mapping[str, str]:
        """Account and ARN of the caller; requested once. Raises as `account`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self.sts.get_caller_identity()
            return {"Account": answer["Account"], "Arn": answer["Arn"]}
        except (ClientError, BotoCoreError) as error:
            todo = _SWITCH_ON.format(region=self.region) if self._is_known_elsewhere(error) else ""
            raise refused("asking AWS who we are", error, todo=todo) from error

    def _is_known_elsewhere(self, error: Exception) -> bool:
        """Whether credentials that this region refused are valid in the partition's first region: then this region is disabled in the
        account."""
        from botocore.exceptions import BotoCoreError, ClientError

        first = FIRST_REGION.get(partition_of(self.region))
        if code_of(error) not in UNKNOWN_CALLER or first in (None, self.region):
            return False
        try:
            self.in_region(str(first)).once("sts").get_caller_identity()
        except (ClientError, BotoCoreError, AwsError):
            return False
        return True

    def _wait_for_its_turn(self, event_name: str, **_: Any) -> None:
        """Waits before each attempt until EC2's API rate limit allows the call."""
        self._limiter.wait(event_name.rpartition(".")[2])

    def _note_throttling(self, event_name: str, response: Any, **_: Any) -> None:
        """Tells the rate limiter that AWS has throttled a call, since other programs use the same account."""
        parsed = response[1] if response else {}
        if parsed.get("Error", {}).get("Code") == "RequestLimitExceeded":
            self._limiter.refused(event_name.rpartition(".")[2])

    def _retries(self) -> PatientRetries:
        return PatientRetries(
            passes=_passes,
            pauses=self.pauses,
            patience_s=self.patience_s,
            unreachable_s=min(10.0, self.patience_s),
            tell=self._tell_of_waiting,
        )

    def _tell_of_waiting(self, api: str, failure: str) -> None:
        """Tells the user that calls of an API are retried, at most every TELL_AGAIN_S seconds: many may wait at the same time."""
        now = time.monotonic()
        with self._lock:
            if now - self._told.get(api, float("-inf")) < TELL_AGAIN_S:
                return
            self._told[api] = now
        self._tell(f"AWS still answers {api} with {failure}: asking again, each call for up to {self.patience_s:.0f} s")

    def _client(self, service: str, *, patient: bool) -> Any:
        if self._only_account is not None and service != "sts":
            self.account()
        with self._lock:
            client = self._clients.get((service, patient))
            if client is None:
                client = self._clients[service, patient] = self._new_client(service, patient=patient)
            return client

    def _new_client(self, service: str, *, patient: bool) -> Any:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        try:
            if self._session is None:
                self._session = boto3.Session(
                    botocore_session=_unswayed_session() if self._access_key else None,
                    profile_name=self._profile,
                    region_name=self.region,
                    aws_access_key_id=self._access_key,
                    aws_secret_access_key=self._secret_key,
                )
            client = self._session.client(
                service,
                region_name=self.region,
                endpoint_url=self.endpoint_url,
                config=Config(
                    retries={"mode": "standard", "total_max_attempts": 1},
                    connect_timeout=10,
                    read_timeout=60,
                    max_pool_connections=20,
                    # A local target is reached directly, whatever proxy the environment names.
                    proxies={} if self.endpoint_url else None,
                ),
            )
            if service == "ec2":
                client.meta.events.register("before-send.ec2", self._wait_for_its_turn)
                client.meta.events.register_first("needs-retry.ec2", self._note_throttling)
            if patient:
                client.meta.events.register("needs-retry", self._retries())
            return client
        except BotoCoreError as error:
            raise AwsError(
                f"preparing to call {service}",
                said=str(error),
                todo="check --profile, --region and the AWS configuration",
            ) from error


def _unswayed_session() -> Any:
    """A botocore session that ignores the caller's environment variables and files, for the local target, which has its own key."""
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES, ConfigValueStore, ConstantProvider
    from botocore.session import Session

    no_file = dict.fromkeys(("config_file", "credentials_file"), os.devnull)
    defaults = {name: spec[2] for name, spec in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()} | no_file
    session = Session()
    settings = ConfigValueStore(mapping={name: ConstantProvider(value) for name, value in defaults.items()})
    session.register_component("config_store", settings)
    session.register_component("data_loader", _models())
    return session


@cache
def _models() -> Any:
    """botocore's service models, shared by all sessions, because loading EC2's takes 0.2 s."""
    from botocore.loaders import Loader

    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


def in_batches(items: Sequence[_T], most: int) -> Iterator[Sequence[_T]]:
    """The items, so many at once as one call takes."""
    return (items[start : start + most] for start in range(0, len(items), most))


@cache
def partition_of(region: str) -> str:
    """The ARN partition of a region: `aws`, `aws-cn`, `aws-us-gov`, `aws-eusc` and so on, according to the SDK; `aws` for an unknown
    region.
    """
    from botocore.exceptions import UnknownRegionError

    try:
        return str(_unswayed_session().get_partition_for_region(region))
    except UnknownRegionError:
        return "aws"


@cache
def ec2_principals(partition: str) -> tuple[str, ...]:
    """The names by which EC2 assumes roles in a partition: its own of that partition (ec2.amazonaws.com.cn), and the one that it has
    everywhere else, which services there go by, too.
    """
    suffix = _unswayed_session().get_component("endpoint_resolver").get_partition_dns_suffix(partition)
    return tuple(sorted({"ec2.amazonaws.com", f"ec2.{suffix or 'amazonaws.com'}"}))


def matching(values: Mapping[str, Iterable[str]]) -> list[FilterTypeDef]:
    """Filters for an EC2 describe call, from a mapping of filter name to accepted values."""
    return [{"Name": name, "Values": list(those)} for name, those in values.items()]


def code_of(error: Exception) -> str:
    """The service's error code; empty for other errors."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def text_of(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Message", "")) if isinstance(response, dict) else str(error)


def is_gone(error: Exception) -> bool:
    """Whether the error means that the resource does not exist (any more)."""
    code = code_of(error)
    return code in GONE or (_is_of_ec2(code, "NotFound") and not code.startswith(NOT_MADE_HERE))


def is_in_use(error: Exception) -> bool:
    """Whether the error means that the resource is in use. For interfaces in use AWS uses the code of invalid values, hence the text is
    checked."""
    if code_of(error) == "InvalidParameterValue":
        return "currently in use" in text_of(error)
    return code_of(error) in IN_USE or _is_of_ec2(code_of(error), "InUse")


def is_duplicate(error: Exception) -> bool:
    """Whether EC2 has something of that name already. The kinds of other services say their codes in `taken`."""
    return _is_of_ec2(code_of(error), "Duplicate") and code_of(error) not in ALREADY


def _is_of_ec2(code: str, fault: str) -> bool:
    """Whether the code is one of those that EC2 forms alike for most kinds: `InvalidGroup.NotFound`."""
    return code.startswith("Invalid") and code.endswith(f".{fault}")


def is_about_credentials(error: Exception) -> bool:
    """Whether the error is about the credentials themselves, not about the call."""
    from botocore.exceptions import (
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
        SSOError,
        TokenRetrievalError,
    )

    nobody = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError, SSOError, TokenRetrievalError)
    return isinstance(error, nobody) or code_of(error) in CREDENTIALS


def is_passing(error: Exception) -> bool:
    """Whether the error is temporary (throttled, server error, no answer): the same call may succeed later."""
    return is_throttled(error) or is_ambiguous(error)


def is_throttled(error: Exception) -> bool:
    """Whether the call was throttled: nothing was done, and it may be repeated later."""
    return code_of(error) in THROTTLED


def is_ambiguous(error: Exception) -> bool:
    """Whether it is unknown if the call was performed: a 5xx answer other than throttling and missing capacity, or no answer."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return True
    if code_of(error) in THROTTLED | CAPACITY | {NO_ADDRESSES}:
        return False
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in AMBIGUOUS or status >= 500


def _passes(code: str, status: int) -> bool:
    """Whether a call that is safe to repeat may be retried after this answer."""
    return code in THROTTLED | AMBIGUOUS or (status >= 500 and code not in CAPACITY | {NO_ADDRESSES}) or status == 429


def is_not_yet_visible(error: Exception) -> bool:
    """Whether the error means that a new resource is not visible everywhere yet (ids, a gateway's attachment, an instance profile)."""
    code, text = code_of(error), text_of(error)
    if code == "InvalidParameterValue":
        return any(part in text for part in (*PROFILE_NOT_YET_KNOWN, "belong to different networks"))
    return is_gone(error) or code in {"IncorrectInstanceState"} or (code == "InvalidInstanceID" and "pending" in text)


def refused(where: str, error: Exception, *, todo: str = "") -> AwsError:
    """The AwsError for a service error, with code, message and request id."""
    response = getattr(error, "response", None)
    request_id = response.get("ResponseMetadata", {}).get("RequestId", "") if isinstance(response, dict) else ""
    said = f"{code_of(error)}: {text_of(error)}" if code_of(error) else f"{type(error).__name__}: {error}"
    if request_id:
        said += f" (request {request_id})"
    return AwsError(
        where,
        said=said,
        todo=todo or _todo_of(error),
        code=code_of(error),
    )


def _todo_of(error: Exception) -> str:
    """Advice for an error, by its code or by what kept the SDK from getting an answer."""
    from botocore.exceptions import (
        ConnectTimeoutError,
        EndpointConnectionError,
        NoCredentialsError,
        PartialCredentialsError,
        ProxyConnectionError,
        SSLError,
        SSOError,
        TokenRetrievalError,
    )

    if isinstance(error, (SSOError, TokenRetrievalError)):
        return _LOG_IN
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return "configure credentials (a profile, SSO, or the environment) and try again"
    if isinstance(error, (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError)):
        return "check the network, a proxy (HTTPS_PROXY), and AWS_ENDPOINT_URL; then run the same command again"
    return _ADVICE.get(code_of(error), _AGAIN)


_AGAIN = "run the same command again: it goes on where it stopped"
_LOG_IN = f"log in again (`aws sso login`, with your --profile; or put new keys in place), then {_AGAIN}"
_CLOCK = "look at the clock of this machine (`date -u`): AWS refuses what is off by more than five minutes"
_UNKNOWN = f"{_CLOCK}; check the credentials (`aws sts get-caller-identity`), and whether the region is switched on"
_SWITCH_ON = (
    "the credentials are good, but {region} is not switched on for this account: "
    "`aws account enable-region --region-name {region}`, or choose another --region"
)
# Codes by which a caller is not known: for wrong keys as for a region that is switched off.
UNKNOWN_CALLER = frozenset({"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "OptInRequired"})
FIRST_REGION = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_ADVICE = {
    **dict.fromkeys(DENIED, "ask for this permission, then run the same command again"),
    **dict.fromkeys(UNKNOWN_CALLER, _UNKNOWN),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"), _LOG_IN),
    "RequestExpired": f"{_LOG_IN}; {_CLOCK}",
    **dict.fromkeys(("SignatureDoesNotMatch", "InvalidSignatureException"), f"{_CLOCK}; check the secret key"),
    "VpcLimitExceeded": "delete a VPC that is not needed, or ask AWS for a higher quota (L-F678F1CE)",
    "AddressLimitExceeded": "release an Elastic IP that is not needed, or ask AWS for a higher quota (L-0263D0A3)",
    NO_ADDRESSES: "AWS has no public address left in this region now: try again later, or set aws.region to another one",
    "VcpuLimitExceeded": "stop other instances, or ask AWS for a higher quota (L-1216C47A)",
    "InsufficientInstanceCapacity": "try again later, or set network.availability_zone to another zone",
}


def in_parallel(first: Callable[[], _T], second: Callable[[], _U]) -> tuple[_T, _U]:
    """The results of two calls made in parallel. Raises the first call's exception, else the second's."""
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(second)
        return first(), other.result()


def retry_while(
    call: Callable[[], _T],
    *,
    when: Callable[[Exception], float],
    aws: Aws,
    where: str,
    todo: str = "",
    note: Callable[[Exception], None] = lambda error: None,
) -> _T:
    """The result of `call`, retried while it fails with an error for which `when` allows time.

    when: returns how long to retry after an error, in seconds from the first failure; 0 raises it at once. note: called with each failure
    that is retried. Raises AwsError when the time limit is reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    began = time.monotonic()
    for pause_s in aws.pauses():
        try:
            return call()
        except (ClientError, BotoCoreError) as error:
            timeout_s = when(error)
            if not timeout_s:
                raise
            if time.monotonic() - began >= timeout_s:
                raise refused(f"{where}: still refused after {timeout_s:.0f} s", error, todo=todo) from error
            note(error)
        time.sleep(pause_s)
    raise AssertionError("pauses have no end")


def wait_for(look: Callable[[], _T | None], *, aws: Aws, what: str, timeout_s: float, todo: str) -> _T:
    """The first value of `look` that is not None; it is called again after each of aws.pauses().

    Raises AwsError after timeout_s seconds, with what was waited for, how long, and what to do.
    """
    deadline = time.monotonic() + timeout_s
    for pause_s in aws.pauses():
        value = look()
        if value is not None:
            return value
        if time.monotonic() >= deadline:
            raise AwsError(f"waited {timeout_s:.0f} s for {what}", said="it has not happened", todo=todo)
        time.sleep(pause_s)
    raise AssertionError("pauses have no end")
