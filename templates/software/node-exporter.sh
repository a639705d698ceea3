#!/bin/bash
# node-exporter: Prometheus' view of the host, as a service on port 9100, with the counters of ENA Express and of the allowances.
# It is the distribution's package where there is one, else the pinned release, checked against its known SHA-256.
# What is put into the folder TEXTFILES as *.prom is told, too: a bench's figures come that way.
set -Eeuo pipefail
# include packages.sh

VERSION=1.8.2
SHA256_amd64=6809dd0b3ec45fd6e992c19071d6b5253aed3ead7bf0686885a51d85c6643c66
SHA256_arm64=627382b9723c642411c33f48861134ebe893e70a63bcc8b3fc0619cd0bfac4be
PORT=9100
TEXTFILES=/var/lib/node_exporter/textfile
UNIT=/etc/systemd/system/enaxp-node-exporter.service

program() {
  command -v node_exporter || command -v prometheus-node-exporter
}

install_package() {
  install_packages "$NODE_EXPORTER"
  # Its own unit would take the port, without the counters.
  systemctl disable --now "$NODE_EXPORTER.service"
}

install_release() {
  local architecture expected folder name
  case $(uname -m) in
    x86_64) architecture=amd64 expected=$SHA256_amd64 ;;
    aarch64) architecture=arm64 expected=$SHA256_arm64 ;;
    *) echo "no release of node_exporter is known for $(uname -m)" >&2 && return 1 ;;
  esac
  name=node_exporter-$VERSION.linux-$architecture
  folder=$(mktemp -d)
  curl -fsSL --retry 5 -o "$folder/$name.tar.gz" \
    "https://github.com/prometheus/node_exporter/releases/download/v$VERSION/$name.tar.gz"
  echo "$expected  $folder/$name.tar.gz" | sha256sum --check --quiet
  tar -xzf "$folder/$name.tar.gz" -C "$folder"
  install -m 0755 "$folder/$name/node_exporter" /usr/local/bin/node_exporter
  rm -rf "$folder"
}

answers() {
  { exec 3<> "/dev/tcp/127.0.0.1/$PORT"; } 2> /dev/null || return 1
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
  grep -q '^node_exporter_build_info' <&3
}

if ! program > /dev/null; then
  if [ -n "$NODE_EXPORTER" ]; then install_package; else install_release; fi
fi
# Whoever logs in writes there: nothing else than figures is read from it.
install -d -m 1777 "$TEXTFILES"
cat > "$UNIT.new" <<END
[Unit]
Description=Metrics of this host of the enaxp lab
After=network-online.target

[Service]
Type=simple
DynamicUser=yes
ExecStart=$(program) --web.listen-address=:$PORT --collector.ethtool --collector.ethtool.metrics-include=ena_srd|allowance --collector.textfile.directory=$TEXTFILES
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
END
action=start
if cmp -s "$UNIT.new" "$UNIT"; then
  rm "$UNIT.new"
else
  mv "$UNIT.new" "$UNIT"
  systemctl daemon-reload
  action=restart
fi
systemctl enable "${UNIT##*/}"
systemctl "$action" "${UNIT##*/}"
for _ in $(seq 50); do
  if (answers); then
    echo "node-exporter: answers on port $PORT"
    exit 0
  fi
  sleep 0.2
done
echo "node_exporter does not answer on port $PORT" >&2
systemctl status --no-pager "${UNIT##*/}" >&2 || true
exit 1
