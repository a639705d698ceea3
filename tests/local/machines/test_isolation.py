"""Which isolation is chosen."""

from __future__ import annotations

import pytest

from enaxp.errors import LocalTargetError
from enaxp.local.machines import isolation


def test_without_namespaces_auto_takes_processes_and_tells_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "require_programs", lambda _: None)
    monkeypatch.setattr(isolation, "_why_no_namespaces", lambda: "no such resource here")
    chosen = isolation.choose_isolation("auto")
    assert (chosen.name, chosen.reason) == ("processes", "no such resource here")
    with pytest.raises(LocalTargetError, match="no such resource here"):
        isolation.choose_isolation("namespaces")


def test_an_unknown_isolation_is_refused() -> None:
    with pytest.raises(LocalTargetError, match="jails"):
        isolation.choose_isolation("jails")
