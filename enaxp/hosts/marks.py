"""Marks: a lock on each host that lasts as long as the connection. Benches from any other computer are refused; nothing stays behind.

Connection ─▶ flock on the host, held by a command whose standard input is the connection ─▶ released with it, even when enaxp is killed
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from enaxp.errors import HostError
from enaxp.hosts.connection import Connection, HeldCommand
from enaxp.hosts.nic import ENTER_FOLDER


def mark_command(name: str, *, who: str) -> str:
    """A shell command that prints `held` and holds the lock until its standard input ends, or prints `taken by …` if another process
    holds it."""
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
    """The locks of one command. connections: each host's current connection, by role; names: of the locks."""

    def __init__(
        self, connections: Callable[[], Mapping[str, Connection]], names: Mapping[str, str], *, who: str
    ) -> None:
        self._connections = connections
        self._names = names
        self._who = who
        self._held: dict[str, tuple[Connection, HeldCommand]] = {}

    def hold(self) -> None:
        """Takes each lock that is not yet held over the host's current connection. Raises HostError when another command has one."""
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
        """Releases the locks. Raises HostError; each lock also ends with its connection."""
        while self._held:
            _, (_, command) = self._held.popitem()
            command.release()
