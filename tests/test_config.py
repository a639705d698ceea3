"""What the configuration must refuse, and what it must understand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from enaxp.config import load_config, write_default_config
from enaxp.errors import ConfigError

FAULTS = yaml.safe_load((Path(__file__).parent / "data/config_faults.yaml").read_text())
FILES = yaml.safe_load((Path(__file__).parent / "data/config_files.yaml").read_text())


@pytest.mark.parametrize("case", FILES, ids=lambda case: case["name"])
def test_a_file_is_read_as_it_is_meant_or_refused_with_what_is_wrong(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "bench.yaml"
    parts = case.get("file_of", [case.get("file")])
    text = "".join(part if isinstance(part, str) else part[0] * part[1] for part in parts)
    path.write_bytes(text.encode(case.get("encoding", "utf-8")))

    if "reads" in case:
        config = load_config(path)
        assert {dotted: value_at(config, dotted) for dotted in case["reads"]} == case["reads"]
        return
    with pytest.raises(ConfigError) as raised:
        load_config(path)

    assert raised.value.exit_code == 2
    assert str(path) in str(raised.value)
    for part in case["says"]:
        assert part in str(raised.value)


def value_at(config: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        config = config[key] if isinstance(config, dict) else getattr(config, key)
    return config


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case["name"])
def test_a_wrong_value_is_refused_with_its_path_and_what_is_allowed(case: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(overrides=case["set"])

    assert raised.value.exit_code == 2
    for part in case["says"]:
        assert part in str(raised.value)


def test_all_faults_of_a_file_are_reported_at_once() -> None:
    wrong = {"bench.iterations": 0, "network.vpc_cidr": "x", "hosts.client.ena_ip": "192.168.3.1", "surprise": 1}

    with pytest.raises(ConfigError) as raised:
        load_config(overrides=wrong)

    paths = {fault.partition(":")[0] for fault in raised.value.faults}
    assert paths == set(wrong)


def test_the_defaults_are_the_guides_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    config = load_config()

    assert (config.lab, config.aws.region, config.hosts.instance_type) == ("dev", "us-east-1", "c6i.8xlarge")
    assert (config.network.vpc_cidr, config.network.subnet_cidr) == ("192.168.0.0/16", "192.168.3.0/24")
    assert (config.hosts.server.ena_ip, config.hosts.server.ena_express_ip) == ("192.168.3.10", "192.168.3.11")
    assert (config.hosts.client.ena_ip, config.hosts.client.ena_express_ip) == ("192.168.3.20", "192.168.3.21")
    assert (config.bench.iterations, config.bench.repeats, config.bench.duration_s) == (10, 10, 10.0)
    assert (config.bench.order, config.bench.margin_pct, config.ttl_s, config.placement) == (
        "interleaved",
        2.0,
        14400.0,
        "cluster",
    )


def test_a_file_changes_only_what_it_names_and_options_go_before_it(tmp_path: Path) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text("bench: {iterations: 3, repeats: 4}\nhosts: {client: {ena_ip: 192.168.3.30}}\n")

    config = load_config(path, overrides={"bench.repeats": 7})

    assert (config.bench.iterations, config.bench.repeats) == (3, 7)
    assert (config.hosts.client.ena_ip, config.hosts.client.ena_express_ip) == ("192.168.3.30", "192.168.3.21")


def test_the_file_of_this_folder_is_read_when_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_default_config(Path("config/bench.yaml"), replace=False)
    text = Path("config/bench.yaml").read_text().replace("iterations: 10", "iterations: 2")
    Path("config/bench.yaml").write_text(text)

    assert load_config().bench.iterations == 2


def test_a_list_of_rates_becomes_one_scenario_a_rate() -> None:
    load = {"mode": "under-load", "protocol": "udp", "message_size": 64, "rate": [1000, "max"], "csv_name": "UDP_Load"}

    config = load_config(overrides={"scenarios.load": load, "bench.scenarios": ["load"]})

    assert config.bench.scenarios == ("load@1000", "load@max")
    assert [config.scenarios[name].rate for name in config.bench.scenarios] == [1000, "max"]
    assert config.scenarios["load@max"].csv_name == "UDP_Load@max"


def test_all_means_every_scenario() -> None:
    own = {"mode": "ping-pong", "protocol": "tcp", "message_size": 64}

    config = load_config(overrides={"scenarios.own": own, "bench.scenarios": ["all"]})

    assert config.bench.scenarios == tuple(config.scenarios)
    assert {
        "udp-flow@60000", "udp-flow@130000", "udp-flow@300000", "tcp-flow", "tcp-bulk", "udp-busy-poll"
    } <= set(config.bench.scenarios)  # fmt: skip
    assert config.scenarios["udp-flow@60000"].buffer_size == 8 * 2**20
    assert config.scenarios["udp-busy-poll"].busy_poll_us == 50
    assert {"udp-latency", "tcp-throughput", "udp-load@1000", "congested", "own"} <= set(config.bench.scenarios)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lab: [", "YAML"),
        ("- a\n- b\n", "mapping"),
        ("lab: a\nlab: b\n", "given twice"),
        ("bench: {iterations: 1, iterations: 2}\n", "given twice"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=says):
        load_config(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml is not there"):
        load_config(tmp_path / "absent.yaml")


def test_init_does_not_replace_a_file_unless_told_to(tmp_path: Path) -> None:
    path = write_default_config(tmp_path / "config/bench.yaml", replace=False)
    path.write_text("lab: mine\n")

    with pytest.raises(ConfigError, match="is there already"):
        write_default_config(path, replace=False)

    assert path.read_text() == "lab: mine\n"
    assert load_config(write_default_config(path, replace=True)).lab == "dev"
