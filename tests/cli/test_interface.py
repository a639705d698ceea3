"""The commands as other programs know them, what all of them have in common, and how they leave."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import get_args

import click
import pytest
import yaml

from enaxp.cli import app, run
from enaxp.cli.declare import SHARED_OPTIONS
from enaxp.cli.lab import LAYER_NAMES
from enaxp.errors import LabError
from enaxp.lab.model import Layer
from enaxp.options import Options

INTERFACE = yaml.safe_load((Path(__file__).parent / "interface.yaml").read_text())
HAS_SHARED_OPTIONS = [name for name in app.commands if name != "completion"]


def as_written(param: click.Parameter) -> str:
    """A parameter as interface.yaml has it."""
    if isinstance(param, click.Argument):
        return f"{param.name}..." if param.nargs == -1 else str(param.name)
    return " ".join([*param.opts, *param.secondary_opts, *([str(param.envvar)] if param.envvar else [])])


def test_the_commands_are_those_that_other_programs_know_in_that_order() -> None:
    assert list(app.commands) == list(INTERFACE["commands"])


@pytest.mark.parametrize("name", app.commands)
def test_a_command_has_the_parameters_that_other_programs_know(name: str) -> None:
    own = [param for param in app.commands[name].params if param not in SHARED_OPTIONS]

    assert sorted(as_written(param) for param in own) == sorted(INTERFACE["commands"][name])


@pytest.mark.parametrize("name", HAS_SHARED_OPTIONS)
def test_a_command_has_the_shared_options(name: str) -> None:
    params = app.commands[name].params

    assert [as_written(param) for param in params[-len(SHARED_OPTIONS) :]] == INTERFACE["shared"]


def test_each_shared_option_is_a_field_of_options() -> None:
    assert [option.name for option in SHARED_OPTIONS] == [field.name for field in fields(Options)]


def test_the_layers_that_can_be_named_are_those_of_a_lab() -> None:
    # enaxp.lab is not imported for the help, so the command line has the names once more
    assert get_args(Layer) == LAYER_NAMES


@pytest.mark.parametrize("name", app.commands)
def test_the_help_says_something_about_each_parameter(name: str) -> None:
    command = app.commands[name]

    with click.Context(command, info_name=name) as context:
        text = command.get_help(context)

    assert command.help
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help
            assert f"[env var: {param.envvar}" in " ".join(text.split()) or not param.envvar
        elif name != "completion":
            assert f"\n  {param.human_readable_name} " in text


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), LabError("no lab"), BrokenPipeError()])
def test_what_ends_a_command_reaches_the_entry_point_as_it_is(
    raised: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(options: Options, **_given: object) -> None:
        raise raised

    monkeypatch.setattr(app.commands["policy"], "callback", end)

    with pytest.raises(type(raised)):
        run(["policy"])
