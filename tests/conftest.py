"""What all tests share: which of them can run on this machine, and that CI skips none.

Tests with hosts are run once more when they fail, which is told: they measure on a computer that others use, too.
Tests marked `namespaces` have process-mode twins. Where a probe shows that namespaces are not allowed they are left out, and the
number is told; everything else that cannot run is skipped, which `--no-skips` turns into a failure.
"""

from __future__ import annotations

import gc
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from enaxp.local.machines.isolation import probe_isolation
from enaxp.local.machines.programs import missing_programs
from enaxp.local.strict.install import read_models_once
from tests.support.clients import share_models_of_clients

# Fixtures that are, or hold, a strict AWS.
CLOUDS = {"aws", "cloud", "ends", "labs", "server"}
WITH_HOSTS = 2  # the greatest length of a test
# Files with hosts, those that take longest first: each is one worker's, and one that began late would keep the others waiting.
LONGEST = (
    "test_bench_survives.py",
    "test_bench_scenarios.py",
    "test_monitoring.py",
    "test_software.py",
    "test_toggled.py",
    "test_lab.py",
    "test_doctor.py",
    "test_story.py",
)
# Each test of these has a lab of its own, so that several workers can share such a file.
LABS_OF_THEIR_OWN = ("tests/e2e/test_story.py", "tests/lab/test_under_policy.py")
HOSTS = ("/e2e/", "/local/machines/", "/test_study.py")  # where most tests with hosts are
OTHERS = 3  # each third worker prefers tests that only compute; the others tests with hosts, which mostly wait: both from the beginning
LEFT_OUT = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail when a test is skipped")
    parser.addoption("--unit", action="store_true", help="only tests that need a virtual environment and nothing else")
    parser.addoption("--acceptance", action="store_true", help="run the long acceptance tests, and nothing else")


# A deadline would judge how busy the machine is.
settings.register_profile("enaxp", deadline=None)
settings.load_profile("enaxp")


def pytest_configure(config: pytest.Config) -> None:
    _share_a_cache(config)
    read_models_once()
    share_models_of_clients()
    config.addinivalue_line("markers", "namespaces: needs network and mount namespaces; has a twin in process mode")
    config.addinivalue_line("markers", "long: in process mode only where namespaces are not allowed")
    config.addinivalue_line("markers", "system: needs programs of the system, or hosts; left out of the unit tests")
    config.addinivalue_line("markers", "thorough: tries very much; too long for the unit tests")
    config.addinivalue_line("markers", "acceptance: a full-length run, only with --acceptance")


