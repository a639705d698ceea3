#!/bin/bash
# utilities: what a person looks at a host with. ethtool also tells the counters that prove which packets went by SRD.
set -Eeuo pipefail

missing=()
for program in ethtool htop; do
  command -v "$program" > /dev/null || missing+=("$program")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "utilities: there already"
elif command -v apt-get > /dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -y -q "${missing[@]}"
else
  dnf install -y "${missing[@]}"
fi
ethtool --version
htop --version
