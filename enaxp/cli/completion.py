"""Completion on Tab, in bash, zsh and fish: of commands, options and choices by click; of labs and runs by what the folders hold.

    eval "$(enaxp completion bash)"     in ~/.bashrc

The script that `enaxp completion` prints calls enaxp at each Tab, with `COMPLETE_VARIABLE` set. So no slow imports are allowed here: runs
are completed from folder names only, labs from the names of state files.
"""

from __future__ import annotations

import glob
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class, shell_complete

PROGRAM = "enaxp"
COMPLETE_VARIABLE = "_ENAXP_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
RUNS_OFFERED = 30  # older ones are found by the beginning of their ids


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands, options and names on Tab.

    \b
    bash: add to ~/.bashrc                   eval "$(enaxp completion bash)"
    zsh:  add to ~/.zshrc, after compinit    eval "$(enaxp completion zsh)"
    fish: add to ~/.config/fish/config.fish  enaxp completion fish | source
    """
    made_for = get_completion_class(shell)
    assert made_for is not None, shell
    click.echo(made_for(ctx.find_root().command, {}, PROGRAM, COMPLETE_VARIABLE).source())


def complete(cli: click.Command, instruction: str) -> int:
    """Answers a shell's completion script: prints the candidates at the cursor. Returns the exit code."""
    return shell_complete(cli, {}, PROGRAM, COMPLETE_VARIABLE, instruction)


def lab_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The labs in the state folder whose names have this prefix."""
    return sorted(
        path.stem for path in ctx.params["state_dir"].glob(f"{glob.escape(incomplete)}*.json") if _is_state(path)
    )


def run_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The runs whose ids have this prefix (of --lab, or of every lab), newest first. If there is none, the shell completes a folder."""
    from enaxp.bench.run_folder.names import LATEST, run_paths

    newest_first = reversed(run_paths(ctx.params["results_dir"], lab=ctx.params["lab"]))
    items = [
        CompletionItem(LATEST),
        *(CompletionItem(path.name, help=f"of lab {path.parent.name}") for path in newest_first),
    ]
    matching = [item for item in items if item.value.startswith(incomplete)]
    return matching[:RUNS_OFFERED] or [CompletionItem(incomplete, type="dir")]


def _is_state(path: Path) -> bool:
    """Whether this is the state file of a lab: other files of the folder end in `.json`, too."""
    import json

    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["lab"] == path.stem)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False
