"""Files: what Prometheus and Grafana are configured with, from the folder `monitor/` that travels with enaxp. Pure: data in, text out.

Node, … ─▶ prometheus_config() ─▶ prometheus.yml          dashboards() ─▶ name → JSON, as Grafana's provisioning reads it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enaxp.data import data_path


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node_exporter to be scraped. address: host and port; role: server, client or monitoring."""

    lab: str
    role: str
    address: str


def prometheus_config(nodes: Sequence[Node], *, exporters: Sequence[str] = (), rules: str) -> str:
    """prometheus.yml, which scrapes these every second. exporters: host and port of each `enaxp exporter`; rules: where rules.yml is."""
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment.from_string(text_of("prometheus.yml.j2"))
    return template.render(nodes=nodes, exporters=list(exporters), rules=rules)


def dashboards() -> Mapping[str, str]:
    """Grafana's dashboards: file name → JSON."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(data_path("monitor/dashboards").iterdir())}


def text_of(name: str) -> str:
    """A file of `monitor/`. Raises FileNotFoundError when it did not travel along."""
    return data_path(f"monitor/{name}").read_text(encoding="utf-8")
