#!/bin/bash
# utilities: what a person looks at a host with. ethtool also tells the counters that prove which packets went by SRD.
set -Eeuo pipefail
# include packages.sh

missing=()
for program in ethtool htop tc; do
  command -v "$program" > /dev/null && continue
  case $program in tc) missing+=("$TC") ;; *) missing+=("$program") ;; esac
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "utilities: there already"
else
  install_packages "${missing[@]}"
fi
ethtool --version
htop --version
