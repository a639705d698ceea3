"""Retries: calls that are safe to repeat are retried until a deadline, not up to a number of attempts.

    botocore's event `needs-retry` ─▶ PatientRetries ─▶ seconds until the next attempt, or None: the answer stands

botocore's own retries end after a number of attempts, and after a budget that throttling uses up: where every third call is throttled
for minutes, some call always fails. Here only time counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

BEGAN, PAUSES = "enaxp_began", "enaxp_pauses"  # in a request's context
TELL_S = 10.0  # longer retries are reported


class PatientRetries:
    """Answers `needs-retry` for one client.

    passes: whether a service error, by code and HTTP status, is temporary. pauses: seconds to wait before each attempt. patience_s: how
    long a call is retried. unreachable_s: how long while the endpoint does not answer at all. tell: called for each retry after TELL_S
    seconds, with the name of the API and its latest error.
    """

    def __init__(
        self,
        *,
        passes: Callable[[str, int], bool],
        pauses: Callable[[], Iterator[float]],
        patience_s: float,
        unreachable_s: float,
        tell: Callable[[str, str], None] = lambda api, failure: None,
    ) -> None:
        self._passes = passes
        self._pauses = pauses
        self._patience_s = patience_s
        self._unreachable_s = unreachable_s
        self._tell = tell

    def __call__(
        self,
        *,
        request_dict: Mapping[str, Any],
        response: tuple[Any, Mapping[str, Any]] | None,
        caught_exception: Exception | None,
        operation: Any = None,
        **_of_the_event: object,
    ) -> float | None:
        """Seconds until the next attempt, randomly reduced a little (jitter), so that callers do not retry in lockstep; None to stop."""
        patience_s = self._patience_with(response, caught_exception)
        context = request_dict["context"]
        began = context.setdefault(BEGAN, time.monotonic())
        waited_s = time.monotonic() - began
        if waited_s >= patience_s:
            return None
        if waited_s >= TELL_S and operation is not None:
            self._tell(operation.name, _failure(response, caught_exception))
        pauses: Iterator[float] = context.setdefault(PAUSES, self._pauses())
        return next(pauses) * random.uniform(0.5, 1.0)

    def _patience_with(
        self, response: tuple[Any, Mapping[str, Any]] | None, caught_exception: Exception | None
    ) -> float:
        """How long to retry after this failure, in seconds; 0 if it is not temporary."""
        from botocore.exceptions import (
            ConnectionError as NoConnection,
        )
        from botocore.exceptions import (
            EndpointConnectionError,
            HTTPClientError,
            ProxyConnectionError,
            SSLError,
        )

        if isinstance(caught_exception, (EndpointConnectionError, ProxyConnectionError, SSLError)):
            return self._unreachable_s
        if caught_exception is not None:
            return self._patience_s if isinstance(caught_exception, (HTTPClientError, NoConnection)) else 0.0
        if response is None:
            return 0.0
        answer, parsed = response
        code = str(parsed.get("Error", {}).get("Code", ""))
        return self._patience_s if self._passes(code, int(answer.status_code)) else 0.0


def _failure(response: tuple[Any, Mapping[str, Any]] | None, caught_exception: Exception | None) -> str:
    """The error code of an answer; where none came, the name of the exception."""
    if caught_exception is not None or response is None:
        return type(caught_exception).__name__
    answer, parsed = response
    return str(parsed.get("Error", {}).get("Code") or answer.status_code)
