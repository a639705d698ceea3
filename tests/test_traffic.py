"""What is said of every mode once, and what follows from it."""

from __future__ import annotations

import pytest

from enaxp.report.words import traffic_in_words
from enaxp.traffic import MODE_FACTS, MODES, Background, Mode, Scenario

BULK = Background(protocol="tcp", flows=4, message_size=16384, share=0.5)


def test_every_mode_has_its_facts() -> None:
    assert tuple(MODE_FACTS) == MODES


@pytest.mark.parametrize(
    ("mode", "rate", "flows", "words"),
    [
        ("ping-pong", None, 1, "UDP ping-pong, 64-byte messages, one at a time, beside 4 TCP bulk flows at 50 % of what the hosts carry; "
         "latency is half a round trip"),
        ("under-load", 20000, 2, "UDP under load, 64-byte messages, 20,000 a second in 2 flows, whatever is answered, beside 4 TCP bulk "
         "flows at 50 % of what the hosts carry"),
        ("throughput", None, 1, "UDP one way, 64-byte messages, as many as go through"),
    ],
)  # fmt: skip
def test_every_mode_is_reported_in_words(mode: Mode, rate: int | None, flows: int, words: str) -> None:
    scenario = Scenario(
        name="one", mode=mode, protocol="udp", message_size=64, csv_name="one", rate=rate, flows=flows, background=BULK
    )

    assert traffic_in_words(scenario) == words
