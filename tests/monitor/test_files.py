"""The files for Prometheus and Grafana, held against what reads them: promtool, and Grafana's published schema."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from enaxp.data import data_path
from enaxp.monitor.files import Node, dashboards, prometheus_config, text_of
from tests.support.monitoring import promtool

NODES = [Node(lab="dev", role=role, address=f"192.168.3.{n}:9100") for role, n in (("server", 10), ("client", 20))]
BOARDS = {name: json.loads(text) for name, text in dashboards().items()}


@pytest.mark.system
@pytest.mark.parametrize("exporters", [(), ("127.0.0.1:9091",)], ids=["hosts alone", "with an exporter"])
def test_promtool_calls_the_config_good_and_it_scrapes_every_second(tmp_path: Path, exporters: tuple[str, ...]) -> None:
    rules, config = tmp_path / "rules.yml", tmp_path / "prometheus.yml"
    rules.write_text(text_of("rules.yml"))
    config.write_text(prometheus_config(NODES, exporters=exporters, rules=str(rules)))

    done = promtool("check", "config", str(config))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "scrape_interval: 1s" in config.read_text()
    assert config.read_text().count("job_name") == 1 + len(exporters)


@pytest.mark.system
def test_alerts_ring_when_they_should_and_keep_quiet_when_they_should_not(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(text_of("rules.yml"))
    cases = shutil.copy(Path(__file__).with_name("rules_test.yml"), tmp_path)

    done = promtool("test", "rules", str(cases))

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_data_source_and_the_dashboards_are_what_grafana_is_given() -> None:
    provisioning = {path.name for path in data_path("monitor/grafana").iterdir()}

    assert provisioning == {"datasource.yml", "dashboards.yml"}
    assert set(BOARDS) == {"bench.json", "hosts.json"}


@pytest.mark.parametrize("name", BOARDS)
def test_grafanas_schema_knows_every_field_of_a_dashboard(name: str) -> None:
    """Its types drop a field that they do not know, and fail at a value that they do not: what comes back is all that went in."""
    register_default_plugins()

    read = json.loads(json.dumps(Dashboard.from_json(BOARDS[name]), cls=JSONEncoder))

    assert list(lost(BOARDS[name], read)) == []


def lost(given: Any, read: Any, where: str = "") -> list[str]:
    """Where `read` does not have what was given. Empty resources and nulls may be left out."""
    if isinstance(given, dict) and isinstance(read, dict):
        return [one for key, value in given.items() for one in lost(value, read.get(key), f"{where}.{key}")]
    if isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        pairs = enumerate(zip(given, read, strict=True))
        return [one for n, (value, other) in pairs for one in lost(value, other, f"{where}[{n}]")]
    same = given == read or (read is None and given in (None, [], {}, ""))
    return [] if same else [f"{where}: {given!r} → {read!r}"]


@pytest.mark.parametrize("change", ["unknown field", "wrong place"])
def test_the_schema_test_sees_what_does_not_belong(change: str) -> None:
    register_default_plugins()
    board = json.loads(dashboards()["bench.json"])
    panel = next(panel for panel in board["panels"] if panel["type"] == "timeseries")
    if change == "unknown field":
        panel["fieldConfig"]["defaults"]["custom"]["lineWidht"] = 2
    else:
        panel["unit"] = "s"

    read = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))

    assert len(lost(board, read)) == 1


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_ids_of_their_own_and_do_not_lie_on_each_other(name: str) -> None:
    panels = BOARDS[name]["panels"]
    cells = Counter(
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    )

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_goes_to_the_provisioned_source_and_heeds_the_variables(name: str) -> None:
    variables = {variable["name"] for variable in BOARDS[name]["templating"]["list"]}
    panels = [panel for panel in BOARDS[name]["panels"] if panel["type"] != "row"]
    uid = re.search(r"uid: (\S+)", text_of("grafana/datasource.yml"))
    assert uid is not None

    for panel in panels:
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == panel["datasource"]["uid"] == uid[1]
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables
            assert '=~"$lab"' in target["expr"], f"{panel['title']} shows every lab at once"


def test_the_bench_can_be_looked_at_by_lab_scenario_arm_and_pair() -> None:
    assert [variable["name"] for variable in BOARDS["bench.json"]["templating"]["list"]] == [
        "lab", "scenario", "arm", "variant", "pair",
    ]  # fmt: skip
