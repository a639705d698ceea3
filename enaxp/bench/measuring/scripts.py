"""Scripts: the shell scripts that run on the hosts, as text. They need only POSIX sh, coreutils, awk and gzip. Pure.

    client_script ─▶ (the client runs it) ─▶ its output ─▶ split ─▶ {part: text}
    servers_script ─▶ (the server runs it) ─▶ exit 0 when all listen    end_script ─▶ what each of them printed

All files are in one folder of the host; the pid of each process that is left running there is in a file next to its output.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enaxp.bench.planning.schedule import BULK_LEAD_S
from enaxp.errors import HostError
from enaxp.hosts.nic import ENTER_FOLDER
from enaxp.hosts.sockperf import Pace, reduce_log_command, reduce_planned_command

Argv = Sequence[str]

NO_SPACE = "no space left"
_ENTER = ENTER_FOLDER
FREE_SPACE = f"{_ENTER}; df -Pk . | awk 'NR == 2 {{ print $4 }}'"  # kB of the disk on which logs are written
# A full disk is reported before anything is started.
_NEED_SPACE = f"""[ "$(df -Pk . | awk 'NR == 2 {{ print $4 }}')" -gt 64 ] && echo space > space ||
{{ echo '{NO_SPACE} on the disk' >&2; df -Pk . >&2; exit 1; }}"""
_MARK = "--8<-- enaxp "
# Only what is sockperf is ended: after a restart of the host a pid in an old file may be anybody's. The pid is that of timeout(1),
# which passes SIGINT on; what does not heed it is killed with it.
_END = """end() { for file in "$@"; do
  [ -f "$file" ] || continue
  for pid in $(cat "$file"); do
    grep -q sockperf "/proc/$pid/cmdline" 2>/dev/null || continue
    kill -INT "$pid" 2>/dev/null; n=0
    while kill -0 "$pid" 2>/dev/null && [ $n -lt 20 ]; do sleep 0.1; n=$((n + 1)); done
    kill -KILL $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) "$pid" 2>/dev/null
  done
  rm -f "$file"
done; }"""


@dataclass(frozen=True, kw_only=True)
class ClientRun:
    """The processes of one trial on the client. `pace`: the planned send times, for a paced scenario."""

    name: str
    flows: Sequence[Argv]
    bulk: Sequence[Argv] = ()
    timeout_s: float
    pace: Pace | None = None
    keep_log: bool = False

    def log_of(self, flow: int) -> str:
        return log_name(self.name, flow)


def log_name(name: str, flow: int) -> str:
    """The path of the full log of one flow of the trial called `name`."""
    return f"{name}.{flow}.log"


def client_script(run: ClientRun, *, counters: str) -> str:
    """The script that runs one trial on the client.

    It prints sockperf's output. sockperf's exit code is used only to see that the deadline ended it.
    """
    lines = [_ENTER, _NEED_SPACE, _END, _part("before"), counters, "pids="]
    lines += [_start(run, f"{run.name}.bulk{number}", argv) for number, argv in enumerate(run.bulk)]
    lines += [f"sleep {BULK_LEAD_S:g}" if run.bulk else ":", "pids="]
    lines += [_start(run, f"{run.name}.{flow}", argv) for flow, argv in enumerate(run.flows)]
    lines += ['ends=; for pid in $pids; do wait $pid; ends="$ends $?"; done']
    lines += [_part("after"), counters, f"end client-{run.name}.pid; wait"]
    lines += [_part("ends"), "echo $ends", _part("free"), "df -Pk . | awk 'NR == 2 { print $4 }'"]
    for flow, _ in enumerate(run.flows):
        log = run.log_of(flow)
        lines += [_part(f"raw{flow}"), f"cat {run.name}.{flow}.out"]
        lines += [_part(f"log{flow}"), f"[ -s {log} ] && {{ {reduce_log_command(log)}; }}"]
        if run.pace is not None:
            lines += [
                _part(f"planned{flow}"),
                f"[ -s {log} ] && {{ {reduce_planned_command(log, run.pace)}; }}",
            ]
    for number, _ in enumerate(run.bulk):
        lines += [_part(f"bulk{number}"), f"cat {run.name}.bulk{number}.out"]
    lines += [_part("end"), f"rm -f {run.name}.*out" + ("" if run.keep_log else f" {run.name}.*.log"), "true"]
    return "\n".join(lines)


def log_script(run: ClientRun, flow: int) -> str:
    """The script that prints a full log (gzip, base64) and removes it from the host."""
    log = run.log_of(flow)
    return f"{_ENTER}\ngzip -c {log} | base64 && rm -f {log}"


def servers_script(servers: Mapping[str, Argv], *, life_s: int) -> str:
    """The script that starts these servers, by name, in the background and waits until all listen. If one does not, it prints that
    server's output and fails.
    """
    starts = [f"start {name} {shlex.join(argv)}" for name, argv in servers.items()]
    return "\n".join(
        [
            _ENTER,
            _NEED_SPACE,
            _END,
            f"end {' '.join(f'{name}.pid' for name in servers)}",
            f'start() {{ n=$1; shift; nohup timeout -s INT {life_s} "$@" > $n.out 2>&1 < /dev/null & echo $! > $n.pid; }}',
            _LISTENS,
            *starts,
            f"for name in {' '.join(servers)}; do listens $name || exit 1; done",
        ]
    )


_LISTENS = """listens() {
  pid=$(cat $1.pid); tries=0
  while [ $tries -lt 50 ]; do
    tries=$((tries + 1))
    grep -q 'ERROR\\|nrecognized\\|not found\\|No such file' $1.out && break
    kill -0 $pid 2>/dev/null || break
    grep -q 'Warmup stage\\|to block on socket' $1.out && return 0
    sleep 0.1
  done
  cat $1.out; return 1
}"""


def running_script(names: Sequence[str]) -> str:
    """The script that fails if one of these servers has ended."""
    return "\n".join([_ENTER, *(f'kill -0 "$(cat {name}.pid)" || exit 1' for name in names)])


def end_script(names: Sequence[str]) -> str:
    """The script that ends these servers after the last messages have arrived, and prints the output of each."""
    ends = [f"end {name}.pid; {_part(name)}; cat {name}.out" for name in names]
    return "\n".join([_ENTER, _END, "sleep 0.2", *ends, _part("end")])


def end_all_script(kind: str) -> str:
    """The script that ends every sockperf client or server that any run of enaxp left on a host."""
    return f"{_ENTER}\n{_END}\nend {kind}-*.pid\nrm -f *.log"


def split(text: str, *, needed: Sequence[str] = ()) -> dict[str, str]:
    """A script's output split into its named parts. Raises HostError when one is missing."""
    parts = {}
    for piece in text.split(_MARK)[1:]:
        name, _, content = piece.partition("\n")
        parts[name.strip()] = content
    missing = [name for name in needed if name not in parts]
    if missing:
        raise HostError("reading what a trial printed", said=f"the part {missing[0]!r} is missing: {text[-300:]!r}")
    return parts


def _start(run: ClientRun, name: str, argv: Argv) -> str:
    return (
        f"timeout -k 2 {run.timeout_s:.0f} {shlex.join(argv)} > {name}.out 2>&1 & "
        f'pids="$pids $!"; echo $! >> client-{run.name}.pid'
    )


def _part(name: str) -> str:
    return f"echo '{_MARK}{name}'"
