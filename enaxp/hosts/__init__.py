"""Reaching the hosts: SSH connections, sockperf on them, their interfaces."""
