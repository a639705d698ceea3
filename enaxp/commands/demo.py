"""The demo: lab, bench, report and removal on this machine, with a known difference injected between the arms, compared with what the
bench finds.

    up ─▶ (a relay before each server) ─▶ bench ─▶ the relay's record ─▶ truth.json, summary, page ─▶ down ─▶ what to do next

It uses its own lab and state folder, and leaves only the run folder. What it prints about the difference comes only from the run and the
relay's record: an undecided run is shown as undecided.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from enaxp.bench.judging.blocks import blocks_of
from enaxp.bench.judging.result import Result, to_document
from enaxp.bench.judging.truth import Carried, Truth, carried_by_arm, truth_of, write_truth
from enaxp.bench.measuring.bench import result_of
from enaxp.bench.measuring.pair import Pair, connected
from enaxp.bench.planning.schedule import PORTS, seconds
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.bench.run_folder.records import RunFolder
from enaxp.commands.bench import BenchOptions, plan_of, run_bench
from enaxp.commands.lab import bring_up, remove_layers, wait_for_hosts
from enaxp.commands.status import current_status
from enaxp.config import DEFAULT_REGION, load_config
from enaxp.errors import HostError
from enaxp.lab.cost import from_table, usd_per_hour
from enaxp.lab.lifecycle import BUILT_LAYERS
from enaxp.local.relay.placing import Hold, place_script, read_record, record_script
from enaxp.options import Options
from enaxp.report.files import write_report_files
from enaxp.report.render import PAGE, draw_after_bench
from enaxp.session import Overrides, Session, open_session
from enaxp.text import duration
from enaxp.traffic import Arm, Metric

DEMO_LAB = "demo"
# As few trials as decide: six iterations need no randomisation test, and take a minute and a half on a busy computer.
PLAN: Overrides = {"bench.iterations": 6, "bench.repeats": 1, "bench.duration": "1s"}
SCENARIO = "udp-latency"
NICE = -15  # of what measures: on a busy computer, too, the difference that was put in is what is found
CSV_NAME = "emulated_not_ENA"
PAIR_KEYS = ("instance/server", "instance/client", "eip/server", "eip/client")
UP_AND_DOWN_S = 480  # of a lab of one pair, mostly waiting for hosts to start and to end


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The injected difference: in words, as the relay's settings, and the expected change in µs."""

    what: str
    holds: Mapping[Arm, Hold] = field(default_factory=dict)
    planned_us: Mapping[Metric, float] = field(default_factory=dict)


