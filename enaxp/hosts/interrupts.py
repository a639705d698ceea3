"""Interrupts: the interrupt numbers of a network interface."""

from __future__ import annotations

TABLE = "/proc/interrupts"

# The last word of a line is the interrupt's name: that of the interface, or it begins so (ens5-Tx-Rx-0). ens50 is another interface.
_OF_DEVICE = "$1 ~ /^[0-9]+:$/ && index($NF, dev) == 1 && substr($NF, length(dev) + 1) ~ /^(-|@|:|$)/"


def numbers_command(interface: str) -> str:
    """A shell command that prints the interrupt numbers of an interface, one per line. interface: a word of shell text, such as
    `"$dev"`."""
    return _awk(interface, "$1")


def names_command(interface: str) -> str:
    """Like numbers_command, each number with the interrupt's name."""
    return _awk(interface, "$1, $NF")


def _awk(interface: str, what: str) -> str:
    return f"""awk -v dev={interface} '{_OF_DEVICE} {{ sub(":", "", $1); print {what} }}' {TABLE} 2>/dev/null"""
