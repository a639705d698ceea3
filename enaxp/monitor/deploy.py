"""Deploy: copies the configuration to the monitoring host over SSH, and starts the services that its first boot has installed.

    config of the lab ─▶ bundle() ─▶ one archive ─▶ /etc/enaxp on the host ─▶ Prometheus, Grafana (re)started when something has changed

Grafana's password is copied in the same way, as a file: it is in no user data, command line or log. The password already on the host
takes precedence, because Grafana reads it only at its first start.
"""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from enaxp.config import Config
from enaxp.hosts.connection import Connection
from enaxp.lab.fleet import HostPair, pairs_of
from enaxp.lab.keys import write_secret
from enaxp.monitor.files import Node, dashboards, prometheus_config, text_of

NODE_PORT = 9100
START_S = 120.0

# usage: … with the archive and the password (which may be empty) in the home of whoever logs in
_APPLY = r"""
set -eu
root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }
answers() { (exec 3<> "/dev/tcp/127.0.0.1/$1" && printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3 && grep -q ' 200 ' <&3) 2> /dev/null; }
restart() { # restart UNIT PORT PATH: when what it reads has changed, or it does not run
  root systemctl enable --quiet "$1"
  if [ "$changed" = yes ] || ! answers "$2" "$3"; then root systemctl restart "$1"; fi
  for _ in $(seq 300); do
    if answers "$2" "$3"; then return 0; fi
    sleep 0.2
  done
  echo "$1 does not answer on port $2" >&2
  root systemctl status --no-pager "$1" >&2 || true
  exit 1
}
cd "$HOME"
changed=no
if ! root cmp -s enaxp-monitoring.tar /etc/enaxp/bundle.tar; then
  root tar -xf enaxp-monitoring.tar -C /etc/enaxp --no-same-owner
  root "$(command -v promtool)" check config /etc/enaxp/prometheus.yml > /dev/null
  root install -m 0644 enaxp-monitoring.tar /etc/enaxp/bundle.tar
  changed=yes
fi
rm -f enaxp-monitoring.tar
if [ -s enaxp-grafana-password ]; then
  root install -o root -g grafana -m 0640 enaxp-grafana-password /etc/enaxp/grafana-password
fi
rm -f enaxp-grafana-password
restart enaxp-prometheus.service 9090 /-/ready
if [ -e /etc/systemd/system/enaxp-grafana.service ]; then
  restart enaxp-grafana.service 3000 /api/health
fi
"""
_PASSWORD = r"""
root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }
[ -e /etc/systemd/system/enaxp-grafana.service ] || { echo none; exit 0; }
echo grafana
root cat /etc/enaxp/grafana-password 2> /dev/null || true
"""


def bundle(config: Config, *, pairs: Iterable[HostPair] | None = None) -> Mapping[str, str]:
    """Every file of the monitoring of this lab, by its path below /etc/enaxp. pairs: of hosts; the config's only one by default. Pure."""
    nodes = [
        Node(lab=config.lab, role=pair.place(role), address=f"{host.ena_ip}:{NODE_PORT}")
        for pair in (pairs_of(config, None) if pairs is None else pairs)
        for role, host in pair.hosts.items()
    ]
    return {
        "prometheus.yml": prometheus_config(nodes, rules="/etc/enaxp/rules.yml"),
        "rules.yml": text_of("rules.yml"),
        "provisioning/datasources/enaxp.yml": text_of("grafana/datasource.yml"),
        "provisioning/dashboards/enaxp.yml": text_of("grafana/dashboards.yml"),
        **{f"dashboards/{name}": text for name, text in dashboards().items()},
    }


def deploy(
    connection: Connection, config: Config, *, password_file: Path, pairs: Iterable[HostPair] | None = None
) -> None:
    """Copies the files to the host and starts its services; services already running with the same files are not restarted.

    Grafana's password is in `password_file` afterwards, where there is a Grafana. Raises HostError.
    """
    password = _password(connection, password_file)
    connection.put(archive(bundle(config, pairs=pairs)), "enaxp-monitoring.tar")
    connection.put(password.encode(), "enaxp-grafana-password")
    connection.check(f"bash -c '{_quoted(_APPLY)}'", timeout_s=START_S)


def archive(files: Mapping[str, str]) -> bytes:
    """A tar of these files, the same for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            content = text.encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _password(connection: Connection, file: Path) -> str:
    """The password that the host has, else the one kept here, else a new one; empty where there is no Grafana."""
    has, _, theirs = connection.check(_PASSWORD).partition("\n")
    if has.strip() != "grafana":
        return ""
    kept = file.read_text(encoding="ascii").strip() if file.exists() else ""
    password = theirs.strip() or kept or secrets.token_urlsafe(24)
    if password != kept:
        write_secret(file, password)
    return password


def _quoted(script: str) -> str:
    return script.replace("'", "'\\''")
