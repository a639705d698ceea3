"""Marks: a lock on the host for each interface that is measured there. Benches from any other computer are refused; nothing stays behind.

Connection ─▶ flock on the host, held by a command whose standard input is the connection ─▶ released with it, even when enaxp is killed

If a connection was lost but the host has not noticed, the same bench takes over its own locks with a new connection.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from enaxp.errors import HostError
from enaxp.hosts.connection import Connection, HeldCommand
from enaxp.hosts.nic import WORK_FOLDER

Connections = Callable[[], Mapping[str, Connection]]
FIRST_FD = 3  # the first file descriptor of a lock; 8 is the folder's
MOST_LOCKS = 5
_ENDS_S = 5  # for the process that held an own lock to end after it was killed

# Lock files, and the folder, are created and removed only while the folder itself is locked: otherwise a process could hold the lock of a
# file that another has just removed.
_ENTER_LOCKED = f"""umask 077; {WORK_FOLDER}
while :; do
  mkdir -p "$here" && cd "$here" 2> /dev/null || {{ echo "$here there is not a folder of this user's"; exit 1; }}
  exec 8< .; flock 8
  [ "$here" -ef . ] && break
done"""


def mark_command(names: Sequence[str], *, who: str, token: str) -> str:
    """A shell command that prints `held` and holds these locks until its standard input ends, or prints `taken by …` if another bench
    holds one. token: identifies the bench, which takes over locks that it holds through an earlier connection.

    Raises ValueError for more than MOST_LOCKS names.
    """
    if len(names) > MOST_LOCKS:
        raise ValueError(f"{len(names)} locks on one host")
    files = [shlex.quote(f"{name}.lock") for name in names]
    fds = {FIRST_FD + place: file for place, file in enumerate(files)}
    opened = "\n".join(f"exec {fd}>> {file}; take {fd} {file}" for fd, file in fds.items())
    written = "\n".join(f"echo $$ {token} {shlex.quote(who)} > {file}" for file in files)
    return f"""{_ENTER_LOCKED}
take() {{
  flock -n "$1" && return
  read -r pid token who < "$2"
  if [ "$token" = {token} ] && grep -q {token} "/proc/$pid/cmdline"; then
    kill -KILL "$pid" $(cat "/proc/$pid/task/$pid/children")
    flock -w {_ENDS_S} "$1" && return
  fi
  echo "taken by $(echo "$who" | head -c 200); process $pid there holds it"; exit 3
}}
{opened}
{written}
exec 8<&-
trap '' HUP PIPE
echo held
cat > /dev/null
exec 8< .; flock 8
rm -f {" ".join(files)}"""


REMOVE_FOLDER = f"""{WORK_FOLDER}
cd "$here" 2> /dev/null || exit 0
exec 8< .; flock 8
[ "$here" -ef . ] || exit 0  # removed by another meanwhile; the new one is not locked here
for file in *.lock; do
  if [ -e "$file" ]; then flock -n "$file" true || exit 0; fi
done
rm -rf "$here"
"""


class Marks:
    """The locks of one bench. connections: each host's current connection, by role; names: of the locks, by role."""

    def __init__(self, connections: Connections, names: Mapping[str, Sequence[str]], *, who: str) -> None:
        self._connections = connections
        self._names = names
        self._who = who
        self._token = secrets.token_hex(8)
        self._held: dict[str, tuple[Connection, HeldCommand]] = {}

    def hold(self) -> None:
        """Takes each lock that is not yet held over the host's current connection. Raises HostError when another bench has one."""
        for role, connection in self._connections().items():
            held = self._held.get(role)
            if held is not None and held[0] is connection and held[1].runs:
                continue
            command = connection.hold(mark_command(self._names[role], who=self._who, token=self._token))
            line = command.read_line()
            if line != "held":
                raise _refused(role, line)
            self._held[role] = (connection, command)

    def release(self) -> None:
        """Releases the locks. A lock whose connection was lost has been released with it."""
        while self._held:
            _, (_, command) = self._held.popitem()
            with contextlib.suppress(HostError):
                command.release()


def _refused(role: str, line: str) -> HostError:
    if not line.startswith("taken by "):
        return HostError(
            f"the {role} could not be locked",
            said=line or "the command that locks it ended at once",
            todo="log in and look: it needs flock (util-linux) and a writable /tmp",
        )
    return HostError(
        f"the {role} is measured by another bench",
        said=line,
        todo="wait until it has ended, then try again. A bench that was killed holds no lock; if its computer lost the network, "
        "kill the process that is named, on the host",
    )


@contextlib.contextmanager
def held(connections: Connections, names: Mapping[str, Sequence[str]], *, who: str) -> Iterator[Marks]:
    """Takes the locks and releases them at the end. Raises HostError when another bench has one."""
    marks = Marks(connections, names, who=who)
    try:
        marks.hold()
        yield marks
    finally:
        marks.release()


@contextlib.contextmanager
def folder_removed(connections: Connections) -> Iterator[None]:
    """At the end, removes the bench's working folder from each host that can be reached, unless another bench is using it."""
    try:
        yield
    finally:
        for connection in connections().values():
            with contextlib.suppress(HostError):
                connection.run(REMOVE_FOLDER)


def this_bench() -> str:
    """This computer, process and the current time: shown to benches that are refused."""
    return f"a bench from {socket.gethostname()} (process {os.getpid()}), since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
