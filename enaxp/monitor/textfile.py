"""Textfile: what a bench has measured so far, as a file that the client's node_exporter serves with its own metrics.

    trial ended ─▶ families_of ─▶ exposition ─▶ enaxp.prom on the client, replaced whole ─▶ node_exporter ─▶ Prometheus

Nothing more runs on the host for it, and nothing of it ever costs a trial: without node_exporter's folder there nothing is written,
and a write that fails is told once and tried again after the next trial.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import replace

from enaxp.bench.pair import Pair
from enaxp.bench.records import Manifest, RunFolder
from enaxp.bench.runner import Progress, RunOptions
from enaxp.errors import EnaxpError
from enaxp.monitor.metrics import exposition, families_of

FOLDER = "/var/lib/node_exporter/textfile"
NAME = "enaxp.prom"
WRITE_S = 10.0  # more patience than that a bench does not have


@contextlib.contextmanager
def published(ways: RunOptions, *, pair: Pair, folder: RunFolder) -> Iterator[RunOptions]:
    """The ways of a run whose trials are published on the client as they end; once more at the end of the run."""
    publisher = _Publisher(ways, pair, folder)
    try:
        yield replace(ways, watch=publisher.watch)
    finally:
        publisher.publish()


def write_command(text: str) -> str:
    """Puts the text in the place of the one before in one step, so that no scrape sees half of it.

    Does nothing where the folder is not.
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
    """Looks on as a run goes, and publishes after each of its trials."""

    def __init__(self, ways: RunOptions, pair: Pair, folder: RunFolder) -> None:
        self._ways = ways
        self._pair = pair
        self._folder = folder
        self._records = folder.records()
        self._manifest: Manifest | None = None
        self._has_failed = False
        self._lock = threading.Lock()  # the trials of a pair may end side by side

    def watch(self, progress: Progress) -> None:
        self._ways.watch(progress)
        if progress.record is not None:
            with self._lock:
                self._records.append(progress.record)
        if progress.record is not None or self._manifest is None:
            self.publish()

    def publish(self) -> None:
        """Writes what there is. Whatever fails is told, and raises nothing."""
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
            self._ways.watch(Progress(done=len(self._records), total=len(self._records), seconds_left=0, note=note))
