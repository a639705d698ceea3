"""Machines made of namespaces. (Being built.)"""

from __future__ import annotations

from enaxp.local.fleet import Fleet

SSH_USER = "ec2-user"


class NamespaceMachines(Fleet):
    """Each machine has network, mount, pid, uts and ipc namespaces of its own."""
