"""Redact: a run without identifying data, to be shared. AWS ids, addresses and paths are replaced consistently, so they stay
distinguishable.

RunFolder   ─▶ RedactedRun   ─▶ the same readers and pages          i-0abc… ─▶ i-1, 203.0.113.7 ─▶ 192.0.2.1, 02:ab:… ─▶ 02:00:00:00:00:01
FleetFolder ─▶ RedactedFleet ─▶ the same, of all its pairs by one table: what was one thing stays one in all pages
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from enaxp.bench.fleet.folder import FleetFolder, FleetManifest
from enaxp.bench.run_folder.documents import Document
from enaxp.bench.run_folder.environment import OF_THIS_COMPUTER
from enaxp.bench.run_folder.records import RunFolder, TrialRecord

# Identifying data: resource ids, the account in ARNs, IPv4 and MAC addresses.
_ID = re.compile(r"\b([a-z]{1,12}(?:-[a-z]{2,10})?)-[0-9a-f]{8}(?:[0-9a-f]{9})?\b")
_ACCOUNT = re.compile(r"(?<![\d.])\d{12}(?![\d.])")
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")
_HOST = re.compile(r"\bip-\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}\b")
_PATH = re.compile(r"(?<![\w.])(?:~|/(?:home|root|Users))/[^\s\"']*")  # below a home folder
_SECRET_OPTIONS = ("--profile", "--config", "--state-dir", "--results-dir", "--lab", "-c")
LEFT_OUT = "…"
REDACTED = "redacted-"  # before the names of files that are


class RedactedRun(RunFolder):
    """A run's folder whose documents are redacted when read. Files written to it get a different name."""

    def __init__(self, path: Path, stand_ins: StandIns | None = None) -> None:
        super().__init__(path)
        self._stand_ins = stand_ins or StandIns()

    def read_document(self, name: str) -> Document:
        document: Document = self._stand_ins.redacted(super().read_document(name))
        if "argv" in document:
            document["argv"] = without_private_words(document["argv"])
        for facts in document.get("environment", {}).values():
            for of_host in facts.values() if isinstance(facts, dict) else ():
                for fact in OF_THIS_COMPUTER & of_host.keys() if isinstance(of_host, dict) else ():
                    of_host[fact] = LEFT_OUT
        return document

    def records(self) -> list[TrialRecord]:
        return [self._record(record) for record in super().records()]

    def write_bytes(self, name: str, content: bytes) -> Path:
        return super().write_bytes(f"{REDACTED}{name}", content)

    def write_document(self, name: str, document: Mapping[str, object]) -> None:
        super().write_document(f"{REDACTED}{name}", document)

    def _record(self, record: TrialRecord) -> TrialRecord:
        stand_ins = self._stand_ins
        return replace(record, command=stand_ins.redacted(record.command), reason=stand_ins.redacted(record.reason))


class RedactedFleet(FleetFolder):
    """A fleet's folder as RedactedRun is a run's. Names of pairs and variants stay: they are a person's, and name folders."""

    def __init__(self, path: Path) -> None:
        self._stand_ins = StandIns()
        super().__init__(path, RedactedRun(path, self._stand_ins))

    def read_manifest(self) -> FleetManifest:
        whole = FleetFolder(self.path).read_manifest()
        pairs = tuple(replace(pair, lost=self.shown(pair.lost)) for pair in whole.pairs)
        return replace(whole, pairs=pairs, argv=tuple(without_private_words(list(whole.argv))))

    def open_pair(self, name: str) -> RunFolder:
        return RedactedRun(super().open_pair(name).path, self._stand_ins)

    def shown(self, text: str) -> str:
        return str(self._stand_ins.redacted(text)).replace(str(self.path), LEFT_OUT)


class StandIns:
    """The replacement of each id, address and account: the same one at each occurrence."""

    def __init__(self) -> None:
        self._stand_for: dict[str, str] = {}

    def redacted(self, value: Any) -> Any:
        """The same document, with every text in it redacted."""
        if isinstance(value, dict):
            return {key: self.redacted(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.redacted(one) for one in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        stands: dict[re.Pattern[str], Callable[[int, re.Match[str]], str]] = {
            _HOST: lambda n, _: f"ip-192-0-2-{n % 256}",
            _MAC: lambda n, _: f"02:00:00:00:{n // 256:02x}:{n % 256:02x}",
            _IPV4: lambda n, found: found[0] if found[0].startswith("127.") else f"192.0.{2 + n // 256}.{n % 256}",
            _ID: lambda n, found: f"{found[1]}-{n}",
            _ACCOUNT: lambda n, _: f"{n:012d}",
        }
        text = _PATH.sub(LEFT_OUT, text)
        for pattern, stand_in in stands.items():
            text = pattern.sub(partial(self._stand, pattern, stand_in), text)
        return text

    def _stand(
        self, pattern: re.Pattern[str], stand_in: Callable[[int, re.Match[str]], str], found: re.Match[str]
    ) -> str:
        """The replacement for a value, the same everywhere."""
        if found[0] in self._stand_for.values():  # it is a stand-in already
            return found[0]
        kind = " ".join([pattern.pattern, *found.groups()])
        key = f"{kind} {found[0]}"
        if key not in self._stand_for:
            number = 1 + sum(known.startswith(f"{kind} ") for known in self._stand_for)
            self._stand_for[key] = stand_in(number, found)
        return self._stand_for[key]


def without_private_words(argv: list[str]) -> list[str]:
    """A command line without paths, profiles and names; the other options stay."""
    shown, hides_next = [], False
    for word in argv:
        name, equals, _ = word.partition("=")
        if hides_next or "/" in word or word.startswith("~"):
            shown.append(f"{name}={LEFT_OUT}" if equals and not hides_next else LEFT_OUT)
        elif name in _SECRET_OPTIONS and equals:
            shown.append(f"{name}={LEFT_OUT}")
        else:
            shown.append(word)
        hides_next = word in _SECRET_OPTIONS
    return shown
