"""Environment: the facts of both hosts that affect latency, compared between two moments of a run or between runs. Pure.

    {role: {fact: text}} ─┬─▶ fingerprint, differences, steal_share, troubles (within a run)
                          └─▶ differences_of_runs, differences_from_all (between runs)

A fact is the output of a standard tool as text (capture.py); the name of an interface's fact begins with its arm. A fact that a host does
not report is empty.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from enaxp.bench.run_folder.records import Environment, Facts, Manifest
from enaxp.hosts.nic import moved
from enaxp.hosts.numbers import DIGITS, whole_number

# On the local target these facts identify the user's computer, so a run does not store them.
OF_THIS_COMPUTER = frozenset({"command_line", "rules", "routes"})
# What differs between two moments of the same host, and is no setting.
_PASSING = frozenset({"load", "cpu_times", "counters"})
# What differs between any two pairs of hosts: addresses, and names that the kernel gives.
_OWN = frozenset({"rules", "routes", "links", "link", "irqs"})
_MOST_TEXT = 80
_TROUBLES = re.compile(
    rf"^\s*(total_resets|reset_fail|tx_timeout|wd_expired|admin_q_pause): ({DIGITS})\s*$", re.MULTILINE
)
_STEAL, _GUEST = 7, 8  # places in the cpu line of /proc/stat


def without_this_computer(environment: Environment) -> Environment:
    """The facts that a run on the local target stores: without those that identify the computer."""
    return {
        role: {name: text for name, text in facts.items() if name not in OF_THIS_COMPUTER}
        for role, facts in environment.items()
    }


def fingerprint(environment: Environment) -> str | None:
    """SHA-256 of the facts that do not change on an idle host, to compare two moments; None when the hosts did not answer."""
    if not environment:
        return None
    lasting = {role: {name: facts[name] for name in facts if _lasts(name)} for role, facts in environment.items()}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


def differences(before: Environment, after: Environment) -> tuple[str, ...]:
    """The names of the facts that changed between two moments, as `client: kernel`; none if one of the two is unknown."""
    return tuple(
        f"{role}: {name}"
        for role in before
        if role in after
        for name in sorted(before[role].keys() & after[role].keys())
        if _lasts(name) and before[role][name] != after[role][name]
    )


@dataclass(frozen=True, kw_only=True)
class FactDifference:
    """One fact that differs between two runs. `of`: what it belongs to: a host, both hosts, the lab, or enaxp."""

    of: str
    fact: str
    base: str
    run: str

    def __str__(self) -> str:
        return f"{self.fact} of {self.of}: {self.base or 'nothing'} → {self.run or 'nothing'}"


def differences_of_runs(base: Manifest, run: Manifest) -> tuple[FactDifference, ...]:
    """The differences between the hosts of two runs, in facts that both runs recorded. Long values are reduced to the part that
    differs."""
    return differences_from_all(run, [base])


def differences_from_all(run: Manifest, others: Sequence[Manifest]) -> tuple[FactDifference, ...]:
    """The facts of a run's hosts whose value is that of none of the other runs, all of which recorded them. `base` has the value of the
    first of the others; long values are reduced to the part that differs from it. Empty without others."""
    if not others:
        return ()
    own, (first, *more) = _facts_of_run(run), [_facts_of_run(other) for other in others]
    found = []
    for (of, fact), now in own.items():
        # Whole values are compared: which part of one is shown depends on what it is compared with.
        if all(now != facts.get((of, fact), now) for facts in (first, *more)):
            was, now = _what_differs(first[of, fact], now)
            found.append(FactDifference(of=of, fact=fact, base=was, run=now))
    return tuple(_joined(found))


def _facts_of_run(manifest: Manifest) -> dict[tuple[str, str], str]:
    """The facts of a run that are settings, not addresses or momentary values, by what they belong to and by name: the lab's, the hosts',
    enaxp's."""
    lab = {("the lab", fact.replace("_", " ")): str(value) for fact, value in manifest.place.items()}
    hosts = {
        (f"the {role}", name): text
        for role, facts in manifest.environment.before.items()
        for name, text in facts.items()
        if _lasts(name) and name.rpartition(".")[2] not in _OWN
    }
    for role, arms in manifest.environment.interfaces.items():
        for arm, interface in arms.items():
            hosts[f"the {role}", f"{arm}.mtu"] = str(interface.mtu)
            if interface.driver:
                hosts[f"the {role}", f"{arm}.driver"] = interface.driver.replace("; ", "\n")
    by_fact = sorted(hosts.items(), key=lambda item: (item[0][1], item[0][0]))
    return {**lab, **dict(by_fact), ("enaxp", "version"): str(manifest.versions.get("enaxp"))}


def _what_differs(one: str, other: str) -> tuple[str, str]:
    """The lines (of one-line texts: the words) that only one of two texts has, shortened if long."""
    separator = "\n" if "\n" in one + other else " "
    parts = [list(dict.fromkeys(text.split(separator))) for text in (one, other)]
    only = [[part.strip() for part in parts[i] if part not in parts[1 - i]] for i in (0, 1)]
    texts = ["; ".join(own) if separator == "\n" else " ".join(own) for own in only]
    if texts[0] == texts[1] or not all(texts):  # the same parts in another order, or one holds all of the other's
        texts = [text.replace("\n", "; ") for text in (one, other)]
    return _cut(texts[0]), _cut(texts[1])


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"


def _joined(found: Sequence[FactDifference]) -> Iterator[FactDifference]:
    """The differences; one that both hosts share is listed once."""
    told: dict[tuple[str, str, str], list[str]] = {}
    for difference in found:
        told.setdefault((difference.fact, difference.base, difference.run), []).append(difference.of)
    for (fact, was, now), owners in told.items():
        yield FactDifference(of="both hosts" if len(owners) > 1 else owners[0], fact=fact, base=was, run=now)


def steal_share(before: Environment, after: Environment, role: str) -> float | None:
    """The share of a host's CPU time stolen by the hypervisor between two moments, 0 to 1; None when not reported."""
    times = [_cpu_times(environment.get(role, {})) for environment in (before, after)]
    spent = [later - earlier for earlier, later in zip(*times, strict=False)]
    total = sum(spent[:_GUEST])  # what guests used is in user time already
    return spent[_STEAL] / total if len(spent) > _STEAL and total > 0 else None


def troubles(before: Environment, after: Environment, role: str) -> Mapping[str, int]:
    """How much each device error counter (resets, timeouts) rose between two moments, by `arm counter`; only those that rose."""
    found = {}
    for name, text in after.get(role, {}).items():
        arm, _, fact = name.rpartition(".")
        if fact == "counters":
            was, now = (
                {counter: int(value) for counter, value in _TROUBLES.findall(counters)}
                for counters in (before.get(role, {}).get(name, ""), text)
            )
            found.update({f"{arm} {counter}": by for counter, by in moved(was, now).items() if by})
    return found


def _lasts(name: str) -> bool:
    return name.rpartition(".")[2] not in _PASSING


def _cpu_times(facts: Facts) -> list[int]:
    """Of what a host or a folder holds; none where it is anything else."""
    times = [whole_number(word) for word in facts.get("cpu_times", "").split()[1:]]
    return [] if None in times else [time for time in times if time is not None]
