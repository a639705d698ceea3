"""How long `up` of a fleet takes beside the least that AWS's rates allow, and how many calls it makes, on the strict AWS.

python -m selfcheck.fleet_up [PAIRS …]        1, 8 and 64 pairs by default

Each call takes 150 ms, each API is throttled as AWS throttles it, and an instance runs eight seconds after its launch. What is left out is
what hosts do: there are none. The rate of launches alone is 2 a second after the first five.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from enaxp.aws import Aws
from enaxp.config import load_config
from enaxp.lab.lifecycle import LabContext, Target, down, look, up
from enaxp.lab.model import LAYERS
from enaxp.lab.pace import calls_of
from enaxp.lab.state import StateFile
from enaxp.local.strict import Quotas, Timing, serve
from enaxp.rates import least_seconds

LATENCY_S = 0.15
TIMING = Timing(instance_running=8.0, attach=2.0, placement_group=1.0, profile_visible=8.0, network_pending=1.0)
LARGE = {"network.subnet_cidr": "192.168.2.0/23", "network.second_subnet_cidr": "192.168.6.0/23"}
LARGE_HOSTS = {
    "hosts.server.ena_ip": "192.168.2.10",
    "hosts.server.ena_express_ip": "192.168.2.11",
    "hosts.client.ena_ip": "192.168.2.20",
    "hosts.client.ena_express_ip": "192.168.2.21",
}


def measure(pairs: int) -> str:
    """A line about `up` and `down` of so many pairs."""
    server = serve(timing=TIMING, quotas=Quotas(vcpus=32 * 2 * pairs + 64))
    try:
        server.set_latency(LATENCY_S)
        server.set_throttling(on=True)
        config = load_config(overrides={"fleet.pairs": pairs, **LARGE, **LARGE_HOSTS})
        aws = Aws(region="us-east-1", endpoint_url=server.endpoint_url, access_key="x", secret_key="x")
        with tempfile.TemporaryDirectory() as folder:
            file = StateFile(Path(folder), config.lab)
            context = LabContext(config=config, aws=aws, file=file, target=Target(name="aws"))
            snapshot = look(context)
            least_s, action = least_seconds(calls_of(snapshot.plan, snapshot.resources))
            server.forget_calls()
            began = time.monotonic()
            up(context, snapshot, watch=lambda _event: None)
            took_s = time.monotonic() - began
            made = Counter(call.action for call in server.calls)
            refused = sum(call.code == "RequestLimitExceeded" for call in server.calls)
            assert sum(resource.startswith("i-") for resource in server.resources()) == 2 * pairs
            began = time.monotonic()
            down(context, layers=LAYERS, watch=lambda _event: None, note=print)
            down_s = time.monotonic() - began
            assert server.resources() == []
    finally:
        server.stop()
    reads = sum(count for name, count in made.items() if name.startswith(("Describe", "Get", "List")))
    most = ", ".join(f"{count} {name}" for name, count in made.most_common(5))
    return (
        f"{pairs:>3} pairs: up {took_s:6.1f} s (at least {least_s:.1f} s for {action or 'nothing'}), {made.total()} calls, {reads} of them "
        f"reads, {refused} refused for their rate; down {down_s:.1f} s\n          {most}"
    )


def main() -> None:
    """One line for each number of pairs."""
    for pairs in [int(text) for text in sys.argv[1:]] or [1, 8, 64]:
        print(measure(pairs), flush=True)


if __name__ == "__main__":
    main()
