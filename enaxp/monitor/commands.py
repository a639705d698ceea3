"""Commands of the monitoring: what `enaxp exporter` and `enaxp monitor` do."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from enaxp.console import Console
from enaxp.errors import UsageError
from enaxp.monitor.exporter import serving
from enaxp.options import Options


def serve_metrics(options: Options, folder: Path, *, address: str, port: int) -> None:
    """Serves until Ctrl-C or SIGTERM. Raises UsageError when there is no such folder."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", todo="give the results folder of a bench: --results DIR")
    console = Console(as_json=options.as_json)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with serving(folder, address=address, port=port) as url:
        console.say(f"serving {folder} at {url}")
        ended.wait()
