"""What AWS refuses and moto accepts: one small function a rule, which says by its decorator for which actions it holds.

    everywhere.py   members, ids, tags, tokens, filters, pages: every action
    network.py      VPC, subnet, gateway, routes, security groups
    interfaces.py   interfaces, ENA Express, Elastic IPs
    launches.py     RunInstances
    instances.py    instances that are there, placement groups, keys
    limits.py       quotas, and room in the zones

A rule reads the request and the world, and raises `RefusedByEc2` with AWS's own code. It changes nothing: with DryRun the rules are
all that runs. Codes that no public source confirms are marked (?): they are sensible guesses, and enaxp must not depend on them.

To add a rule: one function in one of these files. A request meets its rules in the order of the files, and of the functions in a file.
"""

from __future__ import annotations

from functools import cache

from enaxp.local.strict.rules import everywhere, instances, interfaces, launches, limits, network
from enaxp.local.strict.rules.request import RefusedByEc2, Request
from enaxp.local.strict.rules.rule import Rule

_FILES = (everywhere, network, interfaces, launches, instances, limits)
_RULES = tuple(one for file in _FILES for one in vars(file).values() if isinstance(one, Rule))


def check_form(request: Request) -> None:
    """Raises RefusedByEc2 when the request could never be right, whatever there is."""
    for rule in _RULES:
        if rule.scope == "form":
            rule.check(request)


def check(request: Request) -> None:
    """Meets every rule of the action. Raises RefusedByEc2 at the first that says no."""
    for rule in rules_of(request.action):
        rule.check(request)


@cache
def rules_of(action: str) -> tuple[Rule, ...]:
    """The rules that a request meets when it is made for the first time, in their order."""
    of_all = [rule for rule in _RULES if rule.scope == "always"]
    return (*of_all, *(rule for rule in _RULES if action in rule.actions))


__all__ = ["RefusedByEc2", "Request", "check", "check_form", "rules_of"]
