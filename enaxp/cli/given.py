"""Commands for hosts that exist already: `restore`. What `bench` does between them is in bench.py."""

from __future__ import annotations

import sys

from enaxp.cli.declare import command
from enaxp.options import Options


@command("restore")
def restore(options: Options) -> None:
    """Restore the ENA Express setting of given hosts after a bench that was killed. Exit 1 when that fails."""
    from enaxp.commands.given.restoring import restore as restore_all
    from enaxp.terminal.console import Console

    console = Console(as_json=options.as_json)
    done = restore_all(options)
    for one in done:
        if one.error:
            console.error(f"{' and '.join(one.interfaces)}: {one.error}")
    if not done:
        console.say("nothing to put back: every bench put back what it found")
    if options.as_json:
        console.document({"restored": done})
    if any(one.error for one in done):
        sys.exit(1)
