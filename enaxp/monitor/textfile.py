"""Textfile: a bench's metrics so far, as a file that the client's node_exporter serves with its own metrics.

    trial ended ─▶ families_of ─▶ exposition ─▶ enaxp.prom on the client, replaced whole ─▶ node_exporter ─▶ Prometheus

It needs no further process on the host, and never fails a trial: without node_exporter's folder nothing is written, and a failed write is
reported once and retried after the next trial.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import replace

from enaxp.bench.measuring.pair import Pair
from enaxp.bench.measuring.runner import Progress, RunOptions
from enaxp.bench.run_folder.records import Manifest, RunFolder
from enaxp.errors import EnaxpError
from enaxp.monitor.metrics import exposition, families_of

FOLDER = "/var/lib/node_exporter/textfile"
NAME = "enaxp.prom"
WRITE_S = 10.0  # more patience than that a bench does not have


@contextlib.contextmanager
def published(options: RunOptions, *, pair: Pair, folder: RunFolder) -> Iterator[RunOptions]:
    """The same options, with a watcher that publishes on the client after each trial; the last time at the end of the
    block.
    """
    publisher = _Publisher(options, pair, folder)
    try:
        yield replace(options, watch=publisher.watch)
    finally:
        publisher.publish()


def write_command(text: str) -> str:
    """A command that replaces the file in one step, so that no scrape sees half of it.

    Does nothing where its folder does not exist.
    """
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return f"""
folder="${{ENAXP_ROOT:-}}{FOLDER}"
[ -d "$folder" ] || exit 0
root() {{ if [ -w "$folder" ]; then "$@"; else sudo -n "$@"; fi; }}
echo {packed} | base64 -d | gzip -dc | root tee "$folder/{NAME}.new" > /dev/null &&
root chmod 0644 "$folder/{NAME}.new" && root mv "$folder/{NAME}.new" "$folder/{NAME}"
"""


class _Publisher:
    """Publishes after each trial of a run."""

    def __init__(self, options: RunOptions, pair: Pair, folder: RunFolder) -> None:
        self._options = options
        self._pair = pair
        self._folder = folder
        self._records = folder.records()
        self._manifest: Manifest | None = None
        self._has_failed = False
        self._lock = threading.Lock()  # the trials of a pair may end side by side

    def watch(self, progress: Progress) -> None:
        self._options.watch(progress)
        if progress.record is not None:
            with self._lock:
                self._records.append(progress.record)
        if progress.record is not None or self._manifest is None:
            self.publish()

    def publish(self) -> None:
        """Writes the metrics so far. A failure is reported once, and never raised."""
        with self._lock:
            try:
                self._manifest = self._folder.read_manifest()
                text = exposition(families_of(self._manifest, self._records))
                self._pair.client.check(write_command(text), timeout_s=WRITE_S)
            except Exception as error:  # whatever it was: a picture of the bench is worth no trial of it
                self._tell(error)
            else:
                self._has_failed = False

    def _tell(self, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            said = f"{error.where} ({error.said})" if isinstance(error, EnaxpError) else str(error)
            note = f"metrics: they could not be written on the client: {said}"
            self._options.watch(Progress(done=len(self._records), total=len(self._records), seconds_left=0, note=note))