NOTHING = Difference(what="nothing was put in, both arms are the same virtual wire")
# What SRD often does: a little slower as a rule, without the stalls. The relay waits on one of two ways, and a latency is half of both.
SLOWER_AND_STEADIER = Difference(
    what="a relay holds every message of ENA Express back by 20 µs, and 4 % of those of ENA by 1.5 ms",
    holds={"ena": Hold(tail=0.04, tail_us=3000), "ena_express": Hold(us=40)},
    planned_us={"p50": 20, "p99": 20 - 1500},
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """The outcome of a bench of the demo."""

    folder: RunFolder
    result: Result
    summary: str
    truth: Truth


def run_demo(options: Options, difference: Difference, *, size: Overrides, nice: int = NICE) -> Path | None:
    """Runs the whole demo; returns the page if it could be drawn. The lab is removed in every case.

    Raises the errors of its steps.
    """
    with demo_session(options, size=size) as session:
        console = session.console
        console.say(f"emulated, not ENA: everything here is on this computer; {difference.what}")
        try:
            with _step(session, "up: building the lab"):
                wait_for_hosts(session, bring_up(session, layers=BUILT_LAYERS, assume_yes=True))
            with _step(session, "bench: measuring both interfaces"):
                told = measure(session, difference, nice=nice)
        finally:
            with _step(session, "down: removing everything"):
                removal = remove_layers(session, layers=())
        with _step(session, "report: drawing the page"):
            for line in draw_after_bench(told.folder):
                console.say(line)
        if removal.lab_is_gone:
            console.say(f"{len(removal.removed)} resources were built and removed; nothing of the lab is left")
    run = told.folder.path
    with console.also_kept_in(run):
        if options.as_json:
            console.document(to_document(told.result))
        console.result(told.summary)
        console.result("\n".join(_the_end(run, options)))
    return run / PAGE if (run / PAGE).exists() else None


@contextlib.contextmanager
def demo_session(options: Options, *, size: Overrides) -> Iterator[Session]:
    """A session with the demo's plan on the local target, with its own state folder that is removed at the end."""
    overrides = {
        **size,
        "bench.scenarios": [SCENARIO],
        "bench.order": "interleaved",
        "bench.cpus": "auto",
        f"scenarios.{SCENARIO}.csv_name": CSV_NAME,
    }
    with tempfile.TemporaryDirectory(prefix="enaxp-demo-") as folder:
        here = replace(options, target="local", lab=options.lab or DEMO_LAB, state_dir=Path(folder))
        with open_session(here, overrides=overrides) as session:
            yield replace(session, console=session.console.briefly())


def measure(session: Session, difference: Difference, *, nice: int = NICE) -> Told:
    """Runs one bench with the injected difference, and writes the truth into its folder. Raises the errors of its steps.

    nice: the priority of the relay and of each sockperf.
    """
    with _pair(session) as pair:
        script = place_script({PORTS[arm]: hold for arm, hold in difference.holds.items()}, nice=nice)
        for connection in pair.by_role().values():
            connection.check(script)
    bench = BenchOptions(argv=["demo"], report=False, emulated=difference.what)
    _, _, run = run_bench(session, bench)
    with _pair(session) as pair:
        carried = _carried(pair) if difference.holds else None
    return _tell(RunFolder.open(run), difference, carried)


@contextlib.contextmanager
def _step(session: Session, what: str) -> Iterator[None]:
    """A context that prints a step's name, and how long it took."""
    session.console.say(f"── {what} ──")
    began = time.monotonic()
    yield
    session.console.say(f"   {what.partition(':')[0]} took {duration(time.monotonic() - began)}")


@contextlib.contextmanager
def _pair(session: Session) -> Iterator[Pair]:
    with connected(session.hosts(current_status(session))) as pair:
        yield pair


def _carried(pair: Pair) -> Carried:
    """The relay's record. Raises HostError."""
    text = pair.server.check(record_script(), timeout_s=60)
    try:
        seen = read_record(text)
    except ValueError as error:
        raise HostError("reading the relay's record on the server", said=str(error)) from error
    return carried_by_arm(seen)


def _tell(folder: RunFolder, difference: Difference, carried: Carried | None) -> Told:
    """Writes the truth into the run's folder, and the summary and page that show it."""
    manifest = folder.read_manifest()
    [scenario] = manifest.plan.scenarios
    blocks = blocks_of(scenario, evidence_of(folder, manifest.plan))
    result = result_of(folder)
    effects = result.scenarios[scenario.name].effects
    truth = truth_of(difference.what, blocks, effects, planned_us=difference.planned_us, carried=carried)
    write_truth(folder, truth)
    return Told(folder=folder, result=result, summary=write_report_files(folder, result), truth=truth)


def _the_end(run: Path, options: Options) -> Iterator[str]:
    """Prints where the page is, what to do next, and the time and cost of the same on AWS."""
    page = run / PAGE
    yield f"page: {page}" if page.exists() else f"run folder: {run}"
    yield ""
    yield "Next:"
    yield "  enaxp demo --same      the verdict when nothing differs, and which size of difference the run rules out"
    yield "  enaxp plan             what `enaxp up` would build on AWS (needs credentials; builds nothing)"
    yield "  enaxp up && enaxp bench && enaxp down"
    yield _on_aws(options)


def _on_aws(options: Options) -> str:
    """The time and cost of the config's bench on AWS, in words."""
    config = load_config(options.config)
    bench_s = seconds(plan_of(config))
    region = options.region or (DEFAULT_REGION if config.aws.region_is_auto else config.aws.region)
    hourly = usd_per_hour(from_table(region, config.hosts.instance_type), PAIR_KEYS)
    takes_s = UP_AND_DOWN_S + bench_s
    cost = "" if hourly is None else f", about {hourly * takes_s / 3600:.2f} USD ({hourly:.2f} USD an hour, list price)"
    return (
        f"On AWS that takes about {takes_s / 60:.0f} minutes, {bench_s / 60:.0f} of them the bench{cost}; "
        f"two {config.hosts.instance_type} in {region}"
    )
