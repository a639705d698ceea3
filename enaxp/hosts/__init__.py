"""Access to the hosts: SSH connections, sockperf, interfaces, host checks."""
