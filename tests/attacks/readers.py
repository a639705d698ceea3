"""Every reader of data from elsewhere, with samples of what it reads: what a fuzzer drives, in a test or for minutes (`make fuzz`).

sample ─▶ cut, repeated, spoilt, filled with strange values ─▶ reader ─▶ a value, or an error that a person can read
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from enaxp.bench import environment
from enaxp.bench.documents import encode
from enaxp.bench.histogram import Histogram
from enaxp.bench.records import RunFolder, manifest_document, record_document
from enaxp.bench.result import from_document
from enaxp.bench.scripts import split
from enaxp.config import load_config
from enaxp.data import data_path
from enaxp.errors import EnaxpError
from enaxp.hosts import nic, sockperf
from enaxp.hosts.doctor import read_facts
from enaxp.hosts.hostkeys import BEGIN, END, TOLD, keys_on_console, learned_keys, told_keys
from enaxp.lab import cost, labs
from enaxp.lab.state import StateFile, read_state
from enaxp.lab.userdata import parse_done
from enaxp.local.cloud import _alive
from tests.support.factories import a_manifest, a_record

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
STRANGE = [
    *(None, True, False, -1, 2**63, 2**64, 10**400, 1e308, -0.0, "", "\x1b]0;x\x07", "../../x", "$(touch x)", "=1+1"),
    *("\ud800", "\x00", "a" * 300, [], {}, [[]], {"": {}}, "0", "-rf", "`id`", "'; id; '", "<script>"),
]


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


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _outputs(pattern: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes()[:4_000] for path in sorted(SOCKPERF.rglob(pattern))[:12])


MANIFEST = encode(manifest_document(a_manifest()))
REDUCED = b"observations 3\nwarmup 1\n20000 2\n30000 1\nsecond 0 3 20000 30000 30000\n"
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
    "result": Read(_in_file("result.json", _result), (b'{"schema": 1, "scenarios": {}}',)),
    "histogram": Read(Histogram.from_bytes, (Histogram.of([1, 2, 3]).to_bytes(),), (ValueError,)),
    "rows": Read(
        lambda content: Histogram.from_rows(content, separator=b","),
        (b"1,2\n3,4\n", b"9223372036854775807,1\n"),
        (ValueError,),
    ),
    "sockperf": Read(_text(sockperf.parse), _outputs("*.txt")),
    "reduced log": Read(_text(sockperf.read_reduced), (REDUCED,), (ValueError,)),
    "planned log": Read(_text(sockperf.read_planned), (REDUCED,), (ValueError,)),
    "parts": Read(_text(lambda text: split(text, needed=("a",))), (b"--8<-- enaxp a\nx\n--8<-- enaxp end\n",)),
    "probe": Read(_text(nic.read_probe), (b"interface=ens6\nroute=dev ens6 src 192.168.3.11\ndriver=ena\nmtu 9001\n",)),
    "counters": Read(
        _text(nic.read_counters),
        (b"== ens5\nrx_packets 1\ntx_packets 2\n-- device\nena_srd_mode: 3\n", b"interface ens5\nstat x 1\n"),
    ),
    "environment": Read(_text(environment._read), (b"kernel=6.1\ncpu=1 2 3\n",)),
    "doctor's facts": Read(_text(read_facts), (b"done\t{}\nsockperf\t3.10\n", b"a=b\n== c\n")),
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
    given = [spoilt, repeated, st.binary(max_size=300), sample]
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
    """Gives a reader this content. Whatever it raises that no person could read goes on."""
    reader = READERS[name]
    try:
        reader.read(content)
    except (EnaxpError, *reader.errors):
        return


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
            tried += 1
            if time.monotonic() < deadline:
                drive(name, content)

        once()
        round_ += 1
    return tried


if __name__ == "__main__":
    asked = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    for one in sys.argv[2:] or READERS:
        print(f"{one}: {fuzz(one, minutes=asked)} inputs in {asked:g} minutes", flush=True)
