"""The documentation: every command in it is one that enaxp understands, every link leads somewhere, every page is found from the index."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from enaxp import __version__
from enaxp.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / ".github").rglob("*.md"))]
GENERATED = ROOT / "docs/reference"
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#([^)\s]+))?\)")
# Of a command line: what stands before it, and where it ends.
COMMAND = re.compile(r"(?:^|[$;(]\s*|&&\s*|\|\|\s*|\|\s*)(?:[A-Z_]+=\S+\s+)*enaxp (?P<rest>[^|;&>)#]*)")
STANDS_FOR_SOMETHING = re.compile(r"…|\.\.\.|[\[\]]")


def code_lines(page: Path) -> Iterator[str]:
    """The lines of a page's code, fenced or indented by four, without what stands aside of a command."""
    fenced = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield re.split(r"\s{3,}", line.strip())[0]


def commands() -> list[tuple[str, str]]:
    found = [
        (str(page.relative_to(ROOT)), match["rest"].strip())
        for page in PAGES
        if not page.is_relative_to(GENERATED)
        for line in code_lines(page)
        for match in COMMAND.finditer(line)
    ]
    return [(page, rest) for page, rest in dict.fromkeys(found) if rest and not STANDS_FOR_SOMETHING.search(rest)]


@pytest.mark.parametrize(("page", "arguments"), commands())
def test_a_command_in_the_docs_is_understood(page: str, arguments: str) -> None:
    name, *rest = shlex.split(arguments)
    if name.startswith("--"):
        assert name in ("--version", "--help")
        return

    command: click.Command = app.commands[name]
    command.make_context(name, rest)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made of their words."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        file = page.parent / target
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append((target, anchor))

    assert broken == []


def test_every_page_is_found_from_the_index() -> None:
    index = ROOT / "docs/index.md"
    linked = {(index.parent / target).resolve() for target, _ in LINK.findall(index.read_text(encoding="utf-8"))}

    assert set((ROOT / "docs").rglob("*.md")) - linked - {index} == set()


def test_the_newest_heading_of_the_changelog_is_the_version() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    newest, *_ = (heading for heading in headings if heading != "Unreleased")
    assert re.fullmatch(rf"{re.escape(__version__)} \(\d{{4}}-\d\d-\d\d\)", newest)


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_path_that_a_page_names_exists(page: str) -> None:
    named = re.findall(r"`([\w.*/-]+(?:/|\.(?:py|yaml|j2|md|sh)))`", (ROOT / page).read_text(encoding="utf-8"))

    # Without the first folders where a sentence has named them just before.
    below = [ROOT / folder for folder in ("enaxp", "tests")]
    assert named
    assert [path for path in named if not any(any(ROOT.glob(path)) or any(one.rglob(path)) for one in below)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_row_of_a_table_is_one_line_with_as_many_cells_as_its_heading(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)

    for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        cells = [re.sub(r"`[^`]*`|\\\|", "", row).count("|") for row in table.splitlines()]
        assert cells == [cells[0]] * len(cells), table
        assert all(row.rstrip().endswith("|") for row in table.splitlines()), table
