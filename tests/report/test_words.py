"""What traffic is, and what else a report says, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enaxp.report.words import traffic_in_words
from enaxp.traffic import Background, Scenario
from tests.support.factories import TCP_RATE, UDP

LOAD = replace(UDP, mode="under-load", rate=1000)


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (UDP, "UDP ping-pong, 64-byte messages, one at a time; latency is half a round trip"),
        (
            replace(UDP, busy_poll_us=50),
            "UDP ping-pong, 64-byte messages, one at a time, receivers poll for 50 µs; latency is half a round trip",
        ),
        (replace(TCP_RATE, flows=8), "TCP one way, 1,472-byte messages, as many as go through in 8 flows"),
        (
            replace(TCP_RATE, protocol="udp", rate=60_000, buffer_size=8_388_608),
            "UDP one way, 1,472-byte messages, 60,000 a second, socket buffers of 8,388,608 bytes",
        ),
        (
            replace(LOAD, background=Background(protocol="tcp", flows=4, message_size=1472, share=0.65)),
            "UDP under load, 64-byte messages, 1,000 a second, whatever is answered, "
            "beside 4 TCP bulk flows at 65 % of what the hosts carry",
        ),
    ],
)
def test_traffic_is_reported_with_all_that_makes_it_another_one(scenario: Scenario, words: str) -> None:
    assert traffic_in_words(scenario) == words
