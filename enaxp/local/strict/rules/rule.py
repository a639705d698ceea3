"""How a rule says for which actions it holds: by a decorator on its function, which makes it a `Rule`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from enaxp.local.strict.rules.request import Request

# form: of the request alone, so it holds for a repeated one, too. always: for every action. action: for those that are named.
Scope = Literal["form", "always", "action"]
Check = Callable[[Request], None]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One thing that AWS refuses. `check` raises RefusedByEc2 when the request is refused; it changes nothing."""

    check: Check
    scope: Scope
    actions: frozenset[str] = frozenset()


def rule(*actions: str) -> Callable[[Check], Rule]:
    """Makes a function a rule of these actions."""

    def made(check: Check) -> Rule:
        return Rule(check=check, scope="action", actions=frozenset(actions))

    return made


def rule_of_every_action(check: Check) -> Rule:
    """Makes a function a rule of all actions."""
    return Rule(check=check, scope="always")


def rule_of_form(check: Check) -> Rule:
    """Makes a function a rule of all actions that needs no look at what there is: it holds for a repeated request, too."""
    return Rule(check=check, scope="form")
