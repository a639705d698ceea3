"""Placing: how the relay comes before the servers of a host of the local target, and what it recorded there comes back. Pure.

    Hold by port or address ─▶ place_script() ─▶ (the host runs it) ─▶ … ─▶ record_script() ─▶ its output ─▶ read_record() ─▶ Seen

A host of either kind has its stand-ins first on its PATH. Where sockperf is one of them, it looks for the relay itself, behind its own
mapping of addresses; elsewhere it becomes one. Each sockperf, and the relay, can go before the rest of the computer where that is
allowed: what else it does is not what is to be measured, but waits. Where each session has a share of its own (autogroup), it is the
session that goes first.
"""

from __future__ import annotations

import base64
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

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
    """What the relay does to the messages for one server, as in program.py: `us` for each, `tail_us` more for the share `tail`; the share
    `loss` is lost, and what comes later than `until_s` after the first. One way: sockperf tells half of a round trip, so half of it.
    """

    us: float = 0.0
    tail: float = 0.0
    tail_us: float = 0.0
    loss: float = 0.0
    until_s: float = 0.0


def place_script(holds: Mapping[int | str, Hold], *, nice: int = 0) -> str:
    """Puts the relay before the servers with these ports or addresses, from their next start on; none elsewhere. Its record begins anew.

    nice: of the relay and of each sockperf; below 0 they go before others.
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
    """Prints what the relay recorded so far: all of it once its servers have ended."""
    return _RECORD


def read_record(text: str) -> Seen:
    """What `record_script` printed. Raises ValueError for anything else."""
    seen: dict[tuple[int, int], dict[int, int]] = {}
    for line in text.splitlines():
        entry = json.loads(line)
        counts = seen.setdefault((int(entry["port"]), int(entry["client_port"])), {})
        for place, count in entry["bins"].items():
            ns = int(place) * BIN_NS
            counts[ns] = counts.get(ns, 0) + int(count)
    return seen
