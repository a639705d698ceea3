"""sockperf's words: outputs of two real versions, their failures, edited forms of others; commands; the reduction of real full logs."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from enaxp.bench.run_folder.histogram import Histogram
from enaxp.hosts.sockperf import (
    LOG_BEGINS_S,
    PRINTED,
    ParsedFile,
    Second,
    SocketOptions,
    SockperfOutput,
    client_command,
    has_stalled,
    measured_share,
    parse,
    printed_of,
    read_reduced,
    receive_buffer,
    reduce_log_command,
    server_command,
)
from enaxp.traffic import Percentile

FIXTURES = Path(__file__).parent / "fixtures"
OUTPUTS = FIXTURES / "sockperf"
EXPECTED = json.loads((FIXTURES / "sockperf_expected.json").read_text())
FAULTS = json.loads((FIXTURES / "sockperf_faults.json").read_text())
CASES = yaml.safe_load((Path(__file__).parent / "sockperf_cases.yaml").read_text())
VERSIONS = ("3.7", "3.10")
PARSE_KEYS = [
    "file",
    "ok",
    "reason",
    "version",
    "mode",
    "measures",
    "mean_us",
    "std_dev_us",
    "min_us",
    "max_us",
    "percentiles_us",
    "observations",
    "sent",
    "received",
    "dropped",
    "duplicated",
    "out_of_order",
    "total_runtime_s",
    "valid_runtime_s",
    "messages_per_s",
    "bandwidth_mbps",
]

needs_sockperf = pytest.mark.skipif(shutil.which("sockperf") is None, reason="needs sockperf")


def read(name: str) -> str:
    return (OUTPUTS / name).read_text()


def as_printed(text: str, *, file: str = "-") -> dict[str, Any]:
    """The object that `enaxp parse` prints."""
    return dict(msgspec.to_builtins(ParsedFile.of(file, parse(text))))


# -- output ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_output_is_read_as_it_reads(name: str) -> None:
    output = as_printed(read(name))

    seen = {key: output[key] for key in EXPECTED[name]}

    assert seen == {
        key: pytest.approx(value) if isinstance(value, float) else value for key, value in EXPECTED[name].items()
    }


def test_every_fixture_has_an_expectation() -> None:
    fixtures = {str(path.relative_to(OUTPUTS)) for path in OUTPUTS.rglob("*.*") if path.is_file()}

    assert fixtures == EXPECTED.keys() | {f"{version}/{name}" for version in VERSIONS for name in FAULTS}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FAULTS)
def test_what_is_not_a_good_run_is_not_ok_and_says_why(version: str, name: str) -> None:
    output = parse(read(f"{version}/{name}"))

    assert not output.ok
    assert FAULTS[name] in str(output.reason)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_output_of_a_server_is_distinguished_from_that_of_a_client(version: str) -> None:
    output = parse(read(f"{version}/ping-pong-udp.server.txt"))

    assert (output.mode, output.version, output.measures, output.mean_us) == ("server", version, None, None)


def test_a_parsed_file_has_the_keys_other_programs_rely_on() -> None:
    assert list(as_printed(read("3.7/ping-pong-udp.txt"))) == PARSE_KEYS


@pytest.mark.parametrize("name", EXPECTED)
def test_colours_line_ends_and_comments_change_nothing(name: str) -> None:
    text = read(name)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)

    assert parse(plain) == parse(plain.replace("\n", "\r\n")) == parse(f"# Iteration: 0\n{text}") == parse(text)


@pytest.mark.parametrize("name", [name for name in EXPECTED if "under-load" in name])
def test_the_line_of_a_signal_may_fall_anywhere_even_into_another_line(name: str) -> None:
    line = "sockperf: Test end (interrupted by signal 2)\n"
    text = read(name).replace(line, "")
    whole = parse(read(name))

    for place in range(text.index("Test ended"), len(text), 7):
        assert parse(text[:place] + line + text[place:]) == whole


def test_p99_9_is_the_line_of_99_900_and_no_other() -> None:
    # A pattern such as `percentile 99\.9+` matches 99.999 and 99.990, but never 99.900.
    assert parse(read("3.10/ping-pong-udp.txt")).percentiles_us["99.9"] == 83.117


@pytest.mark.parametrize("version", ["3.7", "3.10"])
def test_the_percentiles_said_to_be_printed_are_those_that_it_prints(version: str) -> None:
    assert tuple(parse(read(f"{version}/ping-pong-udp.txt")).percentiles_us) == PRINTED


def test_a_percentile_that_it_does_not_print_is_left_out() -> None:
    p99, p99_5 = Percentile(name="p99", p=0.99), Percentile(name="p99_5", p=0.995)

    assert printed_of([p99, p99_5]) == (p99,)


EDITS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "3.5 writes avg-lat, padded": ("avg-latency=17.676", "avg-lat= 17.676", {"ok": True, "mean_us": 17.676}),
    "a version of another build": ("#3.7-no.git", "#3.10-0.git31ee322aa82a", {"version": "3.10", "ok": True}),
    "percentile lines may be missing": (
        "sockperf: ---> percentile 99.900 =   80.203\n",
        "",
        {"ok": True, "mean_us": 17.676},
    ),
    "a lost reply stalls the run": ("RunTime=1.550", "RunTime=0.378", {"ok": False, "dropped": 0, "mean_us": 17.676}),
    "just long enough": ("RunTime=1.550", "RunTime=1.519", {"ok": True}),
    "just too short": ("RunTime=1.550", "RunTime=1.518", {"ok": False}),
    "ended by the user": ("interrupted by timer", "interrupted by user", {"ok": False, "mean_us": 17.676}),
    "no observation": ("Total 43814 obs", "Total 0 obs", {"ok": False, "observations": 0}),
    "a figure that is none": ("avg-latency=17.676", "avg-latency=-nan", {"ok": False, "mean_us": None}),
    "a deviation that is none": ("std-dev=18.723", "std-dev=nan", {"ok": True, "std_dev_us": None}),
    "a burst": ("Latency is", "Latency of burst of 8 messages is", {"ok": True, "mode": "ping-pong"}),
    "more digits on request": ("=17.676", "=17.676123456", {"ok": True, "mean_us": 17.676123456}),
    "skipped messages": ("ReceivedMessages=64168", "ReceivedMessages=64168; SkippedMessages=3", {"ok": True}),
    "an error after the start": (
        "Test ended",
        "ERROR: A connection was forcibly closed by a peer",
        {"ok": False, "reason": "sockperf stopped: A connection was forcibly closed by a peer"},
    ),
    "no valid observation": ("[Valid Duration]", "No valid observations found. Try tune parameters:", {"ok": False}),
    "a number too long to be one": ("Total 43814 obs", f"Total {'9' * 5000} obs", {"ok": False, "observations": None}),
}


@pytest.mark.parametrize("case", EDITS)
def test_other_forms_of_a_ping_pong(case: str) -> None:
    old, new, expected = EDITS[case]
    text = read("3.7/ping-pong-udp.txt")
    assert old in text

    output = as_printed(text.replace(old, new))

    assert {key: output[key] for key in expected} == expected


RATES: dict[str, tuple[str, float]] = {
    "as usual": ("169.361 MBps (1354.889 Mbps)", 1354.889 * 1.048576),
    "--giga-size": ("0.169 GBps (1.355 Gbps)", 1355 * 1.048576),
    "--increase_output_precision up to 3.7 says G and means M": (
        "169.361114502 GBps (1354.888916016 Gbps)",
        1354.888916016 * 1.048576,
    ),
    "--increase_output_precision from 3.8": ("169.361114502 MBps (1354.888916016 Mbps)", 1354.888916016 * 1.048576),
}


@pytest.mark.parametrize("case", RATES)
def test_bandwidth_is_in_millions_of_bits_a_second_whatever_unit_was_printed(case: str) -> None:
    printed, expected = RATES[case]
    text = read("3.7/throughput-udp.txt").replace("169.361 MBps (1354.889 Mbps)", printed)

    assert parse(text).bandwidth_mbps == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty: sockperf printed nothing"),
        ("\x1b[0m\r\n", "empty: sockperf printed nothing"),
        ("hello\n", "not output of sockperf"),
        ("sockperf: == version #3.10-no.git ==\n", "no statistics in it: sockperf did not come to its end"),
        (read("3.7/ping-pong-udp.txt") * 2, "2 runs of sockperf in one text; one is read at a time"),
        (read("3.7/ping-pong-udp.txt")[:300], "no statistics in it: sockperf did not come to its end"),
        (read("3.7/ping-pong-udp.txt")[:500], "no statistics in it: cut short after the end of the run"),
        (read("3.7/throughput-tcp.txt")[:320], "no message rate and bandwidth in it: cut short"),
    ],
)
def test_text_that_holds_no_run_says_so(text: str, reason: str) -> None:
    output = parse(text)

    assert (output.ok, output.reason) == (False, reason)


def text_of(case: dict[str, Any]) -> str:
    """The text of a case of sockperf_cases.yaml."""
    if "text" in case:
        return str(case["text"])
    text = (FIXTURES / case["of"]).read_text()
    for old, new in case.get("edits", ()):
        assert old in text, f"{old!r} is not in {case['of']}"
        text = text.replace(old, new)
    if "mean" in case:
        text = re.sub(r"(avg-[a-z]+=)[0-9.]+", rf"\g<1>{case['mean']}", text)
    if "cut_at" in case:
        text = text[: text.index(case["cut_at"])]
    if "cut_before" in case:
        text = text[text.index(case["cut_before"]) :]
    if "before_of" in case:
        text = (FIXTURES / case["before_of"]).read_text() + text
    text = case.get("before", "") + text * (2 if case.get("twice") else 1) + case.get("after", "")
    return text.replace("\n", case.get("line_ends", "\n"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_text_that_somebody_kept_is_read_as_it_is_meant(case: dict[str, Any]) -> None:
    output = as_printed(text_of(case))

    assert case.get("says", "") in (output["reason"] or "")
    assert output["ok"] == (case.get("says") is None)
    assert {key: output[key] for key in case.get("reads", {})} == case.get("reads", {})


@given(st.binary(max_size=2000))
def test_no_bytes_make_parse_raise(content: bytes) -> None:
    output = parse(content.decode("utf-8", "replace"))

    assert isinstance(output, SockperfOutput)
    assert not output.ok


@given(st.sampled_from(sorted(EXPECTED)), st.data())
def test_a_damaged_output_never_raises_and_stays_json(name: str, data: st.DataObject) -> None:
    text = read(name)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 200)))
    damaged = text[:start] + data.draw(st.text("0123456789.=;[ \n\x1b", max_size=60)) + text[end:]

    output = as_printed(damaged)

    assert output["ok"] == (output["reason"] is None)
    json.dumps(output, allow_nan=False)


# -- commands --------------------------------------------------------------------------------------------------------------

TRIAL: dict[str, Any] = {
    "server_ip": "192.168.3.11",
    "port": 11111,
    "client_ip": "192.168.3.21",
    "client_port": 20001,
    "message_size": 64,
    "duration_s": 10,
}
BASE = "-i 192.168.3.11 -p 11111 --client_ip 192.168.3.21 --client_port 20001 -m 64 -t 10"
TCP = BASE.replace("11111", "11111 --tcp")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"mode": "ping-pong", "protocol": "udp"}, f"sockperf ping-pong {BASE}"),
        ({"mode": "ping-pong", "protocol": "tcp"}, f"sockperf ping-pong {TCP}"),
        (
            {"mode": "ping-pong", "protocol": "udp", "full_log": "/tmp/a"},
            f"sockperf ping-pong {BASE} --full-log /tmp/a",
        ),
        (
            {"mode": "under-load", "protocol": "udp", "rate": 10000, "reply_every": 1},
            f"sockperf under-load {BASE} --mps 10000 --reply-every 1",
        ),
        # throughput leaves a full log empty, and knows no replies
        (
            {"mode": "throughput", "protocol": "tcp", "rate": "max", "reply_every": 5, "full_log": "/tmp/a"},
            f"sockperf throughput {TCP} --mps max",
        ),
        (
            {"mode": "throughput", "protocol": "tcp", "sockets": SocketOptions(buffer_size=8388608)},
            f"sockperf throughput {TCP} --buffer-size 8388608",
        ),
        (
            {"mode": "ping-pong", "protocol": "udp", "sockets": SocketOptions(busy_poll_us=50)},
            f"sockperf ping-pong {BASE} --lls 50",
        ),
    ],
)
def test_the_command_of_a_trial(chosen: dict[str, Any], expected: str) -> None:
    assert client_command(**TRIAL, **chosen) == expected.split()


def test_a_duration_is_rounded_up_because_sockperf_cuts_it_off() -> None:
    assert client_command(**{**TRIAL, "duration_s": 1.5}, mode="ping-pong", protocol="udp")[-2:] == ["-t", "2"]


@pytest.mark.parametrize(("protocol", "tail"), [("udp", []), ("tcp", ["--tcp"])])
def test_the_command_of_a_server(protocol: Any, tail: list[str]) -> None:
    command = server_command(ip="192.168.3.10", port=11110, protocol=protocol)

    assert command == ["sockperf", "server", "-i", "192.168.3.10", "-p", "11110", *tail]


def test_a_buffer_is_half_of_what_the_kernel_tells_and_the_smaller_one_of_several() -> None:
    told = "sockperf: Socket buffers sizes of fd {}: RX: {} Byte, TX: 9 Byte\n"

    assert receive_buffer(told.format(3, 425984) + told.format(4, 16777216)) == 212992
    assert receive_buffer("sockperf: Warmup stage") is None


@contextmanager
def running_server(protocol: Any) -> Iterator[int]:
    """A real server on loopback; its port."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        server_command(ip="127.0.0.1", port=port, protocol=protocol), stdout=subprocess.PIPE, text=True
    )
    try:
        time.sleep(0.5)  # sockperf does not say when it listens: its stdout is buffered
        yield port
    finally:
        server.terminate()
        server.communicate(timeout=10)


