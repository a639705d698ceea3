"""Imports go down only, without a circle: the order of the packages, and what each may know of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
# From the bottom to the top; a name is a package or a module of its own. ARCHITECTURE.md has the same.
ORDER = (
    *(
        "errors",
        "ending",
        "data",
        "installed",
        "rates",
        "retries",
        "files",
        "figures",
        "traffic",
        "text",
        "reader",
        "options",
    ),
    *("config", "aws", "hosts", "lab", "region", "local", "bench", "report", "dataset", "monitor"),
    *("terminal", "session", "commands", "cli", "unforeseen", "__main__"),
)
# The folders of enaxp/bench likewise: the stages of a bench.
STAGES = ("statistics", "planning", "run_folder", "judging", "measuring", "comparing", "fleet", "history")
KNOW_THE_LOCAL_TARGET = {"local", "session", "commands"}


def imports() -> Iterator[tuple[str, str]]:
    """Every import between the program's modules, as (who, whom), those inside functions and for types alone included."""
    modules = {module_of(path): path for path in (ROOT / "enaxp").rglob("*.py")}
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for target in named(node):
                whole = target if target in modules else target.rpartition(".")[0]
                if whole in modules and whole not in (name, "enaxp"):
                    yield name, whole


def named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def package_of(module: str) -> str:
    return module.split(".")[1]


def test_every_package_has_its_place_in_the_order() -> None:
    there = {package_of(name) for pair in imports() for name in pair}

    assert there - set(ORDER) == set()


def test_no_package_imports_from_one_above_it() -> None:
    upward = {(who, whom) for who, whom in imports() if ORDER.index(package_of(who)) < ORDER.index(package_of(whom))}

    assert upward == set()


def test_no_stage_of_a_bench_imports_from_a_later_one() -> None:
    within = [[name.split(".")[2] for name in pair] for pair in imports() if all(is_in_bench(name) for name in pair)]

    assert {(who, whom) for who, whom in within if STAGES.index(who) < STAGES.index(whom)} == set()


def is_in_bench(module: str) -> bool:
    return module.startswith("enaxp.bench.")


def test_no_circle_of_modules() -> None:
    graph: dict[str, set[str]] = {}
    for who, whom in imports():
        # a package's own __init__ gathers what is in it
        if not who.startswith(f"{whom}."):
            graph.setdefault(who, set()).add(whom)

    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_only_the_session_and_the_commands_know_that_there_is_a_local_target() -> None:
    knowing = {package_of(who) for who, whom in imports() if package_of(whom) == "local"}

    assert knowing <= KNOW_THE_LOCAL_TARGET
