"""Reader: takes typed values out of a YAML file's mapping, and names each fault with its path, the value found and what is allowed.

    file ─▶ read_yaml ─▶ Raw ─▶ Reader ─▶ values          faults: `hosts.client.ena_ip: 'x' is not allowed; allowed: an address …`

config.py defines what is allowed for each key.
"""

from __future__ import annotations

import ipaddress
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from enaxp.errors import ConfigError, UsageError
from enaxp.text import decoded

if TYPE_CHECKING:
    import yaml

Raw = Mapping[str, object]  # as YAML has it: nothing is known of the values yet
_T = TypeVar("_T")

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# What people ask for that enaxp does not have, and why.
_NOT_IN_THIS_SCHEMA = {
    "spot": "nothing: spot instances are not supported, a bench must not be interrupted",
    "ipv6": "nothing: IPv6 is not supported",
    "ipv6_cidr": "nothing: IPv6 is not supported",
}


class OctalNumber(int):
    """A number that YAML reads as octal because of a leading 0. It is never intended, and never allowed."""

    written: str

    def __repr__(self) -> str:
        return (
            f"{self.written} (which YAML reads as an octal number, {int(self)}: put it in quotes, or leave the 0 out)"
        )


class Reader:
    """One mapping of the file being read: typed values out, faults with their path and what is allowed into a shared list.

    A value that is not allowed is recorded as a fault, and an allowed one is returned in its place, so that reading continues and every
    fault of the file is found.
    """

    def __init__(self, mapping: Raw, *, path: str, faults: list[str]) -> None:
        self._mapping = mapping
        self._path = path
        self._faults = faults
        self._known: set[str] = set()

    def fault(self, key: str, value: object, allowed: str) -> None:
        """Records the fault that a key's value is not allowed, with what is."""
        where = f"{self._path}.{key}" if self._path and key else self._path or key
        self._faults.append(f"{where}: {_show(value)} is not allowed; allowed: {allowed}")

    def raw(self, key: str) -> object:
        """The raw value in the file; None if the key is missing."""
        self._known.add(key)
        return self._mapping.get(key)

    def has(self, key: str) -> bool:
        """Whether the key is in the file."""
        return key in self._mapping

    def section(self, key: str) -> Reader:
        """The mapping below a key."""
        value = self.raw(key)
        if not isinstance(value, Mapping):
            self.fault(key, value, "a mapping of keys to values")
            value = {}
        return Reader(value, path=f"{self._path}.{key}" if self._path else key, faults=self._faults)

    def sections(self, key: str, allowed: str) -> list[Reader]:
        """The mappings in the list below a key."""
        value = self.raw(key)
        path = f"{self._path}.{key}" if self._path else key
        if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
            self.fault(key, value, allowed)
            return []
        return [Reader(one, path=f"{path}[{place}]", faults=self._faults) for place, one in enumerate(value, 1)]

    def names(self) -> list[str]:
        """All keys, for a mapping whose keys are names that the user gives. A key that is no text is a fault."""
        for key, value in self._mapping.items():
            if not isinstance(key, str):
                self._fault_of_key(key, value)
        return [key for key in self._mapping if isinstance(key, str)]

    def text(self, key: str, pattern: str | re.Pattern[str], allowed: str) -> str:
        """Text that matches the pattern as a whole; `allowed` is the pattern in words."""
        value = self.raw(key)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            self.fault(key, value, allowed)
            return ""
        return value

    def optional_text(self, key: str, pattern: str, allowed: str) -> str | None:
        """Like `text`; null is allowed too."""
        return None if self.raw(key) is None else self.text(key, pattern, f"{allowed}, or null")

    def choice(self, key: str, choices: Sequence[_T], fallback: _T) -> _T:
        """One of the choices."""
        value = self.raw(key)
        for choice in choices:
            if value == choice and not isinstance(value, bool):
                return choice
        self.fault(key, value, " or ".join(map(str, choices)))
        return fallback

    def flag(self, key: str) -> bool:
        """true or false."""
        value = self.raw(key)
        if not isinstance(value, bool):
            self.fault(key, value, "true or false")
            return False
        return value

    def whole(self, key: str, *, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`; a missing one is the default where there is one."""
        value = self.raw(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, (bool, OctalNumber)) or not low <= value <= high:
            self.fault(key, value, f"a whole number from {low} to {high}")
            return low
        return value

    def number(self, key: str, *, above: float, high: float) -> float:
        """A number above `above`, up to `high`."""
        value = self.raw(key)
        if not isinstance(value, (int, float)) or isinstance(value, (bool, OctalNumber)) or not above < value <= high:
            self.fault(key, value, f"a number above {above:g}, up to {high:g}")
            return high
        return float(value)

    def duration(self, key: str, *, low: float, high: float) -> float:
        """A time span in seconds, from `low` to `high` of them."""
        value = self.raw(key)
        allowed = f"a duration from {_as_duration(low)} to {_as_duration(high)}, such as 10s, 30m, 4h or plain seconds"
        try:
            seconds = parse_duration(value)
        except ValueError:
            self.fault(key, value, allowed)
            return low
        if not low <= seconds <= high:
            self.fault(key, value, allowed)
        return seconds

    def network(self, key: str, *, prefixes: tuple[int, int]) -> ipaddress.IPv4Network | None:
        """An IPv4 network written without host bits, with a prefix length in the range given; None when it is not."""
        value = self.raw(key)
        low, high = prefixes
        allowed = f"an IPv4 CIDR from /{low} to /{high}"
        if isinstance(value, str) and ":" in value:
            self.fault(key, value, f"{allowed} (IPv6 is not supported)")
            return None
        try:
            if not isinstance(value, str) or "/" not in value:
                raise ValueError(value)
            network = ipaddress.IPv4Network(value, strict=False)
        except ValueError:
            self.fault(key, value, allowed)
            return None
        if str(network) != value:
            self.fault(key, value, f"{allowed} without host bits, such as {network}")
            return None
        if not low <= network.prefixlen <= high:
            self.fault(key, value, allowed)
            return None
        return network

    def close(self) -> None:
        """Records a fault for every key that was not read."""
        for key in self._mapping:
            if key in self._known:
                continue
            if not isinstance(key, str):
                self._fault_of_key(key, self._mapping[key])
                continue
            todo = _NOT_IN_THIS_SCHEMA.get(str(key), f"one of {', '.join(sorted(self._known))}")
            where = f"{self._path}.{key}" if self._path else str(key)
            self._faults.append(f"{where}: unknown key (value {_show(self._mapping[key])}); allowed: {todo}")

    def _fault_of_key(self, key: object, value: object) -> None:
        """Notes a key that YAML reads as something else than text: `on` is true, 2027 a number."""
        where = f"{self._path}.{key}" if self._path else str(key)
        self._faults.append(
            f"{where}: the key {_show(key)} is {_KINDS.get(type(key), 'no text')}, not text (value {_show(value)}); "
            "allowed: keys that are text (put such a key in quotes)"
        )


def parse_duration(value: object) -> float:
    """Seconds in `10s`, `30m`, `4h`, `1d`, `1h30m`, `500ms` or a plain number.

    Raises ValueError for anything else, and for less than 0.
    """
    if isinstance(value, OctalNumber):
        raise ValueError(f"{value!r} is not a duration")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    text = str(value).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{value!r} is not a duration")
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def parse_percent(text: str, *, option: str) -> float:
    """The per cent in `1%`, `0.5%` or a plain number.

    Raises UsageError, naming the option, for anything else or beyond 0 to 100.
    """
    if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?\s*%?", text.strip()) or not 0 < float(text.strip().rstrip("%")) <= 100:
        raise UsageError(f"{option} {text!r} is not a percentage", todo="give something like 1% or 0.5%")
    return float(text.strip().rstrip("%"))


def read_yaml(path: Path) -> Raw:
    """The mapping in a YAML file.

    Raises ConfigError when the file is missing, is not YAML or not a mapping, or has a duplicate key.
    """
    import yaml

    try:
        loaded: object = yaml.load(decoded(path.read_bytes()), Loader=_loader())
    except FileNotFoundError:
        raise ConfigError(
            f"{path} is not there.", [], todo="give another --config, or write one with `enaxp init`"
        ) from None
    except RecursionError:
        raise ConfigError(f"{path} cannot be read as YAML:", ["it is nested too deeply"]) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} cannot be read as YAML:", [_place_and_problem(error)]) from None
    except (OSError, ValueError, OverflowError) as error:  # what looks like a date or a number, and is none
        raise ConfigError(f"{path} cannot be read as YAML:", [str(error)]) from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(
            f"{path} cannot be used:", [f"it holds {_show(loaded)}; allowed: a mapping of keys to values"]
        )
    return loaded


def _loader() -> type[yaml.SafeLoader]:
    """A YAML loader that reports two mistakes which PyYAML accepts: duplicate keys and octal numbers."""
    import yaml

    class Loader(yaml.SafeLoader):
        """A class of its own: constructors are added to a class."""

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
    Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
    return Loader


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[object, object]:
    """A mapping whose keys stand there once, with what it merges (`<<: *name`) below its own keys."""
    import yaml

    seen: set[object] = set()
    for key_node, _ in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.YAMLError(f"line {line}: a key that is a list or a mapping; allowed: keys that are text")
        key = key_node.value if key_node.tag == "tag:yaml.org,2002:merge" else loader.construct_object(key_node)
        if key in seen:
            raise yaml.YAMLError(f"{key}: given twice (line {line})")
        seen.add(key)
    merged = yaml.MappingNode(node.tag, list(node.value), node.start_mark, node.end_mark)
    loader.flatten_mapping(merged)
    return {loader.construct_object(key): loader.construct_object(value, deep=True) for key, value in merged.value}


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    number: int = loader.construct_yaml_int(node)
    if not re.fullmatch(r"0[0-7_]+", node.value) or not number:
        return number
    octal = OctalNumber(number)
    octal.written = node.value
    return octal


def _place_and_problem(error: yaml.YAMLError) -> str:
    """The YAML error's place and message."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark and problem else str(error)


_KINDS = {int: "a number", OctalNumber: "a number", float: "a number", bool: "true or false", type(None): "null"}


_SHORT = reprlib.Repr()  # a file may hold what would be endless when written out
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200
_SHORT.maxlist = _SHORT.maxdict = 8
_SHORT.maxlevel = 3


def _show(value: object) -> str:
    text = repr(value) if isinstance(value, OctalNumber) else _SHORT.repr(value)
    return text if len(text) <= 160 else text[:157] + "..."


def _as_duration(seconds: float) -> str:
    for unit in ("d", "h", "m"):
        if seconds >= _UNIT_SECONDS[unit] and seconds % _UNIT_SECONDS[unit] == 0:
            return f"{seconds / _UNIT_SECONDS[unit]:g}{unit}"
    return f"{seconds:g}s"