def _first_sound_run(command: list[str], *, attempts: int = 4) -> SockperfOutput:
    """What sockperf says of a run that counts, as a bench tries again: on a busy machine a run may begin late."""
    for _ in range(attempts):
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        output = parse(run.stdout)
        if output.ok:
            break
    return output


@needs_sockperf
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_real_ping_pong_agrees_with_its_reduced_full_log(tmp_path: Path, protocol: Any) -> None:
    log = tmp_path / "full log.csv"
    with running_server(protocol) as port:
        trial = {**TRIAL, "server_ip": "127.0.0.1", "client_ip": "127.0.0.1", "port": port, "client_port": 0}
        command = client_command(
            **{**trial, "duration_s": 3}, mode="ping-pong", protocol=protocol, rate=2000, full_log=str(log)
        )
        output = _first_sound_run(command)

    histogram = Histogram.from_reduced(read_reduced(reduce(log)))

    assert output.ok, output.reason
    assert histogram.count == output.observations
    assert_agrees(histogram, output)


@needs_sockperf
def test_a_real_client_without_a_server_is_not_ok() -> None:
    command = client_command(
        **{**TRIAL, "server_ip": "127.0.0.1", "client_ip": "127.0.0.1", "port": 1, "client_port": 0, "duration_s": 1},
        mode="ping-pong",
        protocol="tcp",
    )

    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert run.returncode == 0
    assert "Connection refused" in str(parse(run.stdout).reason)


