"""Every reader of data from elsewhere, with samples of what it reads: what a fuzzer drives, in a test or for minutes (`make fuzz`).

sample ─▶ cut, repeated, spoilt, filled with strange values ─▶ reader ─▶ a value, or an error that a person can read

A reader that takes longer than MOST_CPU_S of a processor's time over one input hangs: thousands of times what any of them takes, so
that it does not matter what else the computer does.
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from enaxp.bench.fleet.folder import FleetFolder, FleetManifest, PairEntry
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.result import from_document, to_document
from enaxp.bench.judging.truth import read_truth
from enaxp.bench.measuring import capture
from enaxp.bench.measuring.scripts import split
from enaxp.bench.run_folder import environment
from enaxp.bench.run_folder.documents import encode, fields_of
from enaxp.bench.run_folder.evidence import weigh
from enaxp.bench.run_folder.histogram import Histogram
from enaxp.bench.run_folder.names import FLEET_MANIFEST
from enaxp.bench.run_folder.records import RunFolder, manifest_document, record_document
from enaxp.config import load_config
from enaxp.data import data_path
from enaxp.errors import EnaxpError
from enaxp.hosts import nic, sockperf, watching
from enaxp.hosts.cpus import read_cpus
from enaxp.hosts.doctor import SrdSetting, examine, read_facts
from enaxp.hosts.hostkeys import BEGIN, END, TOLD, keys_on_console, learned_keys, told_keys
from enaxp.hosts.usage import read_usage
from enaxp.lab import cost, labs
from enaxp.lab.given.saved import GivenFolder
from enaxp.lab.state import StateFile, read_state
from enaxp.lab.userdata import parse_done
from enaxp.local.cloud import _alive
from enaxp.local.relay.placing import read_record
from enaxp.traffic import Arm
from tests.support.factories import a_manifest, a_plan, a_record, pairs_of_records, shifted

Reader = Callable[[bytes], object]
SOCKPERF = Path(__file__).parents[1] / "hosts/fixtures"
STATE = {
    "schema": 2,
    "lab": "dev",
    "lab_id": "3f0c8bd2-7b06-4b8c-9d5e-2d8c9f6f0a11",
    "account": "123456789012",
    "region": "us-east-1",
    "target": "aws",
    "created_at": "2026-01-31T12:00:00Z",
    "expires_at": "2026-01-31T16:00:00Z",
    "generation": 1,
    "pinned": {"ami": None, "availability_zone": "us-east-1a", "ssh_cidr": "203.0.113.7/32", "isolation": None},
    "resources": {"vpc/lab": {"kind": "vpc", "id": "vpc-0123456789abcdef0", "owned": True}},
    "intents": {"eni/x": {"kind": "eni", "token": "t", "request_hash": "h", "at": "2026-01-31T12:00:00Z"}},
}
TAGS = {
    "enaxp:lab": "dev",
    "enaxp:lab-id": STATE["lab_id"],
    "enaxp:created": "2026-01-31T12:00:00Z",
    "enaxp:expires": "x",
}
MOST_CPU_S = 60.0
STRANGE = [
    *(None, True, False, -1, 2**63, 2**64, 10**400, 1e308, -0.0, "", "\x1b]0;x\x07", "../../x", "$(touch x)", "=1+1"),
    *("\ud800", "\x00", "a" * 300, [], {}, [[]], {"": {}}, "0", "-rf", "`id`", "'; id; '", "<script>"),
]
# In the place of a number in a text: Python's int() refuses the third and the fourth, and the second is no length of anything.
STRANGE_NUMBERS = [
    b"",
    b"999999999999",
    b"9" * 5000,
    "²".encode(),
    b"-1",
    b"0-999999999",
    b"1e999",
    b"nan",
    b"0x7f",
    b"1,2",
]


class HangError(BaseException):
    """A reader does not come to its end. Nothing that catches errors catches it, and nothing looks for a smaller input."""


@dataclass(frozen=True)
class Read:
    """A reader and what it usually reads. errors: what it may raise besides the errors that are told to a person."""

    read: Reader
    samples: tuple[bytes, ...]
    errors: tuple[type[Exception], ...] = ()


def _in_file(name: str, read: Callable[[Path], object]) -> Reader:
    def reader(content: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)
            return read(path)

    return reader


def _text(read: Callable[[str], object]) -> Reader:
    return lambda content: read(content.decode("utf-8", "surrogateescape"))


def _labs_of_tags(content: bytes) -> object:
    document = json.loads(content)
    if not isinstance(document, dict):
        return None
    tags = {str(key): str(value) for key, value in document.items()}
    return labs._grouped({"vpc-1": tags}, {}, "us-east-1")


def _result(path: Path) -> object:
    document = RunFolder(path.parent).read_document(path.name)
    return from_document(document)


def _saved_settings(content: bytes) -> object:
    """As every command looks for settings that wait to be put back."""
    return _in_file("given/i-0123456789abcdef0-i-0123456789abcdef1.json", lambda path: _given(path).unrestored())(
        content
    )


def _given(path: Path) -> GivenFolder:
    return GivenFolder(path.parents[1])


def _told_by_host(content: bytes) -> object:
    """What a host says when it is watched: its probe, then all else."""
    probe, _, rest = content.decode("utf-8", "surrogateescape").partition("\n\n")
    return watching.read_told(probe, rest, seconds=10.0).other_traffic


def _changes_of_environment(text: str) -> object:
    """What two moments of a host differ by."""
    facts = {"client": capture._read(text)}
    was = {"client": {**facts["client"], "load": "1"}}
    return (
        environment.steal_share(was, facts, "client"),
        environment.troubles(was, facts, "client"),
        environment.differences(was, facts),
        environment.fingerprint(facts),
    )


def _result_document() -> bytes:
    plan = a_plan(iterations=2, repeats=2)
    evidence = weigh(plan, pairs_of_records(plan), read_histogram=lambda record: shifted(1.0))
    return encode(to_document(result_from(a_manifest(plan=plan), evidence)))


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _outputs(pattern: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes()[:4_000] for path in sorted(SOCKPERF.rglob(pattern))[:12])


MANIFEST = encode(manifest_document(a_manifest()))
REDUCED = b"20000 2\n30000 1\nsecond 0 3 20000 30000 30000\nend 3 0.999\n"
PLANNED = b"20000 2\n30000 1\nlate 1\nend 3\n"
RESULT = _result_document()
ENVIRONMENT = (
    b"--8<-- kernel\n6.1.128\n--8<-- cpu_times\ncpu 1 2 3 4 5 6 7 8 9 10\n"
    b"--8<-- ena_express.counters\n     total_resets: 1\n     tx_timeout: 0\n"
)
CLOUD = {
    "pid": 1,
    "started": "1",
    "endpoint_url": "http://127.0.0.1:9",
    "isolation": "processes",
    "reason": "",
    "ssh_port": 22,
    "ssh_user": "root",
    "access_key": "ENAXP0123456789ABCDE",
    "secret_key": "x",
}
SETTING = {"instance_id": "i-0123456789abcdef0", "eni": "eni-0123456789abcdef0", "srd": False, "srd_udp": False}
SAVED = {
    "schema": 1,
    "lab": "given",
    "account": "123456789012",
    "region": "us-east-1",
    "target": "aws",
    "saved_at": "2026-01-31T12:00:00Z",
    "server": SETTING,
    "client": {**SETTING, "instance_id": "i-0123456789abcdef1", "eni": "eni-0123456789abcdef1"},
}
EFFECT = {
    **dict.fromkeys(("estimate_pct", "low_pct", "high_pct", "next_pair_low_pct", "next_pair_high_pct"), -3.0),
    "between_pairs_pct": 0.5,
    "i2": 0.2,
    "code": "faster",
    "confidence_pct": 97.5,
}
FLEET_VERDICT = {"code": "faster", "headline": "faster", "words": "p50 is lower"}
FLEET = {
    "schema": 1,
    "run_id": "20250411-082610",
    "lab": "dev",
    "variants": {
        "main": {
            "pairs": 3,
            "valid_pairs": 3,
            "scenarios": {"udp-latency": {"effects": {"p50": EFFECT}, "verdict": FLEET_VERDICT}},
        }
    },
    "differences": [
        {
            "scenario": "udp-latency",
            "metric": "p50",
            "a": "main",
            "b": "far",
            "code": "same",
            "estimate_pct": 0.1,
            "low_pct": None,
            "high_pct": None,
        }
    ],
}
TRUTH = {
    "schema": 1,
    "what": "held back",
    "figures": {
        "p50": {
            "planned_us": 3.0,
            "recorded_us": 3.1,
            "put_in_us": 3.1,
            "put_in_pct": 10.0,
            "code": "slower",
            "held": True,
            **dict.fromkeys(("found_us", "found_low_us", "found_high_us"), 3.0),
            **dict.fromkeys(("found_pct", "found_low_pct", "found_high_pct", "confidence_pct"), None),
        }
    },
}
PAIRS_JSON = encode(
    fields_of(
        FleetManifest(
            run_id="20250411-082610",
            lab="dev",
            target="aws",
            plan=a_plan(),
            pairs=(
                PairEntry(name="main-1", variant="main"),
                PairEntry(name="main-2", variant="main", lost="it is gone"),
            ),
            started_at="2025-04-11T08:26:10+00:00",
        )
    )
)
USAGE = (
    b"Udp: InDatagrams NoPorts InErrors RcvbufErrors\nUdp: 1200 3 0 0\n"
    b"cpu0 100 0 50 9000 3 2 7 0 0 0\ncpu1 90 1 40 9100 0 0 1 0 0 0\ndropped ens6 4\nirq ens6-Tx-Rx-0 0-1\n"
)
NETWORK = (
    b"network boot 3f0c8bd2-7b06-4b8c-9d5e-2d8c9f6f0a11\nnetwork changes 2\nnetwork last 3: ens6: mtu 9001\n"
    b"network mtu ens6 9001\nnetwork route ens6 192.168.3.21 from 192.168.3.11 dev ens6\n"
)
PROBE = b"interface ens6\nroute 192.168.3.11 from 192.168.3.21 dev ens6\nmtu 9001\ndriver driver: ena\n"
COUNTED = b"interface ens6\nstatistics 1 2 3 4 9001\n     ena_srd_mode: 3\n     ena_srd_tx_pkts: 7\n"
WATCHED = (
    PROBE
    + b"\n"
    + COUNTED
    + b"--8<-- enaxp watched\n"
    + COUNTED
    + b"--8<-- enaxp watched\nsockperf 3.10\nmachine x86_64\nload 0.20 0.1 0.0 1/200 4711\ncores 8\n"
)
DOCTORS_FACTS = (
    b"host kernel 6.1.128\nhost sockperf 3.10\nhost machine x86_64\nena interface ens5\nena mtu 8900\n"
    b"ena_express interface ens6\nena_express mtu 8900\nena_express version 2.13.0g\nena_express srd_mode 3\n"
    b"ena_express limit_min 750000\nena_express irqs 1 2 3\nena_express ring_rx 8192\nena_express rx 8192\n"
)
ATTACHMENTS: Mapping[Arm, SrdSetting] = {
    "ena": SrdSetting(srd=False, srd_udp=False),
    "ena_express": SrdSetting(srd=True, srd_udp=True),
}
READERS: Mapping[str, Read] = {
    "config": Read(
        _in_file("bench.yaml", lambda path: load_config(path, overrides={})),
        (data_path("config/bench.yaml").read_bytes(), b"a: &a [1]\nb: *a\n? [x]\n: y\n<<: {c: 1}\n"),
    ),
    "state": Read(_in_file("dev.json", lambda path: read_state(path, lab="dev")), (_json(STATE),), (ValueError,)),
    "state file": Read(_in_file("dev.json", lambda path: StateFile(path.parent, "dev").load()), (_json(STATE),)),
    "manifest": Read(_in_file("manifest.json", lambda path: RunFolder(path.parent).read_manifest()), (MANIFEST,)),
    "trials": Read(
        _in_file("trials.jsonl", lambda path: RunFolder(path.parent).records()), (encode(record_document(a_record())),)
    ),
    "pairs of a fleet": Read(
        _in_file(FLEET_MANIFEST, lambda path: FleetFolder(path.parent).read_manifest()), (PAIRS_JSON,)
    ),
    "fleet": Read(_in_file("fleet.json", lambda path: FleetFolder(path.parent).read_fleet()), (_json(FLEET),)),
    "truth": Read(_in_file("truth.json", lambda path: read_truth(RunFolder(path.parent))), (_json(TRUTH),)),
    "saved settings": Read(_saved_settings, (_json(SAVED),)),
    "result": Read(_in_file("result.json", _result), (RESULT,)),
    "histogram": Read(Histogram.from_bytes, (Histogram.of([1, 2, 3]).to_bytes(),), (ValueError,)),
    "rows": Read(
        lambda content: Histogram.from_rows(content, separator=b","),
        (b"1,2\n3,4\n", b"9223372036854775807,1\n"),
        (ValueError,),
    ),
    "sockperf": Read(_text(sockperf.parse), _outputs("*.txt")),
    "reduced log": Read(_text(sockperf.read_reduced), (REDUCED,), (ValueError,)),
    "planned log": Read(_text(sockperf.read_planned), (PLANNED,), (ValueError,)),
    "parts": Read(_text(lambda text: split(text, needed=("a",))), (b"--8<-- enaxp a\nx\n--8<-- enaxp end\n",)),
    "probe": Read(_text(nic.read_probe), (PROBE,)),
    "counters": Read(_text(nic.read_counters), (COUNTED, b"interface ens5\nstat x 1\n")),
    "network": Read(_text(nic.read_network), (NETWORK,)),
    "usage": Read(_text(read_usage), (USAGE,)),
    "cores": Read(
        _text(lambda text: read_cpus(text).free),
        (b"can_pin\nsiblings 0,4\nsiblings 1,5\nallowed 0-7\nnear 0-7\nserving 1\nserving 4-5\n",),
    ),
    "watched": Read(_told_by_host, (WATCHED,)),
    "relay's record": Read(
        _text(read_record),
        (b'{"port": 20010, "client_port": 20001, "bins": {"310": 4, "311": 9}}\n' * 2,),
        (ValueError,),
    ),
    "received by a server": Read(
        _text(sockperf.received_by_server), (b"sockperf: Total 1234 messages received and handled\n",)
    ),
    "receive buffer": Read(
        _text(sockperf.receive_buffer), (b"Socket buffers sizes of fd 5: RX: 425984 Byte, TX: 212992 Byte\n",)
    ),
    "environment": Read(_text(_changes_of_environment), (ENVIRONMENT,)),
    "doctor's facts": Read(
        _text(lambda text: examine("server", read_facts(text), attachments=ATTACHMENTS)),
        (DOCTORS_FACTS, b"a=b\n== c\n"),
    ),
    "done marker": Read(
        _text(parse_done),
        (b'{"ok": true, "failed_step": null, "log_tail": "", "note": "", "steps": ["a"]}', b"step mtu\n"),
    ),
    "console": Read(
        _text(keys_on_console), (f"x\r\n{BEGIN}\r\nssh-ed25519 {'A' * 68} root@x\r\n{END}\r\n".encode() * 2,)
    ),
    "known hosts": Read(
        _in_file("known", lambda path: (told_keys(path), learned_keys(path))), (f"{TOLD}\n* a b\n".encode(),)
    ),
    "prices": Read(
        _in_file("prices.json", cost._read_kept), (b'{"us-east-1/c6i.8xlarge": {"instance": 1.36, "at": 1}}',)
    ),
    "tags": Read(_labs_of_tags, (_json(TAGS),), (ValueError, RecursionError)),
    "cloud": Read(_in_file("local-cloud/cloud.json", lambda path: _alive(path.parent)), (_json(CLOUD),)),
}


# -- what they are given -------------------------------------------------------------------------------------------------------


def contents(samples: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Samples as they are, spoilt byte by byte, and with strange values in the place of what they hold; and noise."""
    sample = st.sampled_from(samples)
    documents = [document for document in map(_document, samples) if document is not None]
    spoilt = st.builds(_spoilt, sample, st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=8)), max_size=6))
    repeated = st.builds(lambda content, times: content * times, sample, st.integers(0, 3))
    renumbered = st.builds(
        _renumbered, sample, st.lists(st.tuples(st.integers(0, 1 << 16), st.sampled_from(STRANGE_NUMBERS)), max_size=3)
    )
    given = [spoilt, renumbered, repeated, st.binary(max_size=300), sample]
    if documents:
        changed = st.builds(
            _changed,
            st.sampled_from(documents),
            st.lists(st.tuples(st.integers(0, 1 << 16), st.sampled_from(STRANGE)), max_size=3),
        )
        given += [changed, changed]
    return st.one_of(given)


