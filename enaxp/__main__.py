"""The entry point: runs the command line, turns errors into one message and an exit code."""

from __future__ import annotations

import gc
import os
import sys

from enaxp.terminal.streams import prepare, tell


def main() -> None:
    """Runs enaxp with the process' arguments and exits with its code. A traceback is shown only with --debug (or ENAXP_DEBUG)."""
    from enaxp.ending import as_by_ctrl_c
    from enaxp.errors import EnaxpError

    prepare()
    as_by_ctrl_c()
    # What the SDK loads is a lot, and stays: searching it for garbage again and again takes a fifth of a short command's time.
    gc.set_threshold(100_000, 50, 50)
    debug = "--debug" in sys.argv or os.environ.get("ENAXP_DEBUG", "").lower() in {"1", "true", "yes"}
    try:
        from enaxp.cli import run

        sys.exit(run(sys.argv[1:]))
    except EnaxpError as error:
        if debug:
            raise
        _say(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        if debug:
            raise
        _say("interrupted\n  next: run the same command again to go on")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)  # the reader (head, less) has closed the pipe
    except Exception as error:
        if debug:
            raise
        from enaxp.unforeseen import told

        _say(told(error))
        sys.exit(1)
    finally:
        gc.freeze()  # a last search for garbage among all that the SDK has loaded would take 0.2 s


def _say(text: str) -> None:
    from enaxp.text import printable

    tell(printable(f"enaxp: {text}"))


if __name__ == "__main__":
    main()
