"""Measured: tags the hosts of a lab while a bench runs on them, so that other computers leave them alone.

told_to_others() ─▶ tag enaxp:bench = expected end ─▶ moved later while the bench still runs ─▶ actual end

A bench whose expected end has passed counts as over, because its computer may be lost. The tag is therefore renewed before that time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from enaxp.aws import Aws
from enaxp.errors import AwsError
from enaxp.lab.model import TAG_BENCH, Found, as_text
from enaxp.lab.state import StateFile
from enaxp.lab.tags import put_tags

RENEWED_BEFORE = timedelta(minutes=4)  # its expected end
RENEWED_BY = timedelta(minutes=10)
TRIED_AGAIN_AFTER = timedelta(minutes=2)
LONGEST_WAIT_S = 30.0  # the clock of a wait stands still while the computer sleeps


@contextlib.contextmanager
def told_to_others(
    aws: Aws, hosts: Sequence[Found], *, file: StateFile, takes_s: float, warn: Callable[[str], None]
) -> Iterator[None]:
    """A context during which these hosts carry the expected end of the bench, at first in takes_s seconds.

    file: stores the same time locally. An error of AWS or of the disk is passed to `warn` once, and not raised.
    """
    telling = _Telling(aws, hosts, file=file, warn=warn)
    until = datetime.now(UTC) + timedelta(seconds=takes_s)
    telling.tell(until)
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(telling, until, ended), name="bench tag", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()  # otherwise it could overwrite the actual end
        telling.tell(datetime.now(UTC))


def _renew(telling: _Telling, until: datetime, ended: threading.Event) -> None:
    """Moves the expected end later whenever it is near, until `ended` is set."""
    due = until - RENEWED_BEFORE
    while not ended.wait(min(LONGEST_WAIT_S, max(0.0, (due - datetime.now(UTC)).total_seconds()))):
        if datetime.now(UTC) >= due:
            until = datetime.now(UTC) + RENEWED_BY
            due = until - RENEWED_BEFORE if telling.tell(until) else datetime.now(UTC) + TRIED_AGAIN_AFTER


class _Telling:
    def __init__(self, aws: Aws, hosts: Sequence[Found], *, file: StateFile, warn: Callable[[str], None]) -> None:
        self._aws = aws
        self._hosts = hosts
        self._file = file
        self._warn = warn
        self._has_warned = False

    def tell(self, until: datetime) -> bool:
        """Writes this end. Returns whether AWS accepted the tag; if not, the local file keeps the previous end."""
        before = self._file.bench_until()
        try:
            self._file.mark_bench(as_text(until))
            put_tags(self._aws, self._hosts, {TAG_BENCH: as_text(until)})
        except (AwsError, OSError) as error:
            with contextlib.suppress(OSError):
                self._file.mark_bench(before)
            if not self._has_warned:
                self._has_warned = True
                why = error.in_one_line if isinstance(error, AwsError) else str(error)
                self._warn(f"warning: others are not told of this bench: {why}")
            return False
        return True
