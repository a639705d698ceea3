"""Software by SSH: installs the same software over SSH on the hosts of a lab without Systems Manager (`hosts.ssm: false`).

hosts ─▶ which version of each piece has run (SHA-256 beside the script) ─▶ the pieces that differ, one after the other ─▶ results
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from enaxp.errors import HostError
from enaxp.hosts.connection import Connection, Host, connect, login
from enaxp.lab.software import NAMES, TIMEOUT_S, Piece, log_path, pieces
from enaxp.lab.state_manager import IN_PLACE, SoftwareResult, SoftwareResults, log_command

_FOLDER = "/usr/local/lib/enaxp"


def put_in_place(hosts: Mapping[str, Host], *, say: Callable[[str], None]) -> SoftwareResults:
    """Runs on each host (by its role) every piece whose current script has not run there yet, hosts in parallel; returns the results.

    Raises HostError, naming host and piece with the end of its log, when one fails or is not done in time.
    """
    with ThreadPoolExecutor(max(1, len(hosts))) as pool:
        results = list(pool.map(lambda at: _on_host(*at, say=say), hosts.items()))
    return dict(zip(hosts, results, strict=True))


def put_piece(connection: Connection, role: str, name: str) -> None:
    """Runs one piece on a host, even if it has run before. Raises HostError."""
    [piece] = [piece for piece in pieces() if piece.name == name]
    _run(connection, role, piece)


def versions_command() -> str:
    """A shell command that prints `NAME VERSION` for each software piece installed over SSH, one per line; prints nothing if none is, and
    always exits 0."""
    return (
        f"cd {_FOLDER} 2>/dev/null || exit 0; for piece in {' '.join(NAMES)}; do "
        '[ -f "$piece.done" ] && echo "$piece $(cut -d" " -f1 "$piece.done")"; done; true'
    )


def _on_host(role: str, host: Host, *, say: Callable[[str], None]) -> dict[str, SoftwareResult]:
    connection = connect(host)
    try:
        there = dict(line.split() for line in connection.check(versions_command()).splitlines())
        for piece in pieces():
            if there.get(piece.name) != piece.version:
                say(f"  {role}: putting {piece.name} in place")
                _run(connection, role, piece)
    finally:
        connection.close()
    return {piece.name: SoftwareResult(status=IN_PLACE) for piece in pieces()}


def _run(connection: Connection, role: str, piece: Piece) -> None:
    """Runs one piece as root, as State Manager's agent would."""
    script = f"bash -euo pipefail -c {shlex.quote(piece.command)}"
    answer = connection.run(f"[ $(id -u) -eq 0 ] || exec sudo -n {script}; {script}", timeout_s=TIMEOUT_S)
    if not answer.ok:
        said = connection.run(log_command(piece.name)).stdout.strip() or answer.stderr.strip()[-500:]
        raise HostError(
            f"{piece.name} could not be put in place on the {role} (exit {answer.exit_code})",
            said=said,
            todo=_todo(connection.host, role, piece),
        )


def _todo(host: Host, role: str, piece: Piece) -> str:
    everything = f"all of it is in {log_path(piece.name)} there"
    if host.is_given:
        return f"{everything}; correct that, then try again"
    return f"{everything} (`{login(role)}`); `enaxp up` tries once more"