def _share_a_cache(config: pytest.Config) -> None:
    """A cache folder of the tests' own, which workers and the programs they start inherit: nothing is left in the user's."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="enaxp-tests-cache-")
        config.add_cleanup(folder.cleanup)
        os.environ["XDG_CACHE_HOME"] = folder.name


def pytest_collection_finish() -> None:
    """The tests and all that they import stay until the end: there is no use in looking again and again whether they are garbage."""
    gc.freeze()
    gc.set_threshold(
        20_000
    )  # the answers of a strict AWS are many small objects, none of which is garbage that refers in circles


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wants_acceptance = config.getoption("--acceptance")
    kept = [item for item in items if (item.get_closest_marker("acceptance") is not None) == wants_acceptance]
    if config.getoption("--unit"):
        kept = [item for item in kept if not (_needs_more_than_python(item) or item.get_closest_marker("thorough"))]
    isolation = probe_isolation() if any(item.get_closest_marker("namespaces") for item in kept) else None
    if isolation is not None and isolation.name != "namespaces":
        possible = [item for item in kept if item.get_closest_marker("namespaces") is None]
        config.stash[LEFT_OUT] = (
            f"{len(kept) - len(possible)} tests need namespaces and were left out for their process-mode twins: {isolation.reason}"
        )
        kept = possible
    elif isolation is not None:
        possible = [
            item for item in kept if not (item.get_closest_marker("long") and _isolation_of(item.nodeid) == "processes")
        ]
        if len(possible) < len(kept):
            config.stash[LEFT_OUT] = f"{len(kept) - len(possible)} long tests ran with namespaces alone"
        kept = possible
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    for item in kept:
        if _length(item) == WITH_HOSTS:
            item.add_marker(pytest.mark.flaky(reruns=1))
    items[:] = _longest_first(kept)


def _longest_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """Whole files in the order in which workers best begin them, so that none waits at the end for a file that began late: those with
    hosts, the longest first; those against a strict AWS, or that try the statistics or many inputs; then the others. Of these, the ones
    with the most tests before their like.
    """
    weights: dict[Path, tuple[int, int, int]] = {}
    for item in items:
        before, known, count = weights.get(item.path, (0, _known_length(item.path), 0))
        weights[item.path] = max(_length(item), before), known, count + 1
    return sorted(items, key=lambda item: weights[item.path], reverse=True)


def _known_length(path: Path) -> int:
    """The greater the longer; 0 for what is not among the longest."""
    return len(LONGEST) - LONGEST.index(path.name) if path.name in LONGEST else 0


def _length(item: pytest.Item) -> int:
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("namespaces") or "local_target" in fixtures or "e2e" in item.path.parts:
        return WITH_HOSTS
    takes_long = {"selfcheck", "attacks"} & set(item.path.parts)
    return int(bool(item.get_closest_marker("thorough") or fixtures & CLOUDS or takes_long))


def _needs_more_than_python(item: pytest.Item) -> bool:
    """Whether a test needs programs of the system, root or namespaces: it says so, or it would be skipped without them."""
    marked = any(item.get_closest_marker(name) for name in ("system", "namespaces", "skipif"))
    return marked or "local_target" in getattr(item, "fixturenames", ())


def _isolation_of(node_id: str) -> str | None:
    """`namespaces` or `processes`, for a test that is run with both."""
    found = re.search(r"[\[-](namespaces|processes)[\]-]", node_id)
    return found[1] if found else None


class OneLabOneWorker(LoadScopeScheduling):
    """A file's tests share a lab, so one worker runs them one after the other; those on the two kinds of hosts are apart.

    Both processors are kept busy from the beginning to the end: some workers take tests with hosts first, the others those without.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file in LABS_OF_THEIR_OWN else f"{file} {_isolation_of(nodeid) or ''}"

    def _assign_work_unit(self, node: Any) -> None:
        wants_hosts = int(node.gateway.id.removeprefix("gw")) % OTHERS != OTHERS - 1
        preferred = (scope for scope in self.workqueue if any(part in scope for part in HOSTS) == wants_hosts)
        if (scope := next(preferred, None)) is not None:
            self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: Any) -> None:
        """A worker is told of its next file when one test is left, not two: they may be long ones, and others idle by then."""
        if node.shutting_down or not self.workqueue or self._pending_of(self.assigned_work[node]) <= 1:
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneLabOneWorker | None:
    return OneLabOneWorker(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker that runs tests side by side with others tells what it has left out."""
    if left_out := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[LEFT_OUT] = left_out


def _skips_are_faults(config: pytest.Config) -> bool:
    return bool(config.getoption("--no-skips") or config.getoption("--unit"))


def _tell_what_was_survived(terminalreporter: pytest.TerminalReporter) -> None:
    """The crash matrix in figures: how often enaxp was killed or its cloud hostile, and what that cost."""
    ended = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, ())]
    told = [one for report in ended for one in report.user_properties if one[0] in ("leaks", "duplicates")]
    if told:
        leaks, duplicates = (
            sum(int(count) for name, count in told if name == what) for what in ("leaks", "duplicates")
        )
        terminalreporter.write_line(
            f"crash matrix: {len(told)} points tried (killed at a call or a save, or in a hostile cloud), "
            f"{leaks} leaks, {duplicates} duplicates"
        )


def _tell_what_ran_again(terminalreporter: pytest.TerminalReporter) -> None:
    """Tests with hosts, which measure on a computer that others use, too, are run once more when they fail; never in silence."""
    again = terminalreporter.stats.get("rerun", ())
    if again:
        terminalreporter.write_line(f"{len(again)} tests with hosts failed once and were run again:")
    for report in again:
        crash = getattr(report.longrepr, "reprcrash", None)  # where it failed, and the first line of why
        where = f"{crash.path}:{crash.lineno}: {crash.message.splitlines()[0]}" if crash else "no reason is known"
        terminalreporter.write_line(f"  {report.nodeid}: {where}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    _tell_what_ran_again(terminalreporter)
    _tell_what_was_survived(terminalreporter)
    if LEFT_OUT in config.stash:
        terminalreporter.write_line(config.stash[LEFT_OUT])
    if _skips_are_faults(config) and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line(
            f"{len(terminalreporter.stats['skipped'])} tests were skipped, and none may be", red=True
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if LEFT_OUT in session.config.stash and hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash[LEFT_OUT]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and _skips_are_faults(session.config) and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _no_options_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is swayed by this machine's AWS configuration or enaxp options."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "ENAXP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@pytest.fixture
def local_target() -> None:
    """Skips where the local target's programs are missing."""
    missing = missing_programs()
    if missing:
        pytest.skip(f"the local target needs {', '.join(program for program, _ in missing)}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
