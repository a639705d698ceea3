# How the operating system of a host brings software. To add a system: a branch here, which sets the same names.
#   install_packages NAME...       installs packages of the distribution
#   SOCKPERF, NODE_EXPORTER, TC    the distribution's package of a recent one; empty: there is none
#   TO_BUILD                       the packages that building sockperf takes
# shellcheck disable=SC2034 # no script needs all of them
if command -v apt-get > /dev/null; then # Debian, Ubuntu
  SOCKPERF=sockperf NODE_EXPORTER=prometheus-node-exporter TC=iproute2
  TO_BUILD=(g++ make automake autoconf libtool git ca-certificates)
  # Unattended upgrades hold apt's locks for the first minutes. Only the one of dpkg has a time to wait for it.
  install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    for _ in $(seq 24); do
      apt-get update -q && break
      sleep 5
    done
    apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$@"
  }
else # Amazon Linux, Fedora
  SOCKPERF="" NODE_EXPORTER="" TC=iproute-tc TO_BUILD=(gcc-c++ make automake autoconf libtool git tar)
  install_packages() { dnf install -y "$@"; }
fi
