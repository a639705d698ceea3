"""Resolved: what is read of an instance type, and of who may use SSH."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from enaxp.errors import UsageError
from enaxp.lab.resolved import public_address, sustained_gbps


def described(*baselines: float | None) -> list[dict[str, Any]]:
    """Types of DescribeInstanceTypes with this bandwidth on their first card; None: AWS says nothing."""
    cards = [{} if baseline is None else {"BaselineBandwidthInGbps": baseline} for baseline in baselines]
    return [{"NetworkInfo": {"NetworkCards": [{**card, "PeakBandwidthInGbps": 100.0}]}} for card in cards]


@pytest.mark.parametrize(
    ("types", "gbps"),
    [
        (described(12.5), 12.5),
        (described(50.0, 12.5), 12.5),
        (described(12.5, None), None),
        ([{"NetworkInfo": {}}], None),
        ([], None),
    ],
)
def test_a_pair_carries_what_its_slower_host_does_and_nothing_is_guessed(
    types: list[dict[str, Any]], gbps: float | None
) -> None:
    assert sustained_gbps(types) == gbps


@contextmanager
def answering(text: str) -> Iterator[str]:
    """The URL of a service that answers every question with this text."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_this_machine_s_public_address_is_the_one_that_the_service_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering("8.8.4.4\n") as url:
        monkeypatch.setattr("enaxp.lab.resolved.WHO_AM_I", url)

        assert public_address() == "8.8.4.4/32"


@pytest.mark.parametrize(
    "answer", ["999.9.9.9", "10.0.0.7", "100.64.0.1", "127.0.0.1", "0.0.0.0", "", "<html>", "2001:db8::1"]
)
def test_what_is_no_public_address_opens_ssh_to_nobody(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(answer) as url:
        monkeypatch.setattr("enaxp.lab.resolved.WHO_AM_I", url)

        with pytest.raises(UsageError, match="public address cannot be found out"):
            public_address()
