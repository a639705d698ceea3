#!/bin/bash
# tuning: what ENA Express asks of a host, now and after each boot. For all interfaces alike, so that both arms stay comparable.
set -Eeuo pipefail

SETTINGS=/usr/local/sbin/enaxp-tuning
UNIT=enaxp-tuning.service

cat > "$SETTINGS.new" <<'END'
#!/bin/bash
# What a kernel does not have, or does not let a host change, is left as it is: `enaxp doctor` tells.
at_least() { # at_least SETTING VALUE
  [ "$(sysctl -n "$1" 2> /dev/null || echo "$2")" -ge "$2" ] || sysctl -q -w "$1=$2"
}
at_least net.ipv4.tcp_limit_output_bytes 1048576 || true
sysctl -q -w net.ipv4.tcp_autocorking=0 || true
# How large a buffer a program may ask for; what sockets have by themselves stays as it is.
at_least net.core.rmem_max 16777216 2> /dev/null || true
at_least net.core.wmem_max 16777216 2> /dev/null || true
# Deep queues: no byte limits on them.
for limit in /sys/class/net/*/queues/tx-*/byte_queue_limits/limit_min; do
  { echo max > "$limit"; } 2> /dev/null || true
done
# What `enaxp doctor --fix` has mended on this host.
for mended in /etc/enaxp/tuning.d/*.sh; do
  [ ! -r "$mended" ] || bash "$mended" || true
done
END
chmod 0755 "$SETTINGS.new"
mv "$SETTINGS.new" "$SETTINGS"
cat > "/etc/systemd/system/$UNIT" <<END
[Unit]
Description=Settings of the kernel for the enaxp lab
After=network-online.target
Before=enaxp-net.service
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$SETTINGS

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable "$UNIT"
# Anew each time: somebody may have set something else meanwhile.
systemctl restart "$UNIT"
echo "tuning: applied"
