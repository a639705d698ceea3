"""Placing: the scripts that put the relay in front of a host's servers, and read its record. Pure.

    Hold by port or address ─▶ place_script() ─▶ (the host runs it) ─▶ … ─▶ record_script() ─▶ its output ─▶ read_record() ─▶ Seen

A host of either kind has its stand-ins first on its PATH. Where sockperf is one of them, it looks for the relay itself, behind its own
mapping of addresses; elsewhere it becomes one. Each sockperf, and the relay, can get a higher priority than the rest of the computer, if
allowed, so that other work disturbs the measurement less. Where the scheduler groups by session (autogroup), the session gets the
priority.
"""

from __future__ import annotations

import base64
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from enaxp.local.relay.program import BIN_NS

PROGRAM = Path(__file__).with_name("program.py")
Seen = Mapping[
    tuple[int, int], Mapping[int, int]
]  # round trips in ns, each with its count, by the server's port and the client's

_PLACE = """set -e
bin=${ENAXP_ROOT:-}/run/enaxp/bin folder=${ENAXP_ROOT:-}/run/enaxp/relay
for python in @PYTHON@ /usr/bin/python3 none; do "$python" -I -S -c '' 2> /dev/null && break; done
[ "$python" != none ] || { echo 'no Python here for the relay' >&2; exit 1; }
put() { base64 -d | sudo tee "$1" > /dev/null; }
sudo mkdir -p "$folder/record"
sudo chmod 1777 "$folder/record"
echo @PROGRAM@ | put "$folder/program.py"
echo @HOLDS@ | put "$folder/holds.json"
sudo rm -f "$folder"/record/*
cat << 'END' | sudo tee "$folder/first" > /dev/null
#!/bin/sh
# first PID: how far this process goes before others
renice -n @NICE@ -p "$1"
echo @NICE@ > "/proc/$1/autogroup"
END
cat << END | sudo tee "$bin/relayed-sockperf" > /dev/null
#!/bin/sh
# sockperf behind a relay: relayed-sockperf SOCKPERF ARGUMENT...
sudo -n "$folder/first" \\$\\$ > /dev/null 2>&1
[ "\\$2" = server ] && exec "$python" -I -S "$folder/program.py" "$folder" "\\$@"
sockperf=\\$1; shift; exec "\\$sockperf" "\\$@"
END
if [ ! -e "$bin/sockperf" ]; then
  printf '#!/bin/sh\\nexec "%s" "%s" "$@"\\n' "$bin/relayed-sockperf" "$(command -v sockperf)" | sudo tee "$bin/sockperf" > /dev/null
fi
sudo chmod 755 "$bin/sockperf" "$bin/relayed-sockperf" "$folder/first"
"""
_RECORD = 'cat "${ENAXP_ROOT:-}"/run/enaxp/relay/record/*.jsonl'


@dataclass(frozen=True, kw_only=True)
class Hold:
    """The relay's settings for one server, as in program.py: each message is delayed by `us`, a share `tail` by `tail_us` more; a share
    `loss` is dropped, and every message later than `until_s` after the first. One way: sockperf tells half of a round trip, so half of
    it.
    """

    us: float = 0.0
    tail: float = 0.0
    tail_us: float = 0.0
    loss: float = 0.0
    until_s: float = 0.0


_Count = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True)
class _Entry:
    """A line of the relay's record; bins: number of the bin → how many round trips."""

    port: _Count
    client_port: _Count
    bins: Mapping[_Count, _Count]


def place_script(holds: Mapping[int | str, Hold], *, nice: int = 0) -> str:
    """The script that puts the relay in front of the servers with these ports or addresses, from their next start on, and of no others.
    The record is reset.

    nice: priority of the relay and of each sockperf; below 0 is higher than normal.
    """
    table = json.dumps({str(server): asdict(hold) for server, hold in holds.items()})
    words = {
        "@PYTHON@": shlex.quote(str(Path(sys.executable).resolve())),
        "@PROGRAM@": base64.b64encode(PROGRAM.read_bytes()).decode(),
        "@NICE@": str(nice),
        "@HOLDS@": base64.b64encode(table.encode()).decode(),
    }
    script = _PLACE
    for word, value in words.items():
        script = script.replace(word, value)
    return script


def record_script() -> str:
    """The script that prints the relay's record so far; it is complete once its servers have ended."""
    return _RECORD


def read_record(text: str) -> Seen:
    """The record in the output of `record_script`. Raises ValueError for other text."""
    seen: dict[tuple[int, int], dict[int, int]] = {}
    for line in text.splitlines():
        try:
            entry = msgspec.json.decode(line, type=_Entry)
        except (msgspec.MsgspecError, UnicodeEncodeError) as error:
            raise ValueError(f"the record holds {line[:200]!r}: {error}") from None
        counts = seen.setdefault((entry.port, entry.client_port), {})
        for place, count in entry.bins.items():
            counts[place * BIN_NS] = counts.get(place * BIN_NS, 0) + count
    return seen