# -- full log --------------------------------------------------------------------------------------------------------------

AWKS = [words for words in (["mawk"], ["gawk"], ["busybox", "awk"], ["original-awk"]) if shutil.which(words[0])]


def reduce(log: Path, *, awk: list[str] | None = None, environment: dict[str, str] | None = None) -> str:
    command = reduce_log_command(str(log))
    if awk:
        command = command.replace("LC_ALL=C awk", f"LC_ALL=C {' '.join(awk)}")
    run = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert (run.returncode == 0) == run.stdout.rstrip().rpartition("\n")[2].startswith("end ")
    return run.stdout


def assert_agrees(histogram: Histogram, output: SockperfOutput) -> None:
    """sockperf truncates to 0.001 µs what its log rounds."""
    for percent, printed in output.percentiles_us.items():
        value = histogram.sockperf_percentile(float(percent) / 100)
        assert value is not None
        assert value / 1000 == pytest.approx(printed, abs=0.00101)
    assert histogram.max / 1000 == pytest.approx(output.max_us, abs=0.00101)
    assert histogram.mean / 1000 == pytest.approx(output.mean_us, abs=0.00201)


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_reduction_of_a_real_log_is_exact_and_agrees_with_sockperf(version: str, awk: list[str]) -> None:
    log = OUTPUTS / version / "full-log-udp.csv"
    by_hand = [
        int(row.split(", ")[3].replace(".", "")) for row in log.read_text().splitlines() if re.match(r"\d+, ", row)
    ]

    reduced = read_reduced(reduce(log, awk=awk))

    histogram = Histogram.from_reduced(reduced)
    assert histogram == Histogram.of(by_hand)
    assert_agrees(histogram, parse(read(f"{version}/full-log-udp.txt")))
    assert sum(second.count for second in reduced.seconds) == reduced.observations == 2201


