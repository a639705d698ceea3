"""The reference in docs/reference, from the program itself: commands and options, config keys, JSON documents, exit codes.

the declared commands ─▶ commands()    ─┐
config/bench.yaml     ─▶ config_keys() ─┤
the documents' types  ─▶ documents()   ─┼─▶ pages() ─▶ docs/reference/*.md
the tree of errors    ─▶ exit_codes()  ─┘

python -m selfcheck.reference        writes the pages anew
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from enaxp.bench.comparing.comparison_document import ComparisonDocument
from enaxp.bench.fleet.folder import FleetManifest
from enaxp.bench.fleet.result import Fleet, FleetEffect
from enaxp.bench.judging.checkup import CheckupDocument
from enaxp.bench.judging.effect import Effect
from enaxp.bench.judging.result import ArmFigures, Result, ScenarioResult
from enaxp.bench.judging.truth import Truth
from enaxp.bench.run_folder.records import Manifest, TrialRecord
from enaxp.cli import app
from enaxp.cli.completion import PROGRAM
from enaxp.cli.declare import SHARED_OPTIONS, Argument
from enaxp.data import data_path
from enaxp.errors import EnaxpError
from enaxp.lab.documents import LabRemovalsDocument, PlanDocument, PreflightDocument, RemovalDocument
from enaxp.lab.status import Status

FOLDER = Path(__file__).parents[1] / "docs/reference"
WRITTEN = "<!-- written by `python -m selfcheck.reference`: change the program, not this page -->\n\n"
NO_ERRORS: Mapping[int, str] = {
    0: "done",
    3: "`plan --check`: something would change",
    5: "a condition that the caller stated does not hold (`compare --fail-if`, `check`)",
}

DOCUMENTS: Mapping[str, type] = {
    "`status`, `up`": Status,
    "`plan`": PlanDocument,
    "`down`": RemovalDocument,
    "`down --expired`": LabRemovalsDocument,
    "`doctor --preflight`": PreflightDocument,
    "`bench`, and `result.json` of a run": Result,
    "`bench` of many pairs, and its `fleet.json`": Fleet,
    "`pairs.json` of a bench of many pairs": FleetManifest,
    "`manifest.json` of a run": Manifest,
    "`trials.jsonl` of a run, a line": TrialRecord,
    "`truth.json` of a run in which a difference was put in": Truth,
    "`compare`": ComparisonDocument,
    "`check`": CheckupDocument,
}
NOTES: Mapping[type, str] = {
    ArmFigures: "In the document the latencies stand beside the other figures: `mean_us`, `p50_us`, …, `max_us`.",
    ScenarioResult: "Keys that only some scenarios have are left out elsewhere.",
}
# Fields that a document does not have, or has in the way that a note tells.
NOT_WRITTEN: Mapping[type, frozenset[str]] = {
    ArmFigures: frozenset({"latencies", "has_background"}),
    Effect: frozenset({"grounds"}),
    FleetEffect: frozenset({"grounds"}),
}
_NONE = re.compile(r"\bNone\b")
_PLAIN: Mapping[str, str] = {
    "StrType": "string",
    "IntType": "whole number",
    "FloatType": "number",
    "BoolType": "true or false",
    "NoneType": "null",
    "AnyType": "anything",
    "CustomType": "anything",
    "DateTimeType": "moment, as in 2026-01-31T09:30:00+00:00",
}


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "commands.md": commands(),
        "config.md": config_keys(),
        "documents.md": documents(),
        "exit-codes.md": exit_codes(),
    }


def commands() -> str:
    """Each command with its arguments and options, in the order of `enaxp --help`; the options that all share once, at the end."""
    sections = [part for name, command in app.commands.items() for part in _command(f"{PROGRAM} {name}", command)]
    context = click.Context(app, info_name=PROGRAM)
    shared = [*_table("option", _records(SHARED_OPTIONS, context))]
    return "\n".join(
        [
            "# Commands",
            "",
            WRITTEN.rstrip(),
            "",
            "Options come after the command. An option that names an environment variable can be given as that, too.",
            "",
            *sections,
            "## Options that every command has",
            "",
            *shared,
        ]
    )


def config_keys() -> str:
    """The commented config that `enaxp init` writes: each key, its default, what is allowed."""
    return (
        f"# Config keys\n\n{WRITTEN}What `enaxp init` writes; [config.md](../config.md) says how to use it.\n\n"
        f"```yaml\n{data_path('config/bench.yaml').read_text(encoding='utf-8')}```\n"
    )


def documents() -> str:
    """The keys of each JSON document, from its type; each type that stands in one is told once, where it is first met."""
    told: set[type] = set()
    sections = [part for title, kind in DOCUMENTS.items() for part in _document(title, kind, told)]
    return "\n".join(
        [
            "# JSON documents",
            "",
            WRITTEN.rstrip(),
            "",
            "`--json` puts exactly one document on stdout. A figure that was not measured is null, never 0. Keys may be added; none is",
            "taken away or changed in meaning without another `schema`.",
            "",
            *sections,
        ]
    )


def exit_codes() -> str:
    """Each exit code with what leaves with it."""
    found: dict[int, list[str]] = {code: [words] for code, words in NO_ERRORS.items()}
    for error in _errors(EnaxpError):
        if error.exit_code not in NO_ERRORS:
            found.setdefault(error.exit_code, []).append(_first_sentence(error))
    rows = [f"| {code} | {'; '.join(dict.fromkeys(words))} |" for code, words in sorted(found.items())]
    return "\n".join(
        [
            "# Exit codes",
            "",
            WRITTEN.rstrip(),
            "",
            "An error says where it happened, what the service said, and what to do next. `--debug` adds the traceback.",
            "",
            "| code | when |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _command(path: str, command: click.Command) -> Iterator[str]:
    """The section of a command, and those of its own commands."""
    context = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"## {path}", "", f"    {path} {usage}", "", _text(command.help or ""), "")
    own = [param for param in command.params if param not in SHARED_OPTIONS]
    arguments = [(param.human_readable_name, param.about) for param in own if isinstance(param, Argument)]
    if arguments:
        yield from _table("argument", arguments)
    options = _records([param for param in own if isinstance(param, click.Option)], context)
    if options:
        yield from _table("option", options)
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _command(f"{path} {name}", inner)


def _document(title: str, kind: type, told: set[type]) -> Iterator[str]:
    yield from (f"## {title}", "")
    waiting = [kind]
    while waiting:
        one = waiting.pop(0)
        if one in told:
            continue
        told.add(one)
        within = _within(one)
        yield from ((f"### {one.__name__}", "") if one is not kind else ())
        yield from (_NONE.sub("null", _text(one.__doc__ or "")), "")
        yield from ((note, "") if (note := NOTES.get(one)) else ())
        yield from _table("key", [(name, _type_name(hint)) for name, hint in _fields(one).items()])
        waiting += within


def _fields(kind: type) -> dict[str, object]:
    """A dataclass's fields that are written, with msgspec's account of their types."""
    left_out = NOT_WRITTEN.get(kind, frozenset())
    return {field.encode_name: field.type for field in _info(kind).fields if field.encode_name not in left_out}


def _info(kind: type) -> msgspec.inspect.DataclassType:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.DataclassType), kind
    return info


def _within(kind: type) -> list[type]:
    """The dataclasses that its fields hold."""
    return [found for field in _info(kind).fields for found in _dataclasses(field.type)]


def _dataclasses(info: object) -> Iterator[type]:
    if isinstance(info, msgspec.inspect.DataclassType):
        yield info.cls
    for name in ("types", "item_types"):
        for part in getattr(info, name, ()):
            yield from _dataclasses(part)
    for name in ("item_type", "key_type", "value_type"):
        yield from _dataclasses(part) if (part := getattr(info, name, None)) is not None else ()


def _type_name(info: object) -> str:
    """A type in JSON's words."""
    match info:
        case msgspec.inspect.DataclassType(cls=cls):
            return cls.__name__
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(map(_type_name, types))
        case msgspec.inspect.LiteralType(values=values):
            return ", ".join(str(value) for value in values)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            keys = "" if isinstance(key, msgspec.inspect.StrType) else f" by {_type_name(key)}"
            return f"object{keys} of {_type_name(value)}"
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item):
            return f"list of {_type_name(item)}"
        case msgspec.inspect.TupleType(item_types=items):
            return f"list: {', '.join(map(_type_name, items))}"
        case _:
            return _PLAIN.get(type(info).__name__, type(info).__name__)


def _records(options: list[click.Option] | tuple[click.Option, ...], context: click.Context) -> list[tuple[str, str]]:
    return [record for one in options if (record := one.get_help_record(context)) is not None]


def _table(what: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    yield from (f"| {what} | |", "|---|---|")
    for name, words in rows:
        yield f"| `{_cell(name)}` | {_cell(words)} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _text(docstring: str) -> str:
    """A docstring with its paragraphs, each on lines of its own; click's mark for a text that is not to be wrapped is taken out."""
    return inspect.cleandoc(docstring).replace("\b\n", "")


def _errors(kind: type[EnaxpError]) -> Iterator[type[EnaxpError]]:
    if kind is not EnaxpError:
        yield kind
    for below in kind.__subclasses__():
        if below.__module__ == EnaxpError.__module__:
            yield from _errors(below)


def _first_sentence(error: type[EnaxpError]) -> str:
    words = " ".join(inspect.cleandoc(error.__doc__ or "").split()).partition(". ")[0].rstrip(".")
    return words[0].lower() + words[1:] if not words.startswith(("AWS", "Ctrl")) else words


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, page in pages().items():
        (FOLDER / file).write_text(page, encoding="utf-8")
