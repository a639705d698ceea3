"""Machines made of plain processes. (Being built.)"""

from __future__ import annotations

from enaxp.local.fleet import Fleet


class ProcessMachines(Fleet):
    """Each machine is a group of processes with a folder of its own."""
