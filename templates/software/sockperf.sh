#!/bin/bash
# sockperf: a distribution's package where there is a recent one, else the pinned commit, built. A tag can be moved, a commit cannot.
set -Eeuo pipefail
# include packages.sh

COMMIT=5ebd327da983225321818c0355db922515e026bd # version 3.10
LEAST=3.7
# Before 3.9 it has no clock for Arm, and distributions have none that is later: there it is built.
if [ "$(uname -m)" = aarch64 ]; then LEAST=3.9 SOCKPERF=""; fi

version() {
  # What others write beside it, a loader's error first, may hold numbers, too.
  sockperf --version 2> /dev/null | sed -n 's/.*version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1 || true
}

is_recent() { # is_recent VERSION
  [ -n "$1" ] && [ "$(printf '%s\n' "$LEAST" "$1" | sort -V | head -n 1)" = "$LEAST" ]
}

build() {
  local folder
  install_packages "${TO_BUILD[@]}"
  folder=$(mktemp -d)
  git -C "$folder" init -q
  git -C "$folder" fetch -q --depth 1 https://github.com/Mellanox/sockperf "$COMMIT"
  git -C "$folder" checkout -q FETCH_HEAD
  [ "$(git -C "$folder" rev-parse HEAD)" = "$COMMIT" ]
  (cd "$folder" && ./autogen.sh && ./configure --prefix=/usr/local && make -j "$(nproc)" && make install)
  ln -sf /usr/local/bin/sockperf /usr/bin/sockperf
  rm -rf "$folder"
}

if is_recent "$(version)"; then
  echo "sockperf: there already"
elif [ -n "$SOCKPERF" ]; then
  install_packages "$SOCKPERF"
else
  build
fi
found=$(version)
if ! is_recent "$found"; then
  echo "sockperf is ${found:-not there}, at least $LEAST is needed" >&2
  exit 1
fi
# What lets an ordinary user's sockets poll the NIC (sockperf --lls), which older kernels refuse without it.
setcap cap_net_admin+ep "$(readlink -f "$(command -v sockperf)")" || echo "sockperf: not allowed to poll the NIC" >&2
echo "sockperf: version $found"
