"""How commands are declared: on click, with three things added.

- `command` makes a command that takes the shared options in addition to its own, and passes them to its function as one `Options`.
- `option` shows in the help which environment variable stands for it, and its default.
- `argument` has a line of its own in the help.

Commands import what they need when they are called, so that `enaxp --help` and completion are fast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from enaxp.cli.completion import lab_names
from enaxp.options import IsolationChoice, Options, TargetName

Function = TypeVar("Function", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


class Argument(click.Argument):
    """An argument with a line in the help."""

    def __init__(self, names: list[str], *, about: str, **settings: Any) -> None:
        super().__init__(names, **settings)
        self.about = about

    @property
    def human_readable_name(self) -> str:
        """What errors and the help call it: its name in the usage line, without the brackets and dots of that."""
        return (self.metavar or (self.name or "").upper()).strip("[].- ")

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """How an error names it."""
        return f"'{self.human_readable_name}'"


class Command(click.Command):
    """A command of enaxp. Its function gets the shared options as one `Options`, then its own parameters by name."""

    def __init__(self, name: str | None, *, params: list[click.Parameter] | None = None, **settings: Any) -> None:
        super().__init__(name, params=[*(params or ()), *SHARED_OPTIONS], **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Calls the command's function."""
        assert self.callback is not None
        options = Options(**{field.name: ctx.params.pop(field.name) for field in fields(Options)})
        if self.name != "restore":
            _warn_of_what_is_to_be_restored(options)
        return ctx.invoke(self.callback, options, **ctx.params)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the arguments into the help, too."""
        arguments = [
            (param.human_readable_name, param.about) for param in self.get_params(ctx) if isinstance(param, Argument)
        ]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        super().format_options(ctx, formatter)


def _warn_of_what_is_to_be_restored(options: Options) -> None:
    """Prints a warning while the ENA Express settings of given hosts are not restored."""
    if not (options.state_dir / "given").is_dir():
        return
    from enaxp.lab.given.saved import warnings
    from enaxp.terminal.streams import tell
    from enaxp.text import printable

    for warning in warnings(options.state_dir):
        tell(printable(warning))


def command(name: str) -> Callable[[Callable[..., None]], Command]:
    """A decorator that makes a function a command. Its first parameter is an `Options`; its docstring is the command's help."""
    return click.command(name, cls=Command)


def option(*names: str, **settings: Any) -> Callable[[Function], Function]:
    """Declares an option of a command, as `click.option` does."""
    return click.option(*names, **_shown(settings))


def argument(name: str, *, about: str, **settings: Any) -> Callable[[Function], Function]:
    """Declares an argument of a command, as `click.argument` does. `about`: its line in the help."""
    return click.argument(name, cls=Argument, about=about, **settings)


def _shown(settings: dict[str, Any]) -> dict[str, Any]:
    return {"show_envvar": True, "show_default": True, **settings}


def _shared(name: str, *, field: str | None = None, **settings: Any) -> click.Option:
    """A shared option. Its default is that of its field of Options; its environment variable is made of its name."""
    words = name.removeprefix("--").replace("-", "_")
    field = field or words
    return click.Option(
        [name, field], envvar=f"ENAXP_{words.upper()}", default=getattr(Options, field), **_shown(settings)
    )


SHARED_OPTIONS: tuple[click.Option, ...] = (
    _shared("--lab", shell_complete=lab_names, help="The lab's name.  [default: dev]"),
    _shared("--config", type=PATH, help="The config file.  [default: config/bench.yaml if there]"),
    _shared(
        "--target",
        type=click.Choice(get_args(TargetName)),
        help="Where the lab lives.  [default: where it lives already, else aws]",
    ),
    _shared(
        "--isolation", type=click.Choice(get_args(IsolationChoice)), help="What the hosts of the local target are."
    ),
    _shared("--region", help="The AWS region."),
    _shared("--profile", help="The AWS profile."),
    _shared("--state-dir", type=PATH, help="Where the lab is remembered."),
    _shared("--results-dir", type=PATH, help="Where run folders go."),
    _shared("--json", field="as_json", is_flag=True, help="Exactly one JSON document on stdout."),
    _shared("--debug", is_flag=True, help="Show tracebacks."),
)


yes_option = option("--yes", "-y", is_flag=True, envvar="ENAXP_YES", help="Do not ask.")
