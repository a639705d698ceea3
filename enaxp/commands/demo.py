"""The demo: up, bench, summary, down on this machine, in a lab and folders of its own, leaving nothing but the run
folder.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from enaxp.bench.result import to_document
from enaxp.commands.bench import BenchOptions, run_bench
from enaxp.commands.lab import bring_up, remove_layers, wait_for_hosts
from enaxp.lab.lifecycle import BUILT_LAYERS
from enaxp.options import Options
from enaxp.session import open_session

DEMO_LAB = "demo"


def run_demo(options: Options, *, iterations: int, repeats: int, duration: str) -> None:
    """Tells the whole story. Whatever happens on the way, the lab is taken down. Raises what its parts raise."""
    overrides = {"bench.iterations": iterations, "bench.repeats": repeats, "bench.duration": duration}
    with tempfile.TemporaryDirectory(prefix="enaxp-demo-") as folder:
        here = replace(options, target="local", lab=options.lab or DEMO_LAB, state_dir=Path(folder))
        with open_session(here, overrides=overrides) as session:
            say = session.console.say
            try:
                say("── up: building the lab ──")
                wait_for_hosts(session, bring_up(session, layers=BUILT_LAYERS, assume_yes=True))
                say("── bench: measuring both interfaces ──")
                result, summary, run = run_bench(session, BenchOptions(argv=["demo"]))
            finally:
                say("── down: removing everything ──")
                removal = remove_layers(session, layers=())
        with session.console.also_kept_in(run):
            if options.as_json:
                session.console.document(to_document(result))
            session.console.result(f"{summary}\nrun folder: {run}")
        if removal.lab_is_gone:
            say(f"{len(removal.removed)} resources were built and removed; nothing of the lab is left on this machine")