def _document(sample: bytes) -> object:
    try:
        return json.loads(sample)
    except ValueError:
        return None


def _spoilt(content: bytes, edits: list[tuple[int, bytes]]) -> bytes:
    for place, put in edits:
        at = place % (len(content) + 1)
        content = content[:at] + put + content[at + (place % 5) :]
    return content


def _renumbered(content: bytes, edits: list[tuple[int, bytes]]) -> bytes:
    for place, put in edits:
        numbers = list(re.finditer(rb"[0-9]+", content))
        if numbers:
            number = numbers[place % len(numbers)]
            content = content[: number.start()] + put + content[number.end() :]
    return content


def _changed(document: object, edits: list[tuple[int, object]]) -> bytes:
    document = json.loads(json.dumps(document))
    for number, value in edits:
        places = list(_places(document))
        if places:
            holder, key = places[number % len(places)]
            holder[key] = copy.deepcopy(value)  # type: ignore[index]
    return json.dumps(document).encode("utf-8", "surrogatepass")


def _places(document: object):  # type: ignore[no-untyped-def]
    if isinstance(document, dict):
        for key, value in document.items():
            yield document, key
            yield from _places(value)
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield document, number
            yield from _places(value)


def drive(name: str, content: bytes) -> None:
    """Gives a reader this content. Whatever it raises that no person could read goes on. Raises HangError."""
    reader = READERS[name]
    try:
        with bounded(MOST_CPU_S, what=f"{name!r} does not come to the end of {content!r}"):
            reader.read(content)
    except (EnaxpError, *reader.errors):
        return


@contextlib.contextmanager
def bounded(most_cpu_s: float, *, what: str) -> Iterator[None]:
    """Raises HangError once what is done has taken so much time of processors, however long the clock says that it took."""

    def hangs(number: int, frame: FrameType | None) -> None:
        raise HangError(f"{what} within {most_cpu_s:g} s of a processor")

    before = signal.signal(signal.SIGPROF, hangs)
    signal.setitimer(signal.ITIMER_PROF, most_cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def fuzz(name: str, *, minutes: float) -> int:
    """Drives a reader for so long; gives back with how many inputs. Raises what it found, with the input that leads there."""
    tried, round_, deadline = 0, 0, time.monotonic() + 60 * minutes

    while time.monotonic() < deadline:

        @seed(round_)
        @settings(
            max_examples=2000,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(contents(READERS[name].samples))
        def once(content: bytes) -> None:
            nonlocal tried
            if time.monotonic() < deadline:
                tried += 1
                drive(name, content)

        once()
        round_ += 1
    return tried


if __name__ == "__main__":
    asked = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    for one in sys.argv[2:] or READERS:
        print(f"{one}: {fuzz(one, minutes=asked)} inputs in {asked:g} minutes", flush=True)
