"""Console: the only place that prints. Progress and talk go to stderr, results to stdout; with --json stdout is one document."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from enaxp.text import duration, printable

if TYPE_CHECKING:
    from enaxp.hosts.doctor import HostFinding
    from enaxp.lab.apply import LabEvent
    from enaxp.lab.checks.findings import Report
    from enaxp.lab.plan import Plan


class Console:
    """Where a command's words go. Safe to use from several threads."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.is_terminal = sys.stderr.isatty()
        self._transient = False

    # -- results: stdout -----------------------------------------------------------------------------------------------

    def document(self, document: Mapping[str, Any] | Sequence[Any]) -> None:
        """The one JSON document of a command."""
        with self._lock:
            self._clear()
            print(json.dumps(document, indent=2, default=str), file=sys.stdout, flush=True)

    def result(self, text: str) -> None:
        """What a person asked for. With --json it goes to stderr: stdout is the document's."""
        with self._lock:
            self._clear()
            print(printable(text), file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns as wide as their widest cell."""
        cells = [list(header), *([_cell(value) for value in row] for row in rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        self.result("\n".join(lines))

    # -- talk: stderr --------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        with self._lock:
            self._clear()
            print(printable(text), file=sys.stderr, flush=True)

    def error(self, text: str) -> None:
        self.say(f"enaxp: {text}")

    def transient(self, text: str) -> None:
        """A line that the next one replaces; on something that is no terminal it is left out."""
        if not self.is_terminal:
            return
        with self._lock:
            self._clear()
            print(text[: _width()], end="\r", file=sys.stderr, flush=True)
            self._transient = True

    def ask(self, question: str) -> bool:
        """Whether a person at the terminal says yes. Without a terminal nobody is asked: yes."""
        if not sys.stdin.isatty():
            return True
        with self._lock:
            self._clear()
            print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def lab_event(self, event: LabEvent) -> None:
        """What happens to one resource, as it happens."""
        at = f"{time.monotonic() - self._began:6.1f} s"
        step = event.step
        if event.what == "begin":
            self.say(f"{at}  {_BEGIN[step.action]:<10} {step.key}")
        elif event.what == "note":
            self.say(f"{at}  {'…':<10} {step.key}: {event.text}")
        else:
            changes = f"  ({'; '.join(map(str, step.changes))})" if step.action == "settle" and step.changes else ""
            self.say(f"{at}  {_END[step.action]:<10} {step.key}  {event.text}{changes}")

    def plan(self, plan: Plan) -> None:
        """What would change, and why."""
        signs = {"keep": " ", "adopt": ">", "create": "+", "settle": "~", "replace": "±", "delete": "-"}
        width = max((len(step.key) for step in plan.steps), default=0)
        for step in plan.steps:
            self.result(f"{signs[step.action]} {step.action:<8} {step.key:<{width}}  {step.reason}")
            for difference in step.changes if step.action != "keep" else ():
                self.result(f"      {difference}")
        counts: dict[str, int] = {}
        for step in plan.steps:
            counts[step.action] = counts.get(step.action, 0) + 1
        self.result(", ".join(f"{count} to {action}" for action, count in counts.items()) or "nothing to do")

    def findings(self, findings: Sequence[HostFinding]) -> None:
        """What the doctor found: what is, what should be, and how to mend it."""
        rows = [
            (f.host, f.check, f.level, f.outcome, f.have, f.want, f.fix if f.outcome == "bad" else "") for f in findings
        ]
        self.table(("host", "check", "level", "outcome", "is", "should be", "mend it with"), rows)
        counts = {outcome: sum(f.outcome == outcome for f in findings) for outcome in ("ok", "bad", "unknown")}
        self.result("\n" + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))

    def preflight(self, report: Report) -> None:
        """What each check says, and what to do about it."""
        rows = [(f.check, f.level, f.text, f.todo) for f in report.findings]
        self.table(("check", "", "finding", "what to do"), rows)

    def labs(self, labs: Sequence[Mapping[str, Any]]) -> None:
        """Which labs stand, the oldest first."""
        if not labs:
            self.result("no lab stands here")
            return
        rows = [
            (
                lab["lab"],
                lab["region"],
                "-" if lab["age_s"] is None else duration(lab["age_s"]),
                f"{_cell(lab['expires_at'])}{' (over)' if lab['expired'] else ''}",
                lab["resources"],
                lab["instances"],
                lab["usd_per_hour"],
                lab["lab_id"],
            )
            for lab in labs
        ]
        self.table(("lab", "region", "age", "ends", "resources", "instances", "USD/h", "lab-id"), rows)

    def status(self, status: Mapping[str, Any]) -> None:
        """The lab for a person: its resources, its hosts, and ENA Express as read back."""
        if status["lab_id"] is None:
            self.result(f"there is no lab {status['lab']} (target {status['target']}, region {status['region']})")
            return
        where = (
            f"target {status['target']}, account {status['account']}, {status['availability_zone'] or status['region']}"
        )
        self.result(f"lab {status['lab']} ({status['lab_id']})\n{where}; expires {status['expires_at']}")
        if status["usd_per_hour"] is not None:
            self.result(f"costs about {status['usd_per_hour']:.2f} USD an hour, {status['usd_so_far']:.2f} USD so far")
        if status["endpoint_url"]:
            self.result(f"AWS endpoint {status['endpoint_url']}; hosts as {status['isolation']}: local, not ENA")
        rows = [
            (
                t["key"],
                t["id"],
                t["state"] + ("" if t["owned"] else ", given"),
                "; ".join(_drift(d) for d in t["drift"]) or "as wanted",
            )
            for t in status["resources"]
        ]
        self.result("")
        self.table(
            ("resource", "id", "state", "settings"),
            [(k, i, s, d if s.startswith("present") else "") for k, i, s, d in rows],
        )
        self.result("")
        hosts = [
            (
                f"{host['role']} ({host['name']})",
                f"{host['ssh']['user']}@{host['ssh']['host']}:{host['ssh']['port']}",
                *(
                    f"{nic['ip']}, SRD {_cell(nic['srd'])}, UDP {_cell(nic['srd_udp'])}" if nic else "-"
                    for nic in (host["ena"], host["ena_express"])
                ),
                _software(host["software"]),
            )
            for host in status["hosts"].values()
        ]
        if hosts:
            self.table(("host", "ssh", "ENA", "ENA Express", "software"), hosts)
        if watcher := status.get("monitoring"):
            ssh, urls = watcher["ssh"], ", ".join(f"{name} {url}" for name, url in status["urls"].items())
            self.result(
                f"\nmonitoring at {ssh['user']}@{ssh['host']}:{ssh['port']}; while `enaxp monitor` runs: {urls}"
            )

    def _clear(self) -> None:
        if self._transient:
            print("\r\x1b[K", end="", file=sys.stderr)
            self._transient = False


_BEGIN = {"create": "creating", "adopt": "adopting", "settle": "settling", "replace": "replacing", "delete": "deleting"}
_END = {"create": "created", "adopt": "adopted", "settle": "settled", "replace": "replaced", "delete": "deleted"}


def _drift(difference: Mapping[str, Any]) -> str:
    return f"{difference['field']}: {_cell(difference['have'])}, wanted {_cell(difference['want'])}"


def _software(results: Mapping[str, Mapping[str, str]]) -> str:
    """What State Manager has not put in place yet, or could not."""
    missing = [f"{piece} {result['status']}" for piece, result in results.items() if result["status"] != "Success"]
    return "; ".join(missing) or ("in place" if results else "-")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 1
