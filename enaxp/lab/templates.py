"""Templates: renders the files of `templates/`, which run on the hosts. Pure: the same values give the same text, byte for byte."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from enaxp.data import data_path

if TYPE_CHECKING:
    import jinja2


def render(name: str, /, **values: Any) -> str:
    """The text of `templates/NAME` with these values filled in. Raises jinja2.UndefinedError for a value that is missing."""
    return _template(name).render(**values)


@lru_cache
def _template(name: str) -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_path("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(name)
