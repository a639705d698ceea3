# How the operating system of a host brings software. To add a system: a branch here, which sets the same names.
#   install_packages NAME...   installs packages of the distribution
#   SOCKPERF, NODE_EXPORTER    the distribution's package of a recent one; empty: there is none
#   TO_BUILD                   the packages that building sockperf takes
# shellcheck disable=SC2034 # no script needs all of them
if command -v apt-get > /dev/null; then # Debian, Ubuntu
  SOCKPERF=sockperf NODE_EXPORTER=prometheus-node-exporter TO_BUILD=()
  install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -y -q --no-install-recommends "$@"
  }
else # Amazon Linux, Fedora
  SOCKPERF="" NODE_EXPORTER="" TO_BUILD=(gcc-c++ make automake autoconf libtool git tar)
  install_packages() { dnf install -y "$@"; }
fi