def test_awks_agree_to_the_byte() -> None:
    log = OUTPUTS / "3.10" / "full-log-udp.csv"

    assert len({reduce(log, awk=awk) for awk in AWKS}) == 1


def a_log(*rows: tuple[float, str]) -> str:
    lines = [f"{i}, {sent:.9f}, {sent + 0.0001:.9f}, {latency}" for i, (sent, latency) in enumerate(rows)]
    head = "------\ntest was performed using\n------\n\x1b[2;35mTotal 3, 4, 5, 6\x1b[0m\npacket, txTime(sec), rxTime(sec), latency(usec)"
    return "\n".join([head, *lines, "------", ""])


def test_the_reduction_counts_each_second_by_itself(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    rows = [(2.4 + i / 1000, f"{i + 1}.000") for i in range(200)] + [(3.1, "0.007"), (3.2, "5000000.123")]
    log.write_text(a_log(*rows))

    reduced = read_reduced(reduce(log))

    assert reduced.seconds == (
        Second(second=2, count=200, p50_us=100.0, p99_us=198.0, max_us=200.0),
        Second(second=3, count=2, p50_us=0.0, p99_us=5000000.1, max_us=5000000.1),
    )
    histogram = Histogram.from_reduced(reduced)
    assert (histogram.values[0], histogram.max, histogram.count) == (7, 5_000_000_123, 202)


BAD_LOGS = {
    "empty, as after a throughput run": "",
    "without a row": a_log(),
    "cut inside a row": a_log((2.4, "1.000"), (2.5, "2.000"))[:-14],
    "cut before the last rule": a_log((2.4, "1.000"), (2.5, "2.000"))[:-7],
    "with a latency that is none": a_log((2.4, "1.000"), (2.5, "nan")),
    "with fewer digits": a_log((2.4, "1.00")),
}


@pytest.mark.parametrize("case", BAD_LOGS)
def test_a_log_that_is_not_whole_is_refused(tmp_path: Path, case: str) -> None:
    log = tmp_path / "log.csv"
    log.write_text(BAD_LOGS[case])

    with pytest.raises(ValueError, match="missing, empty or cut short"):
        read_reduced(reduce(log))


def test_a_missing_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="missing, empty or cut short"):
        read_reduced(reduce(tmp_path / "none"))


