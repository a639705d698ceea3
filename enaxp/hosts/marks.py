"""Marks: a lock on each host for as long as somebody's connection lasts. Others are refused, from whatever computer; nothing is left.

Connection ─▶ flock on the host, held by a command whose standard input is the connection ─▶ ends with it, also when enaxp is killed
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from enaxp.errors import HostError
from enaxp.hosts.connection import Connection, HeldCommand
from enaxp.hosts.nic import ENTER_FOLDER


def mark_command(name: str, *, who: str) -> str:
    """Prints `held` and holds the lock until its standard input ends; prints `taken by …` where another holds it."""
    file = shlex.quote(f"{name}.lock")
    return f"""{ENTER_FOLDER}
exec 9>> {file}
if ! flock -n 9; then echo "taken by $(head -c 200 {file})"; exit 3; fi
echo {shlex.quote(who)} > {file}
trap '' HUP PIPE
echo held
cat > /dev/null
rm -f {file}"""


class Marks:
    """The locks of one command. connections: each host's present connection, by role; names: what is locked there."""

    def __init__(
        self, connections: Callable[[], Mapping[str, Connection]], names: Mapping[str, str], *, who: str
    ) -> None:
        self._connections = connections
        self._names = names
        self._who = who
        self._held: dict[str, tuple[Connection, HeldCommand]] = {}

    def hold(self) -> None:
        """Takes each lock that is not held over the host's present connection. Raises HostError when another has one."""
        for role, connection in self._connections().items():
            held = self._held.get(role)
            if held is not None and held[0] is connection and held[1].runs:
                continue
            command = connection.hold(mark_command(self._names[role], who=self._who))
            line = command.read_line()
            if line != "held":
                raise HostError(
                    f"ENA Express of the {role}'s interface is being switched by another bench",
                    said=line or "the lock on the host could not be taken",
                    todo="wait for it to finish, then try again",
                )
            self._held[role] = (connection, command)

    def release(self) -> None:
        """Gives the locks back. Raises HostError; but each also ends with its connection."""
        while self._held:
            _, (_, command) = self._held.popitem()
            command.release()