def test_a_reduction_that_lost_lines_on_the_way_is_refused() -> None:
    lines = reduce(OUTPUTS / "3.7" / "full-log-udp.csv").splitlines()
    del lines[100]

    with pytest.raises(ValueError, match="observations of 2201"):
        Histogram.from_reduced(read_reduced("\n".join(lines)))


def test_the_reduction_does_not_depend_on_the_language_of_the_host(tmp_path: Path) -> None:
    log = tmp_path / "log with a 'quote'.csv"
    log.write_text(a_log((2.4, "1.500"), (2.5, "2.250")))

    text = reduce(log, environment={"PATH": os.environ["PATH"], "LC_ALL": "de_DE.UTF-8"})

    assert read_reduced(text).histogram_rows == b"1500 1\n2250 1\n"


# -- silence ---------------------------------------------------------------------------------------------------------------


def late(valid_s: float) -> str:
    """A real output of one second, of which so much is valid."""
    text = (OUTPUTS / "3.10" / "ping-pong-udp.txt").read_text()
    return re.sub(r"(\[Valid Duration\] RunTime=)[0-9.]+", rf"\g<1>{valid_s:.3f}", text)


def test_a_run_that_began_late_is_good_and_one_that_ended_early_fell_silent() -> None:
    output = parse(late(0.3))
    assert output.total_runtime_s is not None
    end = LOG_BEGINS_S + output.total_runtime_s - 0.05

    assert has_stalled(output)  # without its log nobody can tell
    assert parse(late(0.3), log_ends_s=end).ok
    assert has_stalled(parse(late(0.3), log_ends_s=end - 0.25))


@needs_sockperf
def test_a_real_ping_pong_whose_reply_is_lost_falls_silent_and_its_log_ends_where_it_did(tmp_path: Path) -> None:
    log = tmp_path / "full.log"
    with running_server("udp") as port, losing_relay(to=port, after_s=1.5) as relayed:
        trial = {**TRIAL, "server_ip": "127.0.0.1", "client_ip": "127.0.0.1", "port": relayed, "client_port": 0}
        command = client_command(
            **{**trial, "duration_s": 3}, mode="ping-pong", protocol="udp", rate=2000, full_log=str(log)
        )
        text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

    reduced = read_reduced(reduce(log))
    output = parse(text, log_ends_s=reduced.ends_s)
    last = log.read_text().splitlines()[-2].split(", ")[1]
    assert has_stalled(output)
    assert reduced.ends_s == float(last)
    assert output.dropped == 0  # sockperf does not count what it waits for
    assert 0.1 < measured_share(output) < 0.9


@contextmanager
def losing_relay(*, to: int, after_s: float) -> Iterator[int]:
    """A relay on loopback before a UDP server, that loses every message later than so many s after the first; gives its port."""
    front, back = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    front.bind(("127.0.0.1", 0))
    back.connect(("127.0.0.1", to))
    ended = threading.Event()

    def carry() -> None:
        client, began = None, None
        while not ended.is_set():
            for ready in select.select([front, back], [], [], 0.05)[0]:
                if ready is front:
                    message, client = front.recvfrom(2048)
                    if began is None:
                        began = time.monotonic()
                    if began is None or time.monotonic() < began + after_s:
                        back.send(message)
                elif client is not None:
                    front.sendto(back.recv(2048), client)

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield int(front.getsockname()[1])
    finally:
        ended.set()
        thread.join()
        front.close()
        back.close()
